"""Signs the end of a log whose token was unavailable when the next log began.

The next log's first leaf states the number of the previous log's leaves and their root, and it is signed with the next
log's key. It therefore determines what the token has to sign later. The text is taken from that leaf, not from the
unsigned file next to the key.
"""

import json
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError, ProofError
from idtone.core.signed_notes import Note, VerifierKey

from ..evidence.leaves import StoredStep
from ..evidence.steps import StepKind
from ..keys.key_ring import KeyRing
from ..keys.step_key import StepKey
from ..keys.successor_trees import SuccessorTree
from ..store.database import scalar
from ..store.meta import CHECKPOINT, SET_META, facts
from ..store.sqlite import connect_for_reading, connect_for_writing, writing
from ..store.step_macs import StepMacs
from ..store.stored_tree import STEP, check_beginning, count_leaves, read_frontier
from ..tree.checkpoints import Checkpoint, verified_checkpoint
from .log_store import check_unsigned

SETTLED_NS: Final = 2 * 10**9
"""Time in nanoseconds after a change during which a file may change again without new timestamps."""


@dataclass
class EndCheck:
    """Remembers a failed attempt to sign a log's end.

    `state` is the state of a database that differs from what was written, and `why` is the error. Until the state
    changes, the database is not reread and no token is asked. Only failures are remembered, so a mistake here can
    prevent a signature but never cause a wrong one.
    """

    state: object = None
    why: Exception | None = None


def sign_end(following: SuccessorTree, database: Path, ring: KeyRing, check: EndCheck) -> Note:
    """Sign the end of the log before `following`, and write the signature into that log's database.

    `database` is `following`'s current database. Raises TokenAwayError, LedgerError if a database differs from what was
    written, sqlite3.Error and OSError.
    """
    path = Path(following.file)
    if not path.exists():
        raise LedgerError("{path}: the database is missing; restore it from a backup", path=path)
    signer = ring.signer_of(following.after)
    end = end_named(database, ring.days.ledger_key.step_key(following.origin))
    known = stored_heads(ring, signer.key)
    before = _stamps(path)
    if note := _signed_end(path, end, signer.key):
        return note
    if check.why and check.state == (before, end, known, following):
        raise check.why.with_traceback(None)
    # First, because all unsigned leaves are read below, and a token may be away for days. Until these are known to be
    # what was written, the signature is not given out.
    note = Note(end.text, (signer.sign(end.text),))
    try:
        with closing(connect_for_writing(path)) as connection, writing(connection):
            _check(connection, following, end, known, signer.key, ring)
            connection.execute(SET_META, (CHECKPOINT, str(note)))
    except (sqlite3.Error, OSError):
        raise  # it may pass
    except Exception as error:
        if before == _stamps(path) and time.time_ns() - max(each[-1] for each in before if each) > SETTLED_NS:
            check.state, check.why = (before, end, known, following), error
        raise
    return note


def _signed_end(path: Path, end: Checkpoint, log: VerifierKey) -> Note | None:
    """The signed end in the log's database; None if there is none.

    The file next to the key may lack the end if a process was killed before it was updated.
    """
    try:
        with closing(connect_for_reading(path)) as connection:
            noted = facts(connection).get(CHECKPOINT)
        return Note.parse(noted.encode()) if noted and heads_in_notes([noted], log) == [end] else None
    except (sqlite3.Error, LedgerError, ProofError):
        return None  # the caller examines it again before it signs


def _stamps(path: Path) -> list[tuple[int, ...] | None]:
    """File attributes that reveal changes in a database and its journals.

    Only root can set the last attribute of each file.
    """
    found: list[tuple[int, ...] | None] = []
    for suffix in ("", "-wal", "-journal"):
        try:
            status = path.with_name(path.name + suffix).stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return found


def end_named(database: Path, key: StepKey) -> Checkpoint:
    """The previous log's end, from the first leaf in the next log's database.

    The leaf's MAC proves that the service wrote it. Its signature may still be waiting for a token. Raises LedgerError.
    """
    odd = LedgerError("{path}: its first leaf does not name the end of the log before", path=database)
    with closing(connect_for_reading(database)) as connection:
        row = connection.execute(f"SELECT {STEP}, leaf FROM steps WHERE id = 1").fetchone()  # noqa: S608 - our own words
        if row is None:
            raise odd
        step = StoredStep._make(row[:-1])
        if step.kind != StepKind.CONTINUED or row[-1] != 0 or not StepMacs(connection, key).confirms(step, 0):
            raise odd
    named = json.loads(step.details)
    return Checkpoint(named["origin"], named["leaves"], bytes.fromhex(named["root"]))


def stored_heads(ring: KeyRing, log: VerifierKey) -> list[Checkpoint]:
    """A log's newest heads that the node signed or witnesses cosigned, from the files next to the key."""
    return [found[1] for file in (ring.seen, ring.cosigned) if (found := file.latest(log))]


def heads_in_notes(notes: Iterable[str | None], log: VerifierKey) -> list[Checkpoint]:
    """The heads in signed notes. Empty notes are skipped.

    Raises ProofError if the log has not signed one of the notes.
    """
    return [verified_checkpoint(Note.parse(each.encode()), log) for each in notes if each]


def _check(
    connection: sqlite3.Connection,
    following: SuccessorTree,
    end: Checkpoint,
    known: list[Checkpoint],
    log: VerifierKey,
    ring: KeyRing,
) -> None:
    """Raise LedgerError unless the service wrote the leaves and the log ended with them."""
    size = count_leaves(connection)
    frontier = read_frontier(connection, size)
    noted = facts(connection).get(CHECKPOINT), following.checkpoint
    kept = [*known, *heads_in_notes(noted, log)]
    for each in kept:
        check_beginning(connection, size, each)
    if Checkpoint(log.name, size, frontier.root()) != end:
        raise LedgerError("its leaves are not those with which it ended")
    if scalar(connection, "SELECT kind FROM steps WHERE leaf = ?", (size - 1,)) != StepKind.LOG_ENDED:
        raise LedgerError("its last leaf is not the end of a log")
    signed = max((each.size for each in kept), default=0)
    check_unsigned(connection, StepMacs(connection, ring.days.ledger_key.step_key(log.name)), signed, frontier)
