"""Decisions that Asterisk has received, and decisions that a killed service leaves."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from idtone.core.errors import LedgerBehindError, LedgerClosedError, LedgerError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.pending_decisions import ENOUGH_BYTES, PendingDecisions
from lab.ledger.sample_evidence import CALLER, FORWARDING, days_of, decided, time_after, write_each
from lab.ledger.sample_ledger import records_of, writer_of

VARIABLES = 250_000
"""Number of variables, more than SQLite takes in one query, as distributions build it."""


@dataclass
class Slow:
    """A ledger that writes only on a test's command."""

    steps: list[tuple[Step, Future[None]]] = field(default_factory=list)
    fails: LedgerError | None = None
    hurried: int = 0
    full: bool = False

    def append(self, step: Step) -> Future[None]:
        future: Future[None] = Future()
        if self.fails:
            future.set_exception(self.fails)
        self.steps.append((step, future))
        return future

    def hurry(self) -> None:
        self.hurried += 1

    def close(self) -> None:
        pass


@pytest.fixture
def writer(url: str) -> Iterator[LedgerWriter]:
    with writer_of(url) as opened:
        yield opened


@pytest.fixture
def files(file: Path, writer: LedgerWriter) -> tuple[Path, Path]:
    """The two files that hold decisions."""
    first = file.with_name(f"{file.name}.pending")
    return first, first.with_name(f"{first.name}-2")


def pending_in(url: str, ledger: Slow | LedgerWriter) -> PendingDecisions:
    return PendingDecisions.open(url, ledger, days_of(url))


def append(pending: PendingDecisions, *calls: str) -> list[Future[None]]:
    return [pending.append(decided(call_id=call)) for call in calls]


def standing(files: tuple[Path, Path]) -> list[str]:
    return [json.loads(line)["call"] for each in files for line in each.read_bytes().splitlines()]


def test_a_decision_stands_there_until_it_is_on_the_disk(url, files):
    slow, file = Slow(), files[0]
    with pending_in(url, slow) as pending:
        append(pending, "c-1", "c-2")
        pending.append(steps.answered("c-1", time_after(1)))
        assert standing(files) == ["c-1", "c-2"]
        for number in (FORWARDING, CALLER):
            assert number.lstrip("0").encode() not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600
        slow.steps[0][1].set_result(None)
        assert standing(files)
        slow.steps[1][1].set_result(None)
        assert not standing(files)


def test_the_next_instance_enters_what_a_killed_one_had_not(url, writer, files):
    killed = Slow()
    with pending_in(url, killed) as pending:
        append(pending, "c-1", "c-2")
    write_each(writer, killed.steps[0][0])
    with pending_in(url, writer):
        assert not standing(files)
    records = records_of(url)
    assert [step.kind for step in records["c-1"].steps] == [StepKind.DECIDED]
    assert (records["c-2"].steps[0].at, records["c-2"].licence) == (time_after(0), "L-0001")
    assert records["c-2"].steps[0].numbers == decided().numbers


def test_what_was_cut_off_is_told_without_its_numbers(url, writer, files, caplog):
    with pending_in(url, Slow()) as pending:
        append(pending, "c-1", "c-2")
    files[0].write_bytes(files[0].read_bytes()[:-20])
    with pending_in(url, writer):
        assert [*records_of(url)] == ["c-1"]
    (told,) = (record.getMessage() for record in caplog.records)
    assert told.startswith(f"{files[0]}:2: ")
    for number in (FORWARDING, CALLER):
        assert number.lstrip("0") not in told


@pytest.mark.parametrize("name", ["other details", "no MAC", "another ledger's MAC"])
def test_a_line_that_idtone_did_not_write_is_no_decision_and_is_kept(url, file, writer, files, name, caplog):
    with pending_in(url, Slow()) as pending:
        append(pending, "c-1", "c-2")
    first, second = files[0].read_bytes().splitlines()
    fields = json.loads(second)
    if name == "other details":
        second = second.replace(b"PLAY", b"FLAY")
    elif name == "no MAC":
        del fields["mac"]
        second = json.dumps(fields).encode()
    else:
        second = second.replace(fields["mac"].encode(), b"00" * 16)
    files[0].write_bytes(first + b"\n" + second + b"\n")
    with pending_in(url, writer):
        assert [*records_of(url)] == ["c-1"]
    (told,) = (record.getMessage() for record in caplog.records)
    assert told == f"{files[0]}:2: was not written by idtone with this ledger's key, and does not count"
    kept = file.with_name(f"{file.name}.pending-quarantine")
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (second + b"\n", 0o600)


def test_what_the_ledger_keeps_in_memory_stands_there_until_it_has_written_more(url, writer, files):
    slow = Slow()
    with pending_in(url, slow) as pending:
        append(pending, "c-1")
        slow.steps[0][1].set_exception(LedgerBehindError("no room"))
        assert standing(files)
        append(pending, "c-2")
        slow.steps[1][1].set_result(None)  # the ledger writes in the order of what it was given
        assert not standing(files)
        append(pending, "c-3")
        slow.steps[2][1].set_exception(LedgerBehindError("no room"))
    with pending_in(url, Slow(fails=LedgerBehindError("no room"))) as pending:
        assert standing(files) == ["c-3"]
        append(pending, "c-4")
    with pending_in(url, writer):
        assert not standing(files)
    assert records_of(url).keys() == {"c-3", "c-4"}


def test_what_is_decided_when_the_ledger_is_closed_waits_for_the_next_instance(url, writer, files, caplog):
    with pending_in(url, Slow(fails=LedgerClosedError("closed"))) as pending:
        assert append(pending, "c-1")[0].done()
    assert [record.getMessage() for record in caplog.records] == ["a decision is not in the ledger: closed"]
    assert standing(files) == ["c-1"]
    with pending_in(url, writer):
        assert [*records_of(url)] == ["c-1"]


def test_it_stays_small_where_decisions_never_cease_to_be_on_their_way(url, files):
    slow, largest = Slow(), 0
    with pending_in(url, slow) as pending:
        for number in range(2000):
            append(pending, f"c-{number}")
            if number >= 10:
                slow.steps[number - 10][1].set_result(None)
            largest = max(largest, *(each.stat().st_size for each in files))
        assert {f"c-{number}" for number in range(1990, 2000)} <= set(standing(files))
        assert largest < 2 * ENOUGH_BYTES
        for _, written in slow.steps[1990:]:
            written.set_result(None)
        assert not standing(files)


def test_one_that_was_cut_off_takes_no_other_with_it(url, writer, files, monkeypatch, caplog):
    real, slow = os.write, Slow()
    with pending_in(url, slow) as pending:
        monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:40] if b"torn" in data else data))
        slow.hurried = 0
        torn = append(pending, "torn-1", "torn-2")
        assert slow.hurried == len(torn)
        assert append(pending, "c-1")[0].done()
        assert slow.hurried == len(torn)
        assert not any(each.done() for each in torn)
        for _, written in slow.steps[: len(torn)]:
            written.set_result(None)
        assert all(each.done() for each in torn)
        monkeypatch.undo()
    assert [record.getMessage() for record in caplog.records] == [
        f"{files[0]}: decisions are in memory only until they are written: No space left on device"
    ]
    with pending_in(url, writer):
        assert [*records_of(url)] == ["c-1"]


def test_more_than_a_query_of_the_database_takes(url, writer):
    write_each(writer, decided(call_id="c-7"))
    with LedgerReader.open(url) as reader:
        found = reader.times(f"c-{number}" for number in range(VARIABLES + 1))
    assert len(found) == VARIABLES + 1
    assert {name: times for name, times in found.items() if times} == {"c-7": {StepKind.DECIDED: time_after(0)}}


def test_one_that_cannot_be_used_leaves_nothing_open(url, files):
    files[1].mkdir()
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(LedgerError, match="check the path and its permissions"):
        pending_in(url, Slow())
    assert set(os.listdir("/proc/self/fd")) <= before
