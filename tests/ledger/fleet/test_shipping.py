from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from idtone.calls import Outcome, Reason
from idtone.errors import LedgerError
from idtone.ledger import spool, steps
from idtone.ledger.custody import Custody
from idtone.ledger.postgresql import Server, schema_of
from idtone.ledger.steps import CallStatus
from tests.lab.postgresql import PostgreSQL

from ..evidence import NOW, at, decided, forwarded, heard_call
from ..test_sqlite import old_ledger
from .nodes import Node, same


@pytest.fixture
def node(tmp_path: Path, server: Server) -> Node:
    return Node.at(tmp_path, "pbx-1", server)


@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_every_row_arrives_in_pieces_of_any_size(node: Node, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "PIECE_STEPS", piece)
    node.write(
        heard_call("c-0"),
        [decided(call_id="open")],
        heard_call("c-1", 10),
        [steps.answered("c-0", at(99))],  # told later: a leaf of its own
        [steps.ended("never decided", NOW, CallStatus.CANCEL)],
        [
            steps.unattended(forwarded("alone"), at(120), Outcome.BYPASS, Reason.EMERGENCY, {}),
            steps.ended("alone", at(130), CallStatus.CONNECTED),
        ],
    )
    assert node.ship() == 17
    assert same(node)
    node.write([steps.ended("open", at(100), CallStatus.CANCEL)], heard_call("c-2", 200))
    assert node.ship() == 7
    assert same(node)
    with node.copy() as copy:
        verdict = copy.verify(node.key)
    assert (verdict.faults, verdict.leaves, verdict.open_calls) == ([], 7, 0)


def test_a_copy_that_is_under_way_is_good_as_far_as_it_has_come(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.write(heard_call("c-0"))
    node.ship()
    monkeypatch.setattr(spool, "PIECE_STEPS", 8)
    node.write(heard_call("c-1", 10), heard_call("c-2", 20))
    link = node.link()
    assert link.ship().behind == 4
    with node.copy() as copy:
        verdict = copy.verify(node.key)
    assert (verdict.faults, verdict.leaves, [each.checkpoint.size for each in verdict.signed]) == ([], 2, [1])
    assert link.ship().behind == 0
    link.close()
    assert same(node)


def test_steps_from_before_the_tree_are_copied_as_such(tmp_path: Path, server: Server) -> None:
    folder = tmp_path / "pbx-1"
    old_ledger(folder / "ledger.sqlite3")
    node = Node.at(tmp_path, "pbx-1", server)
    node.write([steps.ended("going on", NOW, CallStatus.CANCEL)], heard_call("new"))
    node.ship()
    assert same(node)
    with node.copy() as copy:
        verdict = copy.verify(node.key)
    assert (verdict.faults, verdict.leaves, verdict.older) == ([], 2, 3)


def test_two_links_of_one_node_at_once_ship_each_step_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while one instance takes over from the other."""
    monkeypatch.setattr(spool, "PIECE_STEPS", 3)
    node.write(*(heard_call(f"c-{number}", number) for number in range(5)))
    one, other = node.link(), node.link()
    for _ in range(6):
        one.ship()
        other.ship()
    one.close()
    other.close()
    assert same(node)


def clone(database: str, postgresql: PostgreSQL, server: Server) -> str:
    """A backup of a test's database."""
    name = f"{server.url.database}_{database}"
    postgresql.execute(f"CREATE DATABASE {name} TEMPLATE {server.url.database}")
    return name


def test_a_postgresql_that_was_put_back_is_filled_up_again(node: Node, postgresql: PostgreSQL, server: Server) -> None:
    node.write(heard_call("c-0"), [decided(call_id="open")])
    node.ship()
    backup = clone("backup", postgresql, server)
    node.write(heard_call("c-1", 5), [steps.ended("open", at(9), CallStatus.CANCEL)])
    node.ship()
    database = server.url.database
    postgresql.execute(f"DROP DATABASE {database}")
    postgresql.execute(f"ALTER DATABASE {backup} RENAME TO {database}")
    assert node.ship() == 7
    assert same(node)


def test_a_link_notices_that_postgresql_was_put_back_under_it(node: Node, postgresql: PostgreSQL) -> None:
    node.write(heard_call("c-0"))
    link = node.link()
    link.ship()
    node.in_copy(postgresql, "TRUNCATE {}.steps, {}.hashes, {}.sought")
    assert len(link.ship().steps) == 6
    link.close()
    assert same(node)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE {}.steps SET details = replace(details, 'sample', 'simple') WHERE id = 9",
        "UPDATE {}.steps SET node = 'other' WHERE id = 1",
        "UPDATE {}.hashes SET hash = sha256('x') WHERE place = 2",
        "DELETE FROM {}.hashes WHERE place = 2",
        "DELETE FROM {}.steps WHERE id = 3",
        "INSERT INTO {}.steps SELECT id + 100, node, call_id, kind, at, details, leaf FROM {}.steps WHERE id = 2",
    ],
)
def test_other_rows_are_not_shipped_onto(node: Node, postgresql: PostgreSQL, damage: str) -> None:
    node.write(heard_call("c-0"), heard_call("c-1"))
    node.ship()
    node.in_copy(postgresql, damage)
    node.write(heard_call("c-2"))
    before = node.in_copy(postgresql, "SELECT count(*) FROM {}.steps")
    with pytest.raises(LedgerError, match="Nothing is shipped"):
        node.ship()
    assert node.in_copy(postgresql, "SELECT count(*) FROM {}.steps") == before


def test_two_nodes_by_one_name_are_told_apart_by_their_keys(tmp_path: Path, server: Server) -> None:
    first, second = (Node.at(tmp_path / place, "pbx-1", server) for place in ("here", "there"))
    first.write(heard_call("c-0"))
    second.write(heard_call("c-0"))
    first.ship()
    with pytest.raises(LedgerError, match=r"another node ships as pbx-1/idtone, with the key pbx-1/idtone\+"):
        second.ship()
    assert same(first)


def test_a_machine_that_was_cloned_is_noticed_as_soon_as_it_tells_other_things(tmp_path: Path, server: Server) -> None:
    first = Node.at(tmp_path / "here", "pbx-1", server)
    first.write(heard_call("c-0"))
    first.ship()
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    second = Node(
        "pbx-1",
        first.settings.model_copy(
            update={
                "spool": tmp_path / "there/pbx-1/ledger.sqlite3",
                "key_file": tmp_path / "there/pbx-1/ledger.key",
            }
        ),
    )
    assert second.key == first.key
    first.write(heard_call("c-1"))
    second.write(heard_call("c-2"))
    link = second.link()
    link.ship()
    with pytest.raises(LedgerError, match="another node ships by the same name"):
        first.ship()
    link.close()
    assert same(second)


def test_a_spool_that_was_put_back_is_not_shipped(tmp_path: Path, node: Node) -> None:
    node.write(heard_call("c-0"))
    backup = tmp_path / "backup"
    shutil.copytree(node.settings.spool.parent, backup)
    node.write(heard_call("c-1"))
    node.ship()
    shutil.copyfile(backup / "ledger.sqlite3", node.settings.spool)
    with pytest.raises(LedgerError, match=r"it has 12 steps of this node, and .* has 6: that is an older copy"):
        node.ship()


def test_a_tree_that_is_damaged_here_is_not_spread(node: Node) -> None:
    node.write(heard_call("c-0"))
    with sqlite3.connect(node.settings.spool) as connection:
        connection.execute("DELETE FROM hashes")
    with pytest.raises(LedgerError, match="its tree is damaged; idtone ledger verify tells more"):
        node.ship()


def test_what_a_newer_idtone_made_is_left_alone(node: Node, postgresql: PostgreSQL) -> None:
    node.write(heard_call("c-0"))
    node.ship()
    node.in_copy(postgresql, "UPDATE {}.meta SET value = '99' WHERE key = 'schema_version'")
    with pytest.raises(LedgerError, match=r"a newer idtone made this ledger \(schema 99, known here: 2\)"):
        node.ship()


def test_a_schema_that_an_administrator_made_is_used(node: Node, postgresql: PostgreSQL, server: Server) -> None:
    """Of a user who may make none."""
    database, schema = str(server.url.database), schema_of(node.key.name)
    role = f"node_{database}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    limited = Node(
        "pbx-1", node.settings.model_copy(update={"url": str(server.url.set(username=role)), "password": "x"})
    )
    node.write(heard_call("c-0"))
    try:
        with pytest.raises(LedgerError, match="may make no schema there") as refused:
            limited.ship()
        made = str(refused.value).partition("have an administrator do it: ")[2]
        assert made == f'CREATE SCHEMA {schema} AUTHORIZATION "{role}"'
        postgresql.execute(made, database)
        assert limited.ship() == 6
        assert same(limited)
    finally:
        postgresql.execute(f"DROP OWNED BY {role} CASCADE", database)
        postgresql.execute(f"DROP ROLE {role}")


def test_nothing_of_a_damaged_ledger_goes_under_the_name_of_the_next(node: Node) -> None:
    """It is named first, and its database is begun then."""
    node.write(heard_call("c-0"))
    node.ship()
    link = node.link()
    spool = node.settings.spool
    Custody.of(node.settings, node.name).go_on(None, spool, spool.with_name("ledger.aside"))
    for each in (link, node.link()):
        with pytest.raises(LedgerError, match="another one is about to be begun; that is shipped next"):
            each.ship()
    node.write(heard_call("c-1"))
    assert node.ship() == 7
    assert same(node)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "EUC_JP", "LATIN1"])
def test_databases_of_other_encodings(node: Node, postgresql: PostgreSQL, server: Server, encoding: str) -> None:
    database = f"{server.url.database}_{encoding.lower()}"
    postgresql.execute(
        f"CREATE DATABASE {database} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    other = Node("東京", node.settings.model_copy(update={"url": str(server.url.set(database=database))}))
    other.write(heard_call("c-0"))
    try:
        if encoding == "SQL_ASCII":
            assert other.ship() == 6
            assert other.ship() == 0
            assert same(other)
        else:
            with pytest.raises(LedgerError, match=f"its encoding is {encoding}, .*createdb -E UTF8"):
                other.ship()
    finally:
        postgresql.execute(f"DROP DATABASE {database} WITH (FORCE)")


def test_the_tables_of_another_log_are_not_upgraded(tmp_path: Path, server: Server, postgresql: PostgreSQL) -> None:
    first, second = (Node.at(tmp_path / place, "pbx-1", server) for place in ("here", "there"))
    first.ship()
    first.in_copy(postgresql, "UPDATE {}.meta SET value = '1' WHERE key = 'schema_version'")
    with pytest.raises(LedgerError, match="another node ships as pbx-1/idtone"):
        second.ship()
    assert first.in_copy(postgresql, "SELECT value FROM {}.meta WHERE key = 'schema_version'") == [("1",)]


def test_a_ledger_that_goes_on_after_damage_is_a_copy_of_its_own(node: Node) -> None:
    node.write(heard_call("c-0"))
    link = node.link()
    link.ship()
    before = node.key
    octets = node.settings.spool.read_bytes()
    node.settings.spool.write_bytes(b"\0" * 100 + octets[100:])
    node.write(heard_call("c-1"))
    assert node.key.name != before.name
    link.ship()
    link.close()
    assert link.lacking == 0
    assert same(node)
    with node.copy() as copy:
        assert copy.verify(node.key).faults == []
