"""Stacked plot of counts over time: the points of each series' area and the ticks of the axes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 200
LEFT: Final = 48
RIGHT: Final = 12
TOP: Final = 10
BOTTOM: Final = 24
"""Margins in drawing units."""
_STEPS: Final = (timedelta(minutes=10), timedelta(hours=4), timedelta(days=1), timedelta(days=7), timedelta(days=30))
"""Possible intervals between time ticks."""
_MOST_TICKS: Final = 8


@dataclass(frozen=True, slots=True)
class Area:
    """One series' area."""

    name: str
    points: str
    """Points of an SVG polygon."""
    total: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A grid line `at` units from the left or the top, with its label."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class StackedPlot:
    width: int
    height: int
    left: int
    right: int
    """Right edge of the plot. `left` is its left edge."""
    top: int
    bottom: int
    areas: tuple[Area, ...]
    times: tuple[Tick, ...]
    counts: tuple[Tick, ...]
    unfinished: float | None = None
    """Position where incomplete counts begin, or None if all are complete."""


def stacked_plot(
    times: Sequence[datetime],
    series: Mapping[str, Sequence[int]],
    step: timedelta | None = None,
    now: datetime | None = None,
) -> StackedPlot:
    """Stacked plot of counts over time.

    `times` are at least two evenly spaced times in local time. `series` maps each name to its counts, one per time. If
    `step` is given, each count is drawn as a step of that length, and one time is enough. Otherwise, each count is
    drawn as a point.

    The count for the interval that contains `now` is drawn as incomplete, as is the line leading to it.
    """
    first, last = times[0], times[-1] + (step or timedelta(0))
    span_s = (last - first).total_seconds()
    sums = [sum(counts) for counts in zip(*series.values(), strict=True)] or [0] * len(times)
    top_count = _round_up(max(*sums, 1))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(time: datetime) -> float:
        return round(LEFT + (right - LEFT) * (time - first).total_seconds() / span_s, 1)

    def y(count: float) -> float:
        return round(bottom - (bottom - TOP) * count / top_count, 1)

    areas, below = [], [0] * len(times)
    for name, counts in series.items():
        above = [low + count for low, count in zip(below, counts, strict=True)]
        outline = [*_edges(times, above, step), *reversed([*_edges(times, below, step)])]
        points = " ".join(f"{x(time):g},{y(count):g}" for time, count in outline)
        areas.append(Area(name, points, sum(counts)))
        below = above
    begun = [time for time in times if now is not None and time <= now < time + (step or times[1] - times[0])]
    unfinished = [time if step else max(time - (times[1] - times[0]), first) for time in begun]
    return StackedPlot(
        WIDTH,
        HEIGHT,
        LEFT,
        right,
        TOP,
        bottom,
        tuple(areas),
        tuple(Tick(x(time), text) for time, text in _time_ticks(first, last)),
        tuple(Tick(y(count), f"{count:,}") for count in _count_ticks(top_count)),
        x(unfinished[0]) if unfinished else None,
    )


def _edges(times: Sequence[datetime], counts: Sequence[int], step: timedelta | None) -> Iterator[tuple[datetime, int]]:
    for time, count in zip(times, counts, strict=True):
        yield time, count
        if step:
            yield time + step, count


def _round_up(count: int) -> int:
    """The count rounded up to 1, 2, 5, 10, 20, 50, …"""
    power = int(10 ** int(math.log10(count)))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= count)


def _count_ticks(top_count: int) -> list[int]:
    return sorted({0, top_count, *([top_count // 2] if top_count % 2 == 0 else [])})


def _time_ticks(first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    step = next((step for step in _STEPS if (last - first) / step <= _MOST_TICKS), _STEPS[-1])
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    begin = midnight + step * math.ceil((first - midnight) / step)
    times = []
    while begin <= last:
        times.append(begin)
        begin += step
    form = "%H:%M" if step < timedelta(days=1) else "%m-%d"
    return [(time, time.strftime(form)) for time in times]
