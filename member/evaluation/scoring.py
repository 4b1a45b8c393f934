"""Computes a member's points and grade from the criteria and the values of its measures."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from .criteria import CriteriaDocument, Criterion, Grade
from .measures import Measure, NoValue, Value


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A criterion with its value and points. `points` is None if it is not counted."""

    criterion: Criterion
    value: Value
    points: int | None


@dataclass(frozen=True, slots=True)
class Score:
    """A member's points and grade.

    `percent` is the member's share of the weighted points in the counted criteria, rounded down to one decimal place.
    It is None if too few criteria are counted (`counted_percent`) or if the member has not sent its figures. `missed`
    maps each grade that the percentage would have earned to the criteria that prevented it.
    """

    rows: tuple[ScoreRow, ...]
    percent: Decimal | None
    grade: Grade | None
    counted_percent: int
    missed: Mapping[str, tuple[str, ...]]


def score(criteria: CriteriaDocument, values: Mapping[Measure, Value]) -> Score:
    """Compute the score, with the best grade whose percentage and minimums are all reached.

    If a criterion has no value, the rule `skip` omits it along with its weight and minimum, and the rule `zero` gives
    it no points. If less than `counted_percent` of the total weight is counted, there is neither a percentage nor a
    grade. The same applies if figures are missing, because members must not benefit from withholding them.
    """
    rows = tuple(_row(criterion, values[criterion.measure]) for criterion in criteria.criteria)
    counted = [(row.criterion, row.points) for row in rows if row.points is not None]
    most = sum(criterion.weight * criterion.most for criterion, _ in counted)
    reached = sum(criterion.weight * points for criterion, points in counted)
    weight = sum(criterion.weight for criterion, _ in counted)
    share = 100 * weight // sum(criterion.weight for criterion in criteria.criteria)
    percent, found, missed = None, None, {}
    has_figures = all(row.value is not NoValue.NO_FIGURES for row in rows)
    if most and has_figures and share >= criteria.evaluation.counted_percent:
        percent = (Decimal(reached * 1000 // most) / 10).quantize(Decimal("0.1"))
        for grade in criteria.grades:
            if percent < grade.percent:
                continue
            below = tuple(each.id for each, points in counted if points < each.minimum.get(grade.id, 0))
            if not below:
                found = grade
                break
            missed[grade.id] = below
    return Score(rows, percent, found, share, missed)


def _row(criterion: Criterion, value: Value) -> ScoreRow:
    if isinstance(value, NoValue):
        return ScoreRow(criterion, value, 0 if criterion.without == "zero" else None)
    return ScoreRow(criterion, value, next((row.points for row in criterion.points if row.accepts(value)), 0))
