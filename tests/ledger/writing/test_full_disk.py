"""The ledger on a small disk that others fill: a real file system, in a namespace of its own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.writing.missing_steps_file import missing_file
from idtone.ledger.writing.reserve import PIECE, Reserve, RoomLeft, judged, reserve_file
from idtone.ledger.writing.unwritten_steps import MissingSteps, UnwrittenSteps

from ..sample_evidence import NOW, at, heard_call, put
from ..sample_ledger import writer_of

DISK = """
import json, logging, os, sys
from pathlib import Path
from idtone.errors import LedgerBehindError
from idtone.ledger.evidence import steps
from idtone.ledger.store import sqlite
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing import ledger_writer, reserve
from tests.ledger.sample_evidence import NOW, heard_call, url_of, wait_until
from tests.ledger.sample_ledger import caught_up, faults, records_of, spoil, writer_of

disk, journal = Path(sys.argv[1]), sys.argv[2]
sqlite.journal_mode = lambda: journal
ledger_writer.LINGER_S, ledger_writer.RETRY_S = 0.01, 0.1
logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")
file = disk / "ledger.sqlite3"
url = url_of(file)
neighbour = (disk / "other.log").open("ab", buffering=0)

def fill():
    "Somebody else writes for as long as there is a byte."
    for size in (2**20, 2**12, 1):
        try:
            while True:
                neighbour.write(b"x" * size)
        except OSError:
            pass

def make_room():
    neighbour.truncate(0)

def call(writer, number):
    "What keeps its steps from the disk; nothing where they are on it."
    futures = [writer.append(step) for step in heard_call(f"c-{number}", number * 1000)]
    writer.hurry()
    return [error for future in futures if (error := future.exception(20))]

def told():
    "What is in the ledger, and whether that is what was signed."
    records = records_of(url).values()
    gaps = [dict(step.details) for record in records for step in record.steps if step.kind == "gap"]
    calls = [record for record in records if record.outcome]
    return {
        "calls": len(calls), "whole": sum(one.complete and one.heard and not one.anomalies for one in calls),
        "gaps": gaps, "faults": faults(url), "steps": sum(len(record.steps) for record in calls),
    }
"""


def on_a_disk(tmp_path: Path, megabytes: int, script: str, journal: str = "persist") -> tuple[dict[str, Any], str]:
    """What a script prints that has a file system of this size for itself, and what it logs."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = f'mount -t tmpfs -o size={megabytes}m none "$1" && exec "$0" -c "$3" "$1" "$2"'
    probe = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", disk], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"no file system can be mounted here: {probe.stderr.decode().strip()}")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted, sys.executable, disk, journal, DISK + script],
        capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.parametrize("journal", ["wal", "persist"])
def test_the_reserve_keeps_evidence_going_though_others_take_all_there_is(tmp_path, journal):
    script = """
with writer_of(url, 3 * 2**20) as writer:
    wait_until(lambda: writer._database.reserve.left == 3 * 2**20)
    assert not call(writer, 0)
    fill()
    number = 1
    while not call(writer, number):
        number += 1
        fill()
    written, full = number, writer.full
    make_room()
    caught_up(writer)
print(json.dumps(told() | {"written": written, "full": full}))
"""
    seen, log = on_a_disk(tmp_path, 12, script, journal)
    assert seen["full"]
    assert seen["whole"] == seen["calls"] == seen["written"] + 1
    assert not seen["gaps"]
    assert not seen["faults"]
    # Most of the reserve became evidence, whatever the neighbour took.
    assert seen["written"] > 3 * 2**20 / 2 / 3500
    assert "the ledger's disk is drawn" in log
    assert "the ledger's disk is gone" in log
    print(f"{seen['written']} calls from 3 MiB")


def test_what_there_is_no_room_for_is_written_later_or_counted(tmp_path):
    script = """
with writer_of(url) as writer:
    writer._unwritten._limit = 60
    fill()
    late = 0
    while late < 20:
        errors = call(writer, late)
        assert all(isinstance(error, LedgerBehindError) for error in errors)
        late += bool(errors)
    act = writer.append(steps.forgotten("act-1", NOW, "2026-11-01", 1)).exception(20)
    words, owed = writer.words, writer.unwritten.to_json()
    make_room()
    caught_up(writer)
    assert not call(writer, 20)
behind = isinstance(act, LedgerBehindError)
print(json.dumps(told() | {"act": str(act), "behind": behind, "words": words, "owed": owed}))
"""
    seen, log = on_a_disk(tmp_path, 1, script)
    assert not seen["faults"]
    (gap,) = seen["gaps"]
    assert seen["steps"] + gap["steps"] == 21 * 6
    assert gap["calls"] == 21 - seen["calls"] > 0
    assert seen["whole"] == seen["calls"]
    assert "make room on its disk" in seen["act"]
    assert not seen["behind"]
    assert "steps of evidence are not written" in seen["words"]
    assert log.count("evidence is not written") == 1
    assert "evidence is written again" in log


def test_a_service_that_dies_on_a_full_disk_leaves_no_silent_gap(tmp_path):
    script = """
if os.fork() == 0:
    writer = writer_of(url)
    assert not call(writer, 0)
    fill()
    late = number = 0
    while late < 5:
        number += 1
        late += bool(call(writer, number))
    os.kill(os.getpid(), 9)
assert os.wait()[1] == 9
make_room()
with writer_of(url) as writer:
    caught_up(writer)
print(json.dumps(told()))
"""
    seen, _ = on_a_disk(tmp_path, 1, script)
    assert not seen["faults"]
    (gap,) = seen["gaps"]
    assert gap["calls"] == 5
    assert gap["steps"] == 30
    assert seen["whole"] == seen["calls"]


def test_what_is_not_written_at_the_end_is_told_and_stands_in_a_gap(tmp_path):
    script = """
with writer_of(url) as writer:
    fill()
    while not call(writer, 1):
        pass
owed = writer.unwritten.to_json()
with writer_of(url) as writer:  # there is still no room
    pass
assert writer.unwritten.to_json() == owed
make_room()
writer_of(url).close()
writer_of(url).close()
print(json.dumps(told() | {"owed": owed}))
"""
    seen, log = on_a_disk(tmp_path, 1, script)
    assert seen["gaps"] == [seen["owed"]]
    assert "could not be written until the end; the next start enters a gap" in log


def test_the_reserve_is_made_again_when_there_is_room(tmp_path):
    script = """
kept = reserve.Reserve(file, 4 * 2**20)
file.touch()
database = os.open(file, os.O_RDWR)
kept.look()
whole = kept.left
fill()
kept.look()
low = kept.words
given = [kept.give(database), kept.left]
kept.look()  # what was given back is not taken away
used = [kept.left, kept.words]
make_room()
kept.look()
print(json.dumps({"whole": whole, "low": low, "given": given, "used": used, "left": kept.left, "words": kept.words}))
"""
    seen, log = on_a_disk(tmp_path, 10, script)
    assert seen["whole"] == seen["left"] == 4 * PIECE
    assert seen["low"] == "the ledger's disk is low, 4 of 4 MB in reserve"
    assert seen["given"] == [True, 3 * PIECE]
    assert seen["used"][0] == 3 * PIECE
    assert "drawn" in seen["used"][1]
    assert seen["words"] == ""
    assert "there is room for evidence again" in log


def test_a_ledger_that_is_damaged_is_set_aside_on_a_full_disk(tmp_path):
    script = """
with writer_of(url, 8 * 2**20) as writer:
    wait_until(lambda: writer._database.reserve.left == 8 * 2**20)
    assert not call(writer, 0)
spoil(file, b"x" * 200)
fill()
with writer_of(url, 8 * 2**20) as writer:
    late = call(writer, 1)
    left = writer._database.reserve.left
make_room()
with LedgerReader.open(url) as reader:
    leaves = reader.continues().details["leaves"]
print(json.dumps({"late": len(late), "left": left, "leaves": leaves}))
"""
    seen, log = on_a_disk(tmp_path, 20, script)
    assert "it is set aside as" in log
    assert (seen["late"], seen["leaves"]) == (0, 1)
    assert 0 < seen["left"] < 8 * PIECE


# -- the reserve ------------------------------------------------------------------------------------------------------


def test_how_much_room_there_is():
    for size, left, free, room in (
        (10, 10, 10, RoomLeft.AMPLE),
        (10, 10, 9, RoomLeft.LOW),
        (10, 9, 99, RoomLeft.DRAWN),
        (10, 1, 0, RoomLeft.DRAWN),
        (10, 0, 99, RoomLeft.GONE),
    ):
        assert judged(size, left, free) is room, (size, left, free)


def test_alarms_are_rare(file, caplog):
    file.parent.mkdir()
    with caplog.at_level(logging.INFO):
        reserve = Reserve(file, 3 * PIECE)
        reserve.look()
        assert [reserve.give(-1) for _ in range(4)] == [True, True, True, False]
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]


def test_a_reserve_is_as_large_as_it_is_wanted_and_made_again(file):
    file.parent.mkdir()
    kept = reserve_file(file)
    for pieces, found in ((2, 2), (1, 1), (None, 1), (3, 3)):
        reserve = Reserve(file, pieces and pieces * PIECE)
        reserve.look()
        assert kept.stat().st_size == found * PIECE
    for spoilt in (kept.unlink, lambda: os.truncate(kept, PIECE), lambda: kept.write_bytes(b"")):
        spoilt()  # somebody has made room
        reserve.look()
        assert reserve.left == 3 * PIECE == kept.stat().st_size <= 512 * kept.stat().st_blocks
    kept.unlink()
    kept.touch()
    os.truncate(kept, 3 * PIECE)  # as long, and nothing is in it
    assert Reserve(file, 3 * PIECE).left == 0
    reserve.look()
    assert 512 * kept.stat().st_blocks >= 3 * PIECE
    assert [reserve.give(-1) for _ in range(4)] == [True, True, True, False]
    Reserve(file, 0).look()
    assert not kept.exists()


def test_what_is_given_back_is_given_though_nobody_can_claim_it(file, caplog):
    file.parent.mkdir()
    reserve = Reserve(file, 3 * PIECE)
    reserve.look()
    file.with_name(f"{file.name}-journal").mkdir()
    assert reserve.give(-1)
    assert reserve.left == 2 * PIECE
    assert "any program can take what is given back" in caplog.text


# -- what is kept -----------------------------------------------------------------------------------------------------


def _gap(missing: MissingSteps) -> Step:
    return steps.gap("act-1", NOW, missing.to_json())


def test_a_gap_stands_where_its_steps_would():
    backlog = UnwrittenSteps(_gap, limit=6)
    backlog.keep(heard_call("c-1"))
    backlog.keep(heard_call("c-2", 1000))
    assert backlog.owed == MissingSteps(at(0), at(61_000), 12, 2)
    backlog.done(2)
    backlog.keep(heard_call("c-3", 2000)[:1])
    kept = backlog.first(99)
    assert [step.kind for step in kept[-2:]] == [StepKind.GAP, StepKind.DECIDED]
    assert kept[-2].details == {
        "from": at(1000).isoformat(), "to": at(61_000).isoformat(), "steps": 6, "calls": 1,
    }  # fmt: skip
    assert backlog.owed
    assert (backlog.owed.steps, backlog.owed.calls) == (4 + 6 + 1, 2)
    backlog.done(6)
    assert backlog.owed is None


def test_a_gap_that_is_lost_is_in_the_next_one():
    backlog = UnwrittenSteps(_gap)
    backlog.lose(heard_call("c-1"))
    (first,) = backlog.first(9)
    backlog.done(1)
    backlog.lose([first, *heard_call("c-2")])
    assert backlog.owed == MissingSteps(at(0), at(60_000), 12, 2)


def test_what_is_owed_outlives_a_file_that_was_damaged(url, file, caplog):
    writer_of(url).close()
    missing_file(file).write_bytes(b"{nonsense")
    with writer_of(url) as writer:
        put(writer, steps.answered("c-1", NOW))
    assert "what is not in the ledger cannot be read" in caplog.text
