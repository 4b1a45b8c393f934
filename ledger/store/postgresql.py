"""Connections to PostgreSQL servers that hold ledger replicas, with readable error messages.

Each replica is a separate schema, with the same tables as a ledger in SQLite (docs/adr/0015).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import LedgerSettings
from idtone.core.terminal.extras import install_command
from idtone.core.translation import Message

from .database import Database

if TYPE_CHECKING:
    import psycopg

CONNECT_WITHIN_S: Final = 10
STATEMENT_WITHIN_S: Final = 30
ORPHANED_AFTER_S: Final = 30
"""Time in seconds for which PostgreSQL keeps a transaction and its locks after its node has disappeared."""

PREFIX: Final = "idtone_"
_EXAMPLE: Final = Message("write it like postgresql://idtone@db.example/idtone?sslmode=verify-full")


class PostgreSQLConnection:
    """A PostgreSQL connection with the interface of `store.database.Connection`."""

    def __init__(self, driver: psycopg.Connection) -> None:
        self.driver = driver

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Any:
        # Without values the driver takes several statements at once, and a percent sign stands for itself.
        ours = query.replace("%", "%%").replace("?", "%s") if values else query
        return self.driver.execute(ours.encode(), values or None)

    @contextmanager
    def writing(self, begin: str) -> Iterator[None]:
        """Run the block in one transaction.

        If the block raises an error, nothing is written, and the caller must close the connection.
        """
        self.execute(begin)
        yield
        self.driver.commit()

    def copy(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows to a table with PostgreSQL's COPY.

        `table` is the table's name followed by its columns.
        """
        if not rows:
            return
        with self.driver.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def is_private(self) -> bool:
        """True if the connection is encrypted or local."""
        pgconn, info = self.driver.pgconn, self.driver.info
        return bool(pgconn.ssl_in_use) or info.host.startswith("/") or _is_loopback(info.hostaddr)

    def rollback(self) -> None:
        self.driver.rollback()

    def close(self) -> None:
        self.driver.close()


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server with ledger replicas, given by a libpq URI without a password.

    `str()` shows neither the password nor the parameters.
    """

    url: str
    password: str | None = field(default=None, repr=False)

    @classmethod
    def named(cls, url: str, password: str | None = None) -> Server:
        """Parse the address of a PostgreSQL server.

        Raises LedgerError. The error never shows the address, because the address may contain a password.
        """
        try:
            parsed = urlsplit(url)
        except ValueError as error:
            raise LedgerError("ledger.url is not the address of a database; {example}", example=_EXAMPLE) from error
        if not parsed.scheme or "://" not in url:
            raise LedgerError("ledger.url is not the address of a database; {example}", example=_EXAMPLE)
        if parsed.scheme != "postgresql":
            raise LedgerError("ledger.url names {scheme}; {example}", scheme=parsed.scheme, example=_EXAMPLE)
        if parsed.password is not None or "password" in parse_qs(parsed.query, keep_blank_values=True):
            raise LedgerError(
                "ledger.url holds a password, which many may read; let ledger.password_file name a file "
                "with it, or leave it to libpq (~/.pgpass, PGPASSFILE)"
            )
        return cls(url, password)

    @classmethod
    def of(cls, settings: LedgerSettings, url: str | None = None) -> Server:
        return cls.named(settings.url if url is None else url, settings.secret())

    @classmethod
    def all_of(cls, settings: LedgerSettings) -> list[Server]:
        """All servers that hold a replica of the node's ledger, from `ledger.url` and `ledger.others`."""
        urls = dict.fromkeys((settings.url, *settings.others))
        return [cls.of(settings, url) for url in urls]

    def __str__(self) -> str:
        parsed = urlsplit(self.url)
        return urlunsplit((parsed.scheme, parsed.netloc, parsed.path, "", ""))

    def connect(self) -> PostgreSQLConnection:
        """Open a connection to the PostgreSQL server.

        Raises LedgerError if psycopg is not installed. Also raises psycopg's own errors.
        """
        return PostgreSQLConnection(_psycopg().connect(self.url, **self._arguments()))

    def database(self, schema: str, name: str, within_s: int = 0) -> Database:
        """Return a replica on the server, for reading.

        Each transaction sees a single state. `within_s` limits how long a statement may take, and 0 means no limit.
        Waits for locks are always limited. Raises LedgerError if psycopg is not installed.
        """
        return Database(
            name,
            self.connect,
            f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path TO {_quoted(schema)}; "
            f"SET LOCAL lock_timeout = '{within_s or STATEMENT_WITHIN_S}s'; "
            f"SET LOCAL statement_timeout = '{within_s}s'",
            _psycopg().Error,
            self.explained,
        )

    def schemas(self, within_s: int = 0) -> list[str]:
        """Names of the schemas that contain ledger replicas.

        Raises LedgerError if PostgreSQL does not answer.
        """
        with self.database("pg_catalog", str(self), within_s).reading() as connection:
            return [name for (name,) in connection.execute(_SCHEMAS).fetchall()]

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Convert psycopg errors in the block to LedgerError."""
        try:
            yield
        except _psycopg().Error as error:
            raise self.explained(error) from error

    def explained(self, error: psycopg.Error) -> LedgerError:
        """Explain a psycopg error to the PBX operator.

        The text omits statements and rows, which PostgreSQL may quote.
        """
        state = error.sqlstate or ""
        first = str(error).strip().partition("\n")[0]
        if not state:  # without a connection the driver has none
            state = "28" if "password" in first else "08"
        remedy = next((words for start, words in _REMEDIES.items() if state.startswith(start)), _UNFORESEEN)
        return LedgerError(
            "{server}: {error}; {remedy}", server=self, error=first or type(error).__name__, remedy=remedy
        )

    def _arguments(self) -> dict[str, Any]:
        own: dict[str, Any] = {
            "connect_timeout": CONNECT_WITHIN_S,
            "application_name": "idtone",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        }
        given = parse_qs(urlsplit(self.url).query, keep_blank_values=True)
        arguments = {name: value for name, value in own.items() if name not in given}
        # A statement that was prepared on one connection is unknown on the next one that a pooler between gives.
        arguments |= {"prepare_threshold": None, "client_encoding": "utf8"}
        if self.password is not None:
            arguments["password"] = self.password
        return arguments


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise LedgerError(
            "ledger.url names PostgreSQL, and the library for it is not here: {command}",
            command=install_command("postgresql"),
        ) from error
    return psycopg


def begin_writing(schema: str) -> str:
    """SQL statements that begin a transaction for writing to one replica.

    All waits in the transaction are limited in time.
    """
    return (
        f"SET LOCAL search_path TO {_quoted(schema)}; SET LOCAL lock_timeout = '{STATEMENT_WITHIN_S}s'; "
        f"SET LOCAL statement_timeout = '{STATEMENT_WITHIN_S}s'; "
        f"SET LOCAL idle_in_transaction_session_timeout = '{ORPHANED_AFTER_S}s'"
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def schema_of(origin: str) -> str:
    """A readable and unique PostgreSQL schema name for the ledger `origin`."""
    readable = re.sub(r"[^a-z0-9]+", "_", origin.lower()).strip("_")[:40]
    return f"{PREFIX}{readable}_{hashlib.sha256(origin.encode()).hexdigest()[:12]}"


def _quoted(schema: str) -> str:
    return '"' + schema.replace('"', '""') + '"'


_SCHEMAS: Final = (
    "SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid "
    "WHERE relname = 'meta' AND starts_with(nspname, 'idtone_') ORDER BY nspname"
)

_UNREACHABLE: Final = Message("see that PostgreSQL runs, and that it can be reached from here by ledger.url")
_UNFORESEEN: Final = Message("see PostgreSQL's log for more")
_REMEDIES: Final = {
    "08": _UNREACHABLE,
    "25006": Message(
        "it is a standby: name all servers in ledger.url, and let it end with ?target_session_attrs=read-write"
    ),
    "28": Message("see ledger.password_file, the user in ledger.url, and PostgreSQL's pg_hba.conf"),
    "3D": Message("make that database: createdb -O USER NAME"),
    "3F": Message("the node that replicates there makes its schema; see its log"),
    "42501": Message("let its user have that right: a node owns its schema, a reader needs USAGE and SELECT"),
    "42P01": Message("let its user have USAGE and SELECT there"),  # without USAGE a schema is as if it were not there
    "53": Message("see PostgreSQL's log for what it ran out of"),
    "55P03": Message("another session holds this ledger's lock; pg_stat_activity shows which"),
    "57014": Message("PostgreSQL took too long; pg_stat_activity shows what it does"),
    "57P": _UNREACHABLE,
}
"""Beginning of an SQLSTATE → the remedy."""
