"""Calls in progress during every event of the service. `make bench-progress` does it with 3,000 calls."""

import pytest

from bench.calls_in_progress import measure, progress_bench

CALLS = 60


@pytest.mark.nightly
def test_no_call_is_lost_whatever_happens_to_the_service(installation, tmp_path):
    with progress_bench(installation, tmp_path, CALLS, 4, rate=20.0, window_s=2.0, tell=print) as bed:
        found = measure(bed)
    assert not found.died
    assert (found.lost, found.incomplete) == (0, 0)
    assert [row.failed for row in found.rows] == [0] * len(found.rows)
    assert found.rows[-1].in_progress == CALLS * 2 / 3
    assert found.suspended_ended_s is not None
    assert found.suspended_ended_s < 5
    assert found.records == CALLS * 4 / 3 + sum(row.probes for row in found.rows)
