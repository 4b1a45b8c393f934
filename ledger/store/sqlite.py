"""The SQLite file for a node's ledger, with its locking, journal mode, connections and error messages.

docs/adr/0001-sqlite-journal.md explains the choice of the journal mode.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final
from urllib.parse import quote

from idtone.core.errors import LedgerError, LedgerInUseError
from idtone.core.translation import Message

from ..keys.private_files import make_private, open_private
from .migrations import TABLES

Error = sqlite3.Error
VALUE_LIMIT: Final = 16 * 2**20
"""Maximum row size, in bytes, that readers accept."""

BUSY_TIMEOUT_S: Final = 5.0
"""Time in seconds that a connection waits for another connection's lock."""
READER_PATIENCE_S: Final = 30.0
"""Time in seconds that a command waits for the writer's lock, which the writer holds while its disk flushes a commit
three times. On a busy disk, each flush can take seconds.
"""
ROOM: Final = 2**20
"""Number of free bytes with which a disk is not full, because a group of steps and its journal take less."""


def path_of(url: str) -> Path:
    """Path of the SQLite file named in `ledger.url`.

    Raises LedgerError. The error never shows the address, because the address may contain a password.
    """
    example = Message("write it like sqlite:////var/lib/idtone/ledger.sqlite3")
    scheme, separator, place = url.partition("://")
    if not separator or not re.fullmatch("[a-z0-9+]+", scheme):
        raise LedgerError("ledger.url is not the address of a database; {example}", example=example)
    if scheme != "sqlite":
        raise LedgerError(
            "ledger.url names {scheme}; ledgers are kept in SQLite or PostgreSQL, {example}",
            scheme=scheme,
            example=example,
        )
    file = place.removeprefix("/")
    if file == place or not file or "?" in file or file == ":memory:":
        raise LedgerError("ledger.url must name a file and nothing else; {example}", example=example)
    return Path(file)


def wal_is_safe(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """True if an SQLite version does not have the WAL-reset bug (sqlite.org/wal.html#walresetbug).

    The bug was fixed in 3.51.3, and also in 3.50.7 and 3.44.6 for those branches.
    """
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def journal_mode() -> str:
    """The fastest journal mode that is safe in this version of SQLite.

    `wal` and `persist` both survive a power failure.
    """
    return "wal" if wal_is_safe() else "persist"


def lock_for_writing(path: Path) -> int:
    """Lock a ledger for its only writer until the returned descriptor is closed.

    Raises LedgerError if another process is the writer, and OSError if the lock file cannot be created.
    """
    descriptor = open_private(path.with_name(path.name + ".lock"))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise
        raise LedgerInUseError(
            "{path}: another process writes to this ledger; stop the other `idtone serve`, or name another file here",
            path=path,
        ) from error
    return descriptor


def mark_as_ledger(lock: int, origin: str) -> None:
    """Write the ledger's name to the lock file next to the database."""
    os.pwrite(lock, f"{origin}\n".encode(), 0)
    os.ftruncate(lock, len(origin.encode()) + 1)


def was_ledger(lock: int, origins: Collection[str]) -> bool:
    """True if the lock file names one of the `origins`.

    The lock file contains the name that the ledger had when the database was last opened.
    """
    return os.pread(lock, 1024, 0).decode(errors="replace").rstrip("\n") in origins


def connect_for_writing(path: Path, patience_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """Open a connection whose commits are on disk when they return.

    It waits up to `patience_s` seconds for another connection's lock. Raises OSError if the file cannot be created.
    """
    make_private(path)  # SQLite gives the journals the mode of the file itself.

    def durable(connection: sqlite3.Connection) -> None:
        wanted = journal_mode()
        (actual,) = connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()
        if actual != wanted:
            raise LedgerError(
                "{path}: the journal stays {actual!r} instead of {wanted!r}; keep it on a local disk",
                path=path,
                actual=actual,
                wanted=wanted,
            )
        connection.execute("PRAGMA synchronous=FULL")

    return _connect(path, "rw", patience_s, durable)


def connect_for_reading(path: Path, patience_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """Open a connection that changes neither rows nor the journal.

    It waits up to `patience_s` seconds for the writer's lock. Any row larger than idtone's rows causes an error, so it
    cannot exhaust the memory.
    """

    def harmless(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA query_only=1")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_LIMIT)

    return _connect(path, "ro", patience_s, harmless)


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one transaction, which locks the database from the start.

    The transaction is written completely or not at all.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # the error that is raised says more
            connection.rollback()  # also after a commit that a reader has held up: it leaves its transaction open
        raise


def _connect(
    path: Path, mode: str, patience_s: float, setup: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=patience_s,
        isolation_level=None,  # transactions begin where we say so, not where sqlite3 guesses
        check_same_thread=False,  # opened by one thread, then used by the writer's alone
    )
    try:
        connection.set_authorizer(_authorize)
        setup(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _authorize(action: int, _one: str | None, _other: str | None, _database: str | None, within: str | None) -> int:
    """Deny reading a view that has replaced a table.

    idtone creates no views, and a foreign view could have an endless number of rows.
    """
    is_endless = action == sqlite3.SQLITE_RECURSIVE
    return sqlite3.SQLITE_DENY if is_endless or within in TABLES else sqlite3.SQLITE_OK


class WriteFailure(Enum):
    """Reason why a group of steps could not be written."""

    FULL = auto()
    """The disk is full."""
    BLOCKED = auto()
    """The steps cannot be written now, but perhaps later."""
    DAMAGED = auto()
    """The file is no longer a database."""
    OTHER = auto()
    """The steps will probably never be written."""


def write_failure(error: sqlite3.Error, path: Path) -> WriteFailure:
    code = code_of(error)
    if code == sqlite3.SQLITE_IOERR_FSYNC and _has_room(path):
        return WriteFailure.BLOCKED
    return _TROUBLES.get(code) or _TROUBLES.get(code & 0xFF, WriteFailure.OTHER)


def code_of(error: Exception) -> int:
    """An SQLite error's extended error code; 0 if it has none."""
    if _is_not_utf8(error):
        return sqlite3.SQLITE_CORRUPT
    return getattr(error, "sqlite_errorcode", 0)


def _is_not_utf8(error: Exception) -> bool:
    """True if the error means that a text is not UTF-8.

    The driver provides no code for this error, and its message quotes the text.
    """
    is_told = isinstance(error, sqlite3.OperationalError) and str(error).startswith(_NOT_UTF8)
    return is_told or isinstance(error, UnicodeDecodeError)


_NOT_UTF8: Final = "Could not decode to UTF-8"


def _has_room(path: Path) -> bool:
    """True if the disk has room.

    SQLite reports a full disk as a disk error if the file system allocates blocks only when it flushes.
    """
    found = os.statvfs(path.parent)
    return found.f_bavail * found.f_frsize >= ROOM


_TROUBLES: Final = {
    sqlite3.SQLITE_FULL: WriteFailure.FULL,
    # SQLite gives these I/O errors too if there is no room: for a quota, when blocks are only
    # found as they are flushed (so `write_failure` looks at the disk), and for the memory that is shared by the
    # readers of a write-ahead log.
    sqlite3.SQLITE_IOERR_WRITE: WriteFailure.FULL,
    sqlite3.SQLITE_IOERR_FSYNC: WriteFailure.FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: WriteFailure.FULL,
    sqlite3.SQLITE_IOERR_READ: WriteFailure.DAMAGED,
    sqlite3.SQLITE_IOERR_SHORT_READ: WriteFailure.DAMAGED,
    sqlite3.SQLITE_IOERR_CORRUPTFS: WriteFailure.DAMAGED,
    sqlite3.SQLITE_CORRUPT: WriteFailure.DAMAGED,
    sqlite3.SQLITE_AUTH: WriteFailure.DAMAGED,
    sqlite3.SQLITE_NOTADB: WriteFailure.DAMAGED,
    **dict.fromkeys(
        (
            sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL,
            sqlite3.SQLITE_INTERRUPT,
        ),
        WriteFailure.BLOCKED,
    ),
}  # fmt: skip


def explain_error(error: Exception, path: Path) -> LedgerError:
    """Explain an SQLite error to the PBX operator."""
    code = code_of(error)
    said: str = Message("a text in it is not UTF-8")
    if code == sqlite3.SQLITE_AUTH:
        said = Message("it has a view or a trigger that idtone did not make")
    elif not _is_not_utf8(error):
        said = str(error) or type(error).__name__
    # The low byte is the primary code; the rest says where in SQLite it arose.
    remedy = _REMEDIES.get(code & 0xFF, Message("check the disk and the system log"))
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        remedy = Message("its writer died in the middle of a commit; start `idtone serve`, which undoes the half of it")
    return LedgerError("{path}: {said}; {remedy}", path=path, said=said, remedy=remedy)


_REMEDIES: Final = {
    sqlite3.SQLITE_BUSY: Message("another program has held its lock for too long; find it with `fuser`"),
    sqlite3.SQLITE_FULL: Message("make room on its disk"),
    sqlite3.SQLITE_READONLY: Message("give the service's user the right to write it"),
    sqlite3.SQLITE_CANTOPEN: Message("run this as the user that `idtone serve` runs as"),
    sqlite3.SQLITE_NOTADB: Message("it is no SQLite database; let ledger.url name a file of its own"),
    **dict.fromkeys(
        (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_AUTH),
        Message("keep a copy of it, move it away and restore a backup"),
    ),
}
