"""Which ends of earlier logs wait for their signatures, and which no longer, because later logs give them up. I/O.

The file beside the key remembers it, so that nothing is read again while nothing has changed. It is no evidence, and
nothing signs it: each start reads the leaves and acts again, and what no log says waits again.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from pathlib import Path

from idtone.core.errors import LedgerError

from ..keys.key_ring import KeyRing
from ..store.given_up_acts import end_given_up
from .ended_log import end_named

_log = logging.getLogger(__name__)


def find_unsigned_ends(ring: KeyRing, ledger: Path) -> None:
    """Ends that the first leaf of the next log names, and of which the file beside the key has no signature."""
    trees = ring.continuity.trees
    files = [*(Path(each.file) for each in trees[1:]), ledger]
    for tree, file in zip(trees, files, strict=False):
        if not tree.begun or tree.unsigned or tree.told.get("compromised"):
            continue
        with suppress(LedgerError, sqlite3.Error, OSError, ValueError, LookupError, TypeError):  # it is damaged
            end = end_named(file, ring.days.ledger_key.step_key(tree.origin))
            if end.origin == tree.after and end.size > tree.ended[1]:
                ring.continuity.unsign(tree, end)
                _log.error("%s: its end is not signed; the file beside the key did not say so", tree.after)


def settle_ends(ring: KeyRing, ledger: Path) -> None:
    """`ledger` is the present database. What cannot be read or written is logged: it stays as it was."""
    for each in ring.continuity.without_end:
        try:
            given = end_given_up(ring.continuity, each, ring.days.ledger_key, ledger)
            act = given.act if given else ""
            if act != each.given_up:
                ring.continuity.give_up(each, act)
                _log.warning("%s: %s", each.after, given.words if given else "no log says that its end was given up")
        except (LedgerError, OSError) as error:
            _log.error("%s: whether its end was given up cannot be read: %s", each.after, error)
