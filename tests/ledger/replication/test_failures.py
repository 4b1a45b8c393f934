"""Whatever dies or does not answer, at whatever moment: each step arrives once."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from idtone.errors import LedgerError
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.replication import batch, replicator
from idtone.ledger.replication import replica_connection as link_module
from idtone.ledger.replication.own_replica import own_replica
from idtone.ledger.replication.replicator import Replicator
from idtone.ledger.store import postgresql as postgresql_module
from idtone.ledger.store.postgresql import Server
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing.ledger_writer import LedgerWriter
from tests.lab.postgresql import PostgreSQL

from ..sample_evidence import heard_call, put
from .between import CUT, STALL, Between
from .nodes import Node, same, through

KILLS = 6

LIVING = """
import itertools, sys, time
from pathlib import Path
from idtone.ledger.replication import replicator, batch
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.settings import LedgerSettings
from tests.ledger.sample_evidence import heard_call
settings, start = LedgerSettings.model_validate_json(sys.argv[1]), sys.argv[2]
settings = settings.model_copy(update={"password": sys.stdin.readline().strip()})
replicator.LOOK_EVERY_S, batch.BATCH_STEPS = 0.005, 7
writer = LedgerWriter.open(settings.own(), "pbx-1", KeyRing.of(settings, "pbx-1"))
replicator.Replicator(settings, "pbx-1").begin()
print("living", flush=True)
for number in itertools.count():
    for step in heard_call(f"{start}-{number}", number):
        writer.append(step)
    time.sleep(0.002)
"""


@pytest.fixture
def node(tmp_path: Path, server: Server) -> Node:
    return Node.at(tmp_path, "pbx-1", server)


def until(what: Callable[[], bool], within_s: float = 30) -> None:
    deadline_s = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline_s, "it did not come to that"
        time.sleep(0.02)


def test_a_node_that_is_killed_again_and_again(node: Node) -> None:
    dice = random.Random(1101)
    told = node.settings.model_dump_json(exclude={"password"})
    for kill in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", LIVING, told, str(kill)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as living:
            assert living.stdin
            assert living.stdout
            living.stdin.write(f"{node.settings.password}\n")
            living.stdin.flush()
            assert living.stdout.readline() == "living\n"
            time.sleep(dice.uniform(0.02, 0.4))
            living.kill()
    with node.copy() as copy:
        assert len(copy.records(limit=10_000)) > KILLS  # something had arrived before the last of them
    node.write()  # the next start undoes what the last one was in the middle of
    node.replicate()
    assert same(node)
    with node.copy() as copy:
        assert verify_ledger(copy, node.key).faults == []


def test_a_postgresql_that_is_killed_while_it_is_shipped_to(
    node: Node, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "BATCH_STEPS", 5)
    monkeypatch.setattr(replicator, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(replicator, "BACK_OFF_S", 0.1)
    dice = random.Random(1102)
    node.write(*(heard_call(f"c-{number}", number) for number in range(600)))
    one = Replicator(node.settings, node.name)
    one.begin()
    killed_under_way = 0
    for _ in range(3):
        time.sleep(dice.uniform(0.05, 0.5))
        killed_under_way += bool(one.status.behind)
        postgresql.kill()
        until(lambda: bool(one.status.trouble))
        postgresql.start()
        until(lambda: not one.status.trouble)
    until(lambda: one.status.behind == 0, 60)
    one.close()
    assert killed_under_way
    assert same(node)


@pytest.mark.parametrize("fault", [CUT, STALL])
@pytest.mark.parametrize("to_server", [True, False])
def test_a_network_that_parts_before_any_message(
    node: Node, postgresql: PostgreSQL, fault: str, to_server: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message of a transaction is lost once: with them the commit itself, and the word that it was done."""
    monkeypatch.setattr(batch, "COMPARED", 2)  # so that each transaction has as many messages as the one before
    node.write(heard_call("c-0"))
    node.replicate()
    with Between(postgresql.port) as between:
        parted = through(node, between)
        messages = 0
        lost_at = -1

        def judge(towards: bool, octets: bytes) -> str | None:
            nonlocal messages
            if towards is not to_server or octets[:1] == b"X":  # the last goodbye says nothing
                return None
            messages += 1
            return fault if messages == lost_at else None

        def replicate() -> None:
            nonlocal messages
            messages = 0
            connection = parted.connection()
            try:
                connection.replicate()
            finally:
                connection.close()
                between.cut()

        between.judge = judge
        node.write(heard_call("d-0"))
        replicate()
        assert same(node)
        last = messages
        assert last > 15
        for lost_at in range(1, last + 1) if fault == CUT else {*range(1, last, 5), last - 1, last}:
            node.write(heard_call(f"d-{lost_at}", lost_at))
            with monkeypatch.context() as patch:
                patch.setattr(postgresql_module, "ORPHANED_AFTER_S", 0.3)
                patch.setattr(link_module, "ANSWER_WITHIN_S", 0.3)
                with pytest.raises(LedgerError):
                    replicate()
            # Losing the answer to the commit means that it was done, and nothing was left to replicate again.
            assert node.replicate() == (0 if lost_at == last and not to_server else 6)
            assert same(node)


def test_postgresql_may_come_later_and_the_log_tells_once(
    node: Node, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replicator, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(replicator, "BACK_OFF_S", 0.05)
    with Between(postgresql.port) as between, caplog.at_level(logging.INFO):
        between.refuses = True
        one = Replicator(through(node, between).settings, node.name)
        one.begin()
        with LedgerWriter.open(node.settings.own(), node.name, KeyRing.of(node.settings, node.name)) as writer:
            put(writer, *heard_call("c-0"), within_s=5)  # which does not wait for PostgreSQL
            until(lambda: bool(one.status.trouble))
            time.sleep(0.3)
            between.refuses = False
            until(lambda: one.status.behind == 0)
            assert same(node)
            for step in heard_call("c-1"):
                writer.append(step)
        one.close()
    assert same(node)
    told = [record for record in caplog.records if record.name == replicator.__name__]
    assert [record.levelname for record in told].count("ERROR") == 1
    assert str(one.status) == "PostgreSQL has it all"


def test_what_was_not_shipped_before_a_ledger_was_set_aside_is_told(
    node: Node, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicator, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(replicator, "BACK_OFF_S", 0.05)
    node.write(heard_call("c-0"), heard_call("c-1"))
    with Between(postgresql.port) as between:
        one = Replicator(through(node, between).settings, node.name)
        assert str(one.status) == "PostgreSQL has not answered yet"
        one.begin()
        until(lambda: one.status.behind == 0)
        between.refuses = True
        between.cut()
        node.write(*(heard_call(f"d-{number}", number) for number in range(3)))
        until(lambda: "18 steps wait" in str(one.status))
        octets = node.settings.spool.read_bytes()
        node.settings.spool.write_bytes(b"\0" * 100 + octets[100:])
        node.write(heard_call("e-0"))
        until(lambda: "7 steps wait" in str(one.status))  # not 5 less than none
        between.refuses = False
        until(lambda: one.status.behind == 0)
        assert str(one.status) == "PostgreSQL has it all but 3 leaves of what was set aside"
        one.close()
    told = own_replica(Server.of(node.settings), node.settings, node.name)
    assert told
    assert (told.behind, told.lost_leaves) == (0, 3)
    assert same(node)


def test_a_stop_does_not_wait_for_a_postgresql_that_does_not_answer(
    node: Node, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicator, "CLOSE_WITHIN_S", 0.3)
    node.write(heard_call("c-0"))
    with Between(postgresql.port) as between:
        asked = threading.Event()

        def judge(to_server: bool, octets: bytes) -> str | None:
            if b"pg_advisory" in octets:
                asked.set()
            return STALL if asked.is_set() else None

        between.judge = judge
        one = Replicator(through(node, between).settings, node.name)
        one.begin()
        assert asked.wait(10)
        before_s = time.monotonic()
        one.close()
        assert time.monotonic() - before_s < 5
    assert node.replicate() == 6
    assert same(node)
