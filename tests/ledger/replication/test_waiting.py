"""Waits for PostgreSQL, whatever causes them. The evidence of calls is still written, and no wait lasts for ever."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.replication import own_replica as own_replica_module
from idtone.ledger.replication import replica_connection
from idtone.ledger.replication.own_replica import own_replica
from idtone.ledger.store import migrations, sqlite
from idtone.ledger.store import postgresql as postgresql_module
from idtone.ledger.store.postgresql import schema_of
from lab.ledger.next_schema import NEXT
from lab.ledger.replication.faulty_network import CUT, STALL, FaultyNetwork
from lab.ledger.replication.nodes import is_replicated
from lab.ledger.sample_evidence import heard_call, write_each
from lab.ledger.sample_ledger import lock_ledger, query
from lab.postgresql import database_of


@pytest.fixture
def node(node, monkeypatch):
    """A node with the journal mode in which each reader blocks the writer's commit."""
    monkeypatch.setattr(sqlite, "journal_mode", lambda: "persist")
    node.write(heard_call("c-0"))
    node.replicate()
    return node


@pytest.fixture
def other(node, postgresql):
    """Another session in PostgreSQL."""
    with psycopg.connect(
        host="127.0.0.1",
        port=postgresql.port,
        user=postgresql.user,
        password=postgresql.password,
        dbname=database_of(node.settings.url),
    ) as session:
        yield session


def meanwhile(work: Callable[[], object]) -> Future[object]:
    pool = ThreadPoolExecutor(1)
    done = pool.submit(work)
    pool.shutdown(wait=False)
    return done


@pytest.mark.nightly
def test_a_step_is_written_while_postgresql_stalls_at_any_question(node, postgresql):
    """A new connection sends all queries, because it compares the whole replica."""
    asked, stalled, at = 0, threading.Event(), 0

    def judge(to_server: bool, octets: bytes) -> str | None:
        nonlocal asked
        asked += to_server
        if stalled.is_set() or (to_server and asked == at):
            stalled.set()
            return STALL
        return None

    with FaultyNetwork(postgresql.port) as between, node.writer() as writer:
        between.judge = judge
        node.through(between).replicate()
        questions = asked - 1  # then the two part
        assert questions > 12
        for at in range(1, questions + 1):
            asked = 0
            stalled.clear()
            connection = node.through(between).connection()
            replicating = meanwhile(connection.replicate)
            assert stalled.wait(60)
            write_each(writer, *heard_call(f"d-{at}", at), within_s=2)
            connection.abort_waits()
            between.cut()
            assert isinstance(replicating.exception(10), LedgerError)
    node.replicate()
    assert is_replicated(node)


@pytest.mark.nightly
def test_a_step_is_written_while_the_doctor_waits_and_the_doctor_gives_up(node, postgresql, other, monkeypatch):
    monkeypatch.setattr(own_replica_module, "ASKED_WITHIN_S", 2)
    other.execute(f'LOCK TABLE "{schema_of(node.key.name)}".hashes IN ACCESS EXCLUSIVE MODE')
    with node.writer() as writer:
        doctor = meanwhile(lambda: own_replica(node.server, node.settings, node.name))
        while not postgresql.execute("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not doctor.done()
        write_each(writer, *heard_call("d-0"), within_s=2)
        with pytest.raises(LedgerError, match="pg_stat_activity shows"):
            doctor.result(60)
        other.rollback()
    told = own_replica(node.server, node.settings, node.name)
    assert (told.is_own, told.behind) == (True, 6)


def test_who_reads_waits_for_no_lock_for_ever(node, other, monkeypatch):
    monkeypatch.setattr(postgresql_module, "STATEMENT_WITHIN_S", 0.5)
    other.execute(f'LOCK TABLE "{schema_of(node.key.name)}".steps IN ACCESS EXCLUSIVE MODE')
    with node.copy() as copy, pytest.raises(LedgerError, match="another session holds this ledger's lock"):
        copy.records()


def test_an_outage_while_it_is_compared_is_no_conflict_of_evidence(node, postgresql):
    with FaultyNetwork(postgresql.port) as between:
        between.judge = lambda to_server, octets: (
            CUT if to_server and b"SELECT place, hash FROM hashes" in octets else None
        )
        with pytest.raises(LedgerError) as failed:
            node.through(between).replicate()
    assert str(failed.value).startswith("postgresql://")
    assert "Nothing is replicated" not in str(failed.value)
    assert str(node.settings.spool) not in str(failed.value)


@pytest.mark.nightly
def test_a_spool_that_is_locked_is_no_conflict_of_evidence(node):
    with (
        lock_ledger(node.settings.spool, "BEGIN EXCLUSIVE"),
        pytest.raises(LedgerError, match="another program has held its lock") as failed,
    ):
        node.replicate()
    assert "Nothing is replicated" not in str(failed.value)


@pytest.mark.nightly
def test_a_replica_of_an_earlier_version_is_upgraded_however_long_it_takes(node, monkeypatch):
    monkeypatch.setattr(postgresql_module, "STATEMENT_WITHIN_S", 0.5)
    monkeypatch.setattr(replica_connection, "ANSWER_WITHIN_S", 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, ("SELECT pg_sleep(1.3)", *NEXT)))
    with pytest.raises(LedgerError, match="an older idtone made this ledger"):
        node.copy()
    query(node.settings.spool, "UPDATE meta SET value = '3' WHERE key = 'schema_version'")  # it cannot sleep
    node.replicate()
    assert is_replicated(node)
    with node.copy() as copy:
        assert len(copy.records()) == 1
