"""The ledger's tables in a database: made, brought up to this version, or found to be none of ours.

What leads from one version to the next stands in `migrations` (docs/adr/0015).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, func, insert, inspect, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from idtone.errors import LedgerError

from .tables import SCHEMA, SCHEMA_VERSION, TREE_FROM, meta, metadata, upsert_meta

MIGRATIONS: Final = Path(__file__).parent / "migrations"
HEAD: Final = str(SCHEMA_VERSION)
"""The last of its scripts."""
CATALOGUE: Final = "SELECT type, name, sql FROM sqlite_master WHERE name NOT IN ('sqlite_stat1', 'sqlite_stat4')"
"""Of a SQLite file. What ANALYZE leaves there changes how fast rows are found, and not which."""

_log = logging.getLogger(__name__)


def make_or_upgrade(connection: Connection, name: str, upgrading: Callable[[], None] = lambda: None) -> None:
    """Make the tables, or find them. Raises LedgerError where they are none of ours; `name` says where that is.

    `upgrading` is called before what may take long. In the transaction of `connection`: all or nothing.
    """
    if _tables(connection):
        version = _version(connection, name)
        if version < SCHEMA_VERSION:
            upgrading()
            upgrade(connection, version)
    else:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(meta).values(key=SCHEMA, value=str(SCHEMA_VERSION)))
        connection.execute(insert(meta).values(key=TREE_FROM, value="0"))


def upgrade(connection: Connection, version: int) -> None:
    """From this version (0: nothing is there) to ours, in the transaction of `connection`."""
    # Here, since it takes half as long to import as all of the rest, and few starts have anything to upgrade.
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(MIGRATIONS))
    ahead = list(scripts.iterate_revisions(HEAD, str(version) if version else "base"))
    with Operations.context(MigrationContext.configure(connection)):
        for script in reversed(ahead):
            script.module.upgrade()
            connection.execute(upsert_meta(SCHEMA, script.revision))


def check_version(connection: Connection, name: str) -> None:
    """Raises LedgerError where this is not a ledger that this version can read."""
    version = _version(connection, name)
    if version < SCHEMA_VERSION:
        raise LedgerError(
            f"{name}: an older idtone made this ledger (schema {version}, here: {SCHEMA_VERSION}); "
            "start `idtone serve`, which upgrades it"
        )


def tell_strange(connection: Connection, name: str) -> None:
    """Log what is `strange` in a SQLite file. In PostgreSQL no index can be made to lead astray."""
    if connection.dialect.name == "sqlite":
        for odd in strange(connection.execute(text(CATALOGUE))):
            _log.error("%s: %s; calls can be missing in what is shown: run `idtone ledger verify`", name, odd)


def strange(catalogue: Iterable[Sequence[Any]]) -> list[str]:
    """What stands in `CATALOGUE` that idtone does not make, and what idtone makes and is not there.

    An index that leads to some steps only, a column of another type or a trigger would have readers miss calls, though
    each step is there.
    """
    found = {(kind, name): _words(made or "") for kind, name, made in catalogue}
    others = sorted(key for key, made in found.items() if _MADE.get(key) != made)
    missing = sorted(_MADE.keys() - found.keys())
    return [
        *(f"the {kind} `{name}` is not one that idtone makes" for kind, name in others),
        *(f"the {kind} `{name}` is missing" for kind, name in missing),
    ]


def _words(made: str) -> str:
    """Without what people may write as they like."""
    return re.sub(r" ?([(),]) ?", r"\1", " ".join(made.split()))


def _made() -> dict[tuple[str, str], str]:
    """Kind and name → the statement that makes it; none for the index that SQLite makes for a key of texts."""
    dialect = sqlite.dialect()
    tables = {("table", table.name): CreateTable(table) for table in metadata.sorted_tables}
    indexes = {
        ("index", str(each.name)): CreateIndex(each) for table in metadata.sorted_tables for each in table.indexes
    }
    statements = {key: _words(str(made.compile(dialect=dialect))) for key, made in (tables | indexes).items()}
    return {**statements, ("index", f"sqlite_autoindex_{meta.name}_1"): ""}


_MADE: Final = _made()


def _tables(connection: Connection) -> list[str]:
    schema = None if connection.dialect.name == "sqlite" else connection.scalar(select(func.current_schema()))
    return inspect(connection).get_table_names(schema)


def _version(connection: Connection, name: str) -> int:
    """The schema that the ledger has; one that is newer than ours is an error."""
    tables = _tables(connection)
    if not tables:
        raise LedgerError(f"{name}: the ledger is still empty; start `idtone serve` first")
    version = (
        connection.execute(select(meta.c.value).where(meta.c.key == SCHEMA)).scalar() if meta.name in tables else None
    )
    if not isinstance(version, str) or not version.isdecimal():
        raise LedgerError(f"{name}: this database is not a ledger; let ledger.url name a file of its own")
    if int(version) > SCHEMA_VERSION:
        raise LedgerError(
            f"{name}: a newer idtone made this ledger (schema {version}, known here: {SCHEMA_VERSION}); upgrade idtone"
        )
    return int(version)
