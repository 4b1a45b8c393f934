"""Decisions that were told to Asterisk, and what a service that is killed leaves of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from idtone.ledger import steps
from idtone.ledger.pending import Pending
from idtone.ledger.reader import LedgerReader
from idtone.ledger.steps import Step, StepKind
from idtone.ledger.writer import LedgerWriter

from .evidence import CALLER, FORWARDING, at, custody_of, days_of, decided, url_of


@dataclass
class Slow:
    """A ledger that writes when it is told to."""

    steps: list[tuple[Step, Future[None]]] = field(default_factory=list)

    def append(self, step: Step) -> Future[None]:
        future: Future[None] = Future()
        self.steps.append((step, future))
        return future

    def hurry(self) -> None:
        pass

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
    with LedgerWriter.open(url, "lab", custody_of(url)) as opened:
        yield opened


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
