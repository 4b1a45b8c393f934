import sqlite3
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.store.sqlite import WriteFailure, explain_error, journal_mode, path_of, wal_is_safe, write_failure


def test_which_sqlite_is_free_of_the_wal_reset_bug():
    for version in ((3, 7, 0), (3, 44, 5), (3, 45, 0), (3, 46, 1), (3, 50, 6), (3, 51, 0), (3, 51, 2)):
        assert not wal_is_safe(version), version
    for version in ((3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 52, 0), (4, 0, 0)):
        assert wal_is_safe(version), version
    assert journal_mode() == ("wal" if wal_is_safe(sqlite3.sqlite_version_info) else "persist")


def test_the_address_names_a_file():
    for path in ("/var/lib/idtone/ledger.sqlite3", "ledger.sqlite3"):
        assert path_of(f"sqlite:///{path}") == Path(path)


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


def failed(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("it went wrong")
    error.sqlite_errorcode = code
    return error


def test_database_errors_say_what_to_do():
    for code, remedy in (
        (sqlite3.SQLITE_FULL, "make room"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "fuser"),
        (sqlite3.SQLITE_IOERR_FSYNC, "system log"),
        (sqlite3.SQLITE_READONLY_ROLLBACK, "start `idtone serve`"),
        (sqlite3.SQLITE_READONLY, "right to write"),
    ):
        text = str(explain_error(failed(code), Path("/x/ledger")))
        assert text.startswith("/x/ledger: it went wrong; ")
        assert remedy in text


def test_what_errors_mean_on_a_disk(tmp_path, monkeypatch):
    for code, room, meant in (
        (sqlite3.SQLITE_FULL, 0, WriteFailure.FULL),
        (sqlite3.SQLITE_IOERR_WRITE, 0, WriteFailure.FULL),
        (sqlite3.SQLITE_IOERR_FSYNC, 0, WriteFailure.BLOCKED),  # a disk that fails, and has room
        (sqlite3.SQLITE_IOERR_FSYNC, 2**63, WriteFailure.FULL),
        (sqlite3.SQLITE_IOERR_READ, 0, WriteFailure.DAMAGED),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, 0, WriteFailure.OTHER),
    ):
        monkeypatch.setattr("idtone.ledger.store.sqlite.ROOM", room)  # this disk has more than 0, and less than 2**63
        assert write_failure(failed(code), tmp_path / "ledger") is meant, (code, room)
