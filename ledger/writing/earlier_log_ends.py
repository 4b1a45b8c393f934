"""Earlier logs' ends that await their signatures or were given up.

The file next to the key records both, so idtone rereads the logs only after a change. The file is not signed and proves
nothing, so the leaves and acts are reread on every start. If no log gives up an end, that end awaits its signature
again.
"""

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError, TokenAwayError
from idtone.core.translation import Message

from ..keys.key_ring import KeyRing
from ..keys.successor_trees import SuccessorTree
from ..store.meta import CHECKPOINT, facts
from ..store.sqlite import connect_for_reading
from ..store.stored_ends_given_up import end_given_up
from ..tree.checkpoints import Checkpoint
from .sign_log_end import EndCheck, end_named, heads_in_notes, sign_end, stored_heads

_DAMAGED: Final = (sqlite3.Error, OSError, ValueError, LookupError, TypeError)
"""Errors that can occur when reading a database whose content was changed."""

_log = logging.getLogger(__name__)


def note_unsigned_ends(ring: KeyRing, ledger: Path) -> None:
    """Record which earlier logs have no signed end.

    Each log's first leaf names the previous log's end. The record is stored in the file next to the key.
    """
    for tree in ring.successor_trees.trees:
        if not tree.begun or tree.told.get("compromised"):
            continue
        with suppress(LedgerError, *_DAMAGED):
            end = _end_of(tree, ring, ledger)
            if end.text != tree.unsigned if tree.unsigned else end.size > tree.ended[1]:
                ring.successor_trees.record_unsigned_end(tree, end)
                _log.error("%s: its end is not signed; the file beside the key did not say so", tree.after)


def lost_end(following: SuccessorTree, ring: KeyRing, ledger: Path) -> tuple[str, int, str, int]:
    """Name, number of leaves, root and number of signed leaves of the log before `following`.

    `following`'s first leaf names the end. The previous log key's signatures show which leaves are signed. `ledger` is
    the current database. Raises LedgerError.
    """
    path = Path(following.file)
    try:
        end = _end_of(following, ring, ledger)
        noted: list[str | None] = [following.checkpoint]
        if path.exists():  # a lost key may have been lost with its database
            with closing(connect_for_reading(path)) as connection:
                noted.append(facts(connection).get(CHECKPOINT))
    except _DAMAGED as error:
        reading = Message("{path}: what was signed of {log} cannot be read", path=path, log=following.after)
        raise LedgerError(reading) from error
    log = ring.signer_of(end.origin).key
    most = max((each.size for each in (*heads_in_notes(noted, log), *stored_heads(ring, log))), default=0)
    if most >= end.size:
        raise LedgerError("the end of {log} is signed already", log=end.origin)
    return end.origin, end.size, end.root.hex(), most


def give_up_objection(following: SuccessorTree, ring: KeyRing, ledger: Path) -> Message | None:
    """Reason why the end of the log before `following` may not be given up; None if it may be.

    If the machine has that log's key, the end is signed immediately, which is then the reason. A key in a token is
    considered lost only if the token's library reports that it is missing. The caller must hold
    `successor_trees.ending`.
    """
    with closing(ring.with_new_attempts()) as asked:
        return _objection(following, asked, ledger)


def _objection(following: SuccessorTree, ring: KeyRing, ledger: Path) -> Message | None:
    try:
        end = sign_end(following, ring.successor_trees.database_of(following, ledger), ring, EndCheck())
    except (sqlite3.OperationalError, OSError) as error:  # it may pass
        return _unknown(following, error)
    except TokenAwayError as error:
        if not error.is_absent:
            return _unknown(following, error)
        _log.info("%s: nothing signs the end of %s: %s", following.file, following.after, error)
        return None
    except Exception as error:  # a cell of an old database may contain anything
        _log.info("%s: nothing signs the end of %s: %s", following.file, following.after, type(error).__name__)
        return None
    ring.successor_trees.record_signed_end(following, end)
    return Message("its key is here, and has signed it now")


def _unknown(following: SuccessorTree, reason: Exception) -> Message:
    return Message("{path}: whether its end can be signed is not known: {reason}", path=following.file, reason=reason)


def _end_of(following: SuccessorTree, ring: KeyRing, ledger: Path) -> Checkpoint:
    """The end of the log before `following`.

    Raises LedgerError, and `_DAMAGED` for a damaged database.
    """
    database = ring.successor_trees.database_of(following, ledger)
    end = end_named(database, ring.days.ledger_key.step_key(following.origin))
    if end.origin != following.after:
        raise LedgerError("{path}: its first leaf does not name the end of {log}", path=database, log=following.after)
    return end


def note_given_up_ends(ring: KeyRing, ledger: Path) -> None:
    """Record which earlier logs' ends were given up.

    `ledger` is the current database. If there is an error, it is logged and the record stays unchanged.
    """
    for each in ring.successor_trees.without_end:
        try:
            given = end_given_up(ring.successor_trees, each, ring.days.ledger_key, ledger)
            act = given.act if given else ""
            if act != each.given_up:
                ring.successor_trees.give_up(each, act)
                _log.warning("%s: %s", each.after, given.words if given else "no log says that its end was given up")
        except (LedgerError, OSError) as error:
            _log.error("%s: whether its end was given up cannot be read: %s", each.after, error)
