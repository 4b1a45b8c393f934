"""Decisions that were told to Asterisk, and what a service that is killed leaves of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from idtone.errors import LedgerBehindError, LedgerClosedError, LedgerError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.pending_decisions import ENOUGH_BYTES, Pending

from ..sample_evidence import CALLER, FORWARDING, at, days_of, decided, key_ring_of, url_of

VARIABLES = 250_000
"""More than SQLite takes in one query, as distributions build it."""


@dataclass
class Slow:
    """A ledger that writes when it is told to."""

    steps: list[tuple[Step, Future[None]]] = field(default_factory=list)
    fails: LedgerError | None = None
    hurried: int = 0

    def append(self, step: Step) -> Future[None]:
        future: Future[None] = Future()
        if self.fails:
            future.set_exception(self.fails)
        self.steps.append((step, future))
        return future

    def hurry(self) -> None:
        self.hurried += 1

    @property
    def full(self) -> bool:
        return False

    def close(self) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> str:
    return url_of(tmp_path / "ledger.sqlite3")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3.pending"


@pytest.fixture
def writer(url: str) -> Iterator[LedgerWriter]:
    with LedgerWriter.open(url, "lab", key_ring_of(url)) as opened:
        yield opened


def files_of(file: Path) -> tuple[Path, Path]:
    return file, file.with_name(f"{file.name}-2")


def standing(file: Path) -> list[str]:
    """The calls whose decisions stand there."""
    return [json.loads(line)["call"] for each in files_of(file) for line in each.read_bytes().splitlines()]


def test_a_decision_stands_there_until_it_is_on_the_disk(url: str, writer: LedgerWriter, file: Path) -> None:
    slow = Slow()
    with Pending.open(url, slow, days_of(url)) as pending:
        for call_id in ("c-1", "c-2"):
            pending.append(decided(call_id=call_id))
        pending.append(steps.answered("c-1", at(1)))
        assert len(file.read_bytes().splitlines()) == 2
        for number in (FORWARDING, CALLER):
            assert number.lstrip("0").encode() not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600
        slow.steps[0][1].set_result(None)
        assert file.stat().st_size
        slow.steps[1][1].set_result(None)
        assert not file.stat().st_size


def test_the_next_instance_enters_what_a_killed_one_had_not(url: str, writer: LedgerWriter, file: Path) -> None:
    killed = Slow()
    with Pending.open(url, killed, days_of(url)) as pending:
        for call_id in ("c-1", "c-2"):
            pending.append(decided(call_id=call_id))
    writer.append(killed.steps[0][0]).result()
    with Pending.open(url, writer, days_of(url)):
        assert not file.stat().st_size
    with LedgerReader.open(url, days_of(url)) as reader:
        records = {record.call_id: record for record in reader.records()}
    assert [step.kind for step in records["c-1"].steps] == [StepKind.DECIDED]
    assert records["c-2"].steps[0].at == at(0)
    assert records["c-2"].steps[0].numbers == decided().numbers
    assert records["c-2"].licence == "L-0001"


def test_what_was_cut_off_is_told_without_its_numbers(
    url: str, writer: LedgerWriter, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Pending.open(url, Slow(), days_of(url)) as pending:
        for call_id in ("c-1", "c-2"):
            pending.append(decided(call_id=call_id))
    file.write_bytes(file.read_bytes()[:-20])
    with Pending.open(url, writer, days_of(url)):
        pass
    with LedgerReader.open(url) as reader:
        assert [record.call_id for record in reader.records()] == ["c-1"]
    (told,) = (record.getMessage() for record in caplog.records)
    assert told.startswith(f"{file}:2: ")
    for number in (FORWARDING, CALLER):
        assert number.lstrip("0") not in told


def test_what_the_ledger_keeps_in_memory_stands_there_until_it_has_written_more(
    url: str, writer: LedgerWriter, file: Path
) -> None:
    slow = Slow()
    with Pending.open(url, slow, days_of(url)) as pending:
        pending.append(decided(call_id="c-1"))
        slow.steps[0][1].set_exception(LedgerBehindError("no room"))
        assert file.stat().st_size
        pending.append(decided(call_id="c-2"))
        slow.steps[1][1].set_result(None)  # the ledger writes in the order of what it was given
        assert not file.stat().st_size
        pending.append(decided(call_id="c-3"))
        slow.steps[2][1].set_exception(LedgerBehindError("no room"))
    behind = Slow(fails=LedgerBehindError("no room"))
    with Pending.open(url, behind, days_of(url)) as pending:
        assert standing(file) == ["c-3"]
        pending.append(decided(call_id="c-4"))
    with Pending.open(url, writer, days_of(url)):
        assert not standing(file)
    with LedgerReader.open(url) as reader:
        assert {record.call_id for record in reader.records()} == {"c-3", "c-4"}


def test_what_is_decided_when_the_ledger_is_closed_waits_for_the_next_instance(
    url: str, writer: LedgerWriter, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Pending.open(url, Slow(fails=LedgerClosedError("closed")), days_of(url)) as pending:
        assert pending.append(decided(call_id="c-1")).done()
    assert [record.getMessage() for record in caplog.records] == ["a decision is not in the ledger: closed"]
    assert standing(file) == ["c-1"]
    with Pending.open(url, writer, days_of(url)), LedgerReader.open(url) as reader:
        assert [record.call_id for record in reader.records()] == ["c-1"]


def test_it_stays_small_where_decisions_never_cease_to_be_on_their_way(
    url: str, writer: LedgerWriter, file: Path
) -> None:
    slow = Slow()
    largest = 0
    with Pending.open(url, slow, days_of(url)) as pending:
        for number in range(2000):
            pending.append(decided(call_id=f"c-{number}"))
            if number >= 10:
                slow.steps[number - 10][1].set_result(None)
            largest = max(largest, *(each.stat().st_size for each in files_of(file)))
        assert {f"c-{number}" for number in range(1990, 2000)} <= set(standing(file))
        assert largest < 2 * ENOUGH_BYTES
        for _, written in slow.steps[1990:]:
            written.set_result(None)
        assert not standing(file)


def test_one_that_was_cut_off_takes_no_other_with_it(
    url: str, writer: LedgerWriter, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[:40] if b"torn" in data else data)

    slow = Slow()
    with Pending.open(url, slow, days_of(url)) as pending:
        monkeypatch.setattr(os, "write", write)
        slow.hurried = 0
        torn = [pending.append(decided(call_id=call_id)) for call_id in ("torn-1", "torn-2")]
        assert slow.hurried == len(torn)
        assert pending.append(decided(call_id="c-1")).done()
        assert slow.hurried == len(torn)
        assert not any(each.done() for each in torn)
        for _, written in slow.steps[: len(torn)]:
            written.set_result(None)
        assert all(each.done() for each in torn)
        monkeypatch.undo()
    assert [record.getMessage() for record in caplog.records] == [
        f"{file}: decisions are in memory only until they are written: No space left on device"
    ]
    with Pending.open(url, writer, days_of(url)), LedgerReader.open(url) as reader:
        assert [record.call_id for record in reader.records()] == ["c-1"]


def test_more_than_a_query_of_the_database_takes(url: str, writer: LedgerWriter) -> None:
    writer.append(decided(call_id="c-7")).result()
    with LedgerReader.open(url) as reader:
        found = reader.times(f"c-{number}" for number in range(VARIABLES + 1))
    assert len(found) == VARIABLES + 1
    assert {name: times for name, times in found.items() if times} == {"c-7": {StepKind.DECIDED: at(0)}}


def test_one_that_cannot_be_used_leaves_nothing_open(url: str, writer: LedgerWriter, file: Path) -> None:
    files_of(file)[1].mkdir()
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(LedgerError, match="check the path and its permissions"):
        Pending.open(url, Slow(), days_of(url))
    assert set(os.listdir("/proc/self/fd")) <= before
