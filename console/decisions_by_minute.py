"""Counts the last day's decisions in the ledger by minute and outcome.

The first count reads a whole day's steps, which takes a second or more per million calls. Later counts read only recent
minutes.
"""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from idtone.ledger.store.ledger_reader import LedgerReader

MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
LATE: Final = timedelta(minutes=2)
"""Maximum delay until a decision is recorded. Minutes within this delay are counted again."""


class DecisionsByMinute:
    """Counts decided calls by minute. Thread-safe."""

    def __init__(self, reader: Callable[[], LedgerReader]) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._counts: dict[datetime, Counter[str]] = {}
        self._counted_until: datetime | None = None

    def counts(self, now: datetime) -> dict[datetime, Counter[str]]:
        """Numbers of calls by minute (UTC) and outcome. Minutes without calls are omitted. Raises LedgerError."""
        with self._lock:
            oldest = now - DAY
            since = max(oldest, self._counted_until - LATE) if self._counted_until else oldest
            since = since.replace(second=0, microsecond=0)
            with self._reader() as reader:
                fresh = reader.decided_by_minute(since, now + MINUTE)
            kept = {minute: counts for minute, counts in self._counts.items() if oldest <= minute < since}
            for minute, outcome, calls in fresh:
                kept.setdefault(minute, Counter())[outcome] += calls
            self._counts, self._counted_until = kept, now
            return dict(kept)
