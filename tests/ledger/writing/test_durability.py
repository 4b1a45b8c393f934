"""A writer that is killed: what it had acknowledged is there."""

from __future__ import annotations

import pytest

from idtone.errors import LedgerError
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification.verify_ledger import verify_ledger

from ..dying import killed, write_calls, write_steps
from ..sample_evidence import LOG, key_ring_of
from ..sample_ledger import records_of, writer_of

ROUNDS = 3


def test_every_acknowledged_step_outlives_a_kill(url, journal):
    acknowledged = set()
    for number in range(ROUNDS):
        acknowledged |= {*killed(0.05 + 0.03 * number, write_steps, url, journal, f"round-{number}")}
    writer_of(url).close()
    kept = records_of(url).keys()
    assert acknowledged <= kept
    assert len(kept - acknowledged) <= ROUNDS * 5


def test_after_every_kill_the_tree_is_whole_signed_and_goes_on(url, journal):
    over = []
    for number in range(2 * ROUNDS):
        over += killed(0.03 + 0.017 * number, write_calls, url, journal, f"round-{number}")
    writer_of(url).close()
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

    monkeypatch.setattr("tests.ledger.dying.time.sleep", refused)
    killed(0, write_steps, url, "persist", "other")
    writer_of(url).close()
