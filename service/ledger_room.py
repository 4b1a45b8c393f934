"""How much room there is on the ledger's disk, and for how many days; looked up now and then."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError
from idtone.ledger.store.growth import growth
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of

LOOK_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """Each is None if it is not known."""

    free_bytes: int | None = None
    days: float | None = None


def set_aside(ledger: Path) -> list[Path]:
    """Damaged ledgers that lie beside this one, the oldest first."""
    found = ledger.parent.glob(f"{ledger.name}.damaged-*")
    return sorted(each for each in found if not each.name.endswith(("-wal", "-journal", "-shm")))


class LedgerRoom:
    """Reads the disk, which may block: not for the event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._path = path_of(url)
        self._looked_s: float | None = None
        self._room = Room()

    def look(self) -> Room:
        """The room, at most `LOOK_EVERY_S` old."""
        now_s = time.monotonic()
        if self._looked_s is None or now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            try:
                self._room = self._find()
            except (LedgerError, OSError) as error:
                _log.warning("%s: its room is not known, and is missing in the metrics: %s", self._path, error)
                self._room = Room()
        return self._room

    def _find(self) -> Room:
        found = os.statvfs(self._path.parent)
        free_bytes = found.f_bavail * found.f_frsize
        with LedgerReader.open(self._url) as reader:
            rate = growth(reader, self._path, datetime.now(UTC))
        return Room(free_bytes, rate.days(free_bytes) if rate else None)
