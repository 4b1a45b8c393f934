"""The rates on the page also hold for days other than those from which it was made."""

import pytest

from idtone.core.tail_probabilities import binomial_tail
from lab.member.misuse.detection_rates import DAYS, NAMES, SCENES, count_findings, rates_in_page, wilson_interval
from lab.member.misuse.traffic import FRAUDS, MEASURED_FROM, OFFICES

OTHERS = range(MEASURED_FROM + 10_000, MEASURED_FROM + 10_006)
BY_CHANCE = 1e-4
"""Probability of a count below which the count contradicts the page."""
SAID = rates_in_page()


def test_the_page_has_all_days():
    assert SAID.keys() == SCENES.keys()


@pytest.mark.parametrize("scene", SCENES)
def test_the_rates_of_the_page_are_true(scene):
    counts = count_findings(scene, OTHERS)
    for rule in NAMES:
        low, high = wilson_interval(*SAID[scene].get(rule, (0, DAYS)))
        assert binomial_tail(counts[rule], len(OTHERS), min(high, 1 - 1e-9)) > BY_CHANCE, rule
        assert binomial_tail(len(OTHERS) - counts[rule], len(OTHERS), min(1 - low, 1 - 1e-9)) > BY_CHANCE, rule


@pytest.mark.parametrize("fraud", FRAUDS)
def test_each_fraud_is_found_by_its_rule(fraud):
    _, rule = FRAUDS[fraud]
    assert wilson_interval(*SAID[fraud][rule])[0] > 0.95


def test_ordinary_offices_are_not_reported_but_for_the_volume_of_a_campaign():
    assert {office: set(SAID[office]) for office in OFFICES if SAID[office]} == {"campaign": {"many-called"}}
    assert set(SAID["licence"]) | set(SAID["licence_campaign"]) == set()
