"""The tables by Alembic's scripts are those of the metadata, in both databases, from the first version on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select

from idtone.errors import LedgerError
from idtone.ledger import schema, tables
from idtone.ledger.postgresql import Server, schema_of
from idtone.ledger.schema import MIGRATIONS, check_version, make_or_upgrade, upgrade
from idtone.ledger.sqlite import writing_engine
from idtone.ledger.tables import SCHEMA, SCHEMA_VERSION, meta, metadata, steps

from .evidence import decided, heard_call
from .fleet.nodes import Node
from .test_sqlite import old_ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """To an empty database."""
    if request.param == "sqlite":
        engine = writing_engine(tmp_path / "ledger.sqlite3")
    else:
        server: Server = request.getfixturevalue("server")
        name = schema_of("x")
        engine = server.writing_engine(name)
        with engine.begin() as making:
            making.exec_driver_sql(f"CREATE SCHEMA {name}")
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


def test_the_scripts_lead_to_the_version_of_this_idtone() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [str(SCHEMA_VERSION)]


def test_from_nothing_the_scripts_make_what_the_metadata_say(connection: Connection) -> None:
    upgrade(connection, 0)
    assert differences(connection) == []
    check_version(connection, "it")


def test_what_a_new_ledger_gets_is_the_same(connection: Connection) -> None:
    make_or_upgrade(connection, "it")
    assert differences(connection) == []
    assert connection.scalar(select(meta.c.value).where(meta.c.key == SCHEMA)) == str(SCHEMA_VERSION)


def test_a_difference_would_be_seen(connection: Connection) -> None:
    make_or_upgrade(connection, "it")
    connection.exec_driver_sql("ALTER TABLE steps DROP COLUMN leaf")
    connection.exec_driver_sql("ALTER TABLE hashes ADD COLUMN other BIGINT")
    assert len(differences(connection)) == 2


def test_what_the_first_version_held_is_there_after_its_upgrade(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "HEAD", "1")
        upgrade(connection, 0)
    columns = [column for column in steps.c if column.name != "leaf"]
    rows = [tables.row_of("pbx-1", step, lambda day: 1 / 0) for step in heard_call("c-0")[1:]]  # type: ignore[arg-type,return-value]
    old = tables.Table("steps", tables.MetaData(), *(each._copy() for each in columns))
    connection.execute(insert(old), [{"id": number, **row} for number, row in enumerate(rows, 1)])
    with pytest.raises(LedgerError, match=r"an older idtone made this ledger \(schema 1, here: 2\)"):
        check_version(connection, "it")
    make_or_upgrade(connection, "it")
    assert differences(connection) == []
    assert [row.kind for row in connection.execute(select(steps))] == [row["kind"] for row in rows]
    assert connection.scalar(select(meta.c.value).where(meta.c.key == tables.TREE_FROM)) == "5"


def test_large_numbers_have_room(connection: Connection) -> None:
    """SQLite's whole numbers have 64 bits; a busy node writes 2³¹ steps in some weeks."""
    make_or_upgrade(connection, "it")
    row = {**tables.row_of("pbx-1", heard_call("c")[1], lambda day: 1 / 0), "id": 2**40, "leaf": 2**39}  # type: ignore[arg-type,return-value]
    connection.execute(insert(steps), [row])
    connection.execute(insert(tables.hashes), [{"place": 2**41, "hash": b"x"}])
    connection.execute(insert(tables.sought), [{"token": -(2**63), "step": 2**40}])
    assert connection.scalar(select(steps.c.leaf)) == 2**39


def test_a_copy_of_an_earlier_version_is_upgraded_by_its_node(tmp_path: Path, server: Server) -> None:
    node = Node.at(tmp_path, "pbx-1", server)
    node.write([decided()])
    node.ship()
    engine = server.writing_engine(schema_of(node.key.name))
    with engine.begin() as connection:
        for statement in ("DROP TABLE sought", "DROP TABLE hashes", "ALTER TABLE steps DROP COLUMN leaf"):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
        connection.exec_driver_sql("DELETE FROM meta WHERE key = 'tree_from'")
        connection.exec_driver_sql("DELETE FROM steps")
    with pytest.raises(LedgerError, match="an older idtone made this ledger"):
        node.copy()
    node.ship()
    with node.copy() as copy:
        assert len(copy.records()) == 1


STARTING = """
import sys
from pathlib import Path
from idtone.ledger.writer import LedgerWriter
from tests.ledger.evidence import custody_of
LedgerWriter.open(sys.argv[1], "pbx-1", custody_of(sys.argv[1])).close()
print(sorted({name.partition(".")[0] for name in sys.modules} & {"alembic", "psycopg"}))
"""


@pytest.mark.parametrize("old", [False, True])
def test_only_what_needs_an_upgrade_waits_for_alembic(file: Path, url: str, old: bool) -> None:
    if old:
        old_ledger(file)
    for loaded in ("['alembic']" if old else "[]", "[]"):
        told = subprocess.run([sys.executable, "-c", STARTING, url], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == loaded
