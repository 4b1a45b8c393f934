from __future__ import annotations

from . import ledger


def test_the_benchmark_measures_what_it_says(monkeypatch):
    for name, fewer in {"ONE_BY_ONE": 120, "PROOFS": 20, "FINDS": 3}.items():
        monkeypatch.setattr(ledger, name, fewer)
    measured = ledger.measure(60, 500, lambda line: None)
    assert set(measured) == {"bare", "written", "proof", "verify", "find_among", "proof_among", "verify_among"}
    assert all(value > 0 for values in measured.values() for value in values.values())
    assert measured["verify"]["records"] == 60 + 20
    assert measured["verify_among"]["records"] == 500
