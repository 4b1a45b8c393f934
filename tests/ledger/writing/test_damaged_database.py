"""Databases that are damaged, byte by byte: what is set aside, what goes on, and what is left alone."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from idtone.cli import app
from idtone.errors import LedgerError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, StepKind
from idtone.ledger.keys import continuity
from idtone.ledger.keys.key_file import load_key
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store import sqlite as ledger_sqlite
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.tree.notes import VerifierKey
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing import group_writer
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.log_store import LogAppend, LogStore
from idtone.ledger.writing.reserve import PIECE
from idtone.settings import LedgerSettings

from ..sample_evidence import NOW, at, continuity_of, days_of, decided, heard_call, key_ring_of, put, wait_until

CALLS = 40


def fill(url: str, first: int = 0, count: int = CALLS) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        futures = [
            writer.append(step) for call in range(first, first + count) for step in heard_call(f"c-{call}", call * 1000)
        ]
        wait(futures, 20)


def key_of(url: str) -> VerifierKey:
    """Of the tree that is signed now."""
    key_ring = key_ring_of(url)
    return key_ring.signer_of(key_ring.continuity.origin).key


def key_ring_now(url: str) -> KeyRing:
    """As `KeyRing.of` would have it."""
    key_ring = key_ring_of(url)
    return KeyRing(
        key_ring.days,
        key_ring.signer_of(key_ring.continuity.origin),
        key_ring.seen,
        key_ring.cosigned,
        key_ring.continuity,
    )


def aside_of(file: Path) -> Path:
    (found,) = (
        path for path in file.parent.glob("*.damaged-*") if not path.name.endswith(("-journal", "-wal", "-shm"))
    )
    return found


def header(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"\xff" * 100)


def schema(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(100)
        opened.write(b"\x00" * 400)


def cut(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 8192 * 4096)


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def middle(file: Path) -> None:
    """Every page but the first two: of the rows and their indexes, of the hashes and the searches."""
    with file.open("r+b") as opened:
        for page in range(2, file.stat().st_size // 4096):
            opened.seek(page * 4096)
            opened.write(b"\xa5" * 4096)


DAMAGES = [header, schema, cut, emptied, middle]


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_ledger_is_set_aside_at_the_start(
    url: str, file: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    fill(url)
    signed = key_ring_of(url).seen.latest(key_of(url))
    assert signed
    damage(file)
    damaged = file.read_bytes()
    fill(url, CALLS, 1)
    assert aside_of(file).read_bytes() == damaged
    assert "it is set aside as" in caplog.text
    with LedgerReader.open(url, days_of(url)) as reader:
        assert reader.origin() == "pbx-1/idtone.2"
        continues = reader.continues()
        assert continues
        assert continues.details == {
            "origin": "pbx-1/idtone", "leaves": CALLS, "root": signed[1].root.hex(), "file": aside_of(file).name,
        }  # fmt: skip
        assert verify_ledger(reader, key_of(url)).faults == []
        record = reader.record(f"c-{CALLS}")
        assert record
        assert record.complete
    for path in file.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0
    # And it stays the one that is written to, without another being begun.
    with LedgerWriter.open(url, "pbx-1", key_ring_now(url)) as writer:
        put(writer, *heard_call("later"))
    assert len(continuity_of(url).trees) == 1
    with LedgerReader.open(url, days_of(url)) as reader:
        assert verify_ledger(reader, key_of(url)).faults == []


@pytest.mark.parametrize(
    ("mode", "damage"),
    # The first page of a database with a write-ahead log is in that log by then, and is mended from there.
    [("persist", header), ("persist", middle), ("wal", middle)],
    ids=["persist-header", "persist-middle", "wal-middle"],
)
def test_a_ledger_that_is_damaged_while_it_is_written(
    url: str,
    file: Path,
    mode: str,
    damage: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ledger_sqlite, "journal_mode", lambda: mode)
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        put(writer, *heard_call("before"))
        begun = heard_call("in-progress", 1000)
        put(writer, *begun[:3])
        for number in range(200):
            last = [writer.append(step) for step in heard_call(f"c-{number}", number * 1000)]
        wait(last, 20)
        signed = writer.checkpoint
        assert signed
        with sqlite3.connect(file) as other:  # what the writer has in memory is of before
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            other.execute("CREATE TABLE cookie (x)")
        other.close()
        damage(file)
        written = [writer.append(step) for step in begun[3:]]
        written += [
            writer.append(step) for number in range(50) for step in heard_call(f"after-{number}", 10**6 + number)
        ]
        assert [future.exception(20) for future in written] == [None] * len(written)
    assert "it is set aside as" in caplog.text
    with LedgerReader.open(url, days_of(url)) as reader:
        assert verify_ledger(reader, key_of(url)).faults == []
        continues = reader.continues()
        assert continues
        assert continues.details["leaves"] == Checkpoint.parse(signed.text).size
        record = reader.record("in-progress")
        assert record
        assert record.steps[0].kind is StepKind.DECIDED
        assert record.complete
        assert record.heard
        assert not record.anomalies
        assert len(reader.records()) == 1 + 1 + 50
        assert reader.record("before") is None


@pytest.mark.parametrize("reached", ["noted", "moved", "made"])
def test_setting_aside_goes_on_where_it_was_cut_short(
    url: str, file: Path, reached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(url)
    header(file)
    journal = file.with_name(f"{file.name}-wal")

    class Killed(BaseException):
        pass

    def die(path: Path, aside: Path) -> None:
        journal.write_bytes(b"a journal")
        if reached == "moved":
            path.rename(aside)
        elif reached == "made":
            continuity.move_aside(path, aside)
            file.touch()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(group_writer, "move_aside", die)
        with pytest.raises(Killed):
            LedgerWriter.open(url, "pbx-1", key_ring_of(url))
    with LedgerWriter.open(url, "pbx-1", key_ring_now(url)) as writer:
        writer.append(steps.interrupted("c-1", NOW)).result(20)
    aside = aside_of(file)
    assert aside.read_bytes()[:100] == b"\xff" * 100
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"a journal"
    (tree,) = continuity_of(url).trees
    assert tree.begun
    with LedgerReader.open(url) as reader:
        assert reader.continues()
        assert verify_ledger(reader, key_of(url)).faults == []


def flip(file: Path, word: bytes) -> None:
    """A byte in the last place where this stands, which makes it no UTF-8."""
    content = file.read_bytes()
    place = content.rindex(word)
    with file.open("r+b") as opened:
        opened.seek(place)
        opened.write(b"\xff")


@pytest.fixture
def persist(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that all is in the file itself."""
    monkeypatch.setattr(ledger_sqlite, "journal_mode", lambda: "persist")


@pytest.mark.usefixtures("persist")
def test_a_text_that_is_none_is_damage_and_is_not_shown(url: str, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.append(decided(call_id="open")).result(20)
    flip(file, b"licence-valid")
    group = [*heard_call("c-1"), steps.ended("open", at(60_000), CallStatus.CONNECTED, 16), *heard_call("c-2", 10)]
    with LedgerWriter.open(url, "pbx-1", key_ring_now(url)) as writer:
        futures = [writer.append(step) for step in group]
        assert [future.exception(20) for future in futures] == [None] * len(group)
    assert "a text in it is not UTF-8" in caplog.text
    assert "it is set aside as" in caplog.text
    assert "token" not in caplog.text
    with LedgerReader.open(url) as reader:
        assert {record.call_id for record in reader.records()} >= {"c-1", "c-2", "open"}


@pytest.mark.usefixtures("persist")
def test_a_head_that_is_no_text_is_damage_at_the_start(url: str, file: Path) -> None:
    fill(url)
    flip(file, b"pbx-1/idtone\n")
    fill(url, CALLS, 1)
    assert aside_of(file)
    with LedgerReader.open(url) as reader:
        assert verify_ledger(reader, key_of(url)).faults == []


def set_meta(file: Path, key: str, value: bytes) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))
    connection.close()


def test_a_head_of_another_type_is_not_what_was_signed(url: str, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(url)
    set_meta(file, "checkpoint", b"pbx-1/idtone")
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.append(decided(call_id="on")).result(20)
        assert writer.checkpoint is None
    assert "Evidence is written and no longer signed" in caplog.text


def test_a_version_of_another_type_is_refused(url: str, file: Path) -> None:
    fill(url, 0, 1)
    set_meta(file, "schema_version", b"\x01")
    with pytest.raises(LedgerError, match="is not a ledger"):
        LedgerWriter.open(url, "pbx-1", key_ring_of(url))


def test_who_has_read_the_keys_before_another_set_a_ledger_aside_goes_on_with_the_new_one(url: str, file: Path) -> None:
    fill(url)
    before = key_ring_of(url)  # as an instance that is to take over has loaded it
    header(file)
    fill(url, CALLS, 1)
    with LedgerWriter.open(url, "pbx-1", before) as writer:
        put(writer, *heard_call("taken-over"))
        assert writer.checkpoint
        assert Checkpoint.parse(writer.checkpoint.text).origin == "pbx-1/idtone.2"
    header(file)
    with LedgerWriter.open(url, "pbx-1", before) as writer:
        writer.append(steps.interrupted("c-1", NOW)).result(20)
    assert continuity_of(url).origins == ["pbx-1/idtone", "pbx-1/idtone.2", "pbx-1/idtone.3"]
    with LedgerReader.open(url) as reader:
        assert verify_ledger(reader, key_of(url)).faults == []


@pytest.mark.parametrize("times", [1, 2])
def test_what_cannot_be_read_once_is_not_set_aside(
    url: str, file: Path, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = LogStore.append, [sqlite3.SQLITE_IOERR_READ] * times

    def append(log: LogStore, *others: Any) -> LogAppend:
        if left:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = left.pop()
            raise error
        return real(log, *others)

    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.append(decided(call_id="one")).result(20)
        monkeypatch.setattr(LogStore, "append", append)
        writer.append(decided(call_id="two")).result(20)
    assert not left
    assert len(continuity_of(url).trees) == times - 1


def test_what_was_signed_last_is_known_though_setting_aside_takes_two_attempts(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_sqlite, "journal_mode", lambda: "persist")
    full, real = [errno.ENOSPC] * 2, continuity.replace_private

    def replace(path: Path, octets: bytes) -> None:
        if full:
            raise OSError(full.pop(), "No space left on device")
        real(path, octets)

    with LedgerWriter.open(url, "pbx-1", key_ring_of(url), 3 * PIECE) as writer:
        wait_until(lambda: writer._database.reserve.left == 3 * PIECE)
        put(writer, *heard_call())
        assert not key_ring_of(url).seen.path.exists(), "it is known in memory alone"
        with sqlite3.connect(file) as other:
            other.execute("CREATE TABLE cookie (x)")
        other.close()
        header(file)
        monkeypatch.setattr(continuity, "replace_private", replace)
        writer.append(decided(call_id="after")).result(20)
        assert writer._database.reserve.left == PIECE
    with LedgerReader.open(url) as reader:
        continues = reader.continues()
        assert continues
        assert continues.details["leaves"] == 1


def test_a_second_one_is_set_aside_too_and_nothing_is_overwritten(url: str, file: Path) -> None:
    fill(url)
    header(file)
    first = file.read_bytes()
    fill(url, CALLS, 1)
    aside = aside_of(file)
    header(file)
    with LedgerWriter.open(url, "pbx-1", key_ring_now(url)) as writer:
        writer.append(steps.interrupted("c-1", NOW)).result(20)
    assert aside.read_bytes() == first
    one, two = continuity_of(url).trees
    assert (one.origin, two.origin, two.after) == ("pbx-1/idtone.2", "pbx-1/idtone.3", "pbx-1/idtone.2")
    assert Path(two.file).exists()
    with LedgerReader.open(url) as reader:
        assert verify_ledger(reader, key_of(url)).faults == []


def test_a_file_that_is_not_known_to_be_our_ledger_is_left_alone(url: str, file: Path) -> None:
    fill(url)
    other = file.with_name("photo.sqlite3")
    other.write_bytes(b"a photo " * 1000)
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"it is no SQLite database; let ledger.url name a file of its own"):
            LedgerWriter.open(f"sqlite:///{other}", "pbx-1", key_ring_of(url))
    assert other.read_bytes() == b"a photo " * 1000
    assert not list(file.parent.glob("*.damaged-*"))
    assert continuity_of(url).trees == []


def test_a_disk_that_damages_everything_is_not_filled_with_what_it_damaged(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.append(decided(call_id="one")).result(20)
        for _ in range(2):
            header(file)
            late = writer.append(decided(call_id="two"))
            late.exception(20)
        assert isinstance(late.exception(0), LedgerError)
        assert writer.unwritten
        monkeypatch.setattr(group_writer, "NEXT_AFTER_S", 0.0)
    assert len(continuity_of(url).trees) == 2
    with LedgerReader.open(url, days_of(url)) as reader:
        assert reader.record("two")


def test_the_two_link_up(tmp_path: Path) -> None:
    """By the commands that an operator has."""
    settings = LedgerSettings(url=f"sqlite:///{tmp_path}/l.sqlite3", key_file=tmp_path / "key")
    for path in (settings.key_file, settings.signing_key()):
        load_key(path)
    file = tmp_path / "l.sqlite3"
    for first in (0, CALLS):
        with LedgerWriter.open(settings.url, "pbx-1", KeyRing.of(settings, "pbx-1")) as writer:
            for call in range(first, first + CALLS):
                last = [writer.append(step) for step in heard_call(f"c-{call}", call * 1000)]
            wait(last, 20)
        if not first:
            with file.open("r+b") as opened:  # its version is one of SQLite's that there is not
                content = opened.read()
                opened.seek(18)
                opened.write(b"\x09\x09")
    aside = aside_of(file)
    environment = {
        "IDTONE_LEDGER_URL": settings.url, "IDTONE_LEDGER_KEY_FILE": str(settings.key_file), "IDTONE_NODE": "pbx-1",
    }  # fmt: skip

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["ledger", *words], env=environment)
        return done.exit_code, done.stdout

    code, printed = run("verify", "--json")
    told = json.loads(printed)
    assert (code, told["faults"], told["leaves"]) == (0, [], CALLS + 1)
    assert told["log"].startswith("pbx-1/idtone.2+")
    assert told["continues"]["origin"] == "pbx-1/idtone"
    assert told["continues"]["file"] == aside.name
    aside.write_bytes(content)  # as far as it could be saved
    code, printed = run("verify", "--json", "--ledger", f"sqlite:///{aside}")
    old = json.loads(printed)
    assert (code, old["faults"], old["root"]) == (0, [], told["continues"]["root"])
    assert old["log"].startswith("pbx-1/idtone+")
    assert {"source": f"{settings.key_file}.continued", "leaves": CALLS} in old["signed"]
    assert run("find", "--number", "0312345678", "--ledger", f"sqlite:///{aside}", "--json")[0] == 0
    pack = tmp_path / "pack.zip"
    assert run("export", "--case", "K-1", "-o", str(pack), "c-3", "--ledger", f"sqlite:///{aside}")[0] == 0
    assert run("verify-pack", str(pack), "--log-key", old["log"])[0] == 0
    assert run("export", "--case", "K-2", "-o", str(tmp_path / "new.zip"), f"c-{CALLS}")[0] == 0
    assert run("verify-pack", str(tmp_path / "new.zip"), "--log-key", told["log"])[0] == 0
    with LedgerReader.open(settings.url) as reader:  # who was given something stands in the ledger that lives
        assert sum(record.steps[0].kind is StepKind.EXPORTED for record in reader.records()) == 2
