"""Room for evidence on the disk, and the steps that wait while there is no room."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.writing.disk_reserve import PIECE, Reserve, RoomLeft, reserve_file, room_left
from idtone.ledger.writing.missing_steps_file import missing_file
from idtone.ledger.writing.unwritten_steps import MissingSteps, UnwrittenSteps
from lab.ledger.sample_evidence import NOW, heard_call, time_after, write_each
from lab.ledger.sample_ledger import writer_of


def test_the_ledger_on_a_small_disk_that_others_fill(tmp_path):
    """Run the tests of on_a_small_disk.py in a namespace that allows mounting."""
    namespace = ["unshare", "-rm"]
    probe = subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", tmp_path], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"no file system can be mounted here: {probe.stderr.decode().strip()}")
    tests = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "--basetemp", tmp_path / "tests"]
    done = subprocess.run(
        [*namespace, *tests, Path(__file__).with_name("on_a_small_disk.py")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 7 passed" in f" {done.stdout.splitlines()[-1]}"


def test_how_much_room_there_is():
    for size, left, free, room in (
        (10, 10, 10, RoomLeft.AMPLE),
        (10, 10, 9, RoomLeft.LOW),
        (10, 9, 99, RoomLeft.DRAWN),
        (10, 1, 0, RoomLeft.DRAWN),
        (10, 0, 99, RoomLeft.GONE),
    ):
        assert room_left(size, left, free) is room, (size, left, free)


def test_a_reserve_is_as_large_as_it_is_wanted_and_made_again_and_its_alarms_are_rare(file, caplog):
    file.parent.mkdir()
    kept = reserve_file(file)
    for pieces, found in ((2, 2), (1, 1), (None, 1), (3, 3)):
        reserve = Reserve(file, pieces and pieces * PIECE)
        reserve.refill()
        assert kept.stat().st_size == found * PIECE
    for spoilt in (kept.unlink, lambda: os.truncate(kept, PIECE), lambda: kept.write_bytes(b"")):
        spoilt()  # somebody has made room
        reserve.refill()
        assert reserve.left == 3 * PIECE == kept.stat().st_size <= 512 * kept.stat().st_blocks
    kept.unlink()
    kept.touch()
    os.truncate(kept, 3 * PIECE)  # as long, and nothing is in it
    assert Reserve(file, 3 * PIECE).left == 0
    reserve.refill()
    assert 512 * kept.stat().st_blocks >= 3 * PIECE
    caplog.clear()
    assert [reserve.release(-1) for _ in range(4)] == [True, True, True, False]
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    Reserve(file, 0).refill()
    assert not kept.exists()


def test_what_is_given_back_is_given_though_nobody_can_claim_it(file, caplog):
    file.parent.mkdir()
    reserve = Reserve(file, 3 * PIECE)
    reserve.refill()
    file.with_name(f"{file.name}-journal").mkdir()
    assert reserve.release(-1)
    assert reserve.left == 2 * PIECE
    assert "any program can take what is given back" in caplog.text


def _gap(missing: MissingSteps) -> Step:
    return steps.gap("act-1", NOW, missing.to_json())


def test_a_gap_stands_where_its_steps_would_and_one_that_is_lost_is_in_the_next_one():
    backlog = UnwrittenSteps(_gap, limit=6)
    backlog.keep(heard_call("c-1"))
    backlog.keep(heard_call("c-2", 1000))
    assert backlog.owed == MissingSteps(time_after(0), time_after(61_000), 12, 2)
    backlog.drop_first(2)
    backlog.keep(heard_call("c-3", 2000)[:1])
    *_, gap, decided = backlog.first(99)
    assert decided.kind is StepKind.DECIDED
    assert gap.details == {
        "from": time_after(1000).isoformat(),
        "to": time_after(61_000).isoformat(),
        "steps": 6,
        "calls": 1,
    }
    assert (backlog.owed.steps, backlog.owed.calls) == (4 + 6 + 1, 2)
    backlog.drop_first(6)
    assert backlog.owed is None
    backlog.count_lost(heard_call("c-1"))
    (first,) = backlog.first(9)
    backlog.drop_first(1)
    backlog.count_lost([first, *heard_call("c-2")])
    assert backlog.owed == MissingSteps(time_after(0), time_after(60_000), 12, 2)


def test_what_is_owed_outlives_a_file_that_was_damaged(url, file, caplog):
    writer_of(url).close()
    missing_file(file).write_bytes(b"{nonsense")
    with writer_of(url) as writer:
        write_each(writer, steps.answered("c-1", NOW))
    assert "what is not in the ledger cannot be read" in caplog.text
