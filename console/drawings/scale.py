"""Linear time scale with round ticks."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    text: str


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Linear scale that maps times (`first_ms` to `last_ms`) to positions in the drawing (`left` to `right`)."""

    first_ms: float
    last_ms: float
    left: float
    right: float

    def x(self, ms: float) -> float:
        span = self.last_ms - self.first_ms
        share = (ms - self.first_ms) / span if span > 0 else 0.0
        return round(self.left + min(max(share, 0.0), 1.0) * (self.right - self.left), 1)

    def ticks(self, most: int = 7) -> list[Tick]:
        """Ticks at round times, at most `most` of them."""
        span = self.last_ms - self.first_ms
        if span <= 0:
            return [Tick(self.left, time_text(self.first_ms, 1))]
        step = next(each for each in _STEPS_MS if span / each <= most - 1)
        first = math.ceil(self.first_ms / step)
        count = math.floor(self.last_ms / step) - first + 1
        return [Tick(self.x((first + n) * step), time_text((first + n) * step, step)) for n in range(count)]


_STEPS_MS = (
    *(base * 10**power for power in range(4) for base in (1, 2, 5)),
    *(each * 1000 for each in (10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200)),
    *(86_400_000.0 * 2**power for power in range(40)),
)


def time_text(ms: float, step_ms: float = 1) -> str:
    """Format a time like `250 ms`, `2.5 s`, `3:20` or `1:02:00`. `step_ms` determines the precision."""
    if step_ms < 1000 and abs(ms) < 1000:
        return f"{ms:.10g} ms"
    if step_ms < 10_000 and abs(ms) < 60_000:
        return f"{ms / 1000:.10g} s"
    sign, seconds = "-" if ms < 0 else "", abs(round(ms / 1000))
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{sign}{hours}:{minutes:02}:{rest:02}" if hours else f"{sign}{minutes}:{rest:02}"
