"""Tables of measures, points and grades."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.member.evaluation.measures import FORMULAS, Facts, Measure, NoValue, Share, compute_measures
from idtone.member.evaluation.period import Period
from idtone.member.evaluation.result import Result, check_result, result_file
from idtone.member.evaluation.scoring import score
from lab.member.evaluation.sample_figures import YEAR, criteria

VALUES = [
    # measure, facts, value
    (Measure.SENT_RATIO, Facts(sent=Share(99, 100)), "0.9900"),
    (Measure.SENT_RATIO, Facts(sent=Share(99, 99)), NoValue.NOT_ENOUGH_CALLS),
    (Measure.SENT_RATIO, Facts(sent=Share(199_999, 200_000)), "0.9999"),  # never rounded up to all
    (Measure.SENT_RATIO, Facts(), NoValue.NO_FIGURES),
    (Measure.SENT_RATIO, Facts(no_calls=NoValue.NOT_WHOLE), NoValue.NOT_WHOLE),
    (Measure.FALLBACK_SHARE, Facts(fallback=Share(1, 200_000)), "0.0001"),  # never rounded down to none
    (Measure.FALLBACK_SHARE, Facts(fallback=Share(0, 100)), "0.0000"),
    (Measure.STOP_HOURS, Facts(stops_hours=[Fraction(1, 3), Fraction(5, 2)]), "2.5"),
    (Measure.STOP_HOURS, Facts(), NoValue.NONE),
    (Measure.FORMS_COMPLETE, Facts(forms=Share(2, 3)), "0.6666"),
    (Measure.REPORTS_IN_TIME, Facts(reports=Share(0, 0)), NoValue.NONE),
    (Measure.REACHABILITY, Facts(reachability=Share(1, 1)), "1.0000"),
    (Measure.ASSESSMENT, Facts(assessors_points=[Fraction(9), Fraction(19, 2)]), "9.25"),
]


@pytest.mark.parametrize(("measure", "facts", "value"), VALUES, ids=lambda each: str(each)[:60])
def test_a_measure(measure, facts, value):
    found = compute_measures(facts, 100)[measure]
    assert found == (value if isinstance(value, NoValue) else Decimal(value))
    assert str(found) == str(value)


BEST = {
    Measure.SENT_RATIO: "1.0000", Measure.FALLBACK_SHARE: "0.0000", Measure.STOP_HOURS: "0.5",
    Measure.FORMS_COMPLETE: "1.0000", Measure.REPORTS_IN_TIME: "1.0000", Measure.REACHABILITY: "1.0000",
    Measure.ASSESSMENT: "9.50",
}  # fmt: skip
"""The best value of each measure. The weights in the sample add up to 15."""
SCORES = [
    # what differs from the best, percent, grade, counted percent, what is missed
    ({}, "100.0", "excellent", 100, {}),
    ({Measure.ASSESSMENT: "7.00"}, "96.0", "excellent", 100, {}),
    ({Measure.STOP_HOURS: "80.0"}, "80.0", "good", 100, {}),
    ({Measure.REPORTS_IN_TIME: "0.8999", Measure.FALLBACK_SHARE: "0.0500"}, "77.3", "good", 100, {}),
    # 90 % are reached, and a minimum is not
    ({Measure.REPORTS_IN_TIME: NoValue.NONE, Measure.STOP_HOURS: "24.0"}, "90.7", "excellent", 86, {}),
    ({Measure.SENT_RATIO: "0.9500"}, "88.0", "good", 100, {}),
    ({Measure.SENT_RATIO: "0.9499"}, "80.0", None, 100, {"good": ("sound",)}),
    # without a value: the sound and the fallback are left out, forms and contact have no points
    ({Measure.SENT_RATIO: NoValue.NOT_ENOUGH_CALLS, Measure.FALLBACK_SHARE: NoValue.NOT_ENOUGH_CALLS}, "100.0",
     "excellent", 66, {}),
    ({Measure.FORMS_COMPLETE: NoValue.NONE, Measure.REACHABILITY: NoValue.NONE}, "80.0", "good", 100, {}),
    # enough of the weight has a value, but a member that hands in no figures gets no grade for it
    ({Measure.SENT_RATIO: NoValue.NO_FIGURES, Measure.FALLBACK_SHARE: NoValue.NO_FIGURES}, None, None, 66, {}),
    # not enough of the weight has a value
    ({Measure.SENT_RATIO: NoValue.NO_FIGURES, Measure.FALLBACK_SHARE: NoValue.NO_FIGURES,
      Measure.ASSESSMENT: NoValue.NONE}, None, None, 53, {}),
]  # fmt: skip


def values_of(different) -> dict:
    given = {**BEST, **different}
    return {measure: value if isinstance(value, NoValue) else Decimal(value) for measure, value in given.items()}


@pytest.mark.parametrize(("different", "percent", "grade", "counted", "missed"), SCORES)
def test_a_score_and_its_file(different, percent, grade, counted, missed):
    used, values = criteria(), values_of(different)
    found = score(used.document, values)
    assert (found.percent, found.grade and found.grade.id, found.counted_percent) == (
        Decimal(percent) if percent else None,
        grade,
        counted,
    )
    assert found.missed == missed
    result = Result.of("m-0001", YEAR, used, values, found)
    assert check_result(result_file(result, used), "m-0001.json", used) == result


def test_a_minimum_alone_can_cost_a_grade():
    text_values = values_of(
        {Measure.STOP_HOURS: "25.0", Measure.ASSESSMENT: NoValue.NONE, Measure.REACHABILITY: "0.9500"}
    )
    found = score(criteria().document, text_values)
    assert str(found.percent) == "81.5"
    easier = criteria().document.model_copy(
        update={
            "grades": tuple(
                each.model_copy(update={"percent": 80 - n}) for n, each in enumerate(criteria().document.grades)
            )
        }
    )
    found = score(easier, text_values)
    assert found.grade
    assert (found.grade.id, found.missed) == ("good", {"excellent": ("stops",)})


def test_nothing_is_known():
    found = score(criteria().document, values_of(dict.fromkeys(Measure, NoValue.NONE)))
    assert (found.percent, found.grade, found.counted_percent) == (None, None, 20)


@given(st.integers(0, 3000), st.integers(1, 3000))
def test_a_better_value_never_gets_fewer_points(one, other):
    low, high = sorted((one, other))
    for criterion in criteria().document.criteria:
        facts = [
            compute_measures(
                Facts(
                    Share(part, 3000),
                    Share(part, 3000),
                    NoValue.NONE,
                    [Fraction(part, 20)],
                    Share(part, 3000),
                    Share(part, 3000),
                    Share(part, 3000),
                    [Fraction(part, 300)],
                ),
                1,
            )
            for part in (low, high)
        ]
        rows = [
            next(row.points for row in score(criteria().document, each).rows if row.criterion.id == criterion.id)
            for each in facts
        ]
        assert (rows == sorted(rows)) if FORMULAS[criterion.measure].more_is_better else (rows[::-1] == sorted(rows))


def test_the_months_of_a_period():
    assert Period.parse("2025-11-15", "2026-01-31").months == ["2025-11", "2025-12", "2026-01"]
