"""Changes to a desk store that are made if and only if the office's ledger contains their leaf.

A change is first stored as an intention. Then its leaf is recorded, and the change is made. If the process ends before
that, `finish` makes the changes whose leaf is in the ledger.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Final

from idtone.ledger.evidence.act_ids import new_act_id
from idtone.ledger.evidence.steps import Scalar

from .office_ledger import OfficeLedger

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS intended (
    act TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    statements TEXT NOT NULL
) STRICT;
"""
"""Table of intended changes. `act` is the leaf's id, `since` is in microseconds, and `statements` is JSON."""
Statement = tuple[str, Sequence[str | int | None]]
"""SQL statement and its values. Executing it twice must have the same effect as executing it once."""
_LATE: Final = timedelta(hours=1)
"""How long until an act missing from the ledger counts as never recorded. No act takes that long."""


class RecordedChanges:
    """Changes to a single store. `opened` opens the store's database, with `SCHEMA`, for one transaction."""

    def __init__(self, opened: Callable[[], AbstractContextManager[sqlite3.Connection]], ledger: OfficeLedger) -> None:
        self._opened, self._ledger = opened, ledger

    def make(self, statements: Iterable[Statement], act: str, subject: str, **details: Scalar) -> bool:
        """Record an act in the ledger and make the change.

        Returns True if the last statement changed a row or another process settled the change in the meantime. Raises
        TrustError if the store cannot be written, or LedgerError if the act cannot be recorded. In both cases nothing
        is changed, unless the ledger contains the act after all: `finish` then makes the change.
        """
        act_id = new_act_id()
        with self._opened() as database:
            database.execute("INSERT INTO intended VALUES (?, ?, ?)", (act_id, _now(), json.dumps(list(statements))))
        self._ledger.record_as(act_id, act, subject, **details)
        return self._change(act_id)

    def finish(self) -> None:
        """Make unfinished changes whose leaf is in the ledger, and drop those still without a leaf after an hour.

        Raises TrustError or LedgerError.
        """
        if not self._intended():
            return
        with self._ledger.locked():  # an act that is under way makes its change itself
            for act_id, since in self._intended():
                if self._ledger.knows(act_id):
                    self._change(act_id)
                elif _now() - since > _LATE / timedelta(microseconds=1):
                    self._change(act_id, drop=True)

    def _intended(self) -> list[tuple[str, int]]:
        with self._opened() as database:
            return database.execute("SELECT act, since FROM intended ORDER BY since").fetchall()

    def _change(self, act_id: str, drop: bool = False) -> bool:
        with self._opened() as database:
            database.execute("PRAGMA secure_delete = ON")  # documents in it can be forgotten
            database.execute("BEGIN IMMEDIATE")
            found = database.execute("SELECT statements FROM intended WHERE act = ?", (act_id,)).fetchone()
            if found is None:  # another process has settled it
                return True
            database.execute("DELETE FROM intended WHERE act = ?", (act_id,))
            changed = 0
            for statement, values in () if drop else json.loads(found[0]):
                changed = database.execute(statement, values).rowcount
            return changed > 0


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1e6)
