"""The SQLite file under a node's ledger: who may touch it, how it is journalled, and what its errors mean.

The choice of the journal is docs/adr/0001-sqlite-journal.md.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection
from enum import Enum, auto
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool

from idtone.errors import LedgerError, LedgerInUseError

from .private_files import make_private, open_private
from .transactions import begin_by

BUSY_TIMEOUT_S: Final = 5.0
"""How long a lock of somebody else is waited for."""
ROOM: Final = 2**20
"""Bytes, with which a disk is not full: more than a group of steps and its journal take."""


def path_of(url: str) -> Path:
    """The file that `ledger.url` names. Raises LedgerError; never shows the address, which may hold a password."""
    example = "write it like sqlite:////var/lib/idtone/ledger.sqlite3"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerError(f"ledger.url is not the address of a database; {example}") from error
    if parsed.get_backend_name() != "sqlite":
        raise LedgerError(
            f"ledger.url names {parsed.get_backend_name()}; ledgers are kept in SQLite or PostgreSQL, {example}"
        )
    if parsed.query or not parsed.database or parsed.database == ":memory:":
        raise LedgerError(f"ledger.url must name a file and nothing else; {example}")
    return Path(parsed.database)


def wal_is_safe(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite is free of the WAL-reset bug (sqlite.org/wal.html#walresetbug).

    Mended in 3.51.3, and in 3.50.7 and 3.44.6 for those branches.
    """
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def journal_mode() -> str:
    """The fastest journal that this SQLite cannot be corrupted through; both outlive a power failure."""
    return "wal" if wal_is_safe() else "persist"


def lock_for_writing(path: Path) -> int:
    """Become the one writer of `path`; closing the returned descriptor ends that.

    Raises LedgerError where another process is, OSError where the lock file cannot be made.
    """
    descriptor = open_private(path.with_name(path.name + ".lock"))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise
        raise LedgerInUseError(
            f"{path}: another process writes to this ledger; stop the other `idtone serve`, or name another file here"
        ) from error
    return descriptor


def mark(lock: int, origin: str) -> None:
    """Note in the lock file that the database beside it is a ledger of this name."""
    os.pwrite(lock, f"{origin}\n".encode(), 0)
    os.ftruncate(lock, len(origin.encode()) + 1)


def is_marked(lock: int, origins: Collection[str]) -> bool:
    """Whether it is noted there that the database was a ledger of one of these names when it was opened last."""
    return os.pread(lock, 1024, 0).decode(errors="replace").rstrip("\n") in origins


def writing_engine(path: Path, patience_s: float = BUSY_TIMEOUT_S) -> Engine:
    """One connection, whose transactions begin as writers and are on the disk when their commit returns.

    `patience_s`: how long it waits for a lock of somebody else.
    Raises OSError where the file cannot be made.
    """
    make_private(path)  # SQLite gives the journals the mode of the file itself.

    def durable(connection: sqlite3.Connection) -> None:
        wanted = journal_mode()
        (actual,) = connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()
        if actual != wanted:
            raise LedgerError(f"{path}: the journal stays {actual!r} instead of {wanted!r}; keep it on a local disk")
        connection.execute("PRAGMA synchronous=FULL")

    engine = create_engine(
        "sqlite://",
        creator=lambda: _connect(path, "rw", patience_s, durable),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
    )
    begin_by(engine, "BEGIN IMMEDIATE")
    return engine


def reading_engine(path: Path) -> Engine:
    """Connections that can change nothing: neither rows nor, by a checkpoint, the journal."""

    def harmless(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA query_only=1")

    engine = create_engine(
        "sqlite://",
        creator=lambda: _connect(path, "ro", BUSY_TIMEOUT_S, harmless),
        poolclass=NullPool,
        hide_parameters=True,
    )
    begin_by(engine, "BEGIN")
    return engine


def _connect(
    path: Path, mode: str, patience_s: float, setup: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=patience_s,
        isolation_level=None,  # transactions begin where SQLAlchemy says so, not where sqlite3 guesses
        check_same_thread=False,  # opened by one thread, then used by the writer's alone
    )
    try:
        setup(connection)
    except BaseException:
        connection.close()
        raise
    return connection


class Trouble(Enum):
    """What becomes of a group of steps that could not be written."""

    FULL = auto()
    """There is no room on the disk."""
    BLOCKED = auto()
    """They cannot be written now, and perhaps later."""
    DAMAGED = auto()
    """The file is no database any more."""
    OTHER = auto()
    """They will never be written, as far as is known."""


def trouble(error: SQLAlchemyError, path: Path) -> Trouble:
    code = code_of(error)
    if code == sqlite3.SQLITE_IOERR_FSYNC and _has_room(path):
        return Trouble.BLOCKED
    return _TROUBLES.get(code) or _TROUBLES.get(code & 0xFF, Trouble.OTHER)


def code_of(error: SQLAlchemyError) -> int:
    """SQLite's, the extended one; 0 where it gives none."""
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.OperationalError) and str(cause).startswith(_NOT_UTF8):
        return sqlite3.SQLITE_CORRUPT  # of which the driver says nothing, and it shows the text that it stands in
    return getattr(cause, "sqlite_errorcode", 0)


_NOT_UTF8: Final = "Could not decode to UTF-8"


def _has_room(path: Path) -> bool:
    """An error of the disk is also given where blocks are only found as they are flushed, and there are none."""
    found = os.statvfs(path.parent)
    return found.f_bavail * found.f_frsize >= ROOM


_TROUBLES: Final = {
    sqlite3.SQLITE_FULL: Trouble.FULL,
    # Of the many errors of I/O SQLite gives these, too, where there is no room: for a quota, when blocks are only
    # found as they are flushed (so `trouble` looks at the disk), and for the memory that is shared by the readers of a
    # write-ahead log.
    sqlite3.SQLITE_IOERR_WRITE: Trouble.FULL,
    sqlite3.SQLITE_IOERR_FSYNC: Trouble.FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: Trouble.FULL,
    sqlite3.SQLITE_IOERR_READ: Trouble.DAMAGED,
    sqlite3.SQLITE_IOERR_SHORT_READ: Trouble.DAMAGED,
    sqlite3.SQLITE_IOERR_CORRUPTFS: Trouble.DAMAGED,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
    **dict.fromkeys(
        (
            sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL,
            sqlite3.SQLITE_INTERRUPT,
        ),
        Trouble.BLOCKED,
    ),
}  # fmt: skip


def explained(error: SQLAlchemyError, path: Path) -> LedgerError:
    """What a database error means for whoever runs the PBX. Its parameters and statements are left out."""
    cause = getattr(error, "orig", None)
    code = code_of(error)
    if str(cause).startswith(_NOT_UTF8):
        cause = "a text in it is not UTF-8"
    # The low byte is the primary code; the rest says where in SQLite it arose.
    remedy = _REMEDIES.get(code & 0xFF, "check the disk and the system log")
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        remedy = "its writer died in the middle of a commit; start `idtone serve`, which undoes the half of it"
    return LedgerError(f"{path}: {cause or type(error).__name__}; {remedy}")


_REMEDIES: Final = {
    sqlite3.SQLITE_BUSY: f"another program has held its lock for more than {BUSY_TIMEOUT_S:g} s; find it with `fuser`",
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "give the service's user the right to write it",
    sqlite3.SQLITE_CANTOPEN: "run this as the user that `idtone serve` runs as",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; let ledger.url name a file of its own",
    sqlite3.SQLITE_CORRUPT: "keep a copy of it, move it away and restore a backup",
}
