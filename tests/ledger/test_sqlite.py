from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from idtone.errors import LedgerError
from idtone.ledger import schema, steps
from idtone.ledger.reader import LedgerReader
from idtone.ledger.sqlite import Trouble, explained, journal_mode, path_of, trouble, wal_is_safe
from idtone.ledger.steps import CallStatus, Role
from idtone.ledger.tokens import MaskedNumber
from idtone.ledger.writer import LedgerWriter
from idtone.numbers import NumberKind

from .evidence import LOG, NOW, custody_of, days_of, heard_call, put, url_of


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 7, 0), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 46, 1), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_which_sqlite_is_free_of_the_wal_reset_bug(version: tuple[int, ...], safe: bool) -> None:
    assert wal_is_safe(version) is safe


def test_the_journal_follows_the_sqlite_that_runs() -> None:
    assert journal_mode() == ("wal" if wal_is_safe(sqlite3.sqlite_version_info) else "persist")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/idtone/ledger.sqlite3", Path("/var/lib/idtone/ledger.sqlite3")),
        ("sqlite:///ledger.sqlite3", Path("ledger.sqlite3")),
    ],
)
def test_the_address_names_a_file(url: str, path: Path) -> None:
    assert path_of(url) == path


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "not the address of a database"),
        ("/var/lib/ledger", "not the address of a database"),
        ("postgresql://me:secret@db/x", "names postgresql"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:////x?mode=ro", "must name a file"),
    ],
)
def test_other_addresses_are_refused_without_showing_a_password(url: str, problem: str) -> None:
    with pytest.raises(LedgerError, match=problem) as refused:
        path_of(url)
    assert "write it like sqlite:////var/lib/idtone/ledger.sqlite3" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (sqlite3.SQLITE_FULL, "make room"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "fuser"),
        (sqlite3.SQLITE_IOERR_FSYNC, "system log"),
        (sqlite3.SQLITE_READONLY_ROLLBACK, "start `idtone serve`"),
        (sqlite3.SQLITE_READONLY, "right to write"),
    ],
)
def test_database_errors_say_what_to_do_and_show_no_statement(code: int, remedy: str) -> None:
    cause = sqlite3.OperationalError("it went wrong")
    cause.sqlite_errorcode = code
    error = explained(OperationalError("INSERT INTO steps", {"details": "secret"}, cause), Path("/x/ledger"))
    assert str(error).startswith("/x/ledger: it went wrong; ")
    assert remedy in str(error)
    assert "INSERT" not in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("code", "room", "meant"),
    [
        (sqlite3.SQLITE_FULL, 0, Trouble.FULL),
        (sqlite3.SQLITE_IOERR_WRITE, 0, Trouble.FULL),
        (sqlite3.SQLITE_IOERR_FSYNC, 0, Trouble.BLOCKED),  # a disk that fails, and has room
        (sqlite3.SQLITE_IOERR_FSYNC, 2**63, Trouble.FULL),
        (sqlite3.SQLITE_IOERR_READ, 0, Trouble.DAMAGED),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, 0, Trouble.OTHER),
    ],
)
def test_what_errors_mean_on_a_disk(
    tmp_path: Path, code: int, room: int, meant: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idtone.ledger.sqlite.ROOM", room)  # what this disk has is more than 0, and less than 2**63
    cause = sqlite3.OperationalError("it went wrong")
    cause.sqlite_errorcode = code
    assert trouble(OperationalError("", {}, cause), tmp_path / "ledger") is meant


# -- ledgers of earlier versions ----------------------------------------------------------------------------------

SCHEMA_1 = """
CREATE TABLE meta ("key" TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY ("key"));
CREATE TABLE steps (
    id INTEGER NOT NULL, node TEXT NOT NULL, call_id TEXT NOT NULL, kind TEXT NOT NULL, at BIGINT NOT NULL,
    details TEXT NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX ix_steps_at ON steps (at);
CREATE INDEX ix_steps_call_id ON steps (call_id);
INSERT INTO meta VALUES ('schema_version', '1');
INSERT INTO steps VALUES
    (1, 'pbx-1', 'old', 'decided', 1793491200000000,
     '{"outcome":"PLAY","caller_kind":"mobile","caller_token":"abababababababababababababababab","caller_last4":"5679"}'),
    (2, 'pbx-1', 'old', 'ended', 1793491201000000, '{"status":"CANCEL"}'),
    (3, 'pbx-1', 'going on', 'decided', 1793491202000000, '{"outcome":"PLAY"}');
"""


def old_ledger(file: Path) -> None:
    file.parent.mkdir()
    connection = sqlite3.connect(file)
    connection.executescript(SCHEMA_1)
    connection.close()


def shape(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table's columns, and every index."""
    connection = sqlite3.connect(file)
    names = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    ]
    found = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}
    found["indexes"] = connection.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'").fetchall()
    connection.close()
    return {name: sorted(rows, key=str) for name, rows in found.items()}


def test_a_ledger_of_the_first_version_is_upgraded_to_what_a_new_one_is(file: Path, url: str, tmp_path: Path) -> None:
    old_ledger(file)
    LedgerWriter.open(url, "pbx-1", custody_of(url)).close()
    new = tmp_path / "new" / "ledger.sqlite3"
    LedgerWriter.open(url_of(new), "pbx-1", custody_of(url_of(new))).close()
    assert shape(file) == shape(new)


def test_its_evidence_is_read_and_verified_as_older_than_the_tree(file: Path, url: str) -> None:
    old_ledger(file)
    with LedgerWriter.open(url, "pbx-1", custody_of(url)) as writer:
        put(writer, steps.ended("going on", NOW, CallStatus.CANCEL), *heard_call("new"))
    with LedgerReader.open(url, days_of(url)) as reader:
        assert {record.call_id for record in reader.records()} == {"old", "going on", "new"}
        old = reader.record("old")
        assert old
        assert old.numbers[Role.CALLER] == MaskedNumber(NumberKind.MOBILE, "ab" * 16, "5679")
        verdict = reader.verify(LOG)
    assert (verdict.faults, verdict.leaves, verdict.older) == ([], 2, 3)


def test_a_reader_leaves_the_upgrade_to_the_service(file: Path, url: str) -> None:
    old_ledger(file)
    before = file.read_bytes()
    with pytest.raises(
        LedgerError, match=r"an older idtone made this ledger \(schema 1, here: 2\); start `idtone serve`"
    ):
        LedgerReader.open(url)
    assert file.read_bytes() == before


def test_an_upgrade_that_fails_changes_nothing(
    file: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_ledger(file)
    before = shape(file)
    broken = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, broken)
    with (broken / "versions/v2_tree.py").open("a") as last:
        last.write('    op.execute("CREATE TABLE steps (x)")\n')
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    with pytest.raises(LedgerError, match="already exists"):
        LedgerWriter.open(url, "pbx-1", custody_of(url))
    assert shape(file) == before
    monkeypatch.undo()
    LedgerWriter.open(url, "pbx-1", custody_of(url)).close()
