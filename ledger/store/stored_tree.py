"""The Merkle tree in the database, with its hashes and leaves, and its comparison with signed checkpoints."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from idtone.core.errors import LedgerError, ProofError
from idtone.core.signed_notes import Note, VerifierKey

from ..evidence.leaves import StoredStep, leaf, may_continue_call
from ..tree.checkpoints import Checkpoint, verified_checkpoint
from ..tree.merkle import Frontier, root, stored_hashes
from .database import Connection, placeholders, scalar
from .meta import CHECKPOINT, facts

STEP: str = "id, node, call_id, kind, at, details"
"""Columns that make up a `StoredStep`."""


class OpenCall(NamedTuple):
    """A call's state before its next step."""

    steps: tuple[StoredStep, ...] = ()
    """The call's steps that are in no leaf yet."""
    before: int = 0
    """Number of the call's steps in leaves."""
    over: bool = False
    """True if the call has a leaf."""


def open_call(connection: Connection, call_id: str, until: int | None = None, closing: int | None = None) -> OpenCall:
    """Read a call's state before its next step from the database.

    If `until` is given, that step and all later steps are ignored. If `closing` is given, that leaf is treated as not
    yet closed.
    """
    query = f"SELECT {STEP}, leaf FROM steps WHERE call_id = ?"  # noqa: S608 - of our own words
    values: tuple[object, ...] = (call_id,)
    if until is not None:
        query, values = f"{query} AND id < ?", (call_id, until)
    rows = connection.execute(f"{query} ORDER BY id", values).fetchall()
    last = max((number for number, row in enumerate(rows) if row[-1] not in (None, closing)), default=-1)
    unclosed = tuple(StoredStep._make(row[:-1]) for row in rows[last + 1 :])
    return OpenCall(unclosed, last + 1, any(row[-1] is not None for row in rows))


def leaf_closed_by(unclosed: Sequence[StoredStep], before: int) -> bytes:
    """Build the leaf that the last of these steps closes.

    `before` is the number of the call's earlier steps.
    """
    after = before if may_continue_call([step.kind for step in unclosed]) else 0
    return leaf(unclosed[-1].call_id, [step.text for step in unclosed], after)


def count_leaves(connection: Connection) -> int:
    """Number of leaves in the tree, derived from the newest leaf.

    A query for the highest number would read every step.
    """
    newest = scalar(connection, "SELECT leaf FROM steps WHERE leaf IS NOT NULL ORDER BY id DESC LIMIT 1")
    return 0 if newest is None else int(newest) + 1


def newest_id(connection: Connection) -> int:
    """Id of the last step; 0 if there is none."""
    return int(scalar(connection, "SELECT coalesce(max(id), 0) FROM steps"))


def read_hashes(connection: Connection, places: Sequence[int]) -> Mapping[int, bytes]:
    """Read the tree's hashes at the given places.

    Raises ProofError if a hash is missing.
    """
    query = f"SELECT place, hash FROM hashes WHERE place IN ({placeholders(places)})"  # noqa: S608 - only question marks
    found: dict[int, bytes] = dict(connection.execute(query, tuple(places)).fetchall()) if places else {}
    if len(found) < len(set(places)):
        raise ProofError("hashes of the tree are missing")
    return found


def read_frontier(connection: Connection, size: int) -> Frontier:
    """Read the tree's right edge from the database.

    Raises LedgerError if the number of stored hashes does not match `size` leaves.
    """
    count = scalar(connection, "SELECT coalesce(max(place) + 1, 0) FROM hashes")
    if count != stored_hashes(size):
        raise LedgerError(
            "its tree has {count} hashes, and {wanted} belong to its {size} leaves",
            count=count,
            wanted=stored_hashes(size),
            size=size,
        )
    return Frontier.read(size, partial(read_hashes, connection))


def check_beginning(connection: Connection, size: int, signed: Checkpoint) -> None:
    """Raise LedgerError unless the tree of `size` leaves begins with the tree of the checkpoint `signed`."""
    if size < signed.size:
        raise LedgerError(
            "it has {size} leaves, and {signed} were signed: this is an older copy, or cut off",
            size=size,
            signed=signed.size,
        )
    if root(signed.size, partial(read_hashes, connection)) != signed.root:
        raise LedgerError("its first {signed} leaves are not those that were signed", signed=signed.size)


class UnsignedError(LedgerError):
    """The tree's last leaves are not signed, but all other checks passed."""


def signed_leaves(connection: Connection, log: VerifierKey, kept: Iterable[Checkpoint]) -> int:
    """The tree's number of leaves, returned after a quick check of its signatures.

    The log must have signed all leaves, and the tree must begin with each checkpoint in `kept`. Raises UnsignedError if
    only signatures are missing, and otherwise LedgerError. The check reads only a few hashes, whereas `verification`
    reads everything.
    """
    size = count_leaves(connection)
    read_frontier(connection, size)
    for each in kept:
        check_beginning(connection, size, each)
    if size:
        signed = 0
        if held := facts(connection).get(CHECKPOINT):
            checkpoint = verified_checkpoint(Note.parse(held.encode()), log)
            check_beginning(connection, size, checkpoint)
            signed = checkpoint.size
        if signed < size:
            raise UnsignedError("{count} of its {size} leaves are not signed", count=size - signed, size=size)
    return size
