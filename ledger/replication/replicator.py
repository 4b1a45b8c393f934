"""Keeps the replica of this node's ledger in PostgreSQL up to date (docs/adr/0015).

No call waits for it: the evidence is durable in the node's own file. Each transaction reads in PostgreSQL how far the
replica has come and adds what follows, so that each step arrives once, whichever side dies at whatever moment.
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass
from time import monotonic
from typing import Final

from idtone.errors import LedgerError
from idtone.logs import in_words, unexpected
from idtone.settings import LedgerSettings
from idtone.signed_notes import VerifierKey

from ..store.database import Database
from ..store.stored_tree import newest_id
from .replica_connection import ReplicaConnection, key_of_own_ledger

LOOK_EVERY_S: Final = 1.0
HEARD_EVERY_S: Final = 10.0
"""How often the node reports to PostgreSQL while nothing happens on it."""
BACK_OFF_S: Final = 30.0
CLOSE_WITHIN_S: Final = 3.0
"""How long a stop waits until the last steps are replicated."""
TELL_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """How far the replica has come: `behind` steps are not there yet, None if unknown; `trouble` says why not.

    `lost_leaves` never came there: they are in ledgers that were damaged and set aside.
    """

    behind: int | None = None
    trouble: str = ""
    lost_leaves: int = 0

    def __str__(self) -> str:
        if self.trouble:
            waiting = f", {self.behind:,} steps wait" if self.behind and self.behind > 0 else ""
            return f"PostgreSQL does not get the evidence{waiting}"
        if self.behind is None:
            return "PostgreSQL has not answered yet"
        if self.behind:
            return f"PostgreSQL gets {self.behind:,} steps"
        lost = f" but {self.lost_leaves:,} leaves of what was set aside" if self.lost_leaves else ""
        return f"PostgreSQL has it all{lost}"


class Replicator:
    """Works in a thread of its own, from `begin` to `close`."""

    def __init__(self, settings: LedgerSettings, node: str) -> None:
        """Raises LedgerError if the settings cannot be used. PostgreSQL need not be there."""
        self._settings = settings
        self._node = node
        self._connection = ReplicaConnection(settings, node)
        self._ledger = Database.in_file(settings.own())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idtone-replicator", daemon=True)
        self._arrived: tuple[VerifierKey, int] | None = None
        """The last step that PostgreSQL has, and of which log."""
        self._failures = 0
        self.status = ReplicaStatus()
        """From any thread."""

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Replicate what was written last, as far as a short time allows."""
        self._over.set()
        self._thread.join(CLOSE_WITHIN_S)
        if self._thread.is_alive():
            self._connection.cut()
            self._thread.join(CLOSE_WITHIN_S)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._over.wait(wait_s):
            try:
                self._replicate_on()
            except Exception as error:
                if self._over.is_set():
                    _log.info("the steps that are not replicated yet are replicated after the next start")
                else:
                    self._tell(error)
                    self._failures += 1
            # Not all nodes at once, when PostgreSQL is back.
            wait_s = min(BACK_OFF_S, LOOK_EVERY_S * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1)  # noqa: S311 - no secret

    def _replicate_on(self) -> None:
        """Until `close`, or something goes wrong."""
        heard_at_s, told_at_s, arrived, tells = -HEARD_EVERY_S, monotonic(), 0, True
        while True:
            last = self._over.is_set()
            if tells or monotonic() - heard_at_s >= HEARD_EVERY_S or self._has_more():
                batch = self._connection.replicate()
                arrived += len(batch.steps)
                if tells or (batch.behind and monotonic() - told_at_s >= TELL_EVERY_S):
                    _log.info("%d steps are replicated to PostgreSQL, %d to go", arrived, batch.behind)
                    told_at_s, tells = monotonic(), False
                heard_at_s, self._failures = monotonic(), 0
                self._arrived = self._connection.key, batch.position.steps
                self.status = ReplicaStatus(batch.behind, lost_leaves=self._connection.lost_leaves)
                if batch.behind:
                    continue
            if last:
                self._connection.close()
                return
            self._over.wait(LOOK_EVERY_S)

    def _has_more(self) -> bool:
        try:
            return bool(self._waiting())
        except LedgerError as error:
            _log.debug("%s", error)  # the lock is released soon, or the next batch reports it
            return False

    def _waiting(self) -> int | None:
        """How many steps PostgreSQL does not have; None if it has not answered yet. Raises LedgerError."""
        if self._arrived is None:
            return None
        key, last = self._arrived
        if key_of_own_ledger(self._settings, self._node) != key:
            last = 0  # the one before was set aside
        with self._ledger.reading() as connection:
            return newest_id(connection) - last

    def _tell(self, error: Exception) -> None:
        """Log each trouble once, not at every attempt."""
        trouble = in_words(error)
        if trouble != self.status.trouble:
            _log.error("evidence is not replicated, and kept here: %s", trouble, exc_info=unexpected(error))
        try:
            behind = self._waiting()
        except LedgerError as also:
            _log.debug("%s", also)  # the writer reports it
            behind = None
        self.status = ReplicaStatus(behind, trouble)
