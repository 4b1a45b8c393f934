"""The bench finds every refused customer and no other one, and its figures come from one run."""

from bench.refusal_check import measure


def test_each_check_finds_what_it_should_and_stays_within_fifty_milliseconds():
    found = measure(tokens=1000, checks=6)
    assert found["check_ms"] < 50
    assert 12 < found["ratio"] < 500, "twelve evaluations, with their proof"
    assert sum(found["ms"].values()) > 0
