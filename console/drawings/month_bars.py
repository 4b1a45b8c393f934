"""Bar chart of monthly counts, stacked by kind: the rectangles of the bars and the axis labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .stacked_plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Tick

GAP: Final = 0.3
"""Gap between two bars, as a fraction of a month's width."""
YEARS: Final = 18
"""Height of the row with the years below the months."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The segment of a month's bar for one kind. `number` counts from 1 and selects the color."""

    number: int
    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class BarSeries:
    number: int
    name: str
    total: int


@dataclass(frozen=True, slots=True)
class MonthBars:
    width: int
    height: int
    left: int
    right: int
    bottom: int
    bars: tuple[Bar, ...]
    series: tuple[BarSeries, ...]
    months: tuple[Tick, ...]
    years: tuple[Tick, ...]
    """Year labels under the first month and each January, unless the next one would overlap."""
    counts: tuple[Tick, ...]


def month_bars(months: Sequence[str], series: Mapping[str, Sequence[int]]) -> MonthBars:
    """Chart of the series. `months` look like `2026-11`, and `series` maps each name to one count per month."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    step = (right - LEFT) / len(months)
    top_count = max(*(sum(counts) for counts in zip(*series.values(), strict=True)), 1)
    unit = (bottom - TOP) / top_count
    bars, below = [], [0] * len(months)
    for number, (name, counts) in enumerate(series.items(), 1):
        for place, count in enumerate(counts):
            if count:
                below[place] += count
                x, y = LEFT + step * (place + GAP / 2), bottom - unit * below[place]
                words = f"{months[place]} {name} {count:,}"
                bars.append(
                    Bar(number, round(x, 1), round(y, 1), round(step * (1 - GAP), 1), round(unit * count, 1), words)
                )
    middles = [(round(LEFT + step * (place + 0.5), 1), month) for place, month in enumerate(months)]
    return MonthBars(
        WIDTH,
        HEIGHT + YEARS,
        LEFT,
        right,
        bottom,
        tuple(bars),
        tuple(BarSeries(number, name, sum(counts)) for number, (name, counts) in enumerate(series.items(), 1)),
        tuple(Tick(at, month[-2:]) for at, month in middles),
        tuple(
            Tick(at, month[:4])
            for at, month in middles
            if month.endswith("-01") or (month == months[0] and not month.endswith("-12"))
        ),
        (Tick(bottom, "0"), Tick(TOP, f"{top_count:,}")),
    )
