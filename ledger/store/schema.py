"""Creates and upgrades a ledger's database schema, and detects foreign entries in it."""

import logging
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import cache, lru_cache
from typing import Any, Final

from idtone.core.errors import LedgerError
from idtone.core.translation import Message

from . import migrations
from .database import Connection, scalar
from .meta import SCHEMA, SET_META

CATALOGUE: Final = "SELECT type, name, sql FROM sqlite_master WHERE name NOT IN ('sqlite_stat1', 'sqlite_stat4')"
"""Query for an SQLite file's catalogue.

ANALYZE results are omitted, because they only affect how fast rows are found.
"""
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table'"
_TABLES_IN_POSTGRESQL: Final = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"

_log = logging.getLogger(__name__)


def make_or_upgrade(connection: Connection, name: str, upgrading: Callable[[], None] = lambda: None) -> None:
    """Create the ledger's tables, or upgrade existing tables to the latest schema.

    All statements run in `connection`'s transaction. `upgrading` is called before an upgrade, which may take a long
    time. Raises LedgerError, which shows `name`, if the tables are not idtone's.
    """
    version = _version(connection, name) if _tables(connection) else 0
    if version < _latest():
        if version:
            upgrading()
        for statement in migrations.scripts(version, _types(connection)):
            connection.execute(statement)
        connection.execute(SET_META, (SCHEMA, str(_latest())))


def check_version(connection: Connection, name: str) -> None:
    """Raise LedgerError if this version of idtone cannot read the ledger."""
    version = _version(connection, name)
    if version < _latest():
        raise LedgerError(
            "{name}: an older idtone made this ledger (schema {version}, here: {latest}); start "
            "`idtone serve`, which upgrades it",
            name=name,
            version=version,
            latest=_latest(),
        )


def log_unexpected_entries(connection: Connection, name: str) -> None:
    """Log missing entries in an SQLite catalogue, and entries that idtone did not create.

    PostgreSQL is not checked.
    """
    if _is_sqlite(connection):
        for odd in _strange(tuple(map(tuple, connection.execute(CATALOGUE).fetchall()))):
            _log.error("%s: %s; calls can be missing in what is shown: run `idtone ledger verify`", name, odd)


def unexpected_entries(catalogue: Iterable[Sequence[Any]]) -> list[Message]:
    """Describe catalogue entries that idtone does not create, and idtone's own entries that are missing.

    A partial index, a column with a different type, or a trigger can make readers miss calls even though every step
    exists.
    """
    found = {(kind, name): _words(made or "") for kind, name, made in catalogue}
    made_here = _made(_latest())
    others = sorted(key for key, made in found.items() if made_here.get(key) != made)
    missing = sorted(made_here.keys() - found.keys())
    return [
        *(Message("the {kind} `{name}` is not one that idtone makes", kind=kind, name=name) for kind, name in others),
        *(Message("the {kind} `{name}` is missing", kind=kind, name=name) for kind, name in missing),
    ]


_strange: Final = lru_cache(8)(unexpected_entries)
"""The cached function, because every read of a ledger calls it."""


def _words(made: str) -> str:
    """The statement without insignificant whitespace."""
    return re.sub(r" ?([(),]) ?", r"\1", " ".join(made.split()))


@cache
def _made(version: int) -> dict[tuple[str, str], str]:
    """The statement that creates each entry, by (kind, name).

    The statement is empty for an index that SQLite creates for a text key.
    """
    assert version == _latest()
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in migrations.scripts(0, migrations.SQLITE):
            connection.execute(statement)
        return {(kind, name): _words(made or "") for kind, name, made in connection.execute(CATALOGUE)}


def _latest() -> int:
    return len(migrations.MIGRATIONS)


def _is_sqlite(connection: Connection) -> bool:
    return isinstance(connection, sqlite3.Connection)


def _types(connection: Connection) -> dict[str, str]:
    return migrations.SQLITE if _is_sqlite(connection) else migrations.POSTGRESQL


def _tables(connection: Connection) -> list[str]:
    query = _TABLES if _is_sqlite(connection) else _TABLES_IN_POSTGRESQL
    return [name for (name,) in connection.execute(query).fetchall()]


def _version(connection: Connection, name: str) -> int:
    """The ledger's schema version.

    Raises LedgerError if the version is missing, or newer than this version of idtone.
    """
    tables = _tables(connection)
    if not tables:
        raise LedgerError("{name}: the ledger is still empty; start `idtone serve` first", name=name)
    query = "SELECT value FROM meta WHERE key = ?"
    version = scalar(connection, query, (SCHEMA,)) if "meta" in tables else None
    if not isinstance(version, str) or not version.isdecimal():
        raise LedgerError("{name}: this database is not a ledger; let ledger.url name a file of its own", name=name)
    if int(version) > _latest():
        raise LedgerError(
            "{name}: a newer idtone made this ledger (schema {version}, known here: {latest}); upgrade idtone",
            name=name,
            version=version,
            latest=_latest(),
        )
    return int(version)
