"""Decisions by a signed registry at times from 1970 to 2100, compared with an independent oracle that counts seconds
since 1970.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import cycle, product

from hypothesis import example, given, settings
from hypothesis import strategies as st

from idtone.core.calls import Direction, ForwardedCall, Outcome, Reason
from idtone.core.decision import Policy, decide, time_by
from idtone.core.numbers import parse
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.parsers import parse_registry, parse_suspensions

JST = timezone(timedelta(hours=9), "JST")
"""Time zone of Japan, which has had no summer time since 1951."""
ZONES_EAST_H = (9, 0, -8, 14)
"""Hours east of Greenwich of the zones in which signed times are written."""
HELD, STOPPED, FREE, NOBODYS = "0312345678", "0312345680", "0312345681", "0312349999"


def seconds(year: int, month: int, day: int) -> int:
    """Midnight in Japan in seconds since 1970, computed from the calendar without `datetime`."""
    leaps = sum(calendar.isleap(each) for each in range(1970, year))
    days = 365 * (year - 1970) + leaps + sum(calendar.mdays[:month]) + (month > 2 and calendar.isleap(year)) + day - 1
    return days * 86_400 - 9 * 3_600


def at(moment: int, east_h: int = 9) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)).astimezone(timezone(timedelta(hours=east_h)))


@dataclass(frozen=True)
class World:
    """Signed content. Its times are seconds since 1970; the registry writes each in a different time zone."""

    issued: int
    expires: int
    suspensions_issued: int
    signatures_until: int
    begins: int
    ends: int
    since: int
    grace: int = 0
    pledged: tuple[tuple[int, int, int], ...] = ((1970, 1, 1),)
    """Days of the pledge, and of its renewal if it has one."""

    def index(self) -> RegistryIndex:
        moments = (self.issued, self.expires, self.begins, self.ends, self.since, self.suspensions_issued)
        issued, expires, begins, ends, since, later = (
            at(*each).isoformat() for each in zip(moments, cycle(ZONES_EAST_H))
        )
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
        return RegistryIndex(
            parse_registry(registry, "r"), Signed(parse_suspensions(stops, "s"), at(self.signatures_until))
        )

    def boundaries(self) -> set[int]:
        stale = min(self.expires, self.signatures_until)
        return {
            self.issued, self.suspensions_issued, self.begins, self.ends, self.since, self.expires,
            self.signatures_until, stale + self.grace, *(seconds(*day) for day in self.pledged),
        }  # fmt: skip

    def verdict(self, number: str, direction: Direction, clock: int) -> tuple[Outcome, Reason]:
        """Correct verdict."""
        now = clock
        for issued in (self.issued, self.suspensions_issued):
            if issued > now:
                now = issued
        if number == STOPPED and now >= self.since:
            return Outcome.REFUSE, Reason.NUMBER_SUSPENDED
        if number == FREE:
            return Outcome.REFUSE, Reason.NUMBER_OF_ANOTHER_MEMBER
        if number == NOBODYS and direction is Direction.OUTGOING:
            return Outcome.REFUSE, Reason.NUMBER_UNKNOWN
        if now >= self.expires + self.grace or now >= self.signatures_until + self.grace:
            return Outcome.NOTICE, Reason.REGISTRY_STALE
        if number == NOBODYS:
            return Outcome.NOTICE, Reason.NUMBER_UNKNOWN
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


DAY = 86_400
TURNS = [
    *(seconds(year, *day) for year in (2000, 2027, 2028, 2100) for day in ((1, 1), (2, 28), (3, 1), (12, 31))),
    seconds(1970, 1, 2),
    seconds(2028, 2, 29),
    2**31,
    2**32 - 400 * DAY,
]
"""Days around the end of February in leap years and in 2100, ends of years, and the ends of 32-bit clocks."""


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Strategy of worlds. In each, everything happens within some days of one of `TURNS`, or of another moment from
    1970 to 2100.
    """
    middle = draw(st.sampled_from(TURNS) | st.integers(0, seconds(2100, 6, 1)))

    def early() -> int:
        return max(0, middle + draw(st.integers(-9, 9) | st.integers(-5 * DAY, DAY)))

    def late(after: int = 0) -> int:
        return max(after, middle + draw(st.integers(-9, 9) | st.integers(-DAY, 5 * DAY)))

    issued, begins, signed, renewed = early(), early(), at(early()).date(), draw(st.booleans())
    pledged = (signed, signed + timedelta(days=draw(st.integers(1, 4))))[: 1 + renewed]
    return World(
        issued,
        late(issued + 1),
        early(),
        late(),
        begins,
        late(begins + 1),
        late(),
        draw(st.sampled_from([0, 5, DAY])),
        tuple((day.year, day.month, day.day) for day in pledged),
    )


def moments(world: World) -> Iterator[int]:
    """Seconds around each signed time, and around the times that a mistake with summer time or zones would give."""
    for moment, hours, off in product(world.boundaries(), (0, 1, -9, 9, 24), (-1, 0, 1)):
        yield max(0, moment + hours * 3_600 + off)


MIDDLE = seconds(2027, 1, 1)
LATER = MIDDLE + 5 * DAY
UNPLEDGED = World(MIDDLE, LATER, MIDDLE, LATER, MIDDLE, LATER, MIDDLE, 0, ((2027, 1, 1), (2027, 1, 3)))
"""A world whose pledge ends while the licence remains valid."""


def test_no_wrong_verdict_from_1970_to_2100():
    nobody, called = parse(""), parse("0501234567")
    calls = {
        (number, direction): ForwardedCall("c", direction, parse(number), nobody, called)
        for number, direction in product((HELD, STOPPED, FREE, NOBODYS), Direction)
    }
    seen = set()

    @given(worlds())
    @example(UNPLEDGED)  # what is drawn depends on the modules that other tests have imported
    @settings(max_examples=50, deadline=None, derandomize=True)
    def compared(world: World) -> None:
        index, policy = world.index(), Policy(member="m-1", registry_stale=timedelta(seconds=world.grace))
        for moment in set(moments(world)):
            now = time_by(index, at(moment))
            for (number, direction), call in calls.items():
                decision = decide(call, index, policy, now)
                right = world.verdict(number, direction, moment)
                assert (decision.outcome, decision.reason) == right, (at(moment), number[-1], direction)
                seen.add(decision.reason)

    compared()
    assert {Reason.LICENCE_VALID, Reason.NUMBER_SUSPENDED, Reason.REGISTRY_STALE, Reason.PLEDGE_MISSING} <= seen


def test_the_oracle_counts_as_the_calendar_does():
    for year, month, day in ((1970, 1, 1), (2000, 2, 29), (2028, 3, 1), (2038, 1, 19), (2100, 3, 1), (2100, 12, 31)):
        assert seconds(year, month, day) == datetime(year, month, day, tzinfo=JST).timestamp()
