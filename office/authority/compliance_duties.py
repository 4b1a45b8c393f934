"""The office's list of compliance duties, such as transaction records (取引記録), each with a due day.

The file `duties.json` has one entry per duty with its kind, member, subject and due day. Once the duty is done, the
entry also states when, by whom and which document proves it. The law does not prescribe this list. A lawyer decides
which duties apply. The office's ledger records each change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field, TypeAdapter

from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import template

from ..desk.office_ledger import OfficeLedger
from .change_registry import registry_of
from .json_lists import Day, DayOrNone, read_list, write_list
from .registry_edits import check_member
from .typed_dates import parse_day, parse_past_day
from .workspace import Workspace

FILE: Final = "duties.json"
ENTERED: Final = "duty-entered"
DONE: Final = "duty-done"
WITHDRAWN: Final = "duty-withdrawn"
SOON: Final = timedelta(days=14)
"""How long before its due day an open duty appears among the pending tasks."""


class DutyKind(StrEnum):
    """Kinds of compliance duties. A lawyer has to confirm the list."""

    TRANSACTION_RECORD = "transaction-record"
    SUSPICIOUS_TRANSACTION = "suspicious-transaction"
    VERIFICATION_RECORD = "verification-record"
    OTHER = "other"


DUTY_WORDS: Final = {
    DutyKind.TRANSACTION_RECORD: template("records of transactions (取引記録) are made and kept"),
    DutyKind.SUSPICIOUS_TRANSACTION: template("a suspicious transaction (疑わしい取引) is reported"),
    DutyKind.VERIFICATION_RECORD: template("records of verifications (確認記録) are made and kept"),
    DutyKind.OTHER: template("another duty"),
}


@dataclass(frozen=True, slots=True)
class Duty:
    """A member's compliance duty, or the association's if `member` is empty.

    `due` and `done` are days in Japan. `done` is empty while the duty is open.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^D-[0-9]{4,}$")]
    kind: DutyKind
    member: str
    what: str
    due: Day
    done: DayOrNone = ""
    done_by: str = ""
    document: str = ""

    @property
    def due_day(self) -> date:
        return date.fromisoformat(self.due)


_LIST: Final = TypeAdapter(list[Duty])


def read_duties(folder: Path) -> list[Duty]:
    """Read all duties in the order they were entered. Raises TrustError if the file is damaged."""
    return read_list(folder / FILE, _LIST)


def enter_duty(workspace: Workspace, kind: str, member: str, what: str, due: str, name: Callable[[str], str]) -> Duty:
    """Add a duty to the office's list. Raises IdtoneError.

    `name` maps a parameter to the field name shown in error messages.
    """
    chosen = next((each for each in DutyKind if each == kind), None)
    if chosen is None:
        raise UsageError("choose what is due")
    if member:
        check_member(registry_of(workspace), member)
    words, until = checked_line(what, name("what")), parse_day(due, name("due")).isoformat()
    with workspace.locked():
        before = read_duties(workspace.folder)
        ledger = OfficeLedger(workspace.folder)
        used = {each.id for each in before} | {act.subject for act in ledger.acts() if act.act == WITHDRAWN}
        id_ = f"D-{max((int(each[2:]) for each in used), default=0) + 1:04}"
        made = Duty(id_, chosen, member, words, until)
        ledger.record(ENTERED, id_, kind=chosen, member=member, due=until)
        write_list(workspace.folder / FILE, [*before, made])
    return made


def finish_duty(
    workspace: Workspace, id_: str, done: str, done_by: str, document: str, now: datetime, name: Callable[[str], str]
) -> Duty:
    """Record when and by whom an open duty was done, and the document that proves it.

    `name` maps a parameter to the field name shown in error messages. Raises IdtoneError.
    """
    at = parse_past_day(done, name("done"), now)
    who, proof = checked_line(done_by, name("by")), checked_line(document, name("document"))
    with workspace.locked():
        before = read_duties(workspace.folder)
        held = next((each for each in before if each.id == id_ and not each.done), None)
        if held is None:
            raise UsageError("there is no open duty {id!r}", id=id_)
        made = replace(held, done=at.isoformat(), done_by=who, document=proof)
        OfficeLedger(workspace.folder).record(DONE, id_, done=made.done, document=proof)
        write_list(workspace.folder / FILE, [made if each is held else each for each in before])
    return made


def withdraw_duty(workspace: Workspace, id_: str, why: str, name: Callable[[str], str]) -> None:
    """Erase a duty that was entered by mistake or is no longer needed.

    The office's ledger keeps the duty's id and the reason. Raises IdtoneError.
    """
    reason = checked_line(why, name("why"))
    with workspace.locked():
        before = read_duties(workspace.folder)
        if id_ not in {each.id for each in before}:
            raise UsageError("there is no duty {id!r}", id=id_)
        OfficeLedger(workspace.folder).record(WITHDRAWN, id_, why=reason)
        write_list(workspace.folder / FILE, [each for each in before if each.id != id_])


def is_overdue(duty: Duty, today: date) -> bool:
    return not duty.done and duty.due_day < today


def is_due_soon(duty: Duty, today: date) -> bool:
    """True if an open duty is due today or within `SOON`, but not if it is overdue."""
    return not duty.done and today <= duty.due_day <= today + SOON


def sort_open_first(found: Sequence[Duty]) -> list[Duty]:
    """Sort duties: open ones by due day, then finished ones with the latest first."""
    done = sorted((each for each in found if each.done), key=lambda each: each.done, reverse=True)
    return [*sorted((each for each in found if not each.done), key=lambda each: each.due), *done]
