"""The PostgreSQL that holds the ledgers of several nodes: how it is reached, and what its errors mean.

Each ledger is a schema of its own, with the tables that it has in SQLite (docs/adr/0015).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from idtone.errors import LedgerError
from idtone.settings import LedgerSettings

from .source import Source
from .transactions import begin_by

CONNECT_WITHIN_S: Final = 10
STATEMENT_WITHIN_S: Final = 30
ORPHANED_AFTER_S: Final = 30
"""How long PostgreSQL keeps a transaction, and its locks, whose node has gone without a word."""

PREFIX: Final = "idtone_"
_DRIVER: Final = "postgresql+psycopg"
_EXAMPLE: Final = "write it like postgresql+psycopg://idtone@db.example/idtone?sslmode=verify-full"


@dataclass(frozen=True)
class Server:
    """A database that can be asked; its text shows no password."""

    url: URL
    password: str | None = field(default=None, repr=False)

    @classmethod
    def named(cls, url: str, password: str | None = None) -> Server:
        """Raises LedgerError; never shows the address, which may hold a password."""
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise LedgerError(f"ledger.url is not the address of a database; {_EXAMPLE}") from error
        if parsed.drivername not in ("postgresql", _DRIVER):
            raise LedgerError(f"ledger.url names {parsed.drivername}; {_EXAMPLE}")
        if parsed.password is not None or "password" in parsed.query:
            raise LedgerError(
                "ledger.url holds a password, which many may read; let ledger.password_file name a file with it, or "
                "leave it to libpq (~/.pgpass, PGPASSFILE)"
            )
        return cls(parsed.set(drivername=_DRIVER), password)

    @classmethod
    def of(cls, settings: LedgerSettings, url: str | None = None) -> Server:
        return cls.named(settings.url if url is None else url, settings.secret())

    def __str__(self) -> str:
        return self.url.set(drivername="postgresql", query={}).render_as_string()

    def writing_engine(self, schema: str) -> Engine:
        """Connections whose transactions write to one ledger, and give up where they must wait."""
        return self._engine(
            f"SET LOCAL search_path TO {_quoted(schema)}; SET LOCAL lock_timeout = '{STATEMENT_WITHIN_S}s'; "
            f"SET LOCAL statement_timeout = '{STATEMENT_WITHIN_S}s'; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{ORPHANED_AFTER_S}s'"
        )

    def reading_engine(self, schema: str, within_s: int = 0) -> Engine:
        """Connections that can change nothing. Each transaction sees one state, and waits for no lock for ever.

        `within_s` is how long a statement may take; 0: as long as it takes.
        """
        return self._engine(
            f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path TO {_quoted(schema)}; "
            f"SET LOCAL lock_timeout = '{within_s or STATEMENT_WITHIN_S}s'; SET LOCAL statement_timeout = '{within_s}s'"
        )

    def database(self, schema: str, name: str, within_s: int = 0) -> Source:
        return Source(self.reading_engine(schema, within_s), name, self.explained)

    def schemas(self, within_s: int = 0) -> list[str]:
        """Those of ledgers. Raises LedgerError where PostgreSQL cannot be asked."""
        with self.database("pg_catalog", str(self), within_s).reading() as connection:
            return list(connection.scalars(_SCHEMAS))

    def explained(self, error: SQLAlchemyError) -> LedgerError:
        """What an error means for whoever runs the PBX. Statements, and rows that it tells of, are left out."""
        cause = getattr(error, "orig", None)
        state = getattr(cause, "sqlstate", None) or ""
        first = (str(cause) if cause else type(error).__name__).strip().partition("\n")[0]
        if not state:  # where no connection came to be, the driver keeps none
            state = "28" if "password" in first else "08"
        remedy = next((words for start, words in _REMEDIES.items() if state.startswith(start)), _UNFORESEEN)
        return LedgerError(f"{self}: {first or type(cause).__name__}; {remedy}")

    def _engine(self, begin: str) -> Engine:
        own: dict[str, Any] = {
            "connect_timeout": CONNECT_WITHIN_S,
            "application_name": "idtone",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        }
        # What is prepared on one connection is not there on the next that a pooler between gives.
        arguments = {name: value for name, value in own.items() if name not in self.url.query}
        arguments |= {"prepare_threshold": None, "client_encoding": "utf8"}
        if self.password is not None:
            arguments["password"] = self.password
        try:
            engine = create_engine(self.url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)
        except ImportError as error:
            raise LedgerError(
                "ledger.url names PostgreSQL, and the library for it is not here: pip install 'idtone[postgresql]'"
            ) from error
        begin_by(engine, begin)
        return engine


def is_private(connection: Connection) -> bool:
    """Whether nobody between here and PostgreSQL can read what is said."""
    driver: Any = connection.connection.driver_connection
    return bool(driver.pgconn.ssl_in_use) or driver.info.host.startswith("/") or _is_loopback(driver.info.hostaddr)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def schema_of(origin: str) -> str:
    """The schema of the ledger that signs by this name: readable, and no other's."""
    readable = re.sub(r"[^a-z0-9]+", "_", origin.lower()).strip("_")[:40]
    return f"{PREFIX}{readable}_{hashlib.sha256(origin.encode()).hexdigest()[:12]}"


def _quoted(schema: str) -> str:
    """As an identifier."""
    return '"' + schema.replace('"', '""') + '"'


_SCHEMAS: Final = text(
    "SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid "
    "WHERE relname = 'meta' AND starts_with(nspname, 'idtone_') ORDER BY nspname"
)

_UNREACHABLE: Final = "see that PostgreSQL runs, and that it can be reached from here by ledger.url"
_UNFORESEEN: Final = "see PostgreSQL's log for more"
_REMEDIES: Final = {
    "08": _UNREACHABLE,
    "28": "see ledger.password_file, the user in ledger.url, and PostgreSQL's pg_hba.conf",
    "3D": "make that database: createdb -O USER NAME",
    "3F": "the node that ships there makes its schema; see its log",
    "42501": "let its user have that right: a node owns its schema, who reads needs USAGE and SELECT",
    "42P01": "let its user have USAGE and SELECT there",  # without USAGE a schema is as if it were not there
    "53": "see PostgreSQL's log for what it ran out of",
    "55P03": "another session holds this ledger's lock; pg_stat_activity shows which",
    "57014": "PostgreSQL took too long; pg_stat_activity shows what it does",
    "57P": _UNREACHABLE,
}
"""The beginning of an SQLSTATE → what to do."""
