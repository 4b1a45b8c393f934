import shutil

import pytest

from idtone.core.calls import Outcome, Reason
from idtone.core.errors import LedgerError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus
from idtone.ledger.replication import replica_batch
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import schema_of
from idtone.ledger.verification.verify_ledger import verify_ledger
from lab.ledger.replication.nodes import EMPTIED, Node, is_replicated
from lab.ledger.sample_evidence import NOW, decided, forwarded, heard_call, time_after
from lab.ledger.sample_ledger import query
from lab.nightly_tests import rest_at_night
from lab.postgresql import change_url, database_of


@pytest.fixture
def two(tmp_path, server):
    """Two nodes of the same name, each with a ledger and a key."""
    return [Node.at(tmp_path / place, "pbx-1", server) for place in ("here", "there")]


@rest_at_night("piece", [7, 1])
def test_every_row_arrives_in_pieces_of_any_size(node, piece, monkeypatch):
    monkeypatch.setattr(replica_batch, "BATCH_STEPS", piece)
    node.write(
        heard_call("c-0"),
        [decided(call_id="open")],
        heard_call("c-1", 10),
        [steps.answered("c-0", time_after(99))],  # told later: a leaf of its own
        [steps.ended("never decided", NOW, CallStatus.CANCEL)],
        [steps.fallback(forwarded("alone"), time_after(120), Outcome.BYPASS, Reason.EMERGENCY, {})],
        [steps.ended("alone", time_after(130), CallStatus.CONNECTED)],
    )
    assert node.replicate() == 17
    assert is_replicated(node)
    node.write([steps.ended("open", time_after(100), CallStatus.CANCEL)], heard_call("c-2", 200))
    assert node.replicate() == 7
    assert is_replicated(node)
    with node.copy() as copy:
        verdict = verify_ledger(copy, node.key)
    assert (verdict.faults, verdict.leaves, verdict.open_calls) == ([], 7, 0)


def test_a_copy_that_is_under_way_is_good_as_far_as_it_has_come(node, monkeypatch):
    node.write(heard_call("c-0"))
    node.replicate()
    monkeypatch.setattr(replica_batch, "BATCH_STEPS", 8)
    node.write(heard_call("c-1", 10), heard_call("c-2", 20))
    connection = node.connection()
    assert connection.replicate().behind == 4
    with LedgerReader(node.replica, node.key_ring().days) as copy:
        verdict = verify_ledger(copy, node.key)
    assert (verdict.faults, verdict.leaves, [each.checkpoint.size for each in verdict.signed]) == ([], 2, [1])
    assert connection.replicate().behind == 0
    connection.close()
    assert is_replicated(node)


def test_two_links_of_one_node_at_once_ship_each_step_once(node, monkeypatch):
    """One instance takes over from the other."""
    monkeypatch.setattr(replica_batch, "BATCH_STEPS", 3)
    node.write(*(heard_call(f"c-{number}", number) for number in range(5)))
    links = node.connection(), node.connection()
    for _ in range(6):
        for link in links:
            link.replicate()
    for link in links:
        link.close()
    assert is_replicated(node)


@pytest.mark.nightly
def test_a_postgresql_that_was_put_back_is_filled_up_again(node, postgresql):
    node.write(heard_call("c-0"), [decided(call_id="open")])
    node.replicate()
    database = database_of(node.settings.url)
    postgresql.execute(f"CREATE DATABASE {database}_backup TEMPLATE {database}")
    node.write(heard_call("c-1", 5), [steps.ended("open", time_after(9), CallStatus.CANCEL)])
    node.replicate()
    postgresql.execute(f"DROP DATABASE {database}")
    postgresql.execute(f"ALTER DATABASE {database}_backup RENAME TO {database}")
    assert node.replicate() == 7
    assert is_replicated(node)
    # And a link notices that it happened under it.
    connection = node.connection()
    connection.replicate()
    node.in_copy(postgresql, EMPTIED)
    assert len(connection.replicate().steps) == 14
    connection.close()
    assert is_replicated(node)


def test_other_rows_are_not_shipped_onto(node, postgresql):
    node.write(heard_call("c-0"), heard_call("c-1"))
    for number, damage in enumerate(
        (
            "UPDATE {}.steps SET details = replace(details, 'sample', 'simple') WHERE id = 9",
            "UPDATE {}.steps SET node = 'other' WHERE id = 1",
            "UPDATE {}.hashes SET hash = sha256('x') WHERE place = (SELECT max(place) FROM {}.hashes)",
            "DELETE FROM {}.hashes WHERE place = (SELECT max(place) FROM {}.hashes)",
            "DELETE FROM {}.steps WHERE id = 3",
            "INSERT INTO {}.steps SELECT id + 100, node, call_id, kind, at, details, leaf FROM {}.steps WHERE id = 2",
        )
    ):
        node.replicate()
        node.in_copy(postgresql, damage)
        node.write(heard_call(f"d-{number}"))
        before = node.in_copy(postgresql, "SELECT count(*) FROM {}.steps")
        with pytest.raises(LedgerError, match="Nothing is replicated"):
            node.replicate()
        assert node.in_copy(postgresql, "SELECT count(*) FROM {}.steps") == before, damage
        node.in_copy(postgresql, EMPTIED)
    node.replicate()
    assert is_replicated(node)


def test_two_nodes_by_one_name_are_told_apart_by_their_keys(two, postgresql):
    first, second = two
    for node in two:
        node.write(heard_call("c-0"))
    first.replicate()
    with pytest.raises(LedgerError, match=r"another node replicates as pbx-1/idtone, with the key pbx-1/idtone\+"):
        second.replicate()
    assert is_replicated(first)
    # And the tables of another log are not upgraded.
    first.in_copy(postgresql, "UPDATE {}.meta SET value = '0' WHERE key = 'schema_version'")
    with pytest.raises(LedgerError, match="another node replicates as pbx-1/idtone"):
        second.replicate()
    assert first.in_copy(postgresql, "SELECT value FROM {}.meta WHERE key = 'schema_version'") == [("0",)]


def test_a_machine_that_was_cloned_is_noticed_as_soon_as_it_tells_other_things(tmp_path, node):
    node.write(heard_call("c-0"))
    link = node.connection()
    link.replicate()
    shutil.copytree(tmp_path / "pbx-1", tmp_path / "clone")
    clone = node.changed(spool=tmp_path / "clone/ledger.sqlite3", key_file=tmp_path / "clone/ledger.key")
    assert clone.key == node.key
    node.write(heard_call("c-1"))
    clone.write(heard_call("c-2"))
    clone.replicate()
    for each in (link, node.connection()):
        with pytest.raises(LedgerError, match="another node replicates by the same"):
            each.replicate()
    assert is_replicated(clone)


@pytest.mark.nightly
def test_a_spool_that_was_damaged_or_put_back_is_not_shipped(tmp_path, node):
    spool, backup = node.settings.spool, tmp_path / "backup"
    node.write(heard_call("c-0"))
    shutil.copyfile(spool, backup)
    query(spool, "DELETE FROM hashes")
    with pytest.raises(LedgerError, match="its tree is damaged; idtone ledger verify tells more"):
        node.replicate()
    shutil.copyfile(backup, spool)
    node.write(heard_call("c-1"))
    node.replicate()
    shutil.copyfile(backup, spool)
    with pytest.raises(LedgerError, match=r"it has 12 steps of this node, and .* has 6: that is an older copy"):
        node.replicate()


@pytest.mark.nightly
def test_a_schema_that_an_administrator_made_is_used(node, postgresql):
    """The node's database user is not allowed to create a schema."""
    database = database_of(node.settings.url)
    role = f"node_{database}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    limited = node.changed(url=change_url(node.settings.url, user=role), password="x")  # noqa: S106
    node.write(heard_call("c-0"))
    try:
        with pytest.raises(LedgerError, match="may make no schema there") as refused:
            limited.replicate()
        made = str(refused.value).partition("have an administrator do it: ")[2]
        assert made == f'CREATE SCHEMA {schema_of(node.key.name)} AUTHORIZATION "{role}"'
        postgresql.execute(made, database)
        assert limited.replicate() == 6
        assert is_replicated(limited)
    finally:
        postgresql.execute(f"DROP OWNED BY {role} CASCADE", database)
        postgresql.execute(f"DROP ROLE {role}")


def test_nothing_of_a_damaged_ledger_goes_under_the_name_of_the_next(node):
    """The next ledger has its name before its database exists.

    Until then, nothing is replicated.
    """
    node.write(heard_call("c-0"))
    node.replicate()
    connection = node.connection()
    spool = node.settings.spool
    node.key_ring().for_next_tree(None, spool, spool.with_name("ledger.aside"))
    for each in (connection, node.connection()):
        with pytest.raises(LedgerError, match="another one is about to begin; that one is replicated next"):
            each.replicate()
    node.write(heard_call("c-1"))
    assert len(connection.replicate().steps) == 7
    assert (node.key.name, connection.lost_leaves) == ("pbx-1/idtone.2", 0)
    connection.close()
    assert is_replicated(node)
    with node.copy() as copy:
        assert verify_ledger(copy, node.key).faults == []


@pytest.mark.nightly
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "EUC_JP"])
def test_databases_of_other_encodings(node, postgresql, encoding):
    database = f"{database_of(node.settings.url)}_{encoding.lower()}"
    how = f"ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    postgresql.execute(f"CREATE DATABASE {database} {how}")
    other = Node("東京", node.settings.model_copy(update={"url": change_url(node.settings.url, database=database)}))
    other.write(heard_call("c-0"))
    try:
        if encoding == "SQL_ASCII":
            assert [other.replicate(), other.replicate()] == [6, 0]
            assert is_replicated(other)
        else:
            with pytest.raises(LedgerError, match=f"its encoding is {encoding}, .*createdb -E UTF8"):
                other.replicate()
    finally:
        postgresql.execute(f"DROP DATABASE {database} WITH (FORCE)")
