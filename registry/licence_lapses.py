"""Times from which a member's calls have no valid licence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from idtone.core.calls import Direction, Licence, LicenceStatus
from idtone.core.japan_time import JAPAN
from idtone.core.translation import Message, joined

LICENCE_SOON: Final = timedelta(days=30)
"""Remaining time at which a licence must be renewed."""
LAPSED_FOR: Final = timedelta(days=90)
"""How long a lapse is reported. A member may have let its licence end on purpose, so the reminders stop after this
time.
"""
_DIRECTIONS: Final = {Direction.INCOMING: Message("incoming"), Direction.OUTGOING: Message("outgoing")}


@dataclass(frozen=True, slots=True)
class LicenceLapse:
    """Time from which no licence is valid for calls in one direction.

    `licence` is the id of the last licence. `suspended` is the id of a licence that would otherwise be valid, or empty.
    """

    direction: Direction
    at: datetime
    licence: str
    suspended: str = ""

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> LicenceLapse:
        at = datetime.fromisoformat(found["at"])
        return cls(Direction(found["direction"]), at, found["licence"], found.get("suspended", ""))

    def to_json(self) -> dict[str, str]:
        fields = {"direction": self.direction.value, "at": self.at.isoformat(), "licence": self.licence}
        return fields | {"suspended": self.suspended}

    @property
    def remedy(self) -> Message:
        """Advice to the operator, worded to end a sentence."""
        if self.suspended:
            return Message(
                "{licence} would be valid, but is suspended: ask the association to resume it", licence=self.suspended
            )
        return Message("ask the association to renew it")

    def __str__(self) -> str:
        day = self.at.astimezone(JAPAN).date()
        return Message(
            "{licence} ({direction}): {day}", licence=self.licence, direction=_DIRECTIONS[self.direction], day=day
        )


def lapses(held: Iterable[Licence], now: datetime) -> list[LicenceLapse]:
    """Lapses of a member's licences, one for each direction that is or was licensed.

    Licences that follow each other without a gap count as one. A past lapse is reported for `LAPSED_FOR` if no licence
    is valid now. A revoked or suspended licence does not lapse, because the association ended it.
    """
    terms = [_Term.of(each) for each in held if each.status is not LicenceStatus.REVOKED and each.pledged_from]
    return [lapse for direction in Direction for lapse in _of(direction, terms, now)]


@dataclass(frozen=True, slots=True)
class _Term:
    """Period during which a licence and its pledge are both in force."""

    licence: Licence
    begin: datetime
    end: datetime

    @classmethod
    def of(cls, licence: Licence) -> _Term:
        assert licence.pledged_from is not None
        begin = max(licence.valid_from, licence.pledged_from)
        return cls(licence, begin, min(licence.valid_until, licence.pledged_until or licence.valid_until))


def _of(direction: Direction, terms: Iterable[_Term], now: datetime) -> Iterator[LicenceLapse]:
    whole = [each for each in terms if direction in each.licence.directions and each.begin < each.end]
    ours = [each for each in whole if each.licence.status is LicenceStatus.ACTIVE]
    last = max((each for each in ours if each.end <= now), key=lambda each: each.end, default=None)
    at = now
    while valid := [each for each in ours if each.begin <= at < each.end]:
        last = max(valid, key=lambda each: each.end)
        at = last.end
    if last is not None and now < last.end + LAPSED_FOR:
        suspended = [each.licence.id for each in whole if each not in ours and each.begin <= at < each.end]
        yield LicenceLapse(direction, last.end, last.licence.id, suspended[0] if suspended else "")


def over_and_soon(found: Iterable[LicenceLapse], now: datetime) -> tuple[list[LicenceLapse], list[LicenceLapse]]:
    """Past lapses and lapses within the next 30 days, each in chronological order."""
    by_time = sorted(found, key=lambda each: each.at)
    over = [each for each in by_time if each.at <= now]
    return over, [each for each in by_time if now < each.at <= now + LICENCE_SOON]


def lapse_words(found: Iterable[LicenceLapse]) -> str:
    return joined("; ", map(str, found))


def remedies(found: Iterable[LicenceLapse]) -> str:
    return joined("; ", dict.fromkeys(each.remedy for each in found))
