"""The service is killed at random moments while calls arrive at a steady rate.

It is killed twice here, and a hundred times in `make bench-kills`.
"""

import pytest

from lab.asterisk import Asterisk
from lab.calls.call_paths import InjectedFault, draw_storm
from lab.calls.walk_paths import walk_round

SEED = 2033
"""A seed whose kills follow each other quickly."""
KILLS, CALLS_PER_S = 2, 20


@pytest.mark.alone
@pytest.mark.nightly
async def test_a_service_that_is_killed_again_and_again(installation, tmp_path, references):
    drawn = draw_storm(SEED, 0, KILLS, CALLS_PER_S)
    with Asterisk(installation, tmp_path / "pbx") as asterisk:
        done = await walk_round(asterisk, drawn, references)
    assert done.struck == {InjectedFault.KILLED: KILLS}
    print("\n" + done.figures.line())
    assert not done.complaints, f"{drawn}\n" + "\n".join(done.complaints)
    assert all(walk.complete or walk.interrupted or walk.by_fallback for walk in done.walks)
    assert done.figures.dropped == done.figures.false_claims == 0
    assert done.figures.complete > 0
