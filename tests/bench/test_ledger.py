from bench import ledger


def test_the_benchmark_measures_what_it_says(monkeypatch):
    for name, fewer in {"ONE_BY_ONE": 36, "PROOFS": 5, "FINDS": 1}.items():
        monkeypatch.setattr(ledger, name, fewer)
    measured = ledger.measure(30, 100, lambda line: None)
    assert set(measured) == {
        "bare", "written", "proof", "verify", "tiles", "bytes_a_call", "use_among", "find_among", "proof_among",
        "verify_among", "tiles_among",
    }  # fmt: skip
    assert all(value > 0 for values in measured.values() for value in values.values())
    assert measured["verify"]["records"] == 30 + 6
    assert measured["verify_among"]["records"] == 100
