"""Quarantine for ledger rows that were changed or that the service did not write.

Such steps are set aside, reported by name, and never signed. Only a node's own file has a quarantine. Rows are moved
unchanged from `steps` to `quarantine`, and everything derived from them is removed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from idtone.core.errors import LedgerError

from ..evidence.leaves import CLOSING, StoredStep
from ..keys.step_key import MAC_BYTES
from ..tree.merkle import stored_hashes
from .database import Connection, literals, scalar
from .step_macs import StepMacs
from .stored_tree import STEP, newest_id

PAGE_ROWS: Final = 200
CHANGED_LIMIT: Final = 1000
"""Number of latest signed steps that may have been changed.

If all of them appear changed, the key is probably the wrong one.
"""


FAR: Final = 1_000_000_000
"""A difference between consecutive ids that is too large to be explained by inserted foreign steps."""


@dataclass(slots=True)
class SetAside:
    """Steps that were moved to quarantine.

    `steps` is their number, and `calls` contains the ids of their calls. `missing` is how many of the steps last
    written by the service are gone.
    """

    steps: int = 0
    missing: int = 0
    calls: dict[str, None] = field(default_factory=dict)

    def add(self, other: SetAside) -> None:
        self.steps += other.steps
        self.missing += other.missing
        self.calls |= other.calls

    def __bool__(self) -> bool:
        return bool(self.steps or self.missing)


class _Row(NamedTuple):
    step: StoredStep
    leaf: int | None


def set_aside_end(connection: sqlite3.Connection, macs: StepMacs, signed: int | None, found: int) -> SetAside:
    """Quarantine all steps after the last step that the service wrote.

    `signed` is the known number of signed leaves, or None if nothing was ever signed. `found` is the time in µs since
    1970. Raises LedgerError, and sets nothing aside, if none of the latest steps has a valid MAC for the ledger's key.
    """
    last = _last_of_ours(connection, macs, signed)
    if last is None:
        return SetAside()
    aside = _move(connection, "id > ?", (last,), found)
    aside.missing = max(0, _cut_macs(connection, last) - aside.steps)
    if aside.steps:
        leaves = scalar(connection, _NEWEST_LEAF, (last,))
        connection.execute("DELETE FROM hashes WHERE place >= ?", (stored_hashes(0 if leaves is None else leaves + 1),))
        connection.execute("DELETE FROM sought WHERE step > ?", (last,))
    return aside


def set_aside_steps(connection: Connection, steps: Iterable[StoredStep], found: int) -> SetAside:
    """Quarantine individual steps of calls in progress.

    `found` is the time in µs since 1970.
    """
    aside = SetAside()
    for step in steps:
        aside.add(_move(connection, "id = ?", (step.id,), found))
    return aside


def _last_of_ours(connection: Connection, macs: StepMacs, signed: int | None) -> int | None:
    """Id of the last step that the service wrote.

    None if the step cannot be found, in which case nothing must be set aside.
    """
    if not newest_id(connection):
        return None
    ours: int | None = None
    signed_at: int | None = None
    looked_at = 0
    for row in _backwards(connection):
        if macs.confirms(row.step, row.leaf):
            ours = row.step.id
            break
        looked_at += signed_at is not None
        if looked_at > CHANGED_LIMIT:
            break
        if signed and row.leaf == signed - 1:
            signed_at = row.step.id
    if ours is None:
        if signed is None:
            return 0
        raise LedgerError("none of its latest steps was written with this ledger's key (ledger.key_file)")
    newest = scalar(connection, _NEWEST_LEAF, (ours,))
    if signed and (newest is None or newest < signed - 1):
        # The last signed leaf was changed: that is not set aside, unless the next steps would find no place after it.
        return signed_at if signed_at is None or signed_at - ours < FAR else ours
    return ours


def _backwards(connection: Connection) -> Iterator[_Row]:
    before = 2**63 - 1
    query = f"SELECT {STEP}, leaf FROM steps WHERE id <= ? AND id > 0 ORDER BY id DESC LIMIT ?"  # noqa: S608
    while rows := connection.execute(query, (before, PAGE_ROWS)).fetchall():
        yield from (_Row(StoredStep._make(row[:-1]), row[-1]) for row in rows)
        before = rows[-1][0] - 1


def _move(connection: Connection, which: str, values: Sequence[object], found: int) -> SetAside:
    # With DISTINCT, SQLite would read the index of all calls that there are, at each start.
    rows = connection.execute(f"SELECT call_id FROM steps WHERE {which} ORDER BY id", values).fetchall()  # noqa: S608
    calls = dict.fromkeys(call_id for (call_id,) in rows)
    if not rows:
        return SetAside()
    connection.execute(_COPY.format(which), (found, *values))
    count = connection.execute(f"DELETE FROM steps WHERE {which}", values).rowcount  # noqa: S608
    for call_id in calls:
        connection.execute("DELETE FROM in_progress WHERE call_id = ?", (call_id,))
        connection.execute(_STILL_IN_PROGRESS, (call_id, call_id))
    return SetAside(count, calls=dict.fromkeys(map(str, calls)))


def _cut_macs(connection: Connection, last: int) -> int:
    others = 0
    for end, macs in connection.execute("SELECT last, macs FROM macs WHERE last > ?", (last,)).fetchall():
        count = len(macs) // MAC_BYTES if isinstance(macs, bytes) else 0
        others += min(count, end - last)
        connection.execute("DELETE FROM macs WHERE last = ?", (end,))
        left = count - (end - last)
        if left > 0 and scalar(connection, "SELECT 1 FROM macs WHERE last = ?", (last,)) is None:
            connection.execute("INSERT INTO macs VALUES (?, ?)", (last, macs[: left * MAC_BYTES]))
    return others


_NEWEST_LEAF: Final = "SELECT leaf FROM steps WHERE leaf IS NOT NULL AND id <= ? ORDER BY id DESC LIMIT 1"
_COPY: Final = f"INSERT INTO quarantine SELECT NULL, ?, {STEP}, leaf FROM steps WHERE {{}} ORDER BY id"  # noqa: S608
_STILL_IN_PROGRESS: Final = (
    "INSERT INTO in_progress SELECT DISTINCT call_id FROM steps WHERE call_id = ? AND NOT EXISTS "  # noqa: S608 - our words
    f"(SELECT 1 FROM steps WHERE call_id = ? AND kind IN ({literals(CLOSING)}))"
)
"""Statement that records calls as still in progress.

This includes calls whose decision was set aside, because their other steps must still become a leaf.
"""
