"""The form for entering paper applications, and the signed pledges as PDF files."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.translation import Message, template
from idtone.office.authority.pledge_store import LIMIT, pledge_kept_on_success, read_pledge
from idtone.office.authority.record_pledge import record_pledge
from idtone.office.authority.typed_application import CHECKS, next_application_id, receive_typed
from idtone.office.authority.typed_dates import in_japan, parse_day
from idtone.office.desk.applicants.submission import Submission, values_of
from idtone.office.desk.applicants.submissions import Submissions

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, labels_of
from ..page import Method, Page, Visit
from ..uploads import Upload
from . import applications, members
from .common_parts import WHY, attribution_of, do_act_on_file, files_of, not_found_page, read_entries
from .submissions import seen_submission, stamp_of

PATH: Final = "/office/new-application"
_SHOWN: Final = 16_000
"""Maximum size of the form's list of numbers, in bytes. Longer lists are not shown.

Each line ending counts as two bytes.
"""
_FIRST: Final = CHECKS[0]
"""Number of the identity check that every application requires. The other checks are optional."""
_FIELDS: Final[Fields] = {
    "id": FormField(template("Application"), any_text),
    "received": FormField(template("Received"), parse_day),
    "member": FormField(template("Member's id"), any_text),
    **{
        f"{name}_{number}": FormField(label, read, is_required=number == _FIRST)
        for number in CHECKS
        for name, label, read in (
            ("identity", Message("Document {number}", number=number), any_text),
            ("checked", Message("Document {number}: checked on", number=number), parse_day),
            ("by", Message("Document {number}: checked by", number=number), any_text),
        )
    },
    "signed": FormField(template("Signed on"), parse_day),
    "until": FormField(template("Valid until"), parse_day, is_required=False),
    "numbers": FormField(template("Numbers"), read_entries, is_required=False),
    **WHY,
}
_LABELS: Final = labels_of({**members.PLEDGE, **_FIELDS})


async def new_application(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show the form, either empty or filled in from the submission named in the address."""
    files, today = files_of(visit), in_japan(datetime.now(UTC)).date()
    registered = await visit.in_thread(files.registered)
    given = [asked.id for asked, _ in await visit.in_thread(files.applications)]
    wanted = visit.query("submission") or visit.field("submission")
    try:
        submission = await visit.in_thread(Submissions(files.folder).named, wanted) if wanted else None
    except UsageError as error:
        return not_found_page(visit, error)
    begun = values_of(submission.handed) if submission else {}
    if submission and _is_long(submission):
        del begun["numbers"]
    return visit.render(
        "office_new_application.html",
        status,
        problem=problem,
        checks=CHECKS,
        id=next_application_id(given, today),
        today=today.isoformat(),
        tones=[(tone.id, tone.id) for tone in registered.document.tones],
        members=list(registered.members.values()),
        submission=submission,
        seen=visit.field("seen") or stamp_of(submission),  # a refused form keeps the stamp of its first reading
        begun=begun,
        hidden_entries=len(submission.handed.numbers) if submission and "numbers" not in begun else 0,
    )


def _is_long(submission: Submission) -> bool:
    """True if the submission has too many numbers to show.

    Its numbers are then used unless others are typed in.
    """
    return sum(len(entry) + 2 for entry in submission.handed.numbers) > _SHOWN


async def receive(visit: Visit) -> web.StreamResponse:
    """Receive the application, under the same rules as a member's own file."""
    files = files_of(visit)

    def act(upload: Upload) -> str:
        fields, submission = dict(upload.fields), None
        if fields.get("submission"):
            submission = seen_submission(files.folder, fields["submission"], fields.get("seen", ""))
            if _is_long(submission) and not fields.get("numbers", "").strip():
                fields["numbers"] = values_of(submission.handed)["numbers"]
        octets = upload.file.read_bytes()
        made = receive_typed(files.workspace, fields, octets, attribution_of(visit), _LABELS, submission)
        return f"{applications.PATH}/{made.id}"

    return await do_act_on_file(visit, LIMIT, act, new_application, _FIELDS)


async def pledge(visit: Visit) -> web.StreamResponse:
    """Record a member's pledge from its PDF. The registry contains the SHA-256 of the file."""
    files, wanted = files_of(visit), visit.part("member")

    def act(upload: Upload) -> str:
        if wanted not in files.registered().members:
            raise UsageError("There is no such member.")
        document, signatory, signed, until = (
            upload.fields[name] for name in ("document", "signatory", "signed", "until")
        )
        attribution = attribution_of(visit)
        with files.workspace.locked(), pledge_kept_on_success(files.folder, upload.file.read_bytes()) as sha256:
            record_pledge(files.workspace, wanted, document, sha256, signatory, signed, until, attribution, _LABELS)
        return f"{members.PATH}/{wanted}"

    needs = Message("choose the PDF of the signed pledge")
    return await do_act_on_file(visit, LIMIT, act, members.member, members.PLEDGE, needs)


async def paper(visit: Visit) -> web.StreamResponse:
    """Send the PDF of a pledge."""
    octets = await visit.in_thread(read_pledge, files_of(visit).folder, visit.part("sha256"))
    if octets is None:
        return not_found_page(visit, Message("This pledge is not kept here."))
    headers = {"Content-Disposition": 'attachment; filename="pledge.pdf"'}
    return web.Response(body=octets, content_type="application/pdf", headers=headers)


PAGES = (
    Page(PATH, new_application, Right.OFFICE),
    Page(PATH, receive, Right.OFFICE, Method.POST, uploads=True),
    Page(members.PATH + "/{member}/pledge-paper", pledge, Right.OFFICE, Method.POST, uploads=True),
    Page("/office/pledges/{sha256}", paper, Right.OFFICE),
)
