"""The log store: it appends leaves to the tree in the transaction that writes the steps which close them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from idtone.errors import LedgerError
from idtone.signed_notes import Note

from ..evidence.leaves import CLOSING, OPENING, StoredStep, search_keys
from ..evidence.steps import StepKind
from ..keys.key_ring import KeyRing
from ..store.calls_in_progress import update_calls_in_progress
from ..store.database import scalar
from ..store.meta import CHECKPOINT, SET_META, facts
from ..store.stored_tree import (
    STEP,
    OpenCall,
    check_beginning,
    count_leaves,
    leaf_of,
    newest_id,
    open_call,
    read_frontier,
)
from ..tree.checkpoints import Checkpoint, RenamedError, believed, check_name
from ..tree.merkle import Frontier, leaf_hash, stored

OPEN_LIMIT: Final = 50_000
"""The steps of so many calls in progress are kept in memory; those of others are read again."""

_RESTORE: Final = "restore the newest copy of this file, or move it away and let ledger.origin be another name"

_log = logging.getLogger(__name__)


_INSERT_STEPS: Final = f"INSERT INTO steps ({STEP}, leaf) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own words
_INSERT_HASHES: Final = "INSERT INTO hashes (place, hash) VALUES (?, ?)"
_INSERT_SOUGHT: Final = "INSERT INTO sought (token, step) VALUES (?, ?)"


@dataclass
class LogAppend:
    """What one transaction adds. It is kept in memory only when it is committed."""

    frontier: Frontier | None
    next_id: int
    calls: dict[str, OpenCall] = field(default_factory=dict)
    """As they are afterwards."""
    checkpoint: Note | None = None
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    """Of the steps, as they are written."""

    def is_in(self, connection: sqlite3.Connection) -> bool:
        """Whether its steps are in the database, and nothing after them."""
        query = f"SELECT {STEP}, leaf FROM steps WHERE id >= ? ORDER BY id"  # noqa: S608 - of our own words
        return connection.execute(query, (self.rows[0][0],)).fetchall() == self.rows


class LogStore:
    """Belongs to the writer's thread, except for `checkpoint`."""

    def __init__(
        self, key_ring: KeyRing, frontier: Frontier | None, next_id: int, checkpoint: Note | None, refusal: str
    ) -> None:
        """Use `open`. `checkpoint` is what was signed last. Nothing is signed any more if there is a `refusal`."""
        self._signer = key_ring.signer
        self._frontier = frontier
        self._next_id = next_id
        self._open: dict[str, OpenCall] = {}
        self._refusal = refusal
        self.checkpoint = checkpoint

    @classmethod
    def open(cls, connection: sqlite3.Connection, path: Path, key_ring: KeyRing) -> LogStore:
        """Continue the tree that is there. Raises LedgerError if the file of the latest checkpoint cannot be read.

        A database that is not what was signed is written to and no longer signed: calls and their evidence continue.
        If the tree is damaged, it gets no more leaves either.
        """
        size, newest = count_leaves(connection), newest_id(connection)
        frontier, checkpoint, refusal = None, None, ""
        try:
            frontier = read_frontier(connection, size)
            kept = [each.latest(key_ring.signer.key) for each in (key_ring.seen, key_ring.cosigned)]
            if size:
                checkpoint = Note.parse(facts(connection).get(CHECKPOINT, "").encode())
                check_name(Checkpoint.parse(checkpoint.text).origin, key_ring.signer.key.name)
                check_beginning(connection, size, believed(checkpoint, key_ring.signer.key))
            for each in kept:
                if each:
                    check_beginning(connection, size, each[1])
        except RenamedError as error:
            checkpoint, refusal = None, _refusing(path, str(error), error.remedy)
        except LedgerError as error:
            checkpoint, refusal = None, _refusing(path, str(error), _RESTORE)
        opened = cls(key_ring, frontier, newest + 1, checkpoint, refusal)
        opened._know_fallback(connection)
        return opened

    def _know_fallback(self, connection: sqlite3.Connection) -> None:
        """The calls in progress whose decision may still come late: before other calls' decisions nothing comes."""
        query = "SELECT call_id FROM steps WHERE call_id IN (SELECT call_id FROM in_progress) AND kind = ?"
        for (call_id,) in connection.execute(query, (StepKind.FALLBACK.value,)).fetchall():
            self._open[call_id] = open_call(connection, call_id)

    @property
    def refusal(self) -> str:
        """Why nothing is signed; empty if it is. From any thread."""
        return self._refusal

    @property
    def next_id(self) -> int:
        """Of the step that is written next."""
        return self._next_id

    @property
    def size(self) -> int:
        """Leaves; 0 if the tree is damaged."""
        return self._frontier.size if self._frontier else 0

    def unclosed(self) -> list[dict[str, Any]]:
        """The rows of calls in progress that are in no leaf and in memory, in order."""
        kept = sorted(step for call in self._open.values() for step in call.steps)
        return [{"node": s.node, "call_id": s.call_id, "kind": s.kind, "at": s.at, "details": s.details} for s in kept]

    def append(self, connection: sqlite3.Connection, rows: Sequence[dict[str, Any]]) -> LogAppend:
        """Write these rows of steps, in order, and the leaves that they close."""
        appended = LogAppend(self._frontier and self._frontier.copy(), self._next_id)
        frontier = appended.frontier
        new_steps = appended.rows
        new_hashes: list[tuple[int, bytes]] = []
        found_by: list[tuple[int, int]] = []
        place = stored(frontier.size) if frontier else 0
        for row in rows:
            step = StoredStep(appended.next_id, row["node"], row["call_id"], row["kind"], row["at"], row["details"])
            appended.next_id += 1
            if frontier is None:
                new_steps.append((*step, None))
                continue
            call = self._call(connection, appended, step)
            unclosed = (*call.steps, step)
            if not call.over and step.kind not in CLOSING:
                appended.calls[step.call_id] = OpenCall(unclosed, call.before)
                new_steps.append((*step, None))
                continue
            new_steps.append((*step, frontier.size))
            for hashed in frontier.append(leaf_hash(leaf_of(unclosed, call.before))):
                new_hashes.append((place, hashed))
                place += 1
            found_by += (
                (key, step.id) for key in {key for each in unclosed for key in search_keys(each.kind, each.details)}
            )
            appended.calls[step.call_id] = OpenCall((), call.before + len(unclosed), True)
        appended.checkpoint = self._sign(frontier) if frontier and new_hashes and not self._refusal else None
        connection.executemany(_INSERT_STEPS, new_steps)
        update_calls_in_progress(connection, self._next_id - 1, {row["kind"] for row in rows})
        connection.executemany(_INSERT_HASHES, new_hashes)
        connection.executemany(_INSERT_SOUGHT, found_by)
        if appended.checkpoint:
            connection.execute(SET_META, (CHECKPOINT, str(appended.checkpoint)))
        return appended

    def go_on_from(self, before: LogStore) -> None:
        """Take over what only the memory held before the database was opened anew."""
        if before._next_id == self._next_id:
            self._open = before._open
        if before._refusal:
            self._refusal, self.checkpoint = before._refusal, None

    def distrust(self, path: Path, reason: str) -> None:
        """Sign nothing any more. From any thread."""
        if not self._refusal:
            self._refusal = _refusing(path, reason, _RESTORE)
            self.checkpoint = None

    def committed(self, appended: LogAppend) -> None:
        """Keep it in memory."""
        self._frontier, self._next_id = appended.frontier, appended.next_id
        self.checkpoint = None if self._refusal else appended.checkpoint or self.checkpoint
        for call_id, call in appended.calls.items():
            self._open.pop(call_id, None)
            if not call.over:
                self._open[call_id] = call
        while len(self._open) > OPEN_LIMIT:
            del self._open[next(iter(self._open))]

    def _call(self, connection: sqlite3.Connection, appended: LogAppend, step: StoredStep) -> OpenCall:
        """As this step finds it."""
        known = appended.calls.get(step.call_id) or self._open.get(step.call_id)
        if known is not None:
            return known
        if step.kind in OPENING and not scalar(
            connection, "SELECT 1 FROM steps WHERE call_id = ? LIMIT 1", (step.call_id,)
        ):
            return OpenCall()
        return open_call(connection, step.call_id)

    def _sign(self, frontier: Frontier) -> Note:
        text = Checkpoint(self._signer.key.name, frontier.size, frontier.root()).text
        return Note(text, (self._signer.sign(text),))


def _refusing(path: Path, reason: str, remedy: str) -> str:
    """Log it."""
    _log.error("%s: %s. Evidence is written and no longer signed: %s", path, reason, remedy)
    return reason
