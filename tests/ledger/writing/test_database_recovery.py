"""Databases that are damaged byte by byte. Some files are set aside, some continued, and some left alone."""

import errno
import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import LedgerSettings
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, StepKind
from idtone.ledger.keys import successor_trees
from idtone.ledger.keys.key_file import load_key
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store import sqlite as ledger_sqlite
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing import group_writer
from idtone.ledger.writing.disk_reserve import PIECE
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.log_store import LogAppend, LogStore
from lab.ledger.sample_evidence import (
    LOG,
    NOW,
    days_of,
    decided,
    heard_call,
    key_ring_of,
    successor_trees_of,
    time_after,
    wait_until,
    write_each,
)
from lab.ledger.sample_ledger import overwrite, query, records_of, write, write_together, writer_of
from lab.operations.ledger_commands import WARRANT, run

CALLS = 40
DAMAGES = {
    "header": overwrite,
    "schema": lambda file: overwrite(file, bytes(400), 100),
    "cut": lambda file: os.truncate(file, file.stat().st_size // 8192 * 4096),
    "emptied": lambda file: os.truncate(file, 0),
    # Every page but the first two: of the rows and their indexes, of the hashes and the searches.
    "middle": lambda file: overwrite(file, b"\xa5" * (file.stat().st_size // 4096 * 4096 - 8192), 8192),
}


@pytest.fixture
def persist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the journal mode that keeps all data in the database file itself."""
    monkeypatch.setattr(ledger_sqlite, "journal_mode", lambda: "persist")


@pytest.fixture
def filled(url: str) -> str:
    write(url, *(heard_call(f"c-{number}", number * 1000) for number in range(CALLS)))
    return url


def ring_of(url: str) -> KeyRing:
    """The key ring that `KeyRing.of` would create for the present tree."""
    ring = key_ring_of(url)
    return replace(ring, signer=ring.signer_of(ring.successor_trees.origin))


def again(url: str) -> LedgerWriter:
    return LedgerWriter.open(url, "pbx-1", ring_of(url))


def is_good(url: str) -> bool:
    with LedgerReader.open(url, days_of(url)) as reader:
        return verify_ledger(reader, ring_of(url).signer.key).faults == []


def continues(url: str) -> dict[str, object]:
    """The ledger's step about the previous ledger."""
    with LedgerReader.open(url) as reader:
        return dict(reader.continuation().details)


def aside_of(file: Path) -> Path:
    journals = ("-journal", "-wal", "-shm")
    [found] = [path for path in file.parent.glob("*.damaged-*") if not path.name.endswith(journals)]
    return found


def behind_the_writer(file: Path) -> None:
    """Change the schema in another program, so that the writer's memory is outdated."""
    query(file, "PRAGMA wal_checkpoint(TRUNCATE)")
    query(file, "CREATE TABLE cookie (x)")


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ledger_is_set_aside_at_the_start(filled, file, damage, caplog):
    url = filled
    _, signed = key_ring_of(url).seen.latest(LOG)
    DAMAGES[damage](file)
    damaged = file.read_bytes()
    write(url, heard_call("next", 10**6))
    aside = aside_of(file)
    assert aside.read_bytes() == damaged
    assert "it is set aside as" in caplog.text
    with LedgerReader.open(url) as reader:
        assert reader.origin() == "pbx-1/idtone.2"
    before = {"origin": "pbx-1/idtone", "leaves": CALLS, "root": signed.root.hex(), "file": aside.name}
    assert continues(url) == before
    assert records_of(url)["next"].complete
    assert is_good(url)
    assert not any(path.stat().st_mode & 0o077 for path in file.parent.iterdir())


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_ledger_after_a_damaged_one_is_still_written_to_at_the_next_start(filled, file, damage):
    url = filled
    DAMAGES[damage](file)
    write(url, heard_call("next", 10**6))
    with again(url) as writer:
        write_each(writer, *heard_call("later"))
    assert len(successor_trees_of(url).trees) == 1
    assert is_good(url)


@pytest.mark.parametrize(
    ("mode", "damage"),
    # The first page of a database with a write-ahead log is in that log by then, and is mended from there.
    [("persist", "header"), ("persist", "middle"), ("wal", "middle")],
)
def test_a_ledger_that_is_damaged_while_it_is_written(url, file, mode, damage, monkeypatch, caplog):
    monkeypatch.setattr(ledger_sqlite, "journal_mode", lambda: mode)
    begun = heard_call("in-progress", 1000)
    with writer_of(url) as writer:
        write_each(writer, *heard_call("before"), *begun[:3])
        write_together(writer, [step for number in range(100) for step in heard_call(f"c-{number}", number * 1000)])
        signed = writer.stored_checkpoint
        behind_the_writer(file)
        DAMAGES[damage](file)
        after = [step for number in range(50) for step in heard_call(f"after-{number}", 10**6 + number)]
        write_together(writer, [*begun[3:], *after])
    assert "it is set aside as" in caplog.text
    assert is_good(url)
    assert continues(url)["leaves"] == Checkpoint.parse(signed.text).size
    records = records_of(url)
    record = records["in-progress"]
    assert record.steps[0].kind is StepKind.DECIDED
    assert (record.complete, record.sent, record.anomalies) == (True, True, ())
    assert len(records) == 1 + 1 + 50
    assert "before" not in records


@pytest.mark.parametrize("reached", ["noted", "moved", "made"])
def test_setting_aside_goes_on_where_it_was_cut_short(filled, file, reached, monkeypatch):
    url, journal = filled, file.with_name(f"{file.name}-wal")
    overwrite(file)

    class Killed(BaseException):
        pass

    def die(path: Path, aside: Path) -> None:
        journal.write_bytes(b"a journal")
        if reached == "moved":
            path.rename(aside)
        elif reached == "made":
            successor_trees.move_aside(path, aside)
            file.touch()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(group_writer, "move_aside", die)
        with pytest.raises(Killed):
            writer_of(url)
    with again(url) as writer:
        write_each(writer, steps.interrupted("c-1", NOW))
    aside = aside_of(file)
    assert aside.read_bytes()[:100] == b"\xff" * 100
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"a journal"
    (tree,) = successor_trees_of(url).trees
    assert tree.begun
    assert continues(url)
    assert is_good(url)


def flip(file: Path, word: bytes) -> None:
    """Damage a byte at the last place of a word, so that the text is not UTF-8."""
    overwrite(file, b"\xff", file.read_bytes().rindex(word))


@pytest.mark.usefixtures("persist")
def test_a_text_that_is_none_is_damage_and_is_not_shown(url, file, caplog):
    write(url, [decided(call_id="open")])
    flip(file, b"licence-valid")
    group = [
        *heard_call("c-1"),
        steps.ended("open", time_after(60_000), CallStatus.CONNECTED, 16),
        *heard_call("c-2", 10),
    ]
    with again(url) as writer:
        write_together(writer, group)
    for text in ("a text in it is not UTF-8", "it is set aside as"):
        assert text in caplog.text
    assert "token" not in caplog.text
    assert records_of(url).keys() >= {"c-1", "c-2", "open"}


@pytest.mark.usefixtures("persist")
def test_a_head_that_is_no_text_is_damage_at_the_start(filled, file):
    flip(file, b"pbx-1/idtone\n")
    write(filled, heard_call("next"))
    assert aside_of(file)
    assert is_good(filled)


def test_a_head_of_another_type_is_not_what_was_signed(filled, file, caplog):
    query(file, "UPDATE meta SET value = ? WHERE key = 'checkpoint'", b"pbx-1/idtone")
    with writer_of(filled) as writer:
        write_each(writer, decided(call_id="on"))
        assert writer.stored_checkpoint is None
    assert "Evidence is written and no longer signed" in caplog.text


def test_who_read_the_keys_before_goes_on_with_the_ledger_after_it_and_nothing_is_overwritten(filled, file):
    url, keys = filled, key_ring_of(filled)  # as an instance that is to take over has loaded it
    overwrite(file)
    first = file.read_bytes()
    write(url, heard_call("next"))
    aside = aside_of(file)
    with LedgerWriter.open(url, "pbx-1", keys) as writer:
        write_each(writer, *heard_call("taken-over"))
        assert Checkpoint.parse(writer.stored_checkpoint.text).origin == "pbx-1/idtone.2"
    overwrite(file)
    with LedgerWriter.open(url, "pbx-1", keys) as writer:
        write_each(writer, steps.interrupted("c-1", NOW))
    assert aside.read_bytes() == first
    one, two = successor_trees_of(url).trees
    assert (one.origin, two.origin, two.after) == ("pbx-1/idtone.2", "pbx-1/idtone.3", "pbx-1/idtone.2")
    assert Path(two.file).exists()
    assert is_good(url)


@pytest.mark.parametrize("times", [1, 2])
def test_what_cannot_be_read_once_is_not_set_aside(url, times, monkeypatch):
    real, left = LogStore.append, [sqlite3.SQLITE_IOERR_READ] * times

    def append(log: LogStore, *others: Any) -> LogAppend:
        if left:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = left.pop()
            raise error
        return real(log, *others)

    with writer_of(url) as writer:
        write_each(writer, decided(call_id="one"))
        monkeypatch.setattr(LogStore, "append", append)
        write_each(writer, decided(call_id="two"))
    assert not left
    assert len(successor_trees_of(url).trees) == times - 1


@pytest.mark.usefixtures("persist")
def test_what_was_signed_last_is_known_though_setting_aside_takes_two_attempts(url, file, monkeypatch):
    full, real = [errno.ENOSPC] * 2, successor_trees.replace_private

    def replace(path: Path, octets: bytes) -> None:
        if full:
            raise OSError(full.pop(), "No space left on device")
        real(path, octets)

    with writer_of(url, 3 * PIECE) as writer:
        wait_until(lambda: writer._database.reserve.left == 3 * PIECE)
        write_each(writer, *heard_call())
        assert not key_ring_of(url).seen.path.exists(), "it is known in memory alone"
        behind_the_writer(file)
        overwrite(file)
        monkeypatch.setattr(successor_trees, "replace_private", replace)
        write_each(writer, decided(call_id="after"))
        assert writer._database.reserve.left == PIECE
    assert continues(url)["leaves"] == 1


def test_a_file_that_is_not_known_to_be_our_ledger_is_left_alone(filled, file):
    other = file.with_name("photo.sqlite3")
    other.write_bytes(b"a photo " * 1000)
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"it is no SQLite database; let ledger.url name a file of its own"):
            LedgerWriter.open(f"sqlite:///{other}", "pbx-1", key_ring_of(filled))
    assert other.read_bytes() == b"a photo " * 1000
    assert not list(file.parent.glob("*.damaged-*"))
    assert successor_trees_of(filled).trees == []


def test_a_disk_that_damages_everything_is_not_filled_with_what_it_damaged(url, file, monkeypatch):
    with writer_of(url) as writer:
        write_each(writer, decided(call_id="one"))
        for _ in range(2):
            overwrite(file)
            late = writer.append(decided(call_id="two")).exception(60)
        assert isinstance(late, LedgerError)
        assert writer.unwritten
        monkeypatch.setattr(group_writer, "NEXT_AFTER_S", 0.0)
    assert len(successor_trees_of(url).trees) == 2
    assert "two" in records_of(url)


def test_the_two_link_up(tmp_path, monkeypatch):
    """The operator's commands link the two ledgers."""
    file = tmp_path / "l.sqlite3"
    settings = LedgerSettings(url=f"sqlite:///{file}", key_file=tmp_path / "key")
    for path in (settings.key_file, tmp_path / "key.sign"):
        load_key(path)
    for first in (0, CALLS):
        with LedgerWriter.open(settings.url, "pbx-1", KeyRing.of(settings, "pbx-1")) as writer:
            calls = [heard_call(f"c-{call}", call * 1000) for call in range(first, first + CALLS)]
            write_together(writer, [step for call in calls for step in call])
        if not first:
            content = file.read_bytes()
            overwrite(file, b"\x09\x09", 18)  # its version is one of SQLite's that there is not
    aside = aside_of(file)
    for name, value in (("LEDGER_URL", settings.url), ("LEDGER_KEY_FILE", settings.key_file), ("NODE", "pbx-1")):
        monkeypatch.setenv(f"IDTONE_{name}", str(value))

    def done(*words: object) -> str:
        result = run(*words)
        assert result.exit_code == 0
        return result.stdout

    told = json.loads(done("verify", "--json"))
    assert (told["faults"], told["leaves"]) == ([], CALLS + 1)
    assert told["log"].startswith("pbx-1/idtone.2+")
    assert (told["continues"]["origin"], told["continues"]["file"]) == ("pbx-1/idtone", aside.name)
    aside.write_bytes(content)  # as far as it could be saved
    before = ["--ledger", f"sqlite:///{aside}"]
    old = json.loads(done("verify", "--json", *before))
    assert (old["faults"], old["root"]) == ([], told["continues"]["root"])
    assert old["log"].startswith("pbx-1/idtone+")
    assert {"source": f"{settings.key_file}.continued", "leaves": CALLS} in old["signed"]
    done("find", "--number", "0312345678", *before, "--json")
    for call, log, place in (("c-3", old["log"], before), (f"c-{CALLS}", told["log"], [])):
        done("export", "--case", "K", *WARRANT, "-o", tmp_path / f"{call}.zip", call, *place)
        done("verify pack", tmp_path / f"{call}.zip", "--log-key", log)
    with LedgerReader.open(settings.url) as reader:  # who was given something stands in the ledger that lives
        assert sum(record.steps[0].kind is StepKind.EXPORTED for record in reader.records()) == 2
