"""Growth of a ledger, and the time for which the disk's free space will last."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from .ledger_reader import LedgerReader

RATE_OVER: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Growth:
    """A ledger's growth rate, as steps per day in the last week and bytes per step on disk."""

    steps_a_day: float
    bytes_a_step: float

    def days(self, free_bytes: float) -> float | None:
        """Days until the free space is used up; None if the ledger is not growing."""
        bytes_a_day = self.steps_a_day * self.bytes_a_step
        return free_bytes / bytes_a_day if bytes_a_day > 0 else None


def growth(reader: LedgerReader, path: Path, now: datetime) -> Growth | None:
    """Growth rate of the ledger in the file `path`; None if nothing was written in the last week.

    Raises LedgerError and OSError.
    """
    extent = reader.extent(now - RATE_OVER)
    if extent is None:
        return None
    days = max((now - extent.first_at) / timedelta(days=1), 1 / 24)
    return Growth(extent.recent / days, path.stat().st_size / extent.steps)
