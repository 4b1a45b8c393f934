"""Rate limits and concurrency limits for the visitors of an HTTP server."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rate:
    """A token-bucket rate limit: a burst of `at_once` requests, then `a_second` requests per second."""

    a_second: float
    at_once: float


OF_ADDRESS: Final = Rate(100, 600)
OF_SESSION: Final = Rate(30, 300)
NUMBER_SEARCHES: Final = Rate(1 / 60, 20)
"""Limit for each user's searches by number, because a search reveals whether anything about the number exists."""
STREAMS_OF_SESSION: Final = 8
STREAMS: Final = 200
"""Maximum number of event streams across all sessions."""
STREAMS_OF_USER: Final = 24
FIRST_STREAMS: Final = 40
"""Extra streams for users who have none yet."""
AT_A_TIME_OF_ADDRESS: Final = STREAMS + FIRST_STREAMS + 56
"""Maximum number of requests in progress from one address. All users of an office may share one address."""
AT_A_TIME_OF_SESSION: Final = 64
WITHOUT_SESSION: Final = 160
"""Maximum number of requests in progress from all visitors who are not signed in. The rest of the 512 connections are
reserved for sessions.
"""
WITHOUT_SESSION_OF_NETWORK: Final = 40
MOST_KEPT: Final = 10_000


class RequestLimits:
    """Token buckets and concurrent request counts, by visitor. Use it only in the event loop."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._buckets: dict[str, tuple[float, float]] = {}
        """Key → number of requests that were left, with the time of this count."""
        self._under_way: Counter[str] = Counter()

    def admits(self, key: str, rate: Rate) -> bool:
        """True if a request is within the rate limit, in which case it is counted."""
        now_s = self._clock_s()
        left, at_s = self._buckets.pop(key, (rate.at_once, now_s))
        left = min(rate.at_once, left + (now_s - at_s) * rate.a_second)
        admitted = left >= 1
        self._buckets[key] = (left - admitted, now_s)
        if len(self._buckets) > MOST_KEPT:  # the bucket unused for the longest time, which is full by now
            del self._buckets[next(iter(self._buckets))]
        return admitted

    def count(self, key: str) -> int:
        """Number of requests in progress for a key."""
        return self._under_way[key]

    @contextmanager
    def under_way(self, *limits: tuple[str, int]) -> Iterator[bool]:
        """Count the block as a request in progress for each key. Yields True if it was counted.

        If a key has reached its limit, counts nothing and yields False.
        """
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
