"""The tree in the ledger's database: it grows in the transaction that writes the steps which close a leaf."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from idtone.errors import LedgerError

from .custody import Custody
from .leaves import CLOSING, OPENING, StoredStep, leaf, must_be_counted, search_keys
from .steps import StepKind
from .tables import CHECKPOINT, TREE_FROM, UPSERT_META, hashes, meta, steps
from .tree.checkpoints import Checkpoint, believed
from .tree.merkle import Frontier, inclusion_proof, leaf_hash, root, stored
from .tree.notes import Note, VerifierKey
from .tree.proofs import InclusionProof

OPEN_LIMIT: Final = 50_000
"""Calls in progress of which the steps are kept in memory; of others they are read again."""
LATE_US: Final = 3_600_000_000
"""How long after a call began it may still be decided; it is seconds."""

_log = logging.getLogger(__name__)


_KNOWN: Final = "SELECT 1 FROM steps WHERE call_id = ? LIMIT 1"
_INSERT_STEPS: Final = "INSERT INTO steps (id, node, call_id, kind, at, details, leaf) VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_HASHES: Final = "INSERT INTO hashes (place, hash) VALUES (?, ?)"
_INSERT_SOUGHT: Final = "INSERT INTO sought (token, step) VALUES (?, ?)"


class OpenCall(NamedTuple):
    """A call as its next step finds it."""

    steps: tuple[StoredStep, ...] = ()
    """Those that are in no leaf yet."""
    before: int = 0
    """How many others it has: in leaves, or older than the tree."""
    over: bool = False
    """It has a leaf."""


@dataclass
class Growth:
    """What one transaction adds, to be kept in memory only when it is committed."""

    frontier: Frontier | None
    next_id: int
    calls: dict[str, OpenCall] = field(default_factory=dict)
    """As they are afterwards."""
    checkpoint: Note | None = None
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    """Of the steps, as they are written."""


class Log:
    """Belongs to the writer's thread, but for `checkpoint`."""

    def __init__(
        self,
        custody: Custody,
        frontier: Frontier | None,
        next_id: int,
        tree_from: int,
        checkpoint: Note | None,
        refusal: str,
    ) -> None:
        """Use `open`. `checkpoint` is what was signed last; None where nothing is signed any more, due to `refusal`."""
        self._signer = custody.signer
        self._frontier = frontier
        self._next_id = next_id
        self._tree_from = tree_from
        self._open: dict[str, OpenCall] = {}
        self._refusal = refusal
        self.checkpoint = checkpoint

    @classmethod
    def open(cls, connection: Connection, path: Path, custody: Custody) -> Log:
        """Go on with the tree that is there. Raises LedgerError where what was signed last cannot be read.

        A database that is not what was signed is written to and no longer signed: calls go on, and their evidence is
        worth what it is. One whose tree is damaged gets no more leaves either.
        """
        held = facts(connection)
        size = _leaves(connection, held)
        newest = int(connection.execute(select(func.coalesce(func.max(steps.c.id), 0))).scalar_one())
        frontier, checkpoint, refusal = None, None, ""
        try:
            frontier = _frontier(connection, size)
            kept = [each.latest(custody.signer.key) for each in (custody.seen, custody.cosigned)]
            if size:
                checkpoint = Note.parse(held.get(CHECKPOINT, "").encode())
                check_beginning(connection, size, believed(checkpoint, custody.signer.key))
            for each in kept:
                if each:
                    check_beginning(connection, size, each[1])
        except LedgerError as error:
            checkpoint, refusal = None, _refusing(path, str(error))
        opened = cls(custody, frontier, newest + 1, tree_from(held), checkpoint, refusal)
        opened._know_unattended(connection)
        return opened

    def _know_unattended(self, connection: Connection) -> None:
        """The calls in progress of which the decision may yet come, too late: before others nothing comes."""
        newest = connection.execute(select(func.max(steps.c.at))).scalar()
        query = select(steps.c.call_id).where(
            steps.c.at > (newest or 0) - LATE_US, steps.c.kind == StepKind.UNATTENDED.value
        )
        for row in connection.execute(query).fetchall():
            call = open_call(connection, row.call_id, self._tree_from)
            if not call.over:
                self._open[row.call_id] = call

    @property
    def next_id(self) -> int:
        """Of the step that is written next."""
        return self._next_id

    @property
    def size(self) -> int:
        """Leaves; 0 where the tree is damaged."""
        return self._frontier.size if self._frontier else 0

    def unclosed(self) -> list[dict[str, Any]]:
        """The rows of calls in progress that are in no leaf, as far as they are in memory, in order."""
        kept = sorted(step for call in self._open.values() for step in call.steps)
        return [{"node": s.node, "call_id": s.call_id, "kind": s.kind, "at": s.at, "details": s.details} for s in kept]

    def grow(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> Growth:
        """Write these rows of steps, in order, and the leaves that they close."""
        grown = Growth(self._frontier and self._frontier.copy(), self._next_id)
        frontier = grown.frontier
        new_steps = grown.rows
        new_hashes: list[tuple[int, bytes]] = []
        found_by: list[tuple[int, int]] = []
        place = stored(frontier.size) if frontier else 0
        for row in rows:
            step = StoredStep(grown.next_id, row["node"], row["call_id"], row["kind"], row["at"], row["details"])
            grown.next_id += 1
            if frontier is None:
                new_steps.append((*step, None))
                continue
            call = self._call(connection, grown, step)
            unclosed = (*call.steps, step)
            if not call.over and step.kind not in CLOSING:
                grown.calls[step.call_id] = OpenCall(unclosed, call.before)
                new_steps.append((*step, None))
                continue
            new_steps.append((*step, frontier.size))
            for hashed in frontier.append(leaf_hash(leaf_of(unclosed, call.before))):
                new_hashes.append((place, hashed))
                place += 1
            found_by += (
                (key, step.id) for key in {key for each in unclosed for key in search_keys(each.kind, each.details)}
            )
            grown.calls[step.call_id] = OpenCall((), call.before + len(unclosed), True)
        checkpoint = self._sign(frontier) if frontier and new_hashes and not self._refusal else None
        # By the driver itself: what SQLAlchemy does for a statement takes longer than SQLite.
        driver = connection.connection.driver_connection
        assert driver is not None
        try:
            driver.executemany(_INSERT_STEPS, new_steps)
            driver.executemany(_INSERT_HASHES, new_hashes)
            driver.executemany(_INSERT_SOUGHT, found_by)
            if checkpoint:
                driver.execute(UPSERT_META, {"key": CHECKPOINT, "value": str(checkpoint)})
        except sqlite3.Error as error:
            raise DBAPIError("", None, error) from error
        grown.checkpoint = checkpoint
        return grown

    def go_on_from(self, before: Log) -> None:
        """What is in no database of what was known before it was opened anew."""
        if before._next_id == self._next_id:
            self._open = before._open
        if before._refusal:
            self._refusal, self.checkpoint = before._refusal, None

    def distrust(self, path: Path, reason: str) -> None:
        """Sign nothing any more. From any thread."""
        if not self._refusal:
            self._refusal = _refusing(path, reason)
            self.checkpoint = None

    def keep(self, grown: Growth) -> None:
        """It is committed."""
        self._frontier, self._next_id = grown.frontier, grown.next_id
        self.checkpoint = None if self._refusal else grown.checkpoint or self.checkpoint
        for call_id, call in grown.calls.items():
            self._open.pop(call_id, None)
            if not call.over:
                self._open[call_id] = call
        while len(self._open) > OPEN_LIMIT:
            del self._open[next(iter(self._open))]

    def _call(self, connection: Connection, grown: Growth, step: StoredStep) -> OpenCall:
        """As this step finds it."""
        known = grown.calls.get(step.call_id) or self._open.get(step.call_id)
        if known is not None:
            return known
        if step.kind in OPENING and not _knows(connection, step.call_id):
            return OpenCall()
        return open_call(connection, step.call_id, self._tree_from)

    def _sign(self, frontier: Frontier) -> Note:
        text = Checkpoint(self._signer.key.name, frontier.size, frontier.root()).text
        return Note(text, (self._signer.sign(text),))


def _refusing(path: Path, reason: str) -> str:
    """Tell it."""
    _log.error(
        "%s: %s. Evidence is written and no longer signed: restore the newest copy of this file, or move it away and "
        "let ledger.origin be another name",
        path, reason,
    )  # fmt: skip
    return reason


def _knows(connection: Connection, call_id: str) -> bool:
    """Whether a call has steps; by the driver itself, since every call comes by here."""
    driver = connection.connection.driver_connection
    assert driver is not None
    try:
        return driver.execute(_KNOWN, (call_id,)).fetchone() is not None
    except sqlite3.Error as error:
        raise DBAPIError("", None, error) from error


def holds(connection: Connection, grown: Growth) -> bool:
    """Whether what was to be written is there, and nothing after it."""
    first = grown.rows[0][0]
    found = connection.execute(select(steps).where(steps.c.id >= first).order_by(steps.c.id)).fetchall()
    return [tuple(row) for row in found] == grown.rows


def _leaves(connection: Connection, held: Mapping[str, str]) -> int:
    """How many there are, by the newest: the largest of all would be found by reading every step."""
    closed = steps.c.leaf.is_not(None), steps.c.id > tree_from(held)
    newest = connection.execute(select(steps.c.leaf).where(*closed).order_by(steps.c.id.desc()).limit(1)).scalar()
    return 0 if newest is None else int(newest) + 1


def _frontier(connection: Connection, size: int) -> Frontier:
    """Raises LedgerError where the tree cannot be gone on with."""
    count = connection.execute(select(func.coalesce(func.max(hashes.c.place) + 1, 0))).scalar_one()
    if count != stored(size):
        raise LedgerError(f"its tree has {count} hashes, and {stored(size)} belong to its {size} leaves")
    return Frontier.read(size, lambda places: read_hashes(connection, places))


def leaf_of(unclosed: Sequence[StoredStep], before: int) -> bytes:
    """The leaf that the last of these steps closes, of a call that has so many others before them."""
    after = before if must_be_counted([step.kind for step in unclosed]) else 0
    return leaf(unclosed[-1].call_id, [step.text for step in unclosed], after)


def open_call(
    connection: Connection, call_id: str, tree_from: int, until: int | None = None, closing: int | None = None
) -> OpenCall:
    """What the database has of a call; or had before the step `until`, and before the leaf `closing` was closed."""
    query = select(steps).where(steps.c.call_id == call_id).order_by(steps.c.id)
    rows = connection.execute(query if until is None else query.where(steps.c.id < until)).fetchall()
    last = max(
        (number for number, row in enumerate(rows) if row.id <= tree_from or row.leaf not in (None, closing)),
        default=-1,
    )
    unclosed = tuple(
        StoredStep(row.id, row.node, row.call_id, row.kind, row.at, row.details) for row in rows[last + 1 :]
    )
    return OpenCall(unclosed, last + 1, any(row.leaf is not None for row in rows))


def read_hashes(connection: Connection, places: Sequence[int]) -> Mapping[int, bytes]:
    """Raises LedgerError where one is missing."""
    wanted = list(places)
    found = {row.place: row.hash for row in connection.execute(select(hashes).where(hashes.c.place.in_(wanted)))}
    if len(found) < len(set(wanted)):
        raise LedgerError("hashes of the tree are missing")
    return found


def check_beginning(connection: Connection, size: int, signed: Checkpoint) -> None:
    """Raises LedgerError unless the tree of `size` leaves begins with the one that was signed."""
    if size < signed.size:
        raise LedgerError(f"it has {size} leaves, and {signed.size} were signed: this is an older copy, or cut off")
    if root(signed.size, lambda places: read_hashes(connection, places)) != signed.root:
        raise LedgerError(f"its first {signed.size} leaves are not those that were signed")


def facts(connection: Connection) -> dict[str, str]:
    """The table `meta`. What is no text there is none of ours, and is as good as missing."""
    rows = connection.execute(select(meta)).fetchall()
    return {row.key: row.value for row in rows if isinstance(row.value, str)}


def tree_from(held: Mapping[str, str]) -> int:
    """The last step that is older than the tree. Raises LedgerError where the table `meta` does not say it."""
    value = held.get(TREE_FROM, "")
    if not value.isascii() or not value.isdecimal():
        raise LedgerError(f"the table meta does not say where the tree begins ({TREE_FROM}); restore a backup")
    return int(value)


@dataclass(frozen=True, slots=True)
class Proven:
    """A leaf of a call, and the proof that it is in the tree. `content` is what is hashed."""

    content: bytes
    proof: InclusionProof


def proofs(connection: Connection, call_id: str, cosigned: Note | None) -> list[Proven]:
    """Of each leaf of a call, in order, in the tree of the ledger's own checkpoint. Raises LedgerError.

    Or in that of the `cosigned` one, where it holds them all: others have seen that one.
    """
    held = facts(connection)
    begins = tree_from(held)
    closing = connection.execute(
        select(steps.c.id, steps.c.leaf)
        .where(steps.c.call_id == call_id, steps.c.leaf.is_not(None))
        .order_by(steps.c.id)
    ).fetchall()
    if not closing:
        return []
    if CHECKPOINT not in held:
        raise LedgerError("the ledger holds no signed checkpoint of its tree; run: idtone ledger verify")
    note = Note.parse(held[CHECKPOINT].encode())
    if cosigned and Checkpoint.parse(cosigned.text).size > closing[-1].leaf:
        note = cosigned
    size = Checkpoint.parse(note.text).size
    found = []
    for row in closing:
        call = open_call(connection, call_id, begins, row.id + 1, row.leaf)
        content = leaf_of(call.steps, call.before)
        path = inclusion_proof(row.leaf, size, lambda places: read_hashes(connection, places))
        found.append(Proven(content, InclusionProof(row.leaf, tuple(path), note, content)))
    return found


def signed_leaves(connection: Connection, log: VerifierKey, kept: Iterable[Checkpoint]) -> int:
    """How many leaves the tree has, all signed by the log, where it begins with what was kept of it elsewhere.

    Raises LedgerError where it is not so. Reads a few hashes, and no step; `verifying` looks at all.
    """
    held = facts(connection)
    size = _leaves(connection, held)
    _frontier(connection, size)
    for each in kept:
        check_beginning(connection, size, each)
    if size:
        checkpoint = believed(Note.parse(held.get(CHECKPOINT, "").encode()), log)
        check_beginning(connection, size, checkpoint)
        if checkpoint.size < size:
            raise LedgerError(f"{size - checkpoint.size} of its {size} leaves are not signed")
    return size
