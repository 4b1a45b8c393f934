"""Confidence bounds, compared with closed forms and published values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.verify import confidence


@pytest.mark.parametrize("trials", [1, 30, 3000])
def test_without_a_miss_the_bound_is_the_root_of_the_risk(trials):
    assert confidence.at_least(trials, trials) == pytest.approx(0.05 ** (1 / trials))
    assert confidence.at_most(0, trials) == pytest.approx(1 - 0.05 ** (1 / trials))


def test_three_thousand_trials_without_a_miss_show_three_nines():
    assert confidence.at_least(3000, 3000) >= 0.999 > confidence.at_least(2900, 2900)


def test_the_bound_is_the_quantile_of_the_beta_distribution():
    assert confidence.at_least(50, 100) == pytest.approx(0.413622, abs=1e-6)
    assert confidence.at_most(1, 10) == pytest.approx(0.394163, abs=1e-6)


@pytest.mark.parametrize(("events", "mean"), [(0, 2.9957), (1, 4.7439), (5, 10.5130), (40, 52.0694)])
def test_the_mean_of_events_is_garwoods(events, mean):
    assert confidence.events_at_most(events) == pytest.approx(mean, abs=1e-3)


@given(st.integers(1, 60).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_the_rate_lies_between_its_bounds(counted):
    hits, trials = counted
    assert confidence.at_least(hits, trials) <= hits / trials <= confidence.at_most(hits, trials)
