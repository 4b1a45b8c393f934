"""Queries that run at each start, commit or second. They read only a few rows, however many calls the ledger has."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from idtone.core.numbers import parse
from idtone.ledger.evidence.call_filter import CallFilter
from idtone.ledger.store import sqlite
from idtone.ledger.store.call_groups import _EDGE, call_groups
from idtone.ledger.store.call_search import search_calls
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of
from lab.ledger.sample_evidence import FORWARDING, NOW, PLAY, days_of, decided, evidence, time_after
from lab.ledger.sample_ledger import write

SMALL = {"in_progress", "meta", "quarantine", "sqlite_master"}
"""Tables that hold few rows. SQLite names another table by its alias."""
FROM_THE_NEWEST = (
    "SELECT leaf FROM steps WHERE leaf IS NOT NULL ORDER BY id DESC LIMIT",
    "SELECT id, at, call_id FROM steps WHERE kind <> 'clock' ORDER BY at DESC, id DESC LIMIT",
)
"""Queries that end after the newest rows, because nearly every row is wanted."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Statements that connections of the ledger execute, with their values."""
    statements: list[str] = []
    connect = sqlite._connect

    def traced(*arguments: Any) -> sqlite3.Connection:
        connection = connect(*arguments)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite, "_connect", traced)
    return statements


def test_no_statement_reads_all_steps_or_all_calls(url, told):
    write(url, [*evidence(20), decided(PLAY, "ringing", 1)])
    with LedgerReader.open(url, days_of(url)) as reader:
        earlier = reader.open_calls()
        place = reader.newest_place()
        write(url, [decided(PLAY, "new", 2)])
        reader.open_calls(earlier)
        list(reader.changed_records(place, reader.newest_place()))
        reader.ended_since(place)
        reader.extent(NOW - timedelta(days=1))
        reader.records(limit=5)
        reader.find(parse(FORWARDING), limit=5)
        search_calls(reader, CallFilter(member="m-0001"), limit=5)
        list(call_groups(reader, time_after(0), time_after(1)))
        reader.proofs("pbx-1-1793491200.0")
        reader.decided_by_minute(time_after(0), time_after(1))
    asked = [each for each in told if each.lstrip().upper().startswith(("SELECT", "INSERT INTO IN_", "DELETE"))]
    assert len(asked) > 30
    with closing(sqlite3.connect(path_of(url))) as connection:
        for statement in asked:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            scanned = {line.split()[1] for line in plan if line.startswith("SCAN")}
            if not statement.startswith(FROM_THE_NEWEST):
                assert scanned <= SMALL, statement
    assert any(each.startswith(_EDGE.partition("?")[0]) for each in asked)
