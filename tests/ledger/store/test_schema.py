"""The tables are the same in both databases, and a ledger of an earlier version becomes one of this version."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.store import migrations
from idtone.ledger.store.database import Connection, scalar
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server, begin_writing, schema_of
from idtone.ledger.store.schema import check_version, make_or_upgrade
from idtone.ledger.store.sqlite import connect_for_writing
from idtone.ledger.store.step_rows import row_of
from lab.ledger.next_schema import NEXT
from lab.ledger.sample_evidence import heard_call
from lab.ledger.sample_ledger import records_of, verification_faults, write, writer_of

COLUMNS = {
    "hashes": ["place", "hash"],
    "in_progress": ["call_id"],
    "macs": ["last", "macs"],
    "meta": ["key", "value"],
    "quarantine": ["number", "found", "id", "node", "call_id", "kind", "at", "details", "leaf"],
    "sought": ["token", "step"],
    "steps": ["id", "node", "call_id", "kind", "at", "details", "leaf"],
}


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    if request.param == "sqlite":
        with closing(connect_for_writing(tmp_path / "ledger.sqlite3")) as opened:
            yield opened
    else:
        server: Server = request.getfixturevalue("server")
        with closing(server.connect()) as link:
            link.execute(f"CREATE SCHEMA {schema_of('x')}")
            link.execute(begin_writing(schema_of("x")))
            yield link


def columns(connection: Connection) -> dict[str, list[str]]:
    if isinstance(connection, sqlite3.Connection):
        query = "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'"
    else:
        query = (
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() "
            "ORDER BY ordinal_position"
        )
    found: dict[str, list[str]] = {}
    for table, column in connection.execute(query).fetchall():
        found.setdefault(table, []).append(column)
    return found


def version(connection: Connection) -> object:
    return scalar(connection, "SELECT value FROM meta WHERE key = 'schema_version'")


def test_a_new_ledger_has_the_tables_of_this_version(connection):
    make_or_upgrade(connection, "it")
    assert columns(connection) == COLUMNS
    assert version(connection) == str(len(migrations.MIGRATIONS)) == "2"
    check_version(connection, "it")
    make_or_upgrade(connection, "it")
    assert columns(connection) == COLUMNS
    # Large numbers have room: SQLite's whole numbers have 64 bits; a busy node writes 2³¹ steps in some weeks.
    row = row_of("pbx-1", heard_call("c")[1], lambda day: 1 / 0)  # type: ignore[arg-type,return-value]
    connection.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", (2**40, *row.values(), 2**39))
    connection.execute("INSERT INTO hashes VALUES (?, ?)", (2**41, b"x"))
    connection.execute("INSERT INTO sought VALUES (?, ?)", (-(2**63), 2**40))
    assert scalar(connection, "SELECT leaf FROM steps") == 2**39


def test_a_ledger_of_an_earlier_version_is_upgraded_by_its_writer_and_stays_good(file, url, monkeypatch):
    write(url, heard_call("old"))
    with monkeypatch.context() as patch:  # an upgrade that fails changes nothing
        patch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, (*NEXT, "CREATE TABLE steps (x TEXT)")))
        with pytest.raises(LedgerError, match="already exists"):
            writer_of(url)
    with closing(sqlite3.connect(file)) as connection:
        assert (columns(connection), version(connection)) == (COLUMNS, "2")
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, NEXT))
    before, older = file.read_bytes(), r"an older idtone made this ledger \(schema 2, here: 3\); start `idtone serve`"
    with pytest.raises(LedgerError, match=older):
        LedgerReader.open(url)
    assert file.read_bytes() == before
    write(url, heard_call("new"))
    with closing(sqlite3.connect(file)) as connection:
        assert columns(connection)["steps"] == [*COLUMNS["steps"], "more"]
        assert version(connection) == "3"
    assert records_of(url).keys() == {"old", "new"}
    assert verification_faults(url) == []


STARTING = """
import sys
from lab.ledger.sample_ledger import records_of, writer_of
writer_of(sys.argv[1]).close()
records_of(sys.argv[1])
print("psycopg" in sys.modules)
"""


def test_a_ledger_without_replica_does_not_import_the_driver_of_postgresql(url):
    told = subprocess.run([sys.executable, "-c", STARTING, url], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
