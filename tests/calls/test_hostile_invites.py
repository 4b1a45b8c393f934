"""Hostile INVITEs at the same time as honest calls.

test_caller_texts sends single texts, and `make bench-hostile` a hundred thousand INVITEs. This test runs alone, because
a slow Asterisk rightly rejects honest calls.
"""

import pytest

from bench.hostile_invites import AttackPlan, run_attacks
from lab.nightly_tests import rest_at_night

PLANS = {
    "all kinds": AttackPlan(240, seed=24, rate=32, round=240),
    "Call-IDs that are not UTF-8": AttackPlan(70, seed=24, rate=14, round=70, weapon="call-id"),
    "Diversions of 60,000 octets": AttackPlan(30, seed=24, rate=10, round=30, weapon="diversion"),
}

pytestmark = [pytest.mark.alone, pytest.mark.breadth]


@rest_at_night("plan", PLANS.values())
def test_asterisk_and_the_service_live_and_honest_calls_hear_their_sound(installation, tmp_path, plan):
    found = run_attacks(installation, tmp_path, plan)
    print(f"\n{found.sent} INVITEs: {dict(found.answers)}; {found.heard} of {found.honest} honest calls were heard")
    assert not found.faults
    assert found.sent == plan.count
    assert found.rang > plan.count / 4
    assert found.honest >= 5
    assert not found.left
