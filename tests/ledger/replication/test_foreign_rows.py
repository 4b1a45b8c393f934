"""Rows that someone without a key writes into a replica, or into the replicated ledger."""

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import schema_of
from idtone.ledger.verification.verify_ledger import verify_ledger
from lab.ledger.replication.nodes import Node, database_of
from lab.ledger.sample_evidence import heard_call
from lab.ledger.sample_ledger import query
from lab.ledger.verification.forged_steps import FORGERIES, forge
from lab.nightly_tests import rest_at_night

IN_REPLICA = {
    "a finished call": (
        "INSERT INTO {}.steps SELECT 8 + row_number() OVER (ORDER BY id), node, 'forged', kind, at, details, "
        "CASE WHEN leaf IS NOT NULL THEN leaf + 1 END FROM {}.steps WHERE call_id = 'c-1'; "
        "INSERT INTO {}.hashes SELECT 1, sha256('leaf'); INSERT INTO {}.hashes SELECT 2, sha256('node')",
        "call forged: its leaf 1 is not signed",
    ),
    "an unfinished call": (
        "INSERT INTO {}.steps SELECT 9, node, 'forged', kind, at, details, NULL FROM {}.steps WHERE id = 1; "
        "INSERT INTO {}.in_progress VALUES ('forged')",
        "call forged: its step 9 was not written by this ledger's service with its key, or was changed",
    ),
    "an open step that was changed": (
        "UPDATE {}.steps SET details = replace(details, 'sample', 'simple') WHERE id = 7",
        "call open: its step 7 was not written by this ledger's service with its key, or was changed",
    ),
}


@rest_at_night("name", IN_REPLICA)
def test_what_an_administrator_writes_into_a_replica_is_told(node: Node, postgresql, name):
    statement, told = IN_REPLICA[name]
    node.write(heard_call("c-1"), heard_call("open")[:2])
    node.replicate()
    days = node.key_ring().days
    with LedgerReader(node.replica, days) as replica:
        assert verify_ledger(replica, node.key).faults == []
        node.in_copy(postgresql, statement)
        assert told in verify_ledger(replica, node.key).faults


def test_a_call_in_a_replica_that_says_that_it_is_under_way_is_not_good_without_the_key(node: Node, postgresql):
    """The call's hashes and search entries are right, and the replica claims that the node has more steps."""
    node.write(heard_call("c-1"))
    node.replicate()
    forge(node.settings.spool, FORGERIES["a finished call"][0])
    schema, database = schema_of(node.key.name), database_of(node.settings.url)
    for table, columns, place in (("steps", "*", "id > 6"), ("hashes", "*", "place > 0"), ("sought", "*", "step > 6")):
        for row in query(node.settings.spool, f"SELECT {columns} FROM {table} WHERE {place}"):  # noqa: S608
            values = ", ".join(map(_literal, row))
            postgresql.execute(f"INSERT INTO {schema}.{table} VALUES ({values})", database)  # noqa: S608
    postgresql.execute(f"UPDATE {schema}.meta SET value = '99' WHERE key = 'node_steps'", database)  # noqa: S608
    with node.copy() as copy:
        verdict = verify_ledger(copy, node.key)
    assert (verdict.leaves, len(verdict.faults)) == (2, 1)
    assert "leaves that are not signed: 1; the node has more steps" in verdict.faults[0]


def _literal(value: object) -> str:
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    return "NULL" if value is None else "'{}'".format(str(value).replace("'", "''"))


def test_what_was_forged_in_the_file_does_not_reach_the_replica(node: Node, postgresql):
    node.write(heard_call("c-1"))
    node.replicate()
    forge(node.settings.spool, FORGERIES["a finished call"][0])
    with pytest.raises(LedgerError, match=r"step 7 \(call .*\) was not written by this node's service"):
        node.replicate()
    node.write(heard_call("c-2"))
    assert node.replicate() == 7
    assert node.in_copy(postgresql, "SELECT DISTINCT call_id FROM {}.steps WHERE call_id LIKE 'pbx%'") == []
    with LedgerReader(node.replica, node.key_ring().days) as replica:
        assert verify_ledger(replica, node.key).faults == []
