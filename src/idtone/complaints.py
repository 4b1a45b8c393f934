"""The log of what happens too often to be told each time."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Final

WINDOW_S: Final = 10.0
MOST_REASONS: Final = 20
_OTHERS: Final = "for further reasons"


class Complaints:
    """Tells each reason at once, and what follows of it within the window as one line with its number at the end.

    Lives in an event loop; `flush` tells what is left.
    """

    def __init__(self, log: logging.Logger, event: str, window_s: float = WINDOW_S) -> None:
        self._log = log
        self._event = event
        self._window_s = window_s
        self._untold: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def note(self, reason: str) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._window_s, self.flush)
        if reason not in self._untold and len(self._untold) >= MOST_REASONS:
            reason = _OTHERS
        if reason in self._untold:
            self._untold[reason] += 1
        else:
            self._untold[reason] = 0
            self._log.warning("%s: %s", self._event, reason)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for reason, times in self._untold.items():
            if times:
                self._log.warning("%s: %s (%d times more within %g s)", self._event, reason, times, self._window_s)
        self._untold.clear()
