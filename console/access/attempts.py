"""How often somebody may try to sign in."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

WITHIN_S: Final = 15 * 60.0
MOST_OF_NAME: Final = 5
MOST_OF_ADDRESS: Final = 20
MOST_KEPT: Final = 10_000
"""Names and addresses; the oldest are forgotten."""


class Attempts:
    """Counts failures of each name and of each address. Used by the event loop alone."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._failures: dict[tuple[str, str], deque[float]] = {}

    def may_try(self, name: str, address: str) -> bool:
        return self._recent(("name", name)) < MOST_OF_NAME and self._recent(("address", address)) < MOST_OF_ADDRESS

    def failed(self, name: str, address: str) -> None:
        for key in (("name", name), ("address", address)):
            self._failures.setdefault(key, deque(maxlen=MOST_OF_ADDRESS)).append(self._clock_s())
        while len(self._failures) > MOST_KEPT:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, name: str) -> None:
        self._failures.pop(("name", name), None)

    def _recent(self, key: tuple[str, str]) -> int:
        times = self._failures.get(key, ())
        return sum(self._clock_s() - time_s < WITHIN_S for time_s in times)
