"""A ledger in a backup archive, stored as packs of the steps since the previous archive.

The restore rebuilds the tree from the packs. A step never changes, so packs are read in short transactions while the
service writes. The last transaction sees a consistent state: the last steps and the signed head over all leaves.

SQLite's own backup would restart whenever the service commits, or block the service until it finishes.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import BackupError
from idtone.core.translation import Message
from idtone.ledger.evidence.leaves import StoredStep, may_continue_call, search_keys
from idtone.ledger.replication.replica_batch import ReplicaPosition, batch_after, replica_position
from idtone.ledger.store.calls_in_progress import update_calls_in_progress
from idtone.ledger.store.database import Database, scalar
from idtone.ledger.store.meta import CHECKPOINT, SET_META
from idtone.ledger.store.schema import make_or_upgrade
from idtone.ledger.store.step_macs import INSERT_MACS
from idtone.ledger.store.stored_tree import STEP, leaf_closed_by, open_call, read_hashes
from idtone.ledger.tree.merkle import Frontier, leaf_hash, root, stored_hashes
from idtone.service.backup_result import Reached

_OVER: Final = (
    "SELECT at FROM steps WHERE id <= ? AND leaf IS NOT NULL AND call_id NOT LIKE 'act-%' ORDER BY id DESC LIMIT 1"
)
_QUARANTINE: Final = "number, found, id, node, call_id, kind, at, details, leaf"


@dataclass(frozen=True, slots=True)
class LedgerEnd:
    """The point that a ledger's packs in an archive reach.

    It contains the position, the tree's root, the signed head, and the time when the newest call ended (µs since 1970).
    `quarantine` has the rows of the table with that name.
    """

    reached: Reached
    checkpoint: str | None
    newest: int | None
    quarantine: Sequence[Sequence[Any]] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "steps": self.reached.steps, "leaves": self.reached.leaves, "root": self.reached.root,
            "checkpoint": self.checkpoint, "newest": self.newest, "quarantine": list(self.quarantine),
        }  # fmt: skip

    @classmethod
    def of(cls, found: dict[str, Any]) -> LedgerEnd:
        reached = Reached(int(found["steps"]), int(found["leaves"]), str(found["root"]))
        return cls(reached, found["checkpoint"], found["newest"], found["quarantine"])


NOTHING: Final = Reached(0, 0, Frontier().root().hex())


def continues(ledger: Database, reached: Reached) -> bool:
    """True if this ledger begins with the ledger in the archives.

    Raises LedgerError.
    """
    with ledger.reading() as connection:
        own = replica_position(connection)
        if reached.steps > own.steps or reached.leaves > own.leaves:
            return False
        return root(reached.leaves, partial(read_hashes, connection)).hex() == reached.root


def packs(ledger: Database, reached: Reached, ended: list[LedgerEnd]) -> Iterator[tuple[int, bytes]]:
    """Yield the packs after `reached`, each with the id of its first step.

    Afterwards, `ended` contains the end of the packs. Raises LedgerError.
    """
    position = ReplicaPosition(reached.steps, reached.leaves, stored_hashes(reached.leaves))
    while True:
        batch = batch_after(ledger, position, None)
        if batch.steps:
            macs = [[last, octets.hex()] for last, octets in batch.macs]
            text = json.dumps({"steps": batch.steps, "macs": macs}, ensure_ascii=False, default=_text)
            yield batch.steps[0][0], text.encode()
        position = batch.position
        if (not batch.behind and batch.checkpoint is not None) or not batch.steps:
            break
    with ledger.reading() as connection:
        grown = root(position.leaves, partial(read_hashes, connection))
        aside = connection.execute(f"SELECT {_QUARANTINE} FROM quarantine ORDER BY number").fetchall()  # noqa: S608
        newest = scalar(connection, _OVER, (position.steps,))
    end = Reached(position.steps, position.leaves, grown.hex())
    ended.append(LedgerEnd(end, batch.checkpoint, newest, [[_plain(each) for each in row] for row in aside]))


def _text(value: object) -> str:
    """A value from SQLite as text.

    Another program may have stored any type in the database. Verifying the tree detects this.
    """
    return value.hex() if isinstance(value, bytes) else str(value)


def _plain(value: object) -> object:
    return _text(value) if isinstance(value, bytes) else value


@dataclass
class LedgerGrower:
    """Rebuilds a ledger's database from the packs in archives, as a context manager.

    The file has been written to disk when the context ends.
    """

    path: Path
    frontier: Frontier = field(default_factory=Frontier)
    steps: int = 0
    _open: dict[str, list[StoredStep]] = field(default_factory=dict)
    """Call id → steps that are not in a leaf yet."""

    def __enter__(self) -> LedgerGrower:
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._connection = sqlite3.connect(self.path, isolation_level=None)
        # A run that finds a file left by a crash of the machine begins anew with another one.
        self._connection.execute("PRAGMA journal_mode=OFF").fetchall()
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("BEGIN")
        make_or_upgrade(self._connection, str(self.path))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with closing(self._connection) as connection:
            if kind is None:
                connection.execute("COMMIT")
        if kind is None:
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def add(self, pack: bytes) -> None:
        """Add a pack of steps to the database.

        Raises BackupError if the pack does not follow the previous pack.
        """
        try:
            found = json.loads(pack)
            rows, macs = found["steps"], [(last, bytes.fromhex(text)) for last, text in found["macs"]]
            steps = [(StoredStep._make(row[:-1]), row[-1]) for row in rows]
        except (ValueError, LookupError, TypeError) as error:
            raise BackupError("a pack of the ledger is not what idtone writes") from error
        if any(step.id <= self.steps for step, _ in steps[:1]):
            raise BackupError("the packs of the ledger overlap: this archive does not follow the one before")
        connection = self._connection
        connection.executemany(_INSERT_STEPS, rows)
        connection.executemany(INSERT_MACS, macs)
        for step, leaf in steps:
            self._add(connection, step, leaf)
        update_calls_in_progress(connection, self.steps, {step.kind for step, _ in steps})
        self.steps = max([self.steps, *(step.id for step, _ in steps)])

    def _add(self, connection: sqlite3.Connection, step: StoredStep, leaf: int | None) -> None:
        call = self._open.setdefault(step.call_id, [])
        call.append(step)
        if leaf is None:
            return
        del self._open[step.call_id]
        before, place = 0, stored_hashes(self.frontier.size)
        if may_continue_call([each.kind for each in call]):
            before = open_call(connection, step.call_id, call[0].id).before
        hashed = self.frontier.append(leaf_hash(leaf_closed_by(call, before)))
        connection.executemany(_INSERT_HASHES, enumerate(hashed, place))
        keys = {key for each in call for key in search_keys(each.kind, each.details)}
        connection.executemany(_INSERT_SOUGHT, ((key, step.id) for key in keys))

    def finish(self, end: LedgerEnd) -> list[Message]:
        """Add the data that follows the packs, and return the ledger's faults."""
        if end.checkpoint:
            self._connection.execute(SET_META, (CHECKPOINT, end.checkpoint))
        self._connection.executemany(_INSERT_ASIDE, end.quarantine)
        here = (self.steps, self.frontier.size, self.frontier.root().hex())
        if here != (end.reached.steps, end.reached.leaves, end.reached.root):
            return [
                Message(
                    "the {leaves} leaves in the archives do not make the tree that was backed up",
                    leaves=self.frontier.size,
                )
            ]
        return []


_INSERT_STEPS: Final = f"INSERT INTO steps ({STEP}, leaf) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  words of our own
_INSERT_HASHES: Final = "INSERT INTO hashes (place, hash) VALUES (?, ?)"
_INSERT_ASIDE: Final = f"INSERT INTO quarantine ({_QUARANTINE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_INSERT_SOUGHT: Final = "INSERT INTO sought (token, step) VALUES (?, ?) ON CONFLICT DO NOTHING"
