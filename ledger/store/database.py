"""Uniform read access to a ledger's database in SQLite or PostgreSQL."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from idtone.core.errors import LedgerError

from . import sqlite


class Connection(Protocol):
    """A database connection that accepts queries valid in both SQLite and PostgreSQL.

    Placeholders for values are written as `?`. `sqlite3.Connection` is such a connection.
    """

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Any:
        """Run a query, and return a cursor with `fetchone` and `fetchall`."""

    def rollback(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Lent:
    """A connection that stays open after use."""

    connection: Connection

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Any:
        return self.connection.execute(query, values)

    def rollback(self) -> None:
        self.connection.rollback()

    def close(self) -> None:
        self.connection.rollback()


def scalar(connection: Connection, query: str, values: Sequence[Any] = ()) -> Any:
    """The first value in a query's first row; None if there is no row."""
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None


def placeholders(values: Sequence[object]) -> str:
    """One question mark for each value, for `IN (…)`."""
    return ", ".join("?" * len(values))


def literals(words: Sequence[str] | frozenset[str]) -> str:
    """SQL string literals for `IN (…)`.

    The words must come from the program itself, not from input.
    """
    return ", ".join("'" + word.replace("'", "''") + "'" for word in sorted(words))


@dataclass(frozen=True)
class Database:
    """A SQLite or PostgreSQL database that contains one ledger.

    `name` identifies the database in messages, without a password. `explain` converts a driver error to a LedgerError.
    """

    name: str
    connect: Callable[[], Connection]
    begin: str
    """Statement that begins a read transaction."""
    error: type[Exception]
    """Base class of the driver's errors."""
    explain: Callable[[Any], LedgerError]
    is_sqlite: bool = False

    @classmethod
    def in_file(cls, url: str, patience_s: float = sqlite.BUSY_TIMEOUT_S) -> Self:
        """Open a node's own ledger, in an SQLite file.

        Each connection waits up to `patience_s` seconds for the writer's lock. Raises LedgerError if the file does not
        exist or cannot be read.
        """
        path = sqlite.path_of(url)
        try:
            os.stat(path)
        except FileNotFoundError as error:
            raise LedgerError("{path}: there is no ledger yet; start `idtone serve` first", path=path) from error
        except OSError as error:
            raise LedgerError(
                "{path}: the ledger cannot be read: {reason}; run this as the user that `idtone serve` runs as",
                path=path,
                reason=error.strerror,
            ) from error
        return cls(
            str(path),
            lambda: sqlite.connect_for_reading(path, patience_s),
            "BEGIN",
            sqlite.Error,
            lambda error: sqlite.explain_error(error, path),
            is_sqlite=True,
        )

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Open a read-only connection, outside a transaction.

        Raises LedgerError for database errors.
        """
        with self.explaining(), closing(self.connect()) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a read-only connection in one transaction, which sees one state of the database.

        Raises LedgerError for database errors.
        """
        with self.connected() as connection:
            connection.execute(self.begin)
            yield connection

    @contextmanager
    def paged(self) -> Iterator[Connection]:
        """Open a read-only connection for many queries over a long time.

        In SQLite, each query is a short transaction that does not delay the ledger's writer. In PostgreSQL, all queries
        see one state. Raises LedgerError for database errors.
        """
        with self.connected() as connection:
            if not self.is_sqlite:
                connection.execute(self.begin)  # which names the schema
            yield connection

    @contextmanager
    def on_one_connection(self) -> Iterator[Self]:
        """Reuse one connection for several short reads of one thread.

        SQLite reads the schema again for each connection, which takes longer than the reads. Raises LedgerError for
        database errors.
        """
        with self.connected() as connection:
            yield replace(self, connect=lambda: _Lent(connection))

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Convert database errors in the block to LedgerError."""
        try:
            yield
        except (self.error, UnicodeDecodeError) as error:  # the driver raises both for text that is not UTF-8
            raise self.explain(error) from error
