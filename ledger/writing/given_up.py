"""Which ends of earlier logs wait no longer for their signatures, because later logs say that they were given up. I/O.

The file beside the key remembers it, so that nothing is read again while nothing has changed. It is no evidence: each
start reads the acts again, and what no log says waits again.
"""

from __future__ import annotations

import logging
from pathlib import Path

from idtone.core.errors import LedgerError

from ..keys.key_ring import KeyRing
from ..store.given_up_acts import end_given_up

_log = logging.getLogger(__name__)


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
