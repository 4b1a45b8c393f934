"""The commands `application handed-in`, `take`, `send-back` and `decline` of `idtone-office`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from idtone.core.terminal import command_line
from idtone.core.translation import Message
from idtone.registry.commands.check_progress import checking

from ..authority.change_registry import accepted_applications
from ..authority.typed_application import next_application_id, receive_typed
from ..authority.typed_dates import in_japan
from ..authority.workspace import Workspace
from ..desk.applicants.submission import SubmissionState, values_of
from ..desk.applicants.submissions import Submissions
from .options import FolderOption, WhyOption, attribution_for

SubmissionArgument = Annotated[
    str, typer.Argument(metavar="RECEIPT", help="The receipt number, as `application handed-in` shows it.")
]
NoteOption = Annotated[str, typer.Option(metavar="TEXT", help="What the applicant reads, in one line.")]
_COLUMNS: Final = ("id", "state", "received", "changed", "name_ja", "person", "contact", "tone", "application")
_OPTIONS: Final = {"identity_1": "--document", "checked_1": "--checked", "by_1": "--by", "until": "--pledge-until"}


def list_submissions(
    folder: FolderOption,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were received or declined.")] = False,
    as_json: command_line.JsonOption = False,
) -> None:
    """List the applications that applicants have handed in themselves. Nothing in them is verified."""
    found = [each for each in Submissions(folder).all() if everything or each.is_open]
    rows = [
        {
            **values_of(each.handed), "id": each.id, "state": each.state.value, "pledge": each.pledge,
            "received": each.received.isoformat(), "changed": each.changed.isoformat(),
            "application": each.application, "note": each.note,
        }
        for each in found
    ]  # fmt: skip
    if as_json:
        command_line.print_json(rows)
    else:
        command_line.Rows(_COLUMNS, whole=("id",)).print([[row.get(name) or "" for name in _COLUMNS] for row in rows])


def take_submission(
    folder: FolderOption,
    receipt: SubmissionArgument,
    member: Annotated[str, typer.Option(metavar="ID", help="The id that the member has, or is to get.")],
    document: Annotated[str, typer.Option(metavar="TEXT", help="The document that identified the applicant.")],
    checked: Annotated[str, typer.Option(metavar="DAY", help="The day of that check, in Japan.")],
    by: Annotated[str, typer.Option(metavar="TEXT", help="Who has examined the document.")],
    pledge_until: Annotated[str, typer.Option(metavar="DAY", help="The last day of the pledge.")] = "",
    why: WhyOption = "application received, typed by the applicant",
    as_json: command_line.JsonOption = False,
) -> None:
    """Accept an applicant's form as an application. The office then examines it.

    All other fields, and the PDF of the pledge, are as the applicant sent them. Compare them with the documents first.
    """
    workspace, attribution = Workspace(folder), attribution_for(why)
    found, today = Submissions(folder).named(receipt), in_japan(attribution.at).date()
    fields = {
        **values_of(found.handed),
        "id": next_application_id([each.id for each, _ in accepted_applications(workspace)], today),
        "received": in_japan(found.changed).date().isoformat(), "member": member, "identity_1": document,
        "checked_1": checked, "by_1": by, "until": pledge_until,
    }  # fmt: skip
    with checking():
        made = receive_typed(workspace, fields, b"", attribution, lambda name: _OPTIONS.get(name, f"--{name}"), found)
    if as_json:
        command_line.print_json({"application": made.id, "member": made.member.id})
    else:
        name = made.member.name
        told = Message("application {id} of {ja} / {en} is accepted", id=made.id, ja=name.ja, en=name.en)
        command_line.say(told)


def send_back_submission(folder: FolderOption, receipt: SubmissionArgument, note: NoteOption) -> None:
    """Send an application back to the applicant, who can correct it with the receipt number and the secret."""
    _answer(folder, receipt, SubmissionState.RETURNED, note)


def decline_submission(folder: FolderOption, receipt: SubmissionArgument, note: NoteOption) -> None:
    """Decline an application that an applicant has handed in. The desk erases it when its retention time is over."""
    _answer(folder, receipt, SubmissionState.DECLINED, note)


def _answer(folder: FolderOption, receipt: str, state: SubmissionState, note: str) -> None:
    handed = Submissions(folder)
    handed.answer(handed.named(receipt), state, note, "--note")
    command_line.say("the applicant of {id} reads this now", id=receipt)
