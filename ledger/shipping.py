"""The ledger of this node is copied into PostgreSQL, where those of all nodes are read together (docs/adr/0015).

Calls know nothing of it: their evidence is durable in the node's own file. Each transaction reads in PostgreSQL how far
the copy has come and adds what follows, so that each step arrives once, whoever dies when.
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass
from time import monotonic
from typing import Final

from sqlalchemy import func, select

from idtone.errors import LedgerError
from idtone.settings import LedgerSettings

from .link import Link, key_in_spool
from .source import Source
from .tables import steps
from .tree.notes import VerifierKey

LOOK_EVERY_S: Final = 1.0
HEARD_EVERY_S: Final = 10.0
"""How often PostgreSQL is told that the node is there, while nothing happens on it."""
BACK_OFF_S: Final = 30.0
CLOSE_WITHIN_S: Final = 3.0
"""How long a stop waits for what was written last to be shipped."""
TELL_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the copy is: `behind` steps are not there yet, None where it is not known; `trouble` is why not.

    `lacking` leaves were lost to it with ledgers that were damaged and set aside.
    """

    behind: int | None = None
    trouble: str = ""
    lacking: int = 0

    def __str__(self) -> str:
        if self.trouble:
            waiting = f", {self.behind:,} steps wait" if self.behind and self.behind > 0 else ""
            return f"PostgreSQL does not get the evidence{waiting}"
        if self.behind is None:
            return "PostgreSQL has not answered yet"
        if self.behind:
            return f"PostgreSQL gets {self.behind:,} steps"
        return f"PostgreSQL has it all{f' but {self.lacking:,} leaves of what was set aside' if self.lacking else ''}"


class Shipping:
    """Ships in a thread of its own, from `begin` to `close`."""

    def __init__(self, settings: LedgerSettings, node: str) -> None:
        """Raises LedgerError where the settings cannot be used. PostgreSQL need not be there."""
        self._settings = settings
        self._node = node
        self._link = Link(settings, node)
        self._spool = Source.in_file(settings.own())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idtone-shipping", daemon=True)
        self._arrived: tuple[VerifierKey, int] | None = None
        """The last step that PostgreSQL has, and of which log."""
        self._failures = 0
        self.standing = Standing()
        """How it is; from any thread."""

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ship what was written last, as far as that goes within a moment."""
        self._over.set()
        self._thread.join(CLOSE_WITHIN_S)
        if self._thread.is_alive():
            self._link.cut()
            self._thread.join(CLOSE_WITHIN_S)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._over.wait(wait_s):
            try:
                self._ship_on()
            except Exception as error:
                if self._over.is_set():
                    _log.info("what is not shipped yet is shipped from the next start on")
                else:
                    self._tell(error)
                    self._failures += 1
            # Not all nodes at once, when PostgreSQL is back.
            wait_s = min(BACK_OFF_S, LOOK_EVERY_S * 2 ** min(self._failures, 10)) * random.uniform(0.5, 1)  # noqa: S311 - no secret

    def _ship_on(self) -> None:
        """Until `close`, or something goes wrong."""
        heard_at_s, told_at_s, shipped, tells = -HEARD_EVERY_S, monotonic(), 0, True
        while True:
            last = self._over.is_set()
            if tells or monotonic() - heard_at_s >= HEARD_EVERY_S or self._has_more():
                piece = self._link.ship()
                shipped += len(piece.steps)
                if tells or (piece.behind and monotonic() - told_at_s >= TELL_EVERY_S):
                    _log.info("%d steps are shipped to PostgreSQL, %d to go", shipped, piece.behind)
                    told_at_s, tells = monotonic(), False
                heard_at_s, self._failures = monotonic(), 0
                self._arrived = self._link.key, piece.place.steps
                self.standing = Standing(piece.behind, lacking=self._link.lacking)
                if piece.behind:
                    continue
            if last:
                self._link.close()
                return
            self._over.wait(LOOK_EVERY_S)

    def _has_more(self) -> bool:
        try:
            return bool(self._waiting())
        except LedgerError as error:
            _log.debug("%s", error)  # whoever holds the spool's lock lets go of it, or the next shipment tells
            return False

    def _waiting(self) -> int | None:
        """How many steps PostgreSQL does not have; None where it has not said. Raises LedgerError."""
        if self._arrived is None:
            return None
        key, last = self._arrived
        if key_in_spool(self._settings, self._node) != key:
            last = 0  # the one before was set aside
        with self._spool.reading() as connection:
            return int(connection.scalar(select(func.coalesce(func.max(steps.c.id), 0))) or 0) - last

    def _tell(self, error: Exception) -> None:
        """Once for each trouble, and not at every try."""
        known = isinstance(error, LedgerError)
        trouble = str(error) if known else f"{type(error).__name__}; report this as a fault of idtone"
        if trouble != self.standing.trouble:
            _log.error("evidence is not shipped, and kept here: %s", trouble, exc_info=None if known else error)
        try:
            behind = self._waiting()
        except LedgerError as also:
            _log.debug("%s", also)  # the writer tells
            behind = None
        self.standing = Standing(behind, trouble)
