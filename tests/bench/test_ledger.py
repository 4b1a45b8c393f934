from __future__ import annotations

from .ledger import measure


def test_the_benchmark_measures_what_it_says() -> None:
    measured = measure(60, 1000, lambda line: None)
    assert set(measured) == {"bare", "written", "proof", "verify", "find_among", "proof_among", "verify_among"}
    assert all(value > 0 for values in measured.values() for value in values.values())
    assert measured["verify"]["records"] == 60 + 250
    assert measured["verify_among"]["records"] == 1000
