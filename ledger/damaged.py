"""What is still known of a damaged database, and what the next one begins with."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from idtone.errors import LedgerError

from . import steps
from .act_ids import new_act_id
from .continuity import Continued
from .custody import Custody
from .log import facts
from .sqlite import reading_engine
from .steps import Step
from .tables import CHECKPOINT
from .tree.checkpoints import Checkpoint, believed
from .tree.notes import Note

_log = logging.getLogger(__name__)


def continued(begun: Continued) -> Step:
    """The first step of the next one."""
    origin, size, root = begun.ended
    return steps.continued(new_act_id(), datetime.now(UTC), origin, size, root.hex(), Path(begun.file).name)


def emptied() -> DBAPIError:
    """As SQLite would put it, which takes an empty file for a new database."""
    error = sqlite3.DatabaseError("the file is empty")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return DBAPIError("", None, error)


def latest(path: Path, custody: Custody, known: Note | None) -> Note | None:
    """What was signed last of a ledger, as far as can be found: in memory, in its damaged database, beside its key."""
    found = [note for note in (known, *_kept(path, custody)) if note]
    return max(found, key=lambda note: Checkpoint.parse(note.text).size, default=None)


def _kept(path: Path, custody: Custody) -> Iterator[Note | None]:
    log = custody.signer.key
    for seen in (custody.seen, custody.cosigned):
        try:
            known = seen.latest(log)
            yield known[0] if known else None
        except LedgerError as error:
            _log.error("%s", error)
    engine = reading_engine(path)
    try:
        with engine.begin() as connection:
            note = Note.parse(facts(connection).get(CHECKPOINT, "").encode())
        believed(note, log)
        yield note
    except (SQLAlchemyError, LedgerError):
        yield None  # it is damaged, after all
    finally:
        engine.dispose()
