"""Continuously replicates a node's ledger to PostgreSQL (docs/adr/0015).

No call waits for replication, because the evidence is already on disk in the node's own file. Each transaction reads
the replica's progress in PostgreSQL and adds the steps that follow. Each step therefore arrives exactly once, even if
either side dies at any moment.
"""

import logging
import random
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from idtone.core.errors import LedgerError
from idtone.core.log_output import in_words, unexpected
from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import VerifierKey

from ..store.database import Database
from ..store.stored_tree import newest_id
from .replica_connection import ReplicaConnection, ReportResult, key_of_own_ledger

LOOK_EVERY_S: Final = 1.0
ALMOST: Final = 0.9
"""Share of the interval after which a report is due. If a wait ends slightly early, the report is sent immediately."""
HEARD_EVERY_S: Final = 10.0
"""Interval in seconds at which an idle node asks PostgreSQL for the replica's progress."""
BACK_OFF_S: Final = 30.0
CLOSE_WITHIN_S: Final = 3.0
"""Time in seconds that `close` waits for the last steps to be replicated."""
TELL_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """Progress of a ledger's replication to PostgreSQL, and its last failure.

    `behind` is the number of steps that the replica lacks, or None if unknown. `trouble` is the reason for a failure.
    `lost_leaves` counts leaves from damaged ledgers that never arrived.
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
    """Replicates a node's ledger in a separate thread, from `begin` to `close`.

    Raises LedgerError if the settings cannot be used. PostgreSQL need not be available on creation.
    """

    def __init__(self, settings: LedgerSettings, node: str) -> None:
        """Check the settings. Raises LedgerError if they cannot be used. PostgreSQL need not be available."""
        self._settings = settings
        self._node = node
        self._connection = ReplicaConnection(settings, node)
        self._ledger = Database.in_file(settings.own_url())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idtone-replicator", daemon=True)
        self._arrived: tuple[VerifierKey, int] | None = None
        """The last step that arrived in PostgreSQL, with its log's key."""
        self._failures = 0
        self._is_new = True
        """True if no batch has been replicated since the start or the last failure."""
        self._heard_at_s = self._told_at_s = monotonic()
        self._arrived_steps = 0
        """Number of steps replicated since the start or the last failure."""
        self._woken = threading.Event()
        self._state: Callable[[ReportResult | None], str] | None = None
        self._writer = secrets.token_hex(4)
        self._exchange: ReportResult | None = None
        self._reports_arrive = False
        self._report_at_s = 0.0
        """Time of the next report."""
        self.status = ReplicaStatus()
        """The current state. Thread-safe."""

    def begin(self) -> None:
        self._thread.start()

    def report(self, state: Callable[[ReportResult | None], str] | None) -> None:
        """From now on, write the node's state next to the replica every second, even if replication fails.

        `state` creates the report from the previous `ReportResult`, in the replicator's thread. Passing None ends the
        reports. Thread-safe.
        """
        self._state = state

    def report_soon(self) -> None:
        """Send the next report immediately, without waiting for the interval.

        Thread-safe.
        """
        self._woken.set()

    def close(self) -> None:
        """Replicate the last steps, as far as possible within `CLOSE_WITHIN_S`."""
        self._over.set()
        self._woken.set()
        self._thread.join(CLOSE_WITHIN_S)
        if self._thread.is_alive():
            self._connection.abort_waits()
            self._thread.join(CLOSE_WITHIN_S)

    def _run(self) -> None:
        """Replicate until `close`.

        The state is reported even while the replica is in trouble, for example if it differs.
        """
        again_s = 0.0
        while True:
            is_last, is_behind = self._over.is_set(), False
            if monotonic() >= again_s:
                try:
                    is_behind = self._replicate()
                except Exception as error:
                    again_s = monotonic() + self._tell_failure(error)
            self._report(is_last and not is_behind)
            if is_last and not is_behind:
                self._connection.close()
                return
            if not is_behind and not self._over.is_set():
                self._woken.wait(LOOK_EVERY_S)

    def _replicate(self) -> bool:
        """Replicate a batch if there is something to write. Returns True if more must follow immediately."""
        if not (self._is_new or monotonic() - self._heard_at_s >= HEARD_EVERY_S or self._has_more()):
            return False
        batch = self._connection.replicate()
        self._arrived_steps += len(batch.steps)
        if self._is_new or (batch.behind and monotonic() - self._told_at_s >= TELL_EVERY_S):
            _log.info("%d steps are replicated to PostgreSQL, %d to go", self._arrived_steps, batch.behind)
            self._told_at_s = monotonic()
        if not self._reports_arrive:
            self._report_at_s = 0.0
        self._is_new, self._heard_at_s, self._failures = False, monotonic(), 0
        self._arrived = self._connection.key, batch.position.steps
        self.status = ReplicaStatus(batch.behind, lost_leaves=self._connection.lost_leaves)
        return bool(batch.behind)

    def _tell_failure(self, error: Exception) -> float:
        """Log the failure unless replication is ending. Returns the seconds until the next attempt."""
        self._is_new, self._arrived_steps = True, 0
        if self._over.is_set():
            _log.info("the steps that are not replicated yet are replicated after the next start")
        else:
            self._tell(error)
            self._failures += 1
        # Not all nodes at once, when PostgreSQL is back.
        spread = random.uniform(0.5, 1)  # noqa: S311 - no secret
        return spread * min(BACK_OFF_S, LOOK_EVERY_S * 2.0 ** min(self._failures, 10))

    def _report(self, is_last: bool) -> None:
        """Write the state next to the replica if a report is due."""
        make, is_soon = self._state, self._woken.is_set()
        if is_soon:  # a request between these two lines is kept
            self._woken.clear()
        is_due = self._reports_arrive if is_last else is_soon or monotonic() >= self._report_at_s
        if make is None or not is_due:
            return
        try:
            self._exchange = self._connection.report(self._writer, make(self._exchange))
            self._reports_arrive, self._report_at_s = True, monotonic() + ALMOST * LOOK_EVERY_S
        except Exception as error:
            # The next one follows when the replica was reached again, or after this time.
            if self._reports_arrive:
                self._heard_at_s = -HEARD_EVERY_S
            self._reports_arrive, self._report_at_s = False, monotonic() + BACK_OFF_S
            level = logging.DEBUG if self.status.trouble or self._over.is_set() else logging.ERROR
            words = "the state of this node is not in PostgreSQL: %s"
            _log.log(level, words, in_words(error), exc_info=unexpected(error))

    def _has_more(self) -> bool:
        try:
            return bool(self._waiting())
        except LedgerError as error:
            _log.debug("%s", error)  # the lock is released soon, or the next batch reports it
            return False

    def _waiting(self) -> int | None:
        """The number of steps that PostgreSQL lacks; None if it has not answered yet. Raises LedgerError."""
        if self._arrived is None:
            return None
        key, last = self._arrived
        if key_of_own_ledger(self._settings, self._node) != key:
            last = 0  # the previous ledger was set aside
        with self._ledger.reading() as connection:
            return newest_id(connection) - last

    def _tell(self, error: Exception) -> None:
        trouble = in_words(error)
        if trouble != self.status.trouble:
            _log.error("evidence is not replicated, and kept here: %s", trouble, exc_info=unexpected(error))
        try:
            behind = self._waiting()
        except LedgerError as also:
            _log.debug("%s", also)  # the writer reports it
            behind = None
        self.status = ReplicaStatus(behind, trouble)
