"""A writer that is killed: what it had acknowledged is there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from idtone.errors import LedgerError
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing.ledger_writer import LedgerWriter

from ..sample_evidence import LOG, key_ring_of, url_of

WRITER = """
import sys
from datetime import UTC, datetime
from idtone.ledger.store import sqlite
from idtone.ledger.evidence import steps
from idtone.ledger.writing.ledger_writer import LedgerWriter
from tests.ledger.sample_evidence import key_ring_of

url, journal, start = sys.argv[1], sys.argv[2], sys.argv[3]
sqlite.journal_mode = lambda: journal
writer = LedgerWriter.open(url, "pbx-1", key_ring_of(url))
number = 0
while True:
    names = [f"{start}-{number + offset}" for offset in range(number % 5 + 1)]
    futures = [writer.append(steps.answered(name, datetime.now(UTC))) for name in names]
    for name, future in zip(names, futures):
        future.result()
        print(name, flush=True)
    number += len(names)
"""

CALLS = """
import sys
from idtone.ledger.writing import housekeeping, ledger_writer as writing
from idtone.ledger.store import sqlite
from tests.ledger.sample_evidence import key_ring_of, heard_call

url, journal, start = sys.argv[1], sys.argv[2], sys.argv[3]
sqlite.journal_mode = lambda: journal
housekeeping.LOOK_EVERY_S = 0.005
writer = writing.LedgerWriter.open(url, "pbx-1", key_ring_of(url))
number = 0
while True:
    futures = [writer.append(step) for step in heard_call(f"{start}-{number}", number * 1000)]
    futures[-1].result()
    print(f"{start}-{number}", flush=True)
    number += 1
"""

ROUNDS = 3


def test_every_acknowledged_step_outlives_a_kill(url: str, file: Path, journal: str) -> None:
    acknowledged: set[str] = set()
    for round_number in range(ROUNDS):
        arguments = [sys.executable, "-c", WRITER, url, journal, f"round-{round_number}"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(0.05 + 0.03 * round_number)
            process.kill()
            # A line cut off by the kill was never read as an acknowledgement.
            lines = [first, *process.stdout.readlines()]
        names = {line.strip() for line in lines if line.endswith("\n")}
        assert names, "the writer never acknowledged anything"
        acknowledged |= names
    LedgerWriter.open(url, "pbx-1", key_ring_of(url)).close()
    with LedgerReader.open(url) as reader:
        kept = {record.call_id for record in reader.records()}
    assert acknowledged <= kept
    assert len(kept - acknowledged) <= ROUNDS * 5


def test_after_every_kill_the_tree_is_whole_signed_and_goes_on(url: str, journal: str) -> None:
    over: list[str] = []
    for round_number in range(2 * ROUNDS):
        arguments = [sys.executable, "-c", CALLS, url, journal, f"round-{round_number}"]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(0.03 + 0.017 * round_number)
            process.kill()
            over += [line.strip() for line in (first, *process.stdout.readlines()) if line.endswith("\n")]
    key_ring = key_ring_of(url)
    LedgerWriter.open(url, "pbx-1", key_ring).close()
    seen = key_ring.seen.latest(LOG)
    assert seen
    with LedgerReader.open(url, key_ring.days) as reader:
        verdict = verify_ledger(reader, LOG, [("seen", seen[0])])
        assert verdict.faults == []
        assert reader.signed_leaves(LOG, [seen[1]]) == verdict.leaves >= len(over)
        for name in (over[0], over[-1]):
            (proven,) = reader.proofs(name)
            proven.proof.check(proven.content, LOG)


def test_a_writer_of_another_process_is_refused_until_it_dies(tmp_path: Path) -> None:
    url = url_of(tmp_path / "ledger.sqlite3")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url, "persist", "other"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(LedgerError, match="another process writes to this ledger"):
            LedgerWriter.open(url, "pbx-1", key_ring_of(url))
        process.kill()
    LedgerWriter.open(url, "pbx-1", key_ring_of(url)).close()
