"""Types that the rules use (`Subject`, `Sign`), and the windows and intervals in which they count calls."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from idtone.ledger.evidence.call_outline import CallOutline


@dataclass(frozen=True, slots=True)
class Subject:
    """Calls of one number, party or licence on one day, in the order they were decided.

    `past` is used only for licences. It contains the number of calls on each preceding day, or 0 for a day without
    calls.
    """

    start_s: float
    """Start of the day, in seconds since 1970."""
    calls: Sequence[CallOutline]
    past: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """A rule's counts over time.

    Each interval of `width_s`, starting at `start_s`, has a count and a limit. Counts at or above their limits are
    reported. The limit is None if the rule has none for that interval.
    """

    start_s: float
    width_s: float
    counts: Sequence[int]
    limits: Sequence[int | None]


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign of misuse that a rule found.

    `chance` is the probability that the sign occurs by chance, or None if the rule uses no statistics. `fields` fills
    in the rule's `reason`.
    """

    calls: Sequence[CallOutline]
    series: Series
    chance: float | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


class Window(NamedTuple):
    """The window `calls[first:end]`, which contains `counted` wanted calls."""

    first: int
    end: int
    counted: int


def windows(calls: Sequence[CallOutline], wanted: Sequence[bool], width_s: float) -> Iterator[Window]:
    """Yield windows of length `width_s`, one ending at each call."""
    first = counted = 0
    for place, call in enumerate(calls):
        counted += wanted[place]
        while call.at_s - calls[first].at_s >= width_s:
            counted -= wanted[first]
            first += 1
        yield Window(first, place + 1, counted)


def aligned_start(start_s: float, window_s: float, width_s: float) -> float:
    """The start for consecutive intervals of `width_s`, so that one of them begins with the window.

    It is at least a millisecond before `start_s`, to allow for rounding.
    """
    return window_s - math.ceil((window_s - start_s) / width_s) * width_s - 0.001


def split_into_intervals(start_s: float, calls: Sequence[CallOutline], width_s: float) -> list[list[CallOutline]]:
    """Calls by interval of `width_s`, from `start_s` through the interval of the last call."""
    parts: list[list[CallOutline]] = []
    for call in calls:
        place = int((call.at_s - start_s) // width_s)
        parts.extend([] for _ in range(place + 1 - len(parts)))
        parts[place].append(call)
    return parts
