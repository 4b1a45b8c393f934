"""Histories of customer records, derived from ledger acts: recorded, ended, opened, forgotten.

When a contract ended is stored only in the ledger, so editing a file cannot cause a record to be forgotten early. Acts
that are not allowed have no effect.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from idtone.core.japan_time import JAPAN
from idtone.core.persons import Person
from idtone.core.translation import Message
from idtone.ledger.evidence.act_persons import person_of
from idtone.ledger.evidence.steps import Step

from .form_rules import LEAST_YEARS

EARLIEST_END: Final = timedelta(days=31)
LATEST_END: Final = timedelta(days=366)
"""How far in the future a contract's end may be when it is recorded. `EARLIEST_END` is the limit for the past."""
_CLOCK: Final = timedelta(hours=1)
"""How far the machine's clock may have been set back."""


class FormAct(StrEnum):
    """Values of `act` in the ledger."""

    RECORDED = "form-recorded"
    ENDED = "form-ended"
    OPENING_REQUESTED = "form-opening-requested"
    OPENING_APPROVED = "form-opening-approved"
    OPENED = "form-opened"
    FORGOTTEN = "form-forgotten"


@dataclass(slots=True)
class RecordHistory:
    """The history of one record.

    `digest` comes from `RecordKey.digest`. `act` is the id of the ledger act that recorded it. `ends` is the contract's
    last day in Japan.
    """

    id: str
    act: str
    at: datetime
    by: str
    digest: str
    numbers: int
    ends: date | None = None
    forgotten: datetime | None = None

    def kept_until(self, years: int) -> date | None:
        """The last day that the record is kept, or None if the contract's end is not recorded."""
        return years_after(self.ends, years) if self.ends else None

    def is_over(self, years: int, today: date) -> bool:
        """True if the retention period is over and the record must be forgotten."""
        until = self.kept_until(years)
        return until is not None and until < today


def years_after(day: date, years: int) -> date:
    """The same date `years` later, or March 1 if that year has no February 29."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def histories(acts: Iterable[Step], now: datetime) -> dict[str, RecordHistory]:
    """Histories of all forms by id, in the order they were recorded. `acts` must be in the order written.

    If an id is recorded several times, the first time counts. If several ends are recorded, the latest day counts. No
    act is treated as earlier than the acts before it. Acts more than an hour after `now` have no effect.
    """
    found: dict[str, RecordHistory] = {}
    at = datetime.min.replace(tzinfo=UTC)
    for step in acts:
        if step.at > now + _CLOCK:
            continue
        details, id_, at = step.details, str(step.details.get("subject")), max(at, step.at)
        known = found.get(id_)
        match details.get("act"):
            case FormAct.RECORDED if known is None:
                found[id_] = RecordHistory(
                    id_,
                    step.call_id,
                    step.at,
                    str(details.get("by")),
                    str(details.get("digest")),
                    _count(details.get("count")),
                )
            case FormAct.ENDED if known:
                day = _day(details.get("on"))
                if day and end_objection(day, at, known.at) is None:
                    known.ends = max(day, known.ends or day)
            case FormAct.FORGOTTEN if known and known.is_over(LEAST_YEARS, step.at.astimezone(JAPAN).date()):
                known.forgotten = known.forgotten or step.at
    return found


def end_objection(day: date, at: datetime, recorded: datetime) -> str | None:
    """Reason why an act at `at` cannot end a contract on this day, or None if it can.

    This check prevents anyone from shortening a record's retention by more than 31 days.
    """
    today = at.astimezone(JAPAN).date()
    if day < max(today - EARLIEST_END, recorded.astimezone(JAPAN).date()):
        return Message("it lies more than 31 days back, or before the form was recorded")
    if day > today + LATEST_END:
        return Message("it lies more than a year ahead")
    return None


@dataclass(slots=True)
class OpeningRequest:
    """A person's request to open a record, which a second person must approve."""

    act: str
    id: str
    at: datetime
    by: Person
    why: str
    until: datetime
    approved_by: Person | None = None
    opened: datetime | None = None

    def objection(self, now: datetime, person: Person) -> str | None:
        """Reason why this person cannot use the request to open the record now, or None if they can."""
        if self.opened:
            return Message("it was used already")
        if now >= self.until:
            return Message("it has expired")
        if self.approved_by is None:
            return Message("it is not approved yet")
        if any(map(person.is_same_as, (self.by, self.approved_by))):
            return None
        return Message("another person has requested and approved it")

    def approval_objection(self, now: datetime, person: Person) -> str | None:
        """Reason why this person cannot approve the request now, or None if they can."""
        if self.opened or self.approved_by is not None:
            return Message("it is approved already")
        if now >= self.until:
            return Message("it has expired")
        if person.is_by_console != self.by.is_by_console:
            return Message("a request from the console is approved in the console, and one from a command by a command")
        if not person.is_another_than(self.by):
            return Message("another person than the one who has requested it has to approve it")
        return None


def opening_requests(acts: Iterable[Step]) -> dict[str, OpeningRequest]:
    """Requests to open records by act id, oldest first."""
    found: dict[str, OpeningRequest] = {}
    for step in acts:
        details = step.details
        try:
            request, person = found.get(str(details.get("request"))), person_of(details)
        except (KeyError, TypeError, ValueError):
            continue
        match details.get("act"):
            case FormAct.OPENING_REQUESTED:
                until = _moment(details.get("until"))
                if until:
                    found[step.call_id] = OpeningRequest(
                        step.call_id, str(details.get("subject")), step.at, person, str(details.get("why")), until
                    )
            case FormAct.OPENING_APPROVED if request and request.approval_objection(step.at, person) is None:
                request.approved_by = person
            case FormAct.OPENED if request and request.objection(step.at, person) is None:
                request.opened = step.at
    return found


def _day(value: Any) -> date | None:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.utcoffset() is not None else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
