"""What is still known of a damaged database, and what the next one begins with."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from idtone.errors import LedgerError
from idtone.signed_notes import Note

from ..evidence import steps
from ..evidence.act_ids import new_act_id
from ..evidence.steps import Step
from ..keys.continuity import Continued
from ..keys.key_ring import KeyRing
from ..store.meta import CHECKPOINT, facts
from ..store.sqlite import connect_for_reading
from ..tree.checkpoints import Checkpoint, believed

_log = logging.getLogger(__name__)


def continued(begun: Continued) -> Step:
    """The first step of the next database."""
    origin, size, root = begun.ended
    return steps.continued(new_act_id(), datetime.now(UTC), origin, size, root.hex(), Path(begun.file).name, begun.told)


def emptied() -> sqlite3.DatabaseError:
    """An error for an empty file. SQLite raises none, because it takes an empty file for a new database."""
    error = sqlite3.DatabaseError("the file is empty")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def latest(path: Path, key_ring: KeyRing, known: Note | None) -> Note | None:
    """The last signed checkpoint of a ledger that is found: in memory, in its damaged database, or beside its key."""
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
        believed(note, log)
        yield note
    except (sqlite3.Error, LedgerError):
        yield None  # it is damaged, after all
