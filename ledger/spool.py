"""This node's own ledger, as what is copied of it into PostgreSQL: a piece at a time, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from idtone.errors import LedgerError

from .leaves import OPENING, search_keys
from .log import facts, read_hashes
from .source import Source
from .tables import CHECKPOINT, TREE_FROM, hashes, steps
from .tree.checkpoints import Checkpoint
from .tree.merkle import root, stored
from .tree.notes import Note

PIECE_STEPS: Final = 1000
"""Some milliseconds for which reading them can hold up the writer's commit."""
COMPARED: Final = 1000
"""How many of the last steps are compared one by one; what is in leaves is compared by the tree."""


class Place(NamedTuple):
    """How far a copy has come."""

    steps: int = 0
    leaves: int = 0
    hashes: int = 0


@dataclass(frozen=True)
class Piece:
    """What follows a place, as rows of the tables; `behind` is how many steps are left after it."""

    steps: Sequence[tuple[Any, ...]]
    hashes: Sequence[tuple[int, bytes]]
    sought: Sequence[tuple[int, int]]
    checkpoint: str | None
    place: Place
    behind: int


def place_of(connection: Connection) -> Place:
    """Where a ledger ends, by its rows."""
    leaf = select(steps.c.leaf).where(steps.c.leaf.is_not(None)).order_by(steps.c.id.desc()).limit(1)
    row = connection.execute(
        select(
            select(func.coalesce(func.max(steps.c.id), 0)).scalar_subquery(),
            leaf.scalar_subquery(),
            select(func.coalesce(func.max(hashes.c.place) + 1, 0)).scalar_subquery(),
        )
    ).one()
    return Place(row[0], 0 if row[1] is None else row[1] + 1, row[2])


def piece_after(spool: Source, place: Place) -> Piece:
    """Raises LedgerError where the spool cannot be read, or its tree does not go with its steps."""
    with spool.reading() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        rows = driver.execute(_STEPS, (place.steps, PIECE_STEPS)).fetchall()
        if not rows:
            return Piece((), (), (), _checkpoint(connection, place.leaves), place, 0)
        last, leaves = rows[-1][0], max((row[6] + 1 for row in rows if row[6] is not None), default=place.leaves)
        grown = driver.execute(_HASHES, (stored(place.leaves), stored(leaves))).fetchall()
        if len(grown) != stored(leaves) - stored(place.leaves):
            raise _damaged(spool)
        ((newest,),) = driver.execute("SELECT max(id) FROM steps").fetchall()
        return Piece(
            rows,
            grown,
            _sought(driver, facts(connection), rows),
            _checkpoint(connection, leaves),
            Place(last, leaves, place.hashes + len(grown)),
            newest - last,
        )


def _damaged(spool: Source) -> LedgerError:
    return LedgerError(f"{spool.name}: its tree is damaged; idtone ledger verify tells more")


def _checkpoint(connection: Connection, leaves: int) -> str | None:
    """The signed head, once the copy has all the leaves that it is of."""
    note = facts(connection).get(CHECKPOINT)
    return note if note and Checkpoint.parse(Note.parse(note.encode()).text).size <= leaves else None


def _sought(driver: Any, held: dict[str, str], rows: Sequence[tuple[Any, ...]]) -> list[tuple[int, int]]:
    """By what the leaves that these steps close are found, as `Log.grow` has it; the table has no index by step."""
    over = sorted({row[2] for row in rows if row[6] is not None})
    first, last = rows[0][0], rows[-1][0]
    found: list[tuple[int, int]] = []
    waiting: dict[str, set[int]] = {}
    marks = ",".join("?" * len(over))
    query = _OPENINGS.format(marks, ",".join("?" * len(OPENING)))  # only question marks are put into it
    for number, call_id, kind, details, leaf in driver.execute(query, (int(held[TREE_FROM]), last, *over, *OPENING)):
        keys = waiting.setdefault(call_id, set())
        keys.update(search_keys(kind, details))
        if leaf is not None:
            if number >= first:
                found += ((key, number) for key in keys)
            keys.clear()
    return found


class DiffersError(LedgerError):
    """The copy is not the beginning of the spool."""


class Sample(NamedTuple):
    """What two ledgers are compared by, as far as a place: the tree's root, and the last steps."""

    root: bytes
    tail: list[tuple[Any, ...]]


def sample(connection: Connection, place: Place) -> Sample:
    """Raises LedgerError where hashes are missing."""
    newest = select(*steps.c).where(steps.c.id > place.steps - COMPARED, steps.c.id <= place.steps)
    return Sample(
        root(place.leaves, partial(read_hashes, connection)),
        [tuple(row) for row in connection.execute(newest.order_by(steps.c.id))],
    )


def check_copy(copy: Connection, spool: Source, place: Place) -> None:
    """Raises DiffersError unless the copy, which has come to `place`, is the beginning of the spool.

    The spool is read when the copy has answered: a reader that waited for a network would hold up the writer's commit.
    """
    if place.hashes != stored(place.leaves):
        raise DiffersError(f"its tree has {place.hashes} hashes, and {stored(place.leaves)} belong to its leaves")
    try:
        there = sample(copy, place)
    except LedgerError as error:
        raise DiffersError(str(error)) from error
    with spool.reading() as connection:
        own = place_of(connection)
        try:
            here = sample(connection, place) if place.steps <= own.steps and place.leaves <= own.leaves else None
        except LedgerError as error:
            raise _damaged(spool) from error
    if place.steps > own.steps:
        raise DiffersError(
            f"it has {place.steps:,} steps of this node, and {spool.name} has {own.steps:,}: that is an older copy, or "
            "another ledger by the same name"
        )
    if there != here:
        raise DiffersError(
            f"what it has of this node is not the beginning of {spool.name}: another node ships by the same name, or "
            "rows were changed there"
        )


_STEPS: Final = "SELECT id, node, call_id, kind, at, details, leaf FROM steps WHERE id > ? ORDER BY id LIMIT ?"
_HASHES: Final = "SELECT place, hash FROM hashes WHERE place >= ? AND place < ? ORDER BY place"
_OPENINGS: Final = """
    SELECT id, call_id, kind, details, leaf FROM steps
    WHERE id > ? AND id <= ? AND call_id IN ({}) AND (kind IN ({}) OR leaf IS NOT NULL) ORDER BY id
"""
