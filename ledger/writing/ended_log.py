"""Signs the end of a log whose token was away when the next log began. I/O.

The next log names all leaves of the one before, with their root, and its own key signs that. So what the token signs
later is known already.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from idtone.core.errors import LedgerError
from idtone.core.signed_notes import Note, NoteSigner
from idtone.core.translation import Message

from ..keys.continuity import Continued
from ..keys.step_key import StepKey
from ..store.meta import CHECKPOINT, SET_META, facts
from ..store.sqlite import connect_for_writing, writing
from ..store.step_macs import StepMacs
from ..store.stored_tree import check_beginning, count_leaves, read_frontier
from ..tree.checkpoints import Checkpoint, believed
from .log_store import check_unsigned


def sign_end(following: Continued, signer: NoteSigner, key: StepKey) -> Note:
    """The signed head of the log before `following`, also written into its database. `key` makes the MACs of its steps.

    Raises TokenAwayError, LedgerError if the database does not hold what was written, sqlite3.Error, and OSError.
    """
    path = Path(following.file)
    if not path.exists():
        raise LedgerError(Message("{path}: the database is missing; restore it from a backup", path=path))
    with closing(connect_for_writing(path)) as connection, writing(connection):
        _check(connection, following, signer, key)
        note = Note(following.unsigned, (signer.sign(following.unsigned),))
        connection.execute(SET_META, (CHECKPOINT, str(note)))
    return note


def _check(connection: sqlite3.Connection, following: Continued, signer: NoteSigner, key: StepKey) -> None:
    """Raises LedgerError unless these are the leaves that the service wrote, and those with which the log ended."""
    size = count_leaves(connection)
    frontier = read_frontier(connection, size)
    signed = 0
    for held in (facts(connection).get(CHECKPOINT), following.checkpoint):
        if held:
            checkpoint = believed(Note.parse(held.encode()), signer.key)
            check_beginning(connection, size, checkpoint)
            signed = max(signed, checkpoint.size)
    if Checkpoint(signer.key.name, size, frontier.root()).text != following.unsigned:
        raise LedgerError(Message("its leaves are not those with which it ended"))
    check_unsigned(connection, StepMacs(connection, key), signed, frontier)
