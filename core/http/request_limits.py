"""How many requests one visitor may send. Pure but for its clock."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit: `at_once` requests at first, and `a_second` more with each second."""

    a_second: float
    at_once: float


OF_ADDRESS: Final = Rate(100, 600)
OF_SESSION: Final = Rate(30, 300)
NUMBER_SEARCHES: Final = Rate(1 / 60, 20)
"""Of a user: searches by a number, which tell whether there is something about it."""
STREAMS_OF_SESSION: Final = 8
STREAMS: Final = 200
"""Streams of events, of all sessions."""
STREAMS_OF_USER: Final = 24
FIRST_STREAMS: Final = 40
"""Streams beyond those, for users who have none yet."""
AT_A_TIME_OF_ADDRESS: Final = STREAMS + FIRST_STREAMS + 56
"""Requests of one address that are being answered: an office may have one address, and all streams."""
AT_A_TIME_OF_SESSION: Final = 64
WITHOUT_SESSION: Final = 160
"""Requests of everyone who is not signed in, of the 512 connections: the others are a reserve for sessions."""
WITHOUT_SESSION_OF_NETWORK: Final = 40
MOST_KEPT: Final = 10_000


class RequestLimits:
    """Token buckets, and counts of what is under way. Used by the event loop alone."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._buckets: dict[str, tuple[float, float]] = {}
        """Key → requests that are left, and when that was."""
        self._under_way: Counter[str] = Counter()

    def admits(self, key: str, rate: Rate) -> bool:
        """True if a request may be answered now; then it is counted."""
        now_s = self._clock_s()
        left, at_s = self._buckets.pop(key, (rate.at_once, now_s))
        left = min(rate.at_once, left + (now_s - at_s) * rate.a_second)
        admitted = left >= 1
        self._buckets[key] = (left - admitted, now_s)
        if len(self._buckets) > MOST_KEPT:  # the one that was not used for the longest time, which is full by now
            del self._buckets[next(iter(self._buckets))]
        return admitted

    def count(self, key: str) -> int:
        """The number of requests that are under way."""
        return self._under_way[key]

    @contextmanager
    def under_way(self, *limits: tuple[str, int]) -> Iterator[bool]:
        """Yields True if each key is below its limit; then this context counts for each of them until it ends."""
        if any(self._under_way[key] >= most for key, most in limits):
            yield False
            return
        self._under_way.update(key for key, _ in limits)
        try:
            yield True
        finally:
            self._under_way.subtract(key for key, _ in limits)
            for key, _ in limits:
                if not self._under_way[key]:
                    del self._under_way[key]
