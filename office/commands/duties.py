"""The commands `duty enter`, `list`, `finish` and `withdraw` of `idtone-office`, for duties with due days."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from idtone.core.terminal import command_line
from idtone.registry.commands.check_progress import checking

from ..authority.compliance_duties import (
    DutyKind,
    enter_duty,
    finish_duty,
    is_overdue,
    read_duties,
    sort_open_first,
    withdraw_duty,
)
from ..authority.typed_dates import in_japan
from ..authority.workspace import Workspace
from .options import FolderOption

_COLUMNS: Final = ("id", "kind", "member", "what", "due", "done", "done_by", "document")


def add_duty(
    folder: FolderOption,
    kind: Annotated[DutyKind, typer.Argument(help="What is due.")],
    due: Annotated[str, typer.Option(metavar="DAY", help="The last day, in Japan.")],
    what: Annotated[str, typer.Option(metavar="TEXT", help="What is to be done, in one line.")],
    member: Annotated[str, typer.Option(metavar="MEMBER", help="Whose duty it is (default: the association's).")] = "",
    as_json: command_line.JsonOption = False,
) -> None:
    """Enter a duty and its due day in the list: a transaction record, a report of a suspicious transaction, or another
    duty.

    The list is only a reminder; the law prescribes no such form. A lawyer has to say what is due, and when.
    """
    with checking():
        made = enter_duty(Workspace(folder), kind, member, what, due, lambda name: f"--{name}")
    if as_json:
        command_line.print_json(asdict(made))
    else:
        command_line.say("{id}: due on {due}", id=made.id, due=made.due)


def list_duties(
    folder: FolderOption,
    all_: Annotated[bool, typer.Option("--all", help="Also show those that are done.")] = False,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List the open duties, the earliest day first. Exit 1: one is overdue."""
    form = command_line.form(as_json, as_csv, as_tsv)
    today = in_japan(datetime.now(UTC)).date()
    found = [each for each in sort_open_first(read_duties(folder)) if all_ or not each.done]
    rows = [asdict(each) for each in found]
    if form is command_line.Form.JSON:
        command_line.print_json(
            [{**row, "overdue": is_overdue(each, today)} for row, each in zip(rows, found, strict=True)]
        )
    else:
        command_line.Rows(_COLUMNS, form).print([[each[name] for name in _COLUMNS] for each in rows])
    if any(is_overdue(each, today) for each in found):
        command_line.exit_negative()


def record_done(
    folder: FolderOption,
    duty: Annotated[str, typer.Argument(metavar="DUTY", help="The id of the duty, as `duty list` prints it.")],
    done: Annotated[str, typer.Option(metavar="DAY", help="When it was done.")],
    by: Annotated[str, typer.Option(metavar="TEXT", help="Who has done it.")],
    document: Annotated[str, typer.Option(metavar="TEXT", help="The document, or its number.")],
) -> None:
    """Record that a duty was done: when, by whom, and by which document."""
    made = finish_duty(Workspace(folder), duty, done, by, document, datetime.now(UTC), lambda name: f"--{name}")
    command_line.say("{id}: done on {day} by {by}", id=made.id, day=made.done, by=made.done_by)


def erase_duty(
    folder: FolderOption,
    duty: Annotated[str, typer.Argument(metavar="DUTY", help="The id of the duty, as `duty list` prints it.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, in one line.")],
) -> None:
    """Erase a duty that was entered by mistake or is no longer needed. The ledger keeps its number and the reason."""
    withdraw_duty(Workspace(folder), duty, why, lambda name: f"--{name}")
    command_line.say("{id}: withdrawn", id=duty)
