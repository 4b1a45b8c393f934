from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from idtone.errors import LedgerError
from idtone.ledger.store.sqlite import Trouble, explained, journal_mode, path_of, trouble, wal_is_safe


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
def test_which_sqlite_is_free_of_the_wal_reset_bug(version, safe):
    assert wal_is_safe(version) is safe


def test_the_journal_follows_the_sqlite_that_runs():
    assert journal_mode() == ("wal" if wal_is_safe(sqlite3.sqlite_version_info) else "persist")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/idtone/ledger.sqlite3", Path("/var/lib/idtone/ledger.sqlite3")),
        ("sqlite:///ledger.sqlite3", Path("ledger.sqlite3")),
    ],
)
def test_the_address_names_a_file(url, path):
    assert path_of(url) == path


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "not the address of a database"),
        ("/var/lib/ledger", "not the address of a database"),
        ("postgresql://me:secret@db/x", "names postgresql"),
        ("sqlite+pysqlite:////x", r"names sqlite\+pysqlite"),
        ("sqlite:///", "must name a file"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:////x?mode=ro", "must name a file"),
    ],
)
def test_other_addresses_are_refused_without_showing_a_password(url, problem):
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
def test_database_errors_say_what_to_do(code, remedy):
    cause = sqlite3.OperationalError("it went wrong")
    cause.sqlite_errorcode = code
    error = explained(cause, Path("/x/ledger"))
    assert str(error).startswith("/x/ledger: it went wrong; ")
    assert remedy in str(error)


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
def test_what_errors_mean_on_a_disk(tmp_path, code, room, meant, monkeypatch):
    monkeypatch.setattr("idtone.ledger.store.sqlite.ROOM", room)  # this disk has more than 0, and less than 2**63
    cause = sqlite3.OperationalError("it went wrong")
    cause.sqlite_errorcode = code
    assert trouble(cause, tmp_path / "ledger") is meant
