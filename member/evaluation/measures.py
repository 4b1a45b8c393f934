"""All measures of a member over a period, with their formulas."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final


class Measure(StrEnum):
    """The measures. Their names are public because they appear in criteria and results."""

    SENT_RATIO = "sent-ratio"
    """Share of connected calls with a sound for a party on which every intended sound was sent."""
    FALLBACK_SHARE = "fallback-share"
    """Share of all calls decided by the hook without the service."""
    STOP_HOURS = "stop-hours"
    """Longest time from a request to stop a number until the stop, in hours."""
    FORMS_COMPLETE = "forms-complete"
    """Share of inspected application forms that had no gaps."""
    REPORTS_IN_TIME = "reports-in-time"
    """Share of reports about the member's numbers that were answered in time."""
    REACHABILITY = "reachability"
    """Share of successful attempts to reach the member's contact."""
    ASSESSMENT = "assessment"
    """Mean of the external assessors' points, from 0 to 10."""


class NoValue(StrEnum):
    """Reasons why a measure has no value."""

    NOT_ENOUGH_CALLS = "not-enough-calls"
    NO_FIGURES = "no-figures"
    """A node's figures are missing for a day in the period."""
    NOT_WHOLE = "not-whole"
    """A node's ledger continues another one and does not cover every day of the period."""
    NONE = "none"
    """There is nothing to measure, because no event occurred or nothing was submitted."""


@dataclass(frozen=True, slots=True)
class Share:
    """Part of a total, as two counts."""

    part: int
    of: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Known facts about one member in one period.

    `fallback` and `sent` are counted across the ledgers of all nodes. If they are unknown, they are None and `no_calls`
    says why. `stops_hours` contains one time per stopped number.
    """

    fallback: Share | None = None
    sent: Share | None = None
    no_calls: NoValue = NoValue.NO_FIGURES
    stops_hours: Sequence[Fraction] = ()
    forms: Share = Share(0, 0)
    reports: Share = Share(0, 0)
    reachability: Share = Share(0, 0)
    assessors_points: Sequence[Fraction] = ()


Value = Decimal | NoValue


@dataclass(frozen=True, slots=True)
class Formula:
    """Formula for a measure.

    `compute` takes the facts and the minimum number of calls. `digits` is the number of decimal places. Values are
    rounded in the direction less favorable to the member.
    """

    compute: Callable[[Facts, int], Fraction | NoValue]
    more_is_better: bool
    digits: int


def _of_calls(share: Share | None, facts: Facts, enough: int) -> Fraction | NoValue:
    if share is None:
        return facts.no_calls
    return Fraction(share.part, share.of) if share.of >= enough else NoValue.NOT_ENOUGH_CALLS


def _of(share: Share) -> Fraction | NoValue:
    return Fraction(share.part, share.of) if share.of else NoValue.NONE


def _mean(values: Sequence[Fraction]) -> Fraction | NoValue:
    return sum(values, Fraction(0)) / len(values) if values else NoValue.NONE


FORMULAS: Final[Mapping[Measure, Formula]] = {
    Measure.SENT_RATIO: Formula(lambda facts, enough: _of_calls(facts.sent, facts, enough), True, 4),
    Measure.FALLBACK_SHARE: Formula(lambda facts, enough: _of_calls(facts.fallback, facts, enough), False, 4),
    Measure.STOP_HOURS: Formula(lambda facts, _: max(facts.stops_hours, default=NoValue.NONE), False, 1),
    Measure.FORMS_COMPLETE: Formula(lambda facts, _: _of(facts.forms), True, 4),
    Measure.REPORTS_IN_TIME: Formula(lambda facts, _: _of(facts.reports), True, 4),
    Measure.REACHABILITY: Formula(lambda facts, _: _of(facts.reachability), True, 4),
    Measure.ASSESSMENT: Formula(lambda facts, _: _mean(facts.assessors_points), True, 2),
}


def compute_measures(facts: Facts, enough_calls: int) -> dict[Measure, Value]:
    """Compute each measure's value, or the reason why it has none."""
    return {measure: _rounded(formula, formula.compute(facts, enough_calls)) for measure, formula in FORMULAS.items()}


def _rounded(formula: Formula, exact: Fraction | NoValue) -> Value:
    if isinstance(exact, NoValue):
        return exact
    scaled = Decimal(exact.numerator * 10**formula.digits) / Decimal(exact.denominator)
    whole = scaled.to_integral_value(ROUND_FLOOR if formula.more_is_better else ROUND_CEILING)
    return whole.scaleb(-formula.digits)
