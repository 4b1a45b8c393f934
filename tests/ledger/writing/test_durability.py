"""A killed writer. Everything that it had acknowledged is in the ledger."""

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification.verify_ledger import verify_ledger
from lab.ledger.killed_writers import run_until_killed, write_calls
from lab.ledger.sample_evidence import LOG, key_ring_of
from lab.ledger.sample_ledger import records_of, writer_of

ROUNDS = 4


def test_what_was_acknowledged_outlives_every_kill_and_the_tree_is_whole_signed_and_goes_on(url, journal):
    over = []
    for number in range(ROUNDS):
        over += run_until_killed(0.03 + 0.02 * number, write_calls, url, journal, f"round-{number}")
    writer_of(url).close()
    records = records_of(url)
    assert {name for name in over if not records[name].complete or records[name].anomalies} == set()
    assert len(records) <= len(over) + ROUNDS
    note, checkpoint = key_ring_of(url).seen.latest(LOG)
    with LedgerReader.open(url, key_ring_of(url).days) as reader:
        verdict = verify_ledger(reader, LOG, [("seen", note)])
        assert verdict.faults == []
        assert reader.signed_leaves(LOG, [checkpoint]) == verdict.leaves >= len(over)
        for name in (over[0], over[-1]):
            (proven,) = reader.proofs(name)
            proven.proof.check(proven.content, LOG)


def test_a_second_writer_is_refused_until_the_first_is_gone(url, monkeypatch):
    def refused(after_s: float) -> None:
        with pytest.raises(LedgerError, match="another process writes to this ledger"):
            writer_of(url)

    monkeypatch.setattr("lab.ledger.killed_writers.time.sleep", refused)
    run_until_killed(0, write_calls, url, "persist", "other")
    writer_of(url).close()
