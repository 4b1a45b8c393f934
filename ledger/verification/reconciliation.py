"""Compares the ledger with others' call detail records by SIP Call-ID, and finds calls that one side lacks.

The ledger keeps only a token for each Call-ID, computed with the day key. The comparison uses a temporary SQLite file,
so its memory use does not grow with the number of calls. The file contains tokens and call ids but no numbers.
"""

import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from ..evidence.leaves import StoredStep
from ..evidence.steps import CANARY, FIRST, SIP_CALL_ID_TOKEN, StepKind, truncated_sip_call_id
from ..keys.day_keys import DayKeys
from ..keys.sealing import DayKey, day_of
from ..store.ledger_reader import LedgerReader
from ..store.step_rows import microseconds, moment
from .cdr_file import CdrRow

KINDS: Final = frozenset({*FIRST, StepKind.ENDED, StepKind.INTERRUPTED})
_DAY: Final = timedelta(days=1)
"""Time tolerance. A call may be decided on the day after its record begins, and clocks and time zones also differ."""
_MEMORY_KIB: Final = 16_384
_SCHEMA: Final = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -{_MEMORY_KIB};
CREATE TABLE calls (node TEXT, call TEXT, token BLOB, at INTEGER, outcome TEXT, ends TEXT, canary INTEGER,
                    seen INTEGER DEFAULT 0, PRIMARY KEY (node, call)) WITHOUT ROWID;
CREATE INDEX by_token ON calls (token);
CREATE TABLE missing (id BLOB PRIMARY KEY, line INTEGER, at INTEGER) WITHOUT ROWID;
CREATE TABLE found (id BLOB PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class MissingRow:
    """A call that is in the CSV but not in the ledger, with its first row."""

    line: int
    at: datetime


@dataclass(frozen=True, slots=True)
class MissingCall:
    """A call that is in the ledger but not in the CSV.

    `ends` is `ended` or `interrupted`, and is empty while the call is in progress.
    """

    node: str
    call_id: str
    at: datetime
    outcome: str
    ends: str


@dataclass(slots=True)
class ComparisonCounts:
    """Counts from comparing a CSV file of calls with ledgers.

    Each distinct SIP Call-ID in the CSV is a call. The ledgers' calls are those decided between `since` and `until`.
    """

    since: datetime
    until: datetime
    rows: int = 0
    rows_without_call_id: int = 0
    rows_without_key: int = 0
    """Rows from days whose key was destroyed or never created. They cannot be compared."""
    rows_outside: int = 0
    calls_in_csv: int = 0
    calls_in_ledger: int = 0
    without_call_id: int = 0
    in_progress: int = 0
    interrupted: int = 0
    not_in_ledger: int = 0
    not_in_csv: int = 0


class Reconciliation:
    """A comparison between call detail records and the ledgers of one or more nodes.

    Create it with `opened`. Call `add_ledger` for each node and `add_row` for each row, and finally `compared`.
    """

    def __init__(self, database: sqlite3.Connection, since: datetime, until: datetime) -> None:
        self._database = database
        self._salt = os.urandom(16)
        self._days: list[DayKeys] = []
        self._keys: dict[str, list[DayKey]] = {}
        self._counts = ComparisonCounts(since, until)

    @classmethod
    @contextmanager
    def opened(cls, since: datetime, until: datetime) -> Iterator[Self]:
        """Begin a comparison for calls that began in a period, both ends included.

        The comparison uses a temporary database.
        """
        with tempfile.TemporaryDirectory(prefix="idtone-") as folder:
            database = sqlite3.connect(f"{folder}/compared", isolation_level=None)
            try:
                database.executescript(_SCHEMA)
                database.execute("BEGIN")
                yield cls(database, since, until)
            finally:
                database.close()

    def add_ledger(self, node: str, reader: LedgerReader, days: DayKeys) -> None:
        """Add one node's calls.

        Raises LedgerError.
        """
        self._days.append(days)
        first = reader.place_before(self._counts.since - _DAY)
        last = reader.place_before(self._counts.until + _DAY)
        for step in reader.steps_in_order(first, last, KINDS):
            if step.kind in FIRST:
                self._begin(node, step)
            else:
                change = "UPDATE calls SET ends = coalesce(ends, ?) WHERE node = ? AND call = ?"
                self._database.execute(change, (step.kind, node, step.call_id))

    def _begin(self, node: str, step: StoredStep) -> None:
        details = json.loads(step.details)
        token = bytes.fromhex(details.get(SIP_CALL_ID_TOKEN, ""))
        values = (node, step.call_id, token, step.at, str(details.get("outcome", "")), bool(details.get(CANARY)))
        self._database.execute(
            "INSERT INTO calls (node, call, token, at, outcome, canary) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO "
            "UPDATE SET outcome = iif(excluded.outcome = '', outcome, excluded.outcome)",
            values,
        )

    def add_row(self, row: CdrRow) -> None:
        counts = self._counts
        counts.rows += 1
        kept = truncated_sip_call_id(row.sip_call_id)
        if not kept:
            counts.rows_without_call_id += 1
            return
        tokens = self._tokens(kept, row.start)
        if not tokens:
            counts.rows_without_key += 1
            return
        marks, values = ",".join("?" * len(tokens)), list[int]()
        seen = self._database.execute(f"UPDATE calls SET seen = 1 WHERE token IN ({marks})", tokens)  # noqa: S608
        if seen.rowcount:
            table = "found (id)"
        elif not counts.since <= row.start <= counts.until:
            counts.rows_outside += 1
            return
        else:
            table, values = "missing (id, line, at)", [row.line, microseconds(row.start)]
        name = hashlib.blake2b(kept.encode(), key=self._salt, digest_size=16).digest()
        places = ",".join("?" * (1 + len(values)))
        self._database.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", (name, *values))  # noqa: S608

    def _tokens(self, sip_call_id: str, start: datetime) -> list[bytes]:
        """A SIP Call-ID's tokens for each node, on the row's day and the days before and after it."""
        names = {day_of(start + each * _DAY) for each in (-1, 0, 1)}
        for name in names - self._keys.keys():
            self._keys[name] = [key for days in self._days if (key := days.get(name))]
        keys = (key for name in names for key in self._keys[name])
        return [bytes.fromhex(key.sip_call_id_token(sip_call_id)) for key in keys]

    def compared(self) -> ComparisonCounts:
        """Count the calls that one side of the comparison lacks.

        Call this after all ledgers and rows have been added.
        """
        counts, ask = self._counts, self._one
        window = (microseconds(counts.since), microseconds(counts.until))
        # A call has several rows, one for each destination that was tried, and may be found by one of them alone.
        self._database.execute("DELETE FROM missing WHERE id IN (SELECT id FROM found)")
        counts.not_in_ledger = ask("SELECT count(*) FROM missing")
        counts.calls_in_csv = counts.not_in_ledger + ask("SELECT count(*) FROM found")
        within = "SELECT count(*) FROM calls WHERE at BETWEEN ? AND ? AND NOT canary"
        counts.calls_in_ledger = ask(within, *window)
        counts.without_call_id = ask(f"{within} AND token = x''", *window)
        counts.in_progress = ask(f"{within} AND ends IS NULL", *window)
        counts.interrupted = ask(f"{within} AND ends = ?", *window, StepKind.INTERRUPTED)
        counts.not_in_csv = ask(f"SELECT count(*) FROM calls WHERE {_LACKING}", *window)  # noqa: S608  words of our own
        return counts

    def _one(self, query: str, *values: object) -> int:
        found: int = self._database.execute(query, values).fetchone()[0]
        return found

    def missing_rows(self, limit: int) -> Iterator[MissingRow]:
        """Calls that the ledgers lack, in the order of the CSV."""
        for line, at in self._database.execute("SELECT line, at FROM missing ORDER BY line LIMIT ?", (limit,)):
            yield MissingRow(line, moment(at))

    def missing_calls(self, limit: int) -> Iterator[MissingCall]:
        """Calls that the CSV lacks, oldest first."""
        query = f"SELECT node, call, at, outcome, ends FROM calls WHERE {_LACKING} ORDER BY at LIMIT ?"  # noqa: S608
        window = (microseconds(self._counts.since), microseconds(self._counts.until))
        for node, call_id, at, outcome, ends in self._database.execute(query, (*window, limit)):
            yield MissingCall(node, call_id, moment(at), outcome, ends or "")


_LACKING: Final = "at BETWEEN ? AND ? AND NOT canary AND NOT seen AND token != x'' AND ends IS NOT NULL"
"""Condition for missing calls. A call in progress has no record yet."""


def extent(rows: Iterable[CdrRow]) -> tuple[datetime, datetime] | None:
    """Start times of the first and last calls with a SIP Call-ID; None if there are no such calls.

    The end is one second after the last start.
    """
    first = last = None
    for row in rows:
        if row.sip_call_id:
            first = row.start if first is None else min(first, row.start)
            last = row.start if last is None else max(last, row.start)
    return (first, last + timedelta(seconds=1)) if first and last else None
