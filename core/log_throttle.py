"""Throttles repeated log messages, for events that may occur a thousand times per second."""

import asyncio
import logging
from collections import Counter
from typing import Final

WINDOW_S: Final = 10.0
MOST_MESSAGES: Final = 20
"""Maximum number of different messages within a window. Their text may come from an attacker."""
_OTHERS: Final = "for further reasons"


class LogThrottle:
    """Logs a message immediately and its repetitions within the window as one line with a count.

    Requires a running event loop. `flush` ends the window.
    """

    def __init__(self, log: logging.Logger, event: str = "", window_s: float = WINDOW_S) -> None:
        """Start each line with `event`."""
        self._log = log
        self._prefix = f"{event}: " if event else ""
        self._window_s = window_s
        self._repeated: Counter[tuple[int, str]] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def warning(self, message: str) -> None:
        self.log(logging.WARNING, message)

    def log(self, level: int, message: str) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._window_s, self.flush)
        if (level, message) not in self._repeated and len(self._repeated) >= MOST_MESSAGES:
            message = _OTHERS
        if (level, message) in self._repeated:
            self._repeated[level, message] += 1
        else:
            self._repeated[level, message] = 0
            self._log.log(level, "%s%s", self._prefix, message)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for (level, message), times in self._repeated.items():
            if times:
                self._log.log(level, "%s%s (%d times more within %g s)", self._prefix, message, times, self._window_s)
        self._repeated.clear()
