"""Bars that compare a member's points with the maximum for each criterion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from idtone.member.evaluation.scoring import ScoreRow

WIDTH: Final = 300
ROW: Final = 44
BAR: Final = 14
LABEL: Final = 20
"""Distance from the top of a row to its text and from the text to the bar."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Bar for one criterion. `full` and `reached` are widths. `points` is None if the criterion does not count."""

    top: int
    name: str
    points: int | None
    of: int
    full: int
    reached: int


@dataclass(frozen=True, slots=True)
class CriterionBars:
    width: int
    height: int
    label: int
    bar: int
    bars: tuple[Bar, ...]


def criterion_bars(rows: Sequence[ScoreRow], language: str) -> CriterionBars:
    """Bars for the criteria, whose full widths are proportional to the maximum weighted points."""
    heaviest = max((row.criterion.weight * row.criterion.most for row in rows), default=1)
    bars = []
    for n, row in enumerate(rows):
        of = row.criterion.most
        full = max(8, WIDTH * row.criterion.weight * of // heaviest)
        name = getattr(row.criterion.title, language)
        bars.append(Bar(n * ROW, name, row.points, of, full, full * (row.points or 0) // of))
    return CriterionBars(WIDTH, len(rows) * ROW, LABEL, BAR, tuple(bars))
