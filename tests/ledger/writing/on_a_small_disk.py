"""The ledger on a small disk that other programs fill. test_full_disk.py runs these tests where they can mount a
disk.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from idtone.core.errors import LedgerBehindError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.disk_reserve import PIECE, Reserve
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.killed_writers import run_until_killed
from lab.ledger.sample_evidence import NOW, heard_call, wait_until
from lab.ledger.sample_ledger import overwrite, records_of, verification_faults, wait_until_written, writer_of


class Neighbour:
    """Another program that writes to the disk."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "other.log"

    def fill(self) -> None:
        """Write until the disk has no free byte."""
        with self._file.open("ab", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def make_room(self) -> None:
        os.truncate(self._file, 0)


@pytest.fixture
def mounted(file: Path) -> Callable[[int], Neighbour]:
    """Function that mounts a disk of a given size (MB) for the ledger."""

    def mount(megabytes: int) -> Neighbour:
        file.parent.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", file.parent], check=True)
        return Neighbour(file.parent)

    return mount


def late(writer: LedgerWriter, number: int) -> bool:
    """True if the steps of a new call must wait for room."""
    futures = [writer.append(step) for step in heard_call(f"c-{number}", number * 1000)]
    writer.hurry()
    errors = [error for future in futures if (error := future.exception(60))]
    assert all(isinstance(error, LedgerBehindError) for error in errors)
    return bool(errors)


def found(url: str) -> tuple[int, list[dict[str, object]]]:
    """Number of complete calls in a ledger, and its gaps, after a successful verification."""
    assert verification_faults(url) == []
    records = records_of(url).values()
    calls = [record for record in records if record.outcome]
    assert all(call.complete and call.sent and not call.anomalies for call in calls)
    gaps = [dict(step.details) for record in records for step in record.steps if step.kind is StepKind.GAP]
    return len(calls), gaps


def reserved(url: str, pieces: int) -> LedgerWriter:
    writer = writer_of(url, pieces * PIECE)
    wait_until(lambda: writer._database.reserve.left == pieces * PIECE)
    return writer


def test_the_reserve_keeps_evidence_going_though_others_take_all_there_is(url, journal, mounted, caplog):
    pieces = {"wal": 8, "persist": 2}[journal]  # a write-ahead log takes four of them
    neighbour, number = mounted(20), 0
    with reserved(url, pieces) as writer:
        while not late(writer, number):
            number += 1
            neighbour.fill()
        assert writer.full
        neighbour.make_room()
        wait_until_written(writer)
        assert not writer.full
    assert found(url) == (number + 1, [])
    # Most of the reserve became evidence, whatever the neighbour took.
    assert number > pieces * PIECE / 2 / 5000
    for text in ("the ledger's disk is drawn", "the ledger's disk is gone"):
        assert text in caplog.text


def test_what_there_is_no_room_for_is_written_later_or_counted(url, mounted, caplog):
    caplog.set_level(logging.INFO)
    neighbour, missing = mounted(1), 20
    with writer_of(url) as writer:
        writer._unwritten._limit = 60
        neighbour.fill()
        number = 0
        while missing:
            missing -= late(writer, number)
            number += 1
        act = writer.append(steps.forgotten("act-1", NOW, "2026-11-01", 1)).exception(60)
        assert "make room on its disk" in str(act)
        assert not isinstance(act, LedgerBehindError)
        assert "steps of evidence are not written" in writer.words
        time.sleep(0.2)  # it is tried again meanwhile, and told once
        neighbour.make_room()
        wait_until_written(writer)
        assert not late(writer, number)
    calls, [gap] = found(url)
    assert (calls + gap["calls"], gap["steps"]) == (number + 1, 6 * gap["calls"])
    assert gap["calls"] > 0
    assert caplog.text.count("evidence is not written") == 1
    assert "evidence is written again" in caplog.text


def fill_and_write(telling: Connection, url: str) -> None:
    """Fill the disk, and write until five calls are late."""
    writer, number = writer_of(url), 0
    Neighbour(Path(url.removeprefix("sqlite://")).parent).fill()
    for _ in range(5):
        while not late(writer, number := number + 1):
            pass
    telling.send("late")
    signal.pause()  # until it is killed


def test_a_service_that_dies_on_a_full_disk_leaves_no_silent_gap(url, mounted):
    neighbour = mounted(1)
    run_until_killed(0, fill_and_write, url)
    neighbour.make_room()
    with writer_of(url) as writer:
        wait_until_written(writer)
    _, [gap] = found(url)
    assert (gap["calls"], gap["steps"]) == (5, 30)


def test_what_is_not_written_at_the_end_is_told_and_stands_in_a_gap(url, mounted, caplog):
    neighbour = mounted(1)
    with writer_of(url) as writer:
        neighbour.fill()
        while not late(writer, 1):
            pass
    owed = writer.unwritten
    with writer_of(url) as writer:  # there is still no room
        pass
    assert writer.unwritten == owed
    neighbour.make_room()
    for _ in range(2):
        writer_of(url).close()
    assert found(url)[1] == [owed.to_json()]
    assert "could not be written until the end; the next start enters a gap" in caplog.text


def test_the_reserve_is_made_again_when_there_is_room(file, mounted, caplog):
    caplog.set_level(logging.INFO)
    neighbour, reserve = mounted(10), Reserve(file, 4 * PIECE)
    file.touch()
    reserve.refill()
    assert reserve.left == 4 * PIECE
    neighbour.fill()
    reserve.refill()
    assert reserve.words == "the ledger's disk is low, 4 of 4 MB in reserve"
    assert reserve.release(os.open(file, os.O_RDWR))
    for _ in range(2):  # what was given back is not taken away
        assert reserve.left == 3 * PIECE
        reserve.refill()
    assert "drawn" in reserve.words
    neighbour.make_room()
    reserve.refill()
    assert (reserve.left, reserve.words) == (4 * PIECE, "")
    assert "there is room for evidence again" in caplog.text


def test_a_ledger_that_is_damaged_is_set_aside_on_a_full_disk(url, file, mounted, caplog):
    neighbour = mounted(20)
    with reserved(url, 8) as writer:
        assert not late(writer, 0)
    overwrite(file, b"x" * 200)
    neighbour.fill()
    with writer_of(url, 8 * PIECE) as writer:
        assert not late(writer, 1)
        assert 0 < writer._database.reserve.left < 8 * PIECE
    assert "it is set aside as" in caplog.text
    with LedgerReader.open(url) as reader:
        assert reader.continuation().details["leaves"] == 1
