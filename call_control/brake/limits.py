"""The brake's limits: for each kind of line and each signal, the count at which the line is stopped.

A limit has three values. `new` applies to a line that is not known yet. A line with `LEARNED_AFTER` ordinary days gets
`TIMES` times its usual count, but at least `floor` and at most `ceiling`. An attacker therefore cannot train a line up
to any volume. If a kind of line has no limit for a signal, that signal never brakes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from idtone.core.tail_probabilities import usual


class BrakeStep(IntEnum):
    """The brake's treatment of a subject's calls, from mild to strict."""

    NOTHING = 0
    MARK = 1
    """It is recorded and reported, but its calls continue."""
    SLOW = 2
    """Calls above its usual pace are refused."""
    STOP = 3
    """All its calls are refused until an operator releases it."""

    @property
    def word(self) -> str:
        return self.name.lower()


class SubjectKind(StrEnum):
    """Kind of subject that the brake counts calls for."""

    ENDPOINT = "endpoint"
    """The endpoint of the caller's channel."""
    CUSTOMER = "customer"
    """The line's customer in the table of lines; if there is none, the caller's account code."""
    TRUNK = "trunk"
    """A PJSIP endpoint through which calls leave or calls to be forwarded arrive."""
    NUMBER = "number"
    """A presented number."""


class LineKind(StrEnum):
    """Kind of line, which determines the limits."""

    EXTENSION = "extension"
    PBX = "pbx"
    CALL_CENTRE = "call-centre"
    RESELLER = "reseller"
    TRUNK = "trunk"
    NUMBER = "number"


class Signal(IntEnum):
    """A quantity that the brake counts. The first signals cover a minute; the later ones, an hour (`windows`)."""

    CALLS = 0
    PRESENTED = 1
    """Distinct presented numbers."""
    HOUR_CALLS = 2
    HOUR_PRESENTED = 3
    HOUR_CALLED = 4
    """Distinct called numbers."""

    @property
    def word(self) -> str:
        return _SIGNAL_WORDS[self]


_SIGNAL_WORDS: Final = (
    "calls-in-a-minute",
    "presented-numbers-in-a-minute",
    "calls-in-an-hour",
    "presented-numbers-in-an-hour",
    "called-numbers-in-an-hour",
)


class Limit(NamedTuple):
    floor: int
    new: int
    ceiling: int


Counts = tuple[int, ...]
"""A count for each signal."""
NEVER: Final = 1 << 62
"""The limit used instead of a missing one."""
NO_COUNTS: Final[Counts] = (0,) * len(Signal)

LIMITS: Final[Mapping[LineKind, Mapping[Signal, Limit]]] = {
    LineKind.EXTENSION: {
        Signal.CALLS: Limit(30, 60, 120),
        Signal.PRESENTED: Limit(10, 20, 20),
        Signal.HOUR_CALLS: Limit(300, 600, 1200),
        Signal.HOUR_PRESENTED: Limit(20, 40, 40),
        Signal.HOUR_CALLED: Limit(200, 400, 800),
    },
    LineKind.PBX: {
        Signal.CALLS: Limit(120, NEVER, 3000),
        Signal.PRESENTED: Limit(40, 180, 180),
        Signal.HOUR_CALLS: Limit(1500, NEVER, 60_000),
        Signal.HOUR_PRESENTED: Limit(200, 3000, 3000),
        Signal.HOUR_CALLED: Limit(1000, NEVER, 10_000),
    },
    LineKind.CALL_CENTRE: {
        Signal.CALLS: Limit(600, NEVER, 6000),
        Signal.PRESENTED: Limit(40, 180, 180),
        Signal.HOUR_CALLS: Limit(10_000, NEVER, 180_000),
        Signal.HOUR_PRESENTED: Limit(200, 1000, 1000),
    },
    LineKind.RESELLER: {
        Signal.CALLS: Limit(1200, NEVER, 12_000),
        Signal.PRESENTED: Limit(300, 1200, 2400),
    },
    LineKind.TRUNK: {
        Signal.CALLS: Limit(2400, NEVER, 24_000),
        Signal.PRESENTED: Limit(600, NEVER, 6000),
    },
    LineKind.NUMBER: {
        Signal.CALLS: Limit(600, NEVER, 6000),
        Signal.HOUR_CALLS: Limit(10_000, NEVER, 60_000),
    },
}  # fmt: skip
"""Counts at which a subject is stopped. A line that is not known yet is braked only by its presented numbers, which no
ordinary line changes that often; its usual call volume is unknown. An extension is a line that the operator has named.
"""
PARTS: Final[Mapping[BrakeStep, tuple[int, int]]] = {
    BrakeStep.MARK: (1, 2),
    BrakeStep.SLOW: (3, 4),
    BrakeStep.STOP: (1, 1),
}
"""Fraction of a limit at which a step begins: numerator and denominator."""
TIMES: Final = 4
"""Factor from a line's usual count to its limit. A line is therefore marked at twice its usual count."""
LEARNED_AFTER: Final = 7
"""Number of ordinary days with calls after which a line is known."""
LEARNED_DAYS: Final = 28
"""Number of most recent ordinary days that count."""
VOLUME: Final = frozenset({Signal.CALLS, Signal.HOUR_CALLS, Signal.HOUR_CALLED})
"""Signals that rise on most lines at once after an event that affects everyone, such as an earthquake."""
SURGE_TIMES: Final = 3
"""Factor for the `VOLUME` limits in a surge. The result is at most 3/2 of the ceiling, because the bitmap of called
numbers cannot count beyond that.
"""
SURGE_LINES: Final = 3
"""Minimum number of known lines marked by their `VOLUME` in a surge. They must also make up at least one in
`SURGE_ONE_IN` of the lines that call. On ordinary days, no line is marked.
"""
SURGE_ONE_IN: Final = 4
SURGE_S: Final = 6 * 3600.0
"""Time without enough marked lines after which a surge ends, in seconds. In the evening, only a few lines call and show
that the surge continues.
"""
LEAST_PACE: Final = 4
"""Minimum pace of a slowed line, as a fraction of its floor for calls per minute."""


def stops_at(line: LineKind, days: Sequence[Counts]) -> Counts:
    """Counts at which a subject is stopped.

    `days` holds the highest counts of each of the subject's ordinary days.
    """
    if len(days) < LEARNED_AFTER:
        return _NEW[line]
    return tuple([_stop_at(LIMITS[line].get(signal), [day[signal] for day in days]) for signal in Signal])


def _stop_at(limit: Limit | None, days: Sequence[int]) -> int:
    if limit is None:
        return NEVER
    return min(max(limit.floor, round(TIMES * usual(days))), limit.ceiling)


_NEW: Final = {
    line: tuple([limits[signal].new if signal in limits else NEVER for signal in Signal])
    for line, limits in LIMITS.items()
}


@lru_cache(maxsize=65536)
def stops_in_surge(line: LineKind, stops: Counts) -> Counts:
    """Counts at which a subject is stopped during a surge."""
    limits = LIMITS[line]

    def of(signal: Signal, stop: int) -> int:
        if signal not in VOLUME or stop == NEVER:
            return stop
        return max(stop, min(SURGE_TIMES * stop, limits[signal].ceiling * 3 // 2))

    return tuple([of(signal, stop) for signal, stop in zip(Signal, stops, strict=True)])


def begins_at(step: BrakeStep, stop_at: int) -> int:
    """Count at which a step begins. `stop_at` is the count at which the subject is stopped."""
    numerator, denominator = PARTS[step]
    return -(-stop_at * numerator // denominator)


def step_of(counts: Counts, stops: Counts) -> tuple[BrakeStep, Signal | None]:
    """Highest step that the counts require and the signal that requires it most."""
    for step in (BrakeStep.STOP, BrakeStep.SLOW, BrakeStep.MARK):
        for signal in Signal:
            if counts[signal] >= begins_at(step, stops[signal]):
                return step, signal
    return BrakeStep.NOTHING, None


@lru_cache(maxsize=65536)
def thresholds(stops: Counts, step: BrakeStep) -> tuple[int, int, int]:
    """Counts at which the next step begins: calls per minute, presented numbers per minute, and an hourly count.

    The hourly count is the smallest hourly limit. The number of calls always reaches it first.
    """
    if step is BrakeStep.STOP:
        return NEVER, NEVER, NEVER
    begin = [begins_at(BrakeStep(step + 1), stop_at) for stop_at in stops]
    return begin[Signal.CALLS], begin[Signal.PRESENTED], min(begin[Signal.HOUR_CALLS :])


def pace_s(line: LineKind, days: Sequence[Counts]) -> float:
    """Seconds between a slowed subject's calls, from its usual pace or a quarter of the floor."""
    limit = LIMITS[line][Signal.CALLS]
    least = max(1, limit.floor // LEAST_PACE)
    return 60 / max(least, round(usual([day[Signal.CALLS] for day in days])) if days else 0)


@dataclass(frozen=True, slots=True)
class ShareLimit:
    """Limit on the share of ended calls with some property, such as being short.

    A mark needs `at_least` such calls. A known line whose share is unusual is marked, and slowed after `SLOW_TIMES`
    times as many calls. Shares never stop a line, because a carrier's failure looks the same.
    """

    usual_share: float
    at_least: int


SLOW_TIMES: Final = 4


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """Limits on the shares of short, abandoned and unanswered calls.

    The limits come from `config/misuse.yaml`, except for unanswered calls, which it does not limit. `false_alarm` is
    the accepted probability of a chance mark in one window.
    """

    false_alarm: float
    short: ShareLimit
    """Connected calls shorter than `short_s`."""
    short_s: float
    pings: ShareLimit
    """Calls that the caller ended in less than `ping_s` while they rang."""
    ping_s: float
    unanswered: ShareLimit = ShareLimit(0.8, 50)
    """Calls that rang but were not answered."""
