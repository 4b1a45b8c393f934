"""Recovers what is readable in a damaged ledger database, and creates the next database's first step."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from idtone.core.errors import LedgerError
from idtone.core.signed_notes import Note

from ..evidence import steps
from ..evidence.act_ids import new_act_id
from ..evidence.steps import Step
from ..keys.key_ring import KeyRing
from ..keys.step_key import StepKey
from ..keys.successor_trees import SuccessorTree
from ..store.meta import CHECKPOINT, facts
from ..store.sqlite import connect_for_reading
from ..store.step_macs import StepMacs
from ..store.stored_tree import open_call
from ..tree.checkpoints import Checkpoint, verified_checkpoint

_log = logging.getLogger(__name__)


def continuation(begun: SuccessorTree) -> Step:
    """A new database's first step, which names the previous tree."""
    origin, size, root = begun.ended
    return steps.continued(new_act_id(), datetime.now(UTC), origin, size, root.hex(), Path(begun.file).name, begun.told)


def empty_file_error() -> sqlite3.DatabaseError:
    """The error that marks an empty database file as damaged.

    SQLite raises no error, because it treats an empty file as a new database.
    """
    error = sqlite3.DatabaseError("the file is empty")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def latest_checkpoint(path: Path, key_ring: KeyRing, known: Note | None) -> Note | None:
    """A damaged ledger's latest signed checkpoint; None if there is none.

    It is taken from memory (`known`), the damaged database, or the files next to the key.
    """
    found = [note for note in (known, *_kept(path, key_ring)) if note]
    return max(found, key=lambda note: Checkpoint.parse(note.text).size, default=None)


def _kept(path: Path, key_ring: KeyRing) -> Iterator[Note | None]:
    log = key_ring.signer.key
    for file in (key_ring.seen, key_ring.cosigned):
        try:
            known = file.latest(log)
            yield known[0] if known else None
        except LedgerError as error:
            _log.error("%s", error)
    try:
        with closing(connect_for_reading(path)) as connection:
            note = Note.parse(facts(connection).get(CHECKPOINT, "").encode())
        verified_checkpoint(note, log)
        yield note
    except (sqlite3.Error, LedgerError):
        yield None  # it is damaged, after all


def calls_in_progress_in(path: Path, key: StepKey) -> list[dict[str, Any]]:
    """Rows, in order, of calls in progress in a ledger that has ended; empty if it cannot be read."""
    try:
        with closing(connect_for_reading(path)) as connection:
            macs = StepMacs(connection, key)
            calls = connection.execute("SELECT call_id FROM in_progress").fetchall()
            kept = sorted(step for (call,) in calls for step in open_call(connection, call).steps)
            return [
                {"node": s.node, "call_id": s.call_id, "kind": s.kind, "at": s.at, "details": s.details}
                for s in kept
                if macs.confirms(s, None)
            ]
    except (sqlite3.Error, LedgerError, OSError) as error:
        _log.error("%s: its calls in progress cannot be read: %s", path, error)
        return []
