"""Counts of calls and sent sounds, by day, member and licence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from idtone.core.calls import Delivery, Outcome

from .call_record import Record
from .leaves import ACTS
from .steps import CANARY, FIRST, StepKind


class Part(StrEnum):
    """A property by which calls can be counted."""

    DAY = "day"
    MEMBER = "member"
    LICENCE = "licence"


EACH: Final = frozenset(Part)
_DECIDED_BY: Final = ("outcome", "reason", "member", "licence", "profile", "profiles", "parties", CANARY)
COUNTED_BY: Final[Mapping[StepKind, tuple[str, ...]]] = {
    **dict.fromkeys(sorted(FIRST), _DECIDED_BY),
    StepKind.SOUND_ENDED: ("party", "known_by", "played_ms", "heard_ms", "instead"),
    StepKind.SOUND_REPORTED: ("party", "confirmed"),
}
"""Kind of step → the details on which counting depends (two or more). For other kinds, only the kind matters."""


@dataclass
class Tally:
    """Call counts for one day, one member and one licence.

    `day`, `member` and `licence` are None if calls are not counted by them. `member` is empty if no member holds the
    number. `licence` is empty if no licence determined the decision.

    `fallback` counts the calls that the dialplan hook decided without the service. Each of these calls is also counted
    in another column, unless it ended before a decision.

    `connected` counts the connected calls on which a party was to hear a sound. `sent` counts those whose sounds were
    all sent. `confirmed` counts those whose sounds were all confirmed by the phone's reports (`Delivery`).
    """

    day: date | None
    member: str | None
    licence: str | None
    calls: int = 0
    played: int = 0
    noticed: int = 0
    refused: int = 0
    bypassed: int = 0
    shed: int = 0
    fallback: int = 0
    connected: int = 0
    sent: int = 0
    confirmed: int = 0

    def add(self, record: Record, times: int = 1) -> None:
        """Count a call `times` times. -1 subtracts the call."""
        self.calls += times
        self.played += times * (record.outcome == Outcome.PLAY)
        self.noticed += times * (record.outcome == Outcome.NOTICE)
        self.refused += times * (record.outcome == Outcome.REFUSE)
        self.bypassed += times * (record.outcome == Outcome.BYPASS)
        self.shed += times * (record.outcome == Outcome.SHED)
        self.fallback += times * record.fallback
        if record.profiles and record.connected:
            self.connected += times
            self.sent += times * record.sent
            self.confirmed += times * (record.least_delivery == Delivery.CONFIRMED)

    def include(self, other: Tally) -> None:
        """Add the counts of another tally to this one."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def sent_ratio(self) -> float | None:
        """Share of connected calls whose sounds were all sent; None if no party was to hear a sound."""
        return self.sent / self.connected if self.connected else None

    def to_json(self) -> dict[str, Any]:
        counted = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in counted.items() if value is not None} | {"sent_ratio": self.sent_ratio}


COUNTED: Final = tuple(each.name for each in fields(Tally) if each.name not in EACH)
"""Names of the counts."""


def columns(by: Collection[Part]) -> tuple[str, ...]:
    """Names of the values in `Tally.to_json` when calls are counted by the given properties."""
    return (*(each.name for each in fields(Tally) if each.name not in EACH or each.name in by), "sent_ratio")


def tally(records: Iterable[Record], day_of: Callable[[datetime], date], by: Collection[Part] = EACH) -> list[Tally]:
    """Count calls by the properties in `by`, sorted by those properties.

    `day_of` maps a time to the day under which the call is counted. Canary calls are left out.
    """
    return tally_groups(((record.steps[0].at, record, 1) for record in records), day_of, by)


def tally_groups(
    calls: Iterable[tuple[datetime, Record, int]], day_of: Callable[[datetime], date], by: Collection[Part] = EACH
) -> list[Tally]:
    """Count groups of calls, each given as its start time, a record, and its number of calls.

    The groups are counted as `tally` counts single calls.
    """
    tallies: dict[tuple[date | None, str | None, str | None], Tally] = {}
    for begun, record, times in calls:
        if record.canary or record.steps[0].kind in ACTS:
            continue
        key = (
            day_of(begun) if Part.DAY in by else None,
            (record.member or "") if Part.MEMBER in by else None,
            (record.licence or "") if Part.LICENCE in by else None,
        )
        tallies.setdefault(key, Tally(*key)).add(record, times)
    return [tallies[key] for key in sorted(tallies, key=lambda key: [each for each in key if each is not None])]
