"""Batches of steps for a ledger's replica, and a comparison of the ledger with the replica."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from idtone.core.errors import LedgerError
from idtone.core.signed_notes import Note

from ..evidence.leaves import OPENING, StoredStep, search_keys
from ..keys.step_key import StepKey
from ..store.database import Connection, Database, literals, placeholders
from ..store.meta import CHECKPOINT, facts
from ..store.step_macs import NO_MAC, StepMacs
from ..store.stored_tree import STEP, count_leaves, newest_id, read_hashes
from ..tree.checkpoints import Checkpoint
from ..tree.merkle import root, stored_hashes

BATCH_STEPS: Final = 1000
"""Maximum number of steps in a batch. Reading that many can delay the writer's commit by a few milliseconds."""
MOST_STEPS: Final = 100_000
"""Maximum range of step ids in a batch. Steps that the service has set aside leave gaps."""
COMPARED: Final = 1000
"""Number of latest steps that are compared one by one. Steps in leaves are compared through the tree."""


class ReplicaPosition(NamedTuple):
    """A position in a ledger, which is its end or the end of its replica."""

    steps: int = 0
    leaves: int = 0
    hashes: int = 0


@dataclass(frozen=True)
class Batch:
    """Rows that follow a position in the ledger, for its replica.

    `behind` is the number of steps that remain after these rows.
    """

    steps: Sequence[tuple[Any, ...]]
    hashes: Sequence[tuple[int, bytes]]
    sought: Sequence[tuple[int, int]]
    macs: Sequence[tuple[int, bytes]]
    checkpoint: str | None
    position: ReplicaPosition
    behind: int


def replica_position(connection: Connection) -> ReplicaPosition:
    """The position at the end of a ledger or replica, from its rows."""
    ((hashes,),) = connection.execute("SELECT coalesce(max(place) + 1, 0) FROM hashes").fetchall()
    return ReplicaPosition(newest_id(connection), count_leaves(connection), hashes)


def batch_after(ledger: Database, position: ReplicaPosition, key: StepKey | None) -> Batch:
    """Read the rows that follow a position, for the replica.

    Raises LedgerError if the ledger cannot be read or if its tree does not match its steps. Also raises LedgerError if
    a step has no valid MAC for `key`, because a replica receives only what the service wrote.
    """
    with ledger.reading() as connection:
        rows = connection.execute(_STEPS, (position.steps, BATCH_STEPS)).fetchall()
        if not rows:
            return Batch((), (), (), (), _checkpoint(connection, position.leaves), position, 0)
        macs = StepMacs(connection, key)
        for *columns, leaf in rows if key else ():
            if not macs.confirms(step := StoredStep._make(columns), leaf):
                raise _foreign(ledger, step)
        last, leaves = rows[-1][0], max((row[6] + 1 for row in rows if row[6] is not None), default=position.leaves)
        hashes = connection.execute(_HASHES, (stored_hashes(position.leaves), stored_hashes(leaves))).fetchall()
        if len(hashes) != stored_hashes(leaves) - stored_hashes(position.leaves) or last - position.steps > MOST_STEPS:
            raise _damaged(ledger)
        return Batch(
            rows,
            hashes,
            _sought(connection, rows),
            ((last, b"".join(macs.of(step) or NO_MAC for step in range(position.steps + 1, last + 1))),),
            _checkpoint(connection, leaves),
            ReplicaPosition(last, leaves, position.hashes + len(hashes)),
            newest_id(connection) - last,
        )


def _foreign(ledger: Database, step: StoredStep) -> LedgerError:
    return LedgerError(
        "{name}: its step {step} (call {call_id}) was not written by this node's service, or was changed; nothing "
        "is replicated until the service has set it aside: restart it, and run: idtone ledger verify",
        name=ledger.name,
        step=step.id,
        call_id=step.call_id,
    )


def _damaged(ledger: Database) -> LedgerError:
    return LedgerError("{name}: its tree is damaged; idtone ledger verify tells more", name=ledger.name)


def _checkpoint(connection: Connection, leaves: int) -> str | None:
    """The signed head, if the replica will contain all its leaves."""
    note = facts(connection).get(CHECKPOINT)
    return note if note and Checkpoint.parse(Note.parse(note.encode()).text).size <= leaves else None


def _sought(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[tuple[int, int]]:
    """Search entries for the leaves that these steps close.

    They are computed in the same way as in the log store, because the table has no index by step.
    """
    over = sorted({row[2] for row in rows if row[6] is not None})
    first, last = rows[0][0], rows[-1][0]
    found: list[tuple[int, int]] = []
    waiting: dict[str, set[int]] = {}
    query = _OPENINGS.format(placeholders(over))  # only question marks are put into it
    for number, call_id, kind, details, leaf in connection.execute(query, (last, *over)).fetchall():
        keys = waiting.setdefault(call_id, set())
        keys.update(search_keys(kind, details))
        if leaf is not None:
            if number >= first:
                found += ((key, number) for key in keys)
            keys.clear()
    return found


class ReplicaDiffersError(LedgerError):
    """The replica does not match the beginning of the ledger."""


class _Sample(NamedTuple):
    """Values for comparing two ledgers up to a position, which are the tree's root and the last steps."""

    root: bytes
    tail: list[tuple[Any, ...]]


def _sample(connection: Connection, position: ReplicaPosition) -> _Sample:
    """Read the values at a position. Raises LedgerError if hashes are missing."""
    newest = f"SELECT {STEP}, leaf FROM steps WHERE id > ? AND id <= ? ORDER BY id"  # noqa: S608 - of our own words
    return _Sample(
        root(position.leaves, partial(read_hashes, connection)),
        list(map(tuple, connection.execute(newest, (position.steps - COMPARED, position.steps)).fetchall())),
    )


def check_replica(replica: Connection, ledger: Database, position: ReplicaPosition) -> None:
    """Raise ReplicaDiffersError unless the replica matches the beginning of the ledger.

    `position` is the replica's end. The ledger is read only after the replica has answered, because a reader that waits
    for a network would delay the ledger's writer.
    """
    if position.hashes != stored_hashes(position.leaves):
        raise ReplicaDiffersError(
            "its tree has {hashes} hashes, and {expected} belong to its leaves",
            hashes=position.hashes,
            expected=stored_hashes(position.leaves),
        )
    try:
        there = _sample(replica, position)
    except LedgerError as error:
        raise ReplicaDiffersError(str(error)) from error
    with ledger.reading() as connection:
        own = replica_position(connection)
        try:
            reached = position.steps <= own.steps and position.leaves <= own.leaves
            here = _sample(connection, position) if reached else None
        except LedgerError as error:
            raise _damaged(ledger) from error
    if position.steps > own.steps:
        raise ReplicaDiffersError(
            "it has {steps:,} steps of this node, and {ledger} has {own:,}: that is an older "
            "copy, or another ledger by the same name",
            steps=position.steps,
            ledger=ledger.name,
            own=own.steps,
        )
    if there != here:
        raise ReplicaDiffersError(
            "what it has of this node is not the beginning of {ledger}: another node replicates by the same "
            "name, or rows were changed there",
            ledger=ledger.name,
        )


_STEPS: Final = f"SELECT {STEP}, leaf FROM steps WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - of our own words
_HASHES: Final = "SELECT place, hash FROM hashes WHERE place >= ? AND place < ? ORDER BY place"
_OPENINGS: Final = (
    "SELECT id, call_id, kind, details, leaf FROM steps WHERE id <= ? AND call_id IN ({}) "  # noqa: S608
    f"AND (kind IN ({literals(OPENING)}) OR leaf IS NOT NULL) ORDER BY id"
)
