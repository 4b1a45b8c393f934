"""The office's observations of members for evaluation: contacts, forms, stops and assessors' points.

The file `observations.json` has one entry per observation with the member, kind, day, result, author and time of entry.
The office's ledger records each change. The desk's own counts, such as answers to reports, are not in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from idtone.core.errors import UsageError
from idtone.core.terminal.prompts import checked_line
from idtone.core.translation import Message, template
from idtone.member.evaluation.measures import Share
from idtone.member.evaluation.period import Period
from idtone.registry.trust import tuf_roles

from ..authority.change_registry import registry_of
from ..authority.history import Action
from ..authority.json_lists import Day, read_list, write_list
from ..authority.registry_edits import check_member
from ..authority.typed_dates import in_japan, parse_day, parse_moment, parse_past_day
from ..authority.workspace import Workspace
from ..desk.office_ledger import OfficeLedger

FILE: Final = "observations.json"
ENTERED: Final = "observation-entered"
WITHDRAWN: Final = "observation-withdrawn"
FORGOTTEN: Final = "observations-forgotten"
_MOST_POINTS: Final = 10


class ObservationKind(StrEnum):
    """Kinds of observations."""

    CONTACT = "contact"
    """An attempt to reach the member's contact."""
    FORM = "form"
    """A standard application form (標準申込書) of one of the member's customers."""
    STOP = "stop"
    """A number that the member was asked to stop, if the member's nodes have not confirmed the stop to the desk."""
    ASSESSOR = "assessor"
    """Points from an external assessor (外部評価者)."""


OBSERVATION_WORDS: Final = {
    ObservationKind.CONTACT: template("attempt to reach the contact"),
    ObservationKind.FORM: template("application form looked at"),
    ObservationKind.STOP: template("number stopped, which the nodes have not confirmed"),
    ObservationKind.ASSESSOR: template("points of an external assessor"),
}
GOOD_WORDS: Final = {
    ObservationKind.CONTACT: (template("reached"), template("not reached")),
    ObservationKind.FORM: (template("without a gap"), template("has gaps")),
}
"""Words for the good and bad results of each kind of observation."""


def _moment(text: str) -> str:
    if text:
        parse_moment(text, "")
    return text


Moment = Annotated[str, AfterValidator(_moment)]
"""A time with its time zone in ISO 8601 format, or an empty string."""


@dataclass(frozen=True, slots=True)
class Observation:
    """An observation of a member.

    `day` is the day in Japan; for an assessor's points, it is a day in the assessed period. `is_good` is True if the
    contact was reached or the form was complete. `what` is a stop's reference, an assessor's name, which stays with the
    office, or a remark. `points` are the assessor's points, from 0 to 10. `asked` and `stopped` are the times of a
    stop. `by` is the person who entered the observation at time `entered`.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^O-[0-9]{4,}$")]
    member: str
    kind: ObservationKind
    day: Day
    by: str
    entered: Moment
    is_good: bool = True
    what: str = ""
    points: Annotated[str, Field(pattern=r"^$|^10$|^[0-9](\.[0-9])?$")] = ""
    asked: Moment = ""
    stopped: Moment = ""

    @property
    def on(self) -> date:
        return date.fromisoformat(self.day)

    @property
    def hours(self) -> Fraction:
        """Hours from the stop request until the member stopped the number."""
        took = parse_moment(self.stopped, "stopped") - parse_moment(self.asked, "asked")
        return Fraction(took.total_seconds()) / 3600

    @property
    def result(self) -> Message:
        """Result as text."""
        if self.kind is ObservationKind.ASSESSOR:
            return Message("{points} of 10 points", points=self.points)
        if self.kind is ObservationKind.STOP:
            return Message("{hours:.1f} hours", hours=float(self.hours))
        return Message(GOOD_WORDS[self.kind][0 if self.is_good else 1])


_LIST: Final = TypeAdapter(list[Observation])


@dataclass(frozen=True, slots=True)
class Observed:
    """A member's observations in a period."""

    stops_hours: dict[str, Fraction]
    """Hours until each stop, by reference."""
    forms: Share
    reachability: Share
    assessors_points: Sequence[Fraction]


def observations_of(found: Iterable[Observation], member: str, period: Period) -> Observed:
    """Collect a member's observations in a period. If a stop has several entries, the longest time counts."""
    own = [each for each in observations_in(period, found) if each.member == member]

    def share(kind: ObservationKind) -> Share:
        those = [each.is_good for each in own if each.kind is kind]
        return Share(sum(those), len(those))

    hours: dict[str, Fraction] = {}
    for each in own:
        if each.kind is ObservationKind.STOP:
            hours[each.what] = max(each.hours, hours.get(each.what, Fraction(0)))
    points = [Fraction(each.points) for each in own if each.kind is ObservationKind.ASSESSOR]
    return Observed(hours, share(ObservationKind.FORM), share(ObservationKind.CONTACT), points)


def observations_in(period: Period, found: Iterable[Observation]) -> list[Observation]:
    return [each for each in found if period.start <= each.on < period.until]


def observations(folder: Path) -> list[Observation]:
    """Read all observations in the order they were entered. Raises TrustError if the file is damaged."""
    return read_list(folder / FILE, _LIST)


def observe(
    workspace: Workspace,
    kind: str,
    member: str,
    fields: Mapping[str, str],
    by: str,
    now: datetime,
    name: Callable[[str], str],
) -> Observation:
    """Enter an observation of a member. Raises IdtoneError.

    For a contact or form, `fields` are `day`, `result` (good or bad) and optionally `what`; for an assessor, `day`,
    `what` and `points`; for a stop, `what`, `asked` and `stopped`. `name` maps a field to the name shown in error
    messages.
    """
    chosen = next((each for each in ObservationKind if each == kind), None)
    if chosen is None:
        raise UsageError("choose what was observed")
    check_member(registry_of(workspace), member)
    given = {field: value.strip() for field, value in fields.items()}
    read = {ObservationKind.ASSESSOR: _assessor, ObservationKind.STOP: _stop}.get(chosen, _contact_or_form)
    content = read(given, now, name)
    with workspace.locked():
        _refuse_evaluated(workspace, str(content["day"]))
        before, ledger = observations(workspace.folder), OfficeLedger(workspace.folder)
        used = {each.id for each in before} | {each.subject for each in ledger.acts() if each.act == ENTERED}
        id_ = f"O-{max((int(each[2:]) for each in used), default=0) + 1:04}"
        made = _LIST.validate_python(
            [{"id": id_, "member": member, "kind": chosen, "by": by, "entered": in_japan(now).isoformat(), **content}]
        )[0]
        ledger.record(ENTERED, id_, member=member, observed=chosen, on=made.day)
        write_list(workspace.folder / FILE, [*before, made])
    return made


def _contact_or_form(given: Mapping[str, str], now: datetime, name: Callable[[str], str]) -> dict[str, object]:
    if given.get("result") not in ("good", "bad"):
        raise UsageError("{name}: choose one", name=name("result"))
    what = given.get("what", "")
    return {
        "day": parse_past_day(given.get("day", ""), name("day"), now).isoformat(),
        "is_good": given["result"] == "good",
        "what": checked_line(what, name("what")) if what else "",
    }


def _assessor(given: Mapping[str, str], now: datetime, name: Callable[[str], str]) -> dict[str, object]:
    return {
        "day": parse_past_day(given.get("day", ""), name("day"), now).isoformat(),
        "what": checked_line(given.get("what", ""), name("what")),
        "points": points(given.get("points", ""), name("points")),
    }


def _stop(given: Mapping[str, str], now: datetime, name: Callable[[str], str]) -> dict[str, object]:
    asked, stopped = (parse_moment(given.get(each, ""), name(each)) for each in ("asked", "stopped"))
    if stopped < asked:
        raise UsageError("{last} is before {first}", last=name("stopped"), first=name("asked"))
    if stopped > now:
        raise UsageError("{option} is in the future; write it when it has come", option=name("stopped"))
    return {
        "day": in_japan(asked).date().isoformat(),
        "what": checked_line(given.get("what", ""), name("what")),
        "asked": asked.isoformat(),
        "stopped": stopped.isoformat(),
    }


def points(text: str, label: str) -> str:
    """Check an assessor's points: 0 to 10, with at most one decimal place. Raises UsageError."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 <= value <= _MOST_POINTS or value != round(value, 1):
        raise UsageError("{name}: write 0 to 10, with one decimal place at most", name=label)
    return f"{abs(value):.1f}".removesuffix(".0")  # -0 is 0


def withdraw_observation(workspace: Workspace, id_: str, why: str, name: Callable[[str], str]) -> None:
    """Erase an observation that was entered by mistake. The office's ledger keeps its id and the reason.

    Raises IdtoneError, including when a recorded evaluation has already counted the observation.
    """
    reason = checked_line(why, name("why"))
    with workspace.locked():
        before = observations(workspace.folder)
        held = next((each for each in before if each.id == id_), None)
        if held is None:
            raise UsageError("there is no observation {id!r}", id=id_)
        _refuse_evaluated(workspace, held.day)
        OfficeLedger(workspace.folder).record(WITHDRAWN, id_, member=held.member, why=reason)
        write_list(workspace.folder / FILE, [each for each in before if each is not held])


def forget_observations(workspace: Workspace, before: str, label: str) -> int:
    """Erase observations from before a day and return how many were erased. Evaluations keep their values.

    Raises IdtoneError.
    """
    until = parse_day(before, label)
    with workspace.locked():
        kept = observations(workspace.folder)
        rest = [each for each in kept if each.on >= until]
        if len(rest) < len(kept):
            OfficeLedger(workspace.folder).record(FORGOTTEN, until.isoformat(), count=len(kept) - len(rest))
            write_list(workspace.folder / FILE, rest)
    return len(kept) - len(rest)


def _refuse_evaluated(workspace: Workspace, day_: str) -> None:
    """Raise UsageError if a recorded evaluation has counted observations of this day.

    Evaluations are looked up in the history, without those that were undone, because the registry lacks evaluations
    without a grade and evaluations that were replaced later.
    """
    entered = Counter[str]()
    for each in workspace.history(tuf_roles.REGISTRY).entries:
        if Action.EVALUATE in (each.action, each.undone):
            entered[each.subject] += 1 if each.action is Action.EVALUATE else -1
    for period in +entered:
        first, until = period.split("/")
        if first <= day_ < until:
            last = date.fromisoformat(until) - timedelta(days=1)
            raise UsageError(
                "the evaluation from {first} to {last} is entered, and has counted what was observed then; take it "
                "back first",
                first=first,
                last=last.isoformat(),
            )
