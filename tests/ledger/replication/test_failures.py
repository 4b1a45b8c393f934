"""Each step arrives once, whatever dies or does not answer, at whatever moment."""

import logging
import random
import threading
import time
from functools import partial
from itertools import count

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.replication import replica_batch, replica_connection, replicator
from idtone.ledger.replication.own_replica import own_replica
from idtone.ledger.replication.replica_connection import ReplicaConnection
from idtone.ledger.replication.replicator import Replicator
from idtone.ledger.store import postgresql as postgresql_module
from idtone.ledger.verification.verify_ledger import verify_ledger
from lab.ledger.killed_writers import replicate, run_until_killed
from lab.ledger.replication.faulty_network import CUT, STALL, FaultyNetwork
from lab.ledger.replication.nodes import is_replicated
from lab.ledger.sample_evidence import heard_call, wait_until, write_each
from lab.ledger.sample_ledger import overwrite, write_together

KILLS = 3


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicator, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(replicator, "BACK_OFF_S", 0.05)


until = partial(wait_until, within_s=180)


@pytest.mark.nightly
def test_a_node_that_is_killed_again_and_again(node):
    dice = random.Random(1101)
    for number in range(KILLS):
        run_until_killed(dice.uniform(0.02, 0.4), replicate, node.settings, str(number))
    with node.copy() as copy:
        assert len(copy.records(limit=10_000)) > KILLS  # more than the first one of each had arrived
    node.write()  # the next start undoes what the last one was in the middle of
    node.replicate()
    assert is_replicated(node)
    with node.copy() as copy:
        assert verify_ledger(copy, node.key).faults == []


def test_a_postgresql_that_is_killed_while_it_is_shipped_to(node, postgresql, monkeypatch):
    monkeypatch.setattr(replica_batch, "BATCH_STEPS", 5)
    is_killed, batches = threading.Event(), count()
    replicate_batch = ReplicaConnection.replicate

    def replicate_some(connection: ReplicaConnection) -> object:
        if next(batches) == 3:  # the rest would arrive before a slow machine kills it
            assert is_killed.wait(60)
        return replicate_batch(connection)

    monkeypatch.setattr(ReplicaConnection, "replicate", replicate_some)
    node.write(*(heard_call(f"c-{number}", number) for number in range(100)))
    one = Replicator(node.settings, node.name)
    one.begin()
    until(lambda: one.status.behind)
    postgresql.kill()
    is_killed.set()
    until(lambda: one.status.trouble)
    assert one.status.behind, "it was killed under way"
    postgresql.start()
    until(lambda: one.status.behind == 0 and not one.status.trouble)
    one.close()
    assert is_replicated(node)


@pytest.mark.nightly
@pytest.mark.parametrize("fault", [CUT, STALL])
@pytest.mark.parametrize("to_server", [True, False])
def test_a_network_that_parts_before_any_message(node, postgresql, fault, to_server, monkeypatch):
    """Messages from the first to the last are lost: the commit itself too, and the word that it was done."""
    monkeypatch.setattr(replica_batch, "COMPARED", 2)  # so that each transaction has as many messages as the one before
    node.write(heard_call("c-0"))
    node.replicate()
    messages, commits, lost_at, commit, is_lost, written = 0, 0, -1, 1000, False, 0

    def judge(towards: bool, octets: bytes) -> str | None:
        nonlocal messages, commits, is_lost
        if towards is not to_server or octets[:1] == b"X":  # the last goodbye says nothing
            return None
        messages, commits = messages + 1, commits + (b"COMMIT" in octets)
        # The commit that follows that of the schema, not by its number: messages may arrive as one piece.
        if messages != lost_at and not (lost_at == commit and commits == 2):
            return None
        is_lost = True
        return fault

    def replicate_one() -> None:
        nonlocal messages, commits, written
        written += 1
        write_together(writer, heard_call(f"d-{written}", written))
        messages = commits = 0
        connection = node.through(between).connection()
        try:
            connection.replicate()
        finally:
            connection.close()
            between.cut()

    with FaultyNetwork(postgresql.port) as between, node.writer() as writer:
        between.judge = judge
        replicate_one()
        last = messages
        assert last > 15
        # Of those that a stalled network loses, the first one costs psycopg's shortest wait for a connection: 2 s.
        within = range(2, last - 2, 3) if fault == CUT else (last // 2,)
        for lost_at in (*((1,) if to_server else ()), *within, commit):
            before, is_lost = written, False
            with monkeypatch.context() as patch:
                patch.setattr(postgresql_module, "CONNECT_WITHIN_S", 2)
                patch.setattr(postgresql_module, "ORPHANED_AFTER_S", 0.3)
                patch.setattr(replica_connection, "ANSWER_WITHIN_S", 0.3)
                for _ in range(20):  # a slow machine may take longer than that before the message comes
                    with pytest.raises(LedgerError):
                        replicate_one()
                    if is_lost:
                        break
                else:
                    pytest.fail(f"message {lost_at} has never come")
            # Losing the answer to the commit means that it was done, and nothing was left to replicate again.
            left = 0 if lost_at == commit and not to_server else 6 * (written - before)
            assert node.replicate() == left, lost_at
    assert is_replicated(node)


def test_postgresql_may_come_later_and_the_log_tells_once(node, postgresql, caplog):
    with FaultyNetwork(postgresql.port) as between, caplog.at_level(logging.INFO):
        between.refuses = True
        one = Replicator(node.through(between).settings, node.name)
        one.begin()
        with node.writer() as writer:
            write_each(writer, *heard_call("c-0"))  # which does not wait for PostgreSQL
            until(lambda: one.status.trouble)
            between.refuses = False
            until(lambda: one.status.behind == 0)
            assert is_replicated(node)
            for step in heard_call("c-1"):
                writer.append(step)
        one.close()
    assert is_replicated(node)
    told = [record for record in caplog.records if record.name == replicator.__name__]
    assert [record.levelname for record in told].count("ERROR") == 1
    assert str(one.status) == "PostgreSQL has it all"


@pytest.mark.nightly
def test_what_was_not_shipped_before_a_ledger_was_set_aside_is_told(node, postgresql):
    node.write(heard_call("c-0"), heard_call("c-1"))
    with FaultyNetwork(postgresql.port) as between:
        one = Replicator(node.through(between).settings, node.name)
        assert str(one.status) == "PostgreSQL has not answered yet"
        one.begin()
        until(lambda: one.status.behind == 0)
        between.refuses = True
        between.cut()
        node.write(*(heard_call(f"d-{number}", number) for number in range(3)))
        until(lambda: "18 steps wait" in str(one.status))
        overwrite(node.settings.spool)
        node.write(heard_call("e-0"))
        until(lambda: "7 steps wait" in str(one.status))  # not 5 less than none
        between.refuses = False
        until(lambda: one.status.behind == 0)
        assert str(one.status) == "PostgreSQL has it all but 3 leaves of what was set aside"
        one.close()
    told = own_replica(node.server, node.settings, node.name)
    assert (told.behind, told.lost_leaves) == (0, 3)
    assert is_replicated(node)


@pytest.mark.nightly
def test_a_stop_does_not_wait_for_a_postgresql_that_does_not_answer(node, postgresql, monkeypatch):
    monkeypatch.setattr(replicator, "CLOSE_WITHIN_S", 0.3)
    node.write(heard_call("c-0"))
    asked = threading.Event()

    def judge(to_server: bool, octets: bytes) -> str | None:
        if b"pg_advisory" in octets:
            asked.set()
        return STALL if asked.is_set() else None

    with FaultyNetwork(postgresql.port) as between:
        between.judge = judge
        one = Replicator(node.through(between).settings, node.name)
        one.begin()
        assert asked.wait(60)
        before_s = time.monotonic()
        one.close()
        assert time.monotonic() - before_s < 5
    assert node.replicate() == 6
    assert is_replicated(node)
