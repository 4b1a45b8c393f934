"""Free space on the ledger's disk and how many days it will last."""

import logging
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError
from idtone.ledger.store.ledger_growth import Growth, growth
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import path_of

LOOK_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """Free space on the ledger's disk and how many days it will last. None means unknown."""

    free_bytes: int | None = None
    days: float | None = None


def damaged_ledgers(ledger: Path) -> list[Path]:
    """Damaged ledgers that were set aside in this ledger's folder, oldest first."""
    found = ledger.parent.glob(f"{ledger.name}.damaged-*")
    return sorted(each for each in found if not each.name.endswith(("-wal", "-journal", "-shm")))


class LedgerDiskSpace:
    """Measures the free space on the ledger's disk. The methods may block, so do not use them in the event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._path = path_of(url)
        self._looked_s: float | None = None
        self._growth: Growth | None = None

    def free_space_and_days(self) -> Room:
        """Current free space and how many days it will last at last week's growth.

        The growth is measured every `LOOK_EVERY_S` seconds.
        """
        now_s = time.monotonic()
        is_due = self._looked_s is None or now_s - self._looked_s >= LOOK_EVERY_S
        free_bytes: int | None = None
        try:
            found = os.statvfs(self._path.parent)
            free_bytes = found.f_bavail * found.f_frsize
            if is_due:
                self._looked_s, self._growth = now_s, None
                with LedgerReader.open(self._url) as reader:
                    self._growth = growth(reader, self._path, datetime.now(UTC))
        except (LedgerError, OSError) as error:
            if is_due:
                self._looked_s = now_s
                what = "its room is" if free_bytes is None else "the days for which it has room are"
                _log.warning("%s: %s not known, and missing in the metrics: %s", self._path, what, error)
            return Room(free_bytes)
        return Room(free_bytes, self._growth.days(free_bytes) if self._growth else None)
