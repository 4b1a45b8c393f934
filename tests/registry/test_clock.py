"""Decisions by a signed registry at times from 1970 to 2100, compared with an independent oracle that counts seconds
since 1970.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import cycle, product

import pytest

from idtone.calls import Direction, ForwardedCall, Outcome, Reason
from idtone.decision import Policy, decide, time_by
from idtone.numbers import parse
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.parsers import parse_registry, parse_suspensions

JST = timezone(timedelta(hours=9), "JST")
"""Japan has kept no summer time since 1951."""
ZONES_EAST_H = (9, 0, -8, 14)
"""Signed times are written in one of these zones."""
FIRST, LAST = (1970, 1, 1), (2100, 12, 31)
HELD, SHARED, STOPPED, FREE, NOBODYS = "0312345678", "0312345679", "0312345680", "0312345681", "0312349999"


def seconds(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, *, east_h: int = 9
) -> int:
    """Seconds since 1970 of a time in a zone east of Greenwich; computed from the calendar, without `datetime`."""
    leaps = sum(calendar.isleap(each) for each in range(1970, year))
    days = 365 * (year - 1970) + leaps + sum(calendar.mdays[:month]) + (month > 2 and calendar.isleap(year)) + day - 1
    return days * 86_400 + (hour - east_h) * 3_600 + minute * 60 + second


def written(moment: int, east_h: int) -> str:
    return (
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment))
        .astimezone(timezone(timedelta(hours=east_h)))
        .isoformat()
    )


@dataclass(frozen=True)
class World:
    """The signed content, with times in seconds since 1970; each is written in another time zone."""

    name: str
    issued: int
    expires: int
    suspensions_issued: int
    signatures_until: int
    begins: int
    ends: int
    since: int
    grace: int = 0
    pledged: tuple[tuple[int, int, int], ...] = ((1970, 1, 1),)
    """The day of the pledge, and of its renewal if it has one."""

    def index(self) -> RegistryIndex:
        moments = (self.issued, self.expires, self.begins, self.ends, self.since, self.suspensions_issued)
        issued, expires, begins, ends, since, later = map(written, moments, cycle(ZONES_EAST_H))
        pledge = zip(("signed", "until"), (date(*day).isoformat() for day in self.pledged), strict=False)
        registry = f"""\
registry: {{association: A, version: 7, issued: {issued}, expires: {expires}}}
tones: [{{id: t, title: T}}]
members:
  - id: m-1
    name: {{ja: 甲, en: A}}
    pledge: {{{", ".join(f"{name}: {day}" for name, day in pledge)}}}
    licences:
      - {{id: L-1, tone: t, status: active, directions: [incoming], valid: {{from: {begins}, until: {ends}}}}}
    numbers: ["{HELD}", "{STOPPED}"]
  - id: m-2
    name: {{ja: 乙, en: B}}
    numbers: ["{FREE}"]
"""
        stops = f"issued: {later}\nsuspensions: [{{number: '{STOPPED}', since: {since}, reference: R}}]\n"
        until = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.signatures_until)
        return RegistryIndex(parse_registry(registry, "r"), Signed(parse_suspensions(stops, "s"), until))

    def boundaries(self) -> set[int]:
        stale = min(self.expires, self.signatures_until)
        return {
            self.issued, self.suspensions_issued, self.begins, self.ends, self.since, self.expires,
            self.signatures_until, stale + self.grace, *(seconds(*day) for day in self.pledged),
        }  # fmt: skip

    def verdict(self, number: str, direction: Direction, clock: int) -> tuple[Outcome, Reason]:
        """The correct verdict."""
        now = clock
        for issued in (self.issued, self.suspensions_issued):
            if issued > now:
                now = issued
        if number == STOPPED and now >= self.since:
            return Outcome.REFUSE, Reason.NUMBER_SUSPENDED
        if now >= self.expires + self.grace or now >= self.signatures_until + self.grace:
            return Outcome.NOTICE, Reason.REGISTRY_STALE
        if number == NOBODYS:
            return Outcome.NOTICE, Reason.NUMBER_UNKNOWN
        if number == FREE:
            return Outcome.NOTICE, Reason.LICENCE_NONE
        if now < self.begins:
            return Outcome.NOTICE, Reason.LICENCE_NOT_YET_VALID
        if now > self.ends - 1:
            return Outcome.NOTICE, Reason.LICENCE_EXPIRED
        signed, *until = (seconds(*day) for day in self.pledged)
        if now < signed or (until and now >= until[0]):
            return Outcome.NOTICE, Reason.PLEDGE_MISSING
        if direction is Direction.OUTGOING:
            return Outcome.NOTICE, Reason.DIRECTION_NOT_COVERED
        return Outcome.PLAY, Reason.LICENCE_VALID


DAY, WEEK = 86_400, 7 * 86_400
WORLDS = [
    World(
        "usual",
        issued=seconds(2026, 11, 1), suspensions_issued=seconds(2026, 11, 2), since=seconds(2026, 11, 5, 3),
        begins=seconds(2026, 1, 10), ends=seconds(2027, 1, 10),
        expires=seconds(2027, 11, 1), signatures_until=seconds(2026, 11, 9, 12, 34, 56),
        pledged=((2026, 11, 3), (2026, 11, 8)),
    ),
    World(
        "grace",
        issued=seconds(2026, 11, 1), suspensions_issued=seconds(2026, 10, 1), since=seconds(2026, 11, 11),
        begins=seconds(2026, 11, 8), ends=seconds(2026, 11, 12),
        expires=seconds(2027, 11, 1), signatures_until=seconds(2026, 11, 9), grace=3 * DAY,
    ),
    World(
        "a leap day, and the registry expires first",
        issued=seconds(2027, 12, 1), suspensions_issued=seconds(2028, 2, 28, 23, 59, 59),
        since=seconds(2028, 2, 29, 12), begins=seconds(2028, 2, 29), ends=seconds(2028, 3, 1),
        expires=seconds(2028, 2, 29, 18, 0, 1), signatures_until=seconds(2028, 3, 1),
    ),
    World(
        "the end of 32 bits, 2038",
        issued=2**31 - 10, suspensions_issued=2**31 - 5, since=2**31, begins=2**31 - 1, ends=2**31 + 10,
        expires=2**31 + 30, signatures_until=2**31 + 20, grace=5,
    ),
    World(
        "from 1970 on",
        issued=seconds(1970, 1, 1), suspensions_issued=seconds(1970, 1, 1), since=seconds(2099, 12, 31),
        begins=seconds(2000, 2, 29), ends=seconds(2100, 3, 1),
        expires=seconds(2100, 12, 31), signatures_until=seconds(2100, 12, 31),
    ),
    World(
        "2100 is no leap year",
        issued=seconds(2100, 2, 1), suspensions_issued=seconds(2100, 2, 28), since=seconds(2100, 2, 28, 12),
        begins=seconds(2100, 2, 28, 6), ends=seconds(2100, 3, 1),
        expires=seconds(2100, 6, 1), signatures_until=seconds(2100, 3, 1, 0, 0, 5), grace=WEEK,
        pledged=((2100, 2, 28), (2100, 3, 1)),
    ),
]  # fmt: skip


def every_moment(world: World) -> Iterator[int]:
    """Each year's turns, as Japan and Greenwich have them, its leap day or what would be one; and the seconds around
    whatever is signed, a summer time's hour and a zone's hours away from it as well.
    """
    for year in range(FIRST[0], LAST[0] + 1):
        for east_h in (0, 9):
            for month, day in ((1, 1), (2, 28), (3, 1), (4, 1), (7, 15), (12, 31)):
                yield from (seconds(year, month, day, east_h=east_h) + off for off in (-1, 0))
    for moment in world.boundaries() | {2**31, 2**32}:
        yield from (moment + off for off in range(-3, 4))
        yield from (
            moment + sign * hours * 3_600 + off for sign, hours, off in product((-1, 1), (1, 9, 24), (-1, 0, 1))
        )


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_no_wrong_verdict_from_1970_to_2100(world):
    index = world.index()
    policy = Policy(registry_stale=timedelta(seconds=world.grace))
    nobody, called = parse(""), parse("0501234567")
    calls = {
        (number, direction): ForwardedCall("c", direction, parse(number), nobody, called)
        for number, direction in product((HELD, STOPPED, FREE, NOBODYS), Direction)
    }
    seen = set()
    for moment in sorted({max(0, each) for each in every_moment(world)}):
        clock = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)).astimezone(JST)
        for (number, direction), call in calls.items():
            decision = decide(call, index, policy, time_by(index, clock))
            right = world.verdict(number, direction, moment)
            assert (decision.outcome, decision.reason) == right, (clock, number[-1], direction)
            seen.add(decision.reason)
    assert {Reason.LICENCE_VALID, Reason.NUMBER_SUSPENDED, Reason.REGISTRY_STALE} <= seen


def test_the_oracle_counts_as_the_calendar_does():
    for year, month, day in ((1970, 1, 1), (2000, 2, 29), (2028, 3, 1), (2038, 1, 19), (2100, 3, 1), (2100, 12, 31)):
        assert seconds(year, month, day) == datetime(year, month, day, tzinfo=JST).timestamp()
