"""Steps of calls, forged by someone who can write a ledger's file but has no key."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from idtone.ledger.evidence import steps
from idtone.ledger.evidence.leaves import StoredStep, search_keys
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys.sealing import DayKey
from idtone.ledger.store.step_rows import row_of
from idtone.ledger.store.stored_tree import count_leaves, leaf_closed_by, read_frontier
from idtone.ledger.tree.merkle import leaf_hash, stored_hashes

from ..sample_evidence import decided, heard_call, time_after

FORGED = "pbx-1-1793491200.666"
Forgery = Callable[[sqlite3.Connection], None]


def insert_steps(connection: sqlite3.Connection, *told: Step, first: int = 0) -> None:
    """Insert rows after the last row, or from the id `first` on.

    A step that ends a call also gets its leaf, hashes and search entries.
    """
    foreign_key = DayKey("2026-11-01", bytes(32))
    ((last,),) = connection.execute("SELECT max(id) FROM steps").fetchall()
    rows = [row_of("pbx-1", step, lambda day: foreign_key) for step in told]
    size = count_leaves(connection)
    frontier = read_frontier(connection, size)
    stored_steps = [
        StoredStep(number, "pbx-1", row["call_id"], row["kind"], row["at"], row["details"])
        for number, row in enumerate(rows, first or last + 1)
    ]
    closes = told[-1].kind in ("ended", "interrupted")
    for step in stored_steps:
        leaf = size if closes and step is stored_steps[-1] else None
        connection.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", (*step, leaf))
    if not closes:
        connection.execute("INSERT OR IGNORE INTO in_progress VALUES (?)", (told[0].call_id,))
        return
    hashes = frontier.append(leaf_hash(leaf_closed_by(stored_steps, 0)))
    connection.executemany("INSERT INTO hashes VALUES (?, ?)", enumerate(hashes, stored_hashes(size)))
    found_by = {key for step in stored_steps for key in search_keys(step.kind, step.details)}
    connection.executemany("INSERT INTO sought VALUES (?, ?)", ((key, stored_steps[-1].id) for key in found_by))


def insert_call_with_macs(connection: sqlite3.Connection) -> None:
    """Insert a finished call with random octets as its MAC."""
    insert_steps(connection, *heard_call(FORGED))
    ((last,),) = connection.execute("SELECT max(id) FROM steps").fetchall()
    connection.execute("INSERT INTO macs SELECT ?, randomblob(96)", (last,))


def change_open_call(connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE steps SET details = replace(details, 'sample', 'simple') WHERE call_id = 'open' AND kind = 'decided'"
    )


FORGERIES: dict[str, tuple[Forgery, str]] = {
    "a finished call": (lambda connection: insert_steps(connection, *heard_call(FORGED)), FORGED),
    "a finished call with MACs": (insert_call_with_macs, FORGED),
    "an unfinished call": (lambda connection: insert_steps(connection, *heard_call(FORGED)[:-1]), FORGED),
    "the end of a call in progress": (
        lambda connection: insert_steps(connection, steps.ended("open", time_after(70), CallStatus.CANCEL)),
        "open",
    ),
    "a step of a call in progress": (
        lambda connection: insert_steps(connection, steps.answered("open", time_after(70))),
        "open",
    ),
    "a step far away": (lambda connection: insert_steps(connection, decided(call_id=FORGED), first=2**62), FORGED),
    "an open step that was changed": (change_open_call, "open"),
}


def forge(file: Path, forgery: Forgery) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        forgery(connection)
