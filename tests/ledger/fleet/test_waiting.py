"""Whatever PostgreSQL makes its callers wait for: the evidence of calls is written, and nobody waits for ever."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection

from idtone.errors import LedgerError
from idtone.ledger import fleet, link, schema, sqlite
from idtone.ledger import postgresql as postgresql_module
from idtone.ledger.custody import Custody
from idtone.ledger.fleet import copied
from idtone.ledger.postgresql import Server, schema_of
from idtone.ledger.tables import SCHEMA, upsert_meta
from idtone.ledger.writer import LedgerWriter
from tests.lab.postgresql import PostgreSQL

from ..evidence import heard_call, put
from .between import CUT, STALL, Between
from .nodes import Node, same, through


@pytest.fixture
def node(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Node:
    """With the journal in which whoever reads keeps the writer from its commit."""
    monkeypatch.setattr(sqlite, "journal_mode", lambda: "persist")
    node = Node.at(tmp_path, "pbx-1", server)
    node.write(heard_call("c-0"))
    node.ship()
    return node


class Meanwhile:
    """Does something in a thread, and has what it raised."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.raised: LedgerError | None = None
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except LedgerError as error:
            self.raised = error

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_a_step_is_written_while_postgresql_stalls_at_any_question(node: Node, postgresql: PostgreSQL) -> None:
    """Of a new connection, which compares everything that is compared."""
    with (
        Between(postgresql.port) as between,
        LedgerWriter.open(node.settings.own(), node.name, Custody.of(node.settings, node.name)) as writer,
    ):
        asked, stalled, at = 0, threading.Event(), 0

        def judge(to_server: bool, octets: bytes) -> str | None:
            nonlocal asked
            asked += to_server
            if stalled.is_set() or (to_server and asked == at):
                stalled.set()
                return STALL
            return None

        between.judge = judge
        through(node, between).ship()
        questions = asked - 1  # then the two part
        assert questions > 12
        for at in range(1, questions + 1):
            asked = 0
            stalled.clear()
            connection = through(node, between).link()
            shipping = Meanwhile(connection.ship)
            assert stalled.wait(10)
            put(writer, *heard_call(f"d-{at}", at), within_s=2)
            connection.cut()
            between.cut()
            shipping.join()
            assert shipping.raised
    node.ship()
    assert same(node)


def test_a_step_is_written_while_the_doctor_waits_and_the_doctor_gives_up(
    node: Node, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ASKED_WITHIN_S", 4)
    with (
        LedgerWriter.open(node.settings.own(), node.name, Custody.of(node.settings, node.name)) as writer,
        psycopg.connect(
            host="127.0.0.1", port=postgresql.port, user=postgresql.user, password=postgresql.password,
            dbname=Server.of(node.settings).url.database,
        ) as other,
    ):  # fmt: skip
        other.execute(f'LOCK TABLE "{schema_of(node.key.name)}".hashes IN ACCESS EXCLUSIVE MODE')
        doctor = Meanwhile(lambda: copied(Server.of(node.settings), node.settings, node.name))
        while not postgresql.execute("SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not doctor.raised
        put(writer, *heard_call("d-0"), within_s=2)
        doctor.join()
        assert "pg_stat_activity shows" in str(doctor.raised)
        other.rollback()
    told = copied(Server.of(node.settings), node.settings, node.name)
    assert told
    assert (told.is_own, told.behind) == (True, 6)


def test_who_reads_waits_for_no_lock_for_ever(
    node: Node, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_module, "STATEMENT_WITHIN_S", 1)
    with psycopg.connect(
        host="127.0.0.1", port=postgresql.port, user=postgresql.user, password=postgresql.password,
        dbname=Server.of(node.settings).url.database,
    ) as other:  # fmt: skip
        other.execute(f'LOCK TABLE "{schema_of(node.key.name)}".steps IN ACCESS EXCLUSIVE MODE')
        with node.copy() as copy:
            reading = Meanwhile(copy.records)
            reading.join()
        assert "another session holds this ledger's lock" in str(reading.raised)
        other.rollback()


def test_an_outage_while_it_is_compared_is_no_conflict_of_evidence(node: Node, postgresql: PostgreSQL) -> None:
    with Between(postgresql.port) as between:
        between.judge = lambda to_server, octets: CUT if to_server and b"hashes.hash" in octets else None
        with pytest.raises(LedgerError) as failed:
            through(node, between).ship()
    assert str(failed.value).startswith("postgresql://")
    assert "Nothing is shipped" not in str(failed.value)
    assert str(node.settings.spool) not in str(failed.value)


def test_a_spool_that_is_locked_is_no_conflict_of_evidence(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    with sqlite3.connect(node.settings.spool, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="another program has held its lock") as failed:
            node.ship()
        other.execute("ROLLBACK")
    other.close()
    assert "Nothing is shipped" not in str(failed.value)


def test_an_upgrade_may_take_as_long_as_it_takes(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(connection: Connection, version: int) -> None:
        connection.exec_driver_sql("SELECT pg_sleep(2.5)")
        connection.execute(upsert_meta(SCHEMA, "2"))

    monkeypatch.setattr(postgresql_module, "STATEMENT_WITHIN_S", 1)
    monkeypatch.setattr(link, "ANSWER_WITHIN_S", 2)
    monkeypatch.setattr(schema, "upgrade", slow)
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 3)
    node.ship()
