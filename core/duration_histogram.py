"""A thread-safe histogram of durations."""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Durations:
    """Histogram of durations. Thread-safe."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        """Set the upper bounds of the buckets in seconds, in ascending order.

        Longer durations go into an additional bucket.
        """
        self.bounds_s = tuple(bounds_s)
        self._counts = [0] * (len(self.bounds_s) + 1)
        self._total_s = 0.0
        self._adding = threading.Lock()

    def add(self, seconds: float) -> None:
        """Count a duration. A negative duration, caused by a clock that was set back, counts as 0."""
        seconds = max(0.0, seconds)
        with self._adding:
            self._counts[bisect_left(self.bounds_s, seconds)] += 1
            self._total_s += seconds

    def quantile_s(self, share: float) -> float | None:
        """Estimated quantile in seconds, interpolated within its bucket as in Prometheus.

        Returns None if nothing was counted, and the largest bound if the quantile lies above it.
        """
        cumulative, _ = self.counted()
        wanted = share * cumulative[-1]
        if not cumulative[-1]:
            return None
        lower_s, before = 0.0, 0
        for bound_s, count in zip(self.bounds_s, cumulative, strict=False):
            if count >= wanted and count > before:
                return lower_s + (bound_s - lower_s) * (wanted - before) / (count - before)
            lower_s, before = bound_s, count
        return lower_s

    def counted(self) -> tuple[Sequence[int], float]:
        """Cumulative counts up to each bound, ending with the total, and the sum of all durations in seconds."""
        with self._adding:
            return tuple(accumulate(self._counts)), self._total_s
