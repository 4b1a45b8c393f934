"""A call, and the periods for which facts about its numbers hold."""

from __future__ import annotations

from itertools import product

from idtone.core.calls import Holding, Period, Suspension
from lab.core.fake_registry import CALLED, HELD, NOW, SECOND, call

MOMENTS = [NOW + second * SECOND for second in range(5)]
ENDS = (None, *MOMENTS)


def test_a_suspension_in_a_period_is_in_force_when_both_are():
    for since, until, period in product(MOMENTS, ENDS, map(Period._make, product(ENDS, ENDS))):
        suspension = Suspension(since, until, "R-1")
        expected = [suspension.in_force(now) and period.in_force(now) for now in MOMENTS]
        part = suspension.during(period)
        assert [part is not None and part.in_force(now) for now in MOMENTS] == expected, (suspension, period)
        assert (part is None) == (expected == [False] * len(MOMENTS))
        assert part is None or part.reference == "R-1"


def test_a_certification_has_lapsed_from_its_end_on():
    ends = Holding("m-1", (), certified_until=NOW)
    assert [ends.has_lapsed(now) for now in (NOW - SECOND, NOW, NOW + SECOND)] == [False, True, True]
    assert not Holding("m-1", ()).has_lapsed(NOW)


def test_a_call_shows_at_most_four_digits_of_its_numbers():
    shown = repr(call())
    assert (HELD.last4 in shown, CALLED.last4 in shown) == (True, True)
    assert not any(number.e164[-5:] in shown for number in (HELD, CALLED))
