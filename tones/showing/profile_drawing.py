"""Draws a profile as text, with frequency upward and time to the right."""

import math
from typing import Final

from ..profile import Burst, Profile

_WIDTH: Final = 60
_SHORTEST_COLUMN_MS: Final = 10.0
_ROWS_LIMIT: Final = 24
_ROWS_OF_A_SWEEP: Final = 9
"""Minimum number of rows for a profile with sweeps."""


def draw_profile(profile: Profile) -> str:
    """The drawing with the highest frequency at the top and the duration below.

    A profile with more repeated segments than the drawing has columns is drawn once, and the scale gives the number of
    repetitions. If there are too many frequencies, similar frequencies share a row. A recording is drawn as a single
    bar.
    """
    shown = profile
    times = ""
    if profile.repeat * len(profile.segments) > _WIDTH and profile.repeat > 1:
        shown = profile.model_copy(update={"repeat": 1})
        times = f", {profile.repeat} times"
    column_ms = max(_SHORTEST_COLUMN_MS, shown.duration_ms / _WIDTH)
    width = max(1, math.ceil(shown.duration_ms / column_ms))
    if profile.recording:
        lines = [f"{'recording':>10} {'█' * width}"]
    else:
        bursts = shown.bursts()
        heights_hz = _rows(bursts)
        rows = {height_hz: [" "] * width for height_hz in heights_hz}
        for burst in bursts:
            _paint(burst, rows, heights_hz, column_ms, width)
        lines = [f"{f'{height_hz:.7g}':>7} Hz {''.join(rows[height_hz]).rstrip()}" for height_hz in heights_hz]
    scale = f"{shown.duration_ms:.10g} ms{times}"
    return "\n".join([*lines, f"{'0':>11}{scale:>{max(width, len(scale) + 1)}}"])


def _rows(bursts: tuple[Burst, ...]) -> list[float]:
    """The rows' frequencies, highest first."""
    found: set[float] = set()
    for burst in bursts:
        found.update(burst.segment.frequencies_hz)
        if burst.segment.sweep:
            found.update(burst.segment.sweep.to_hz)
    low, high = min(found), max(found)
    if len(found) > _ROWS_LIMIT:
        found = _evenly(low, high, _ROWS_LIMIT)
    elif any(burst.segment.sweep for burst in bursts) and len(found) < _ROWS_OF_A_SWEEP:
        found |= _evenly(low, high, _ROWS_OF_A_SWEEP)
    return sorted(found, reverse=True)


def _evenly(low: float, high: float, count: int) -> set[float]:
    return {low, high} | {float(round(low + (high - low) * number / (count - 1))) for number in range(1, count - 1)}


def _paint(burst: Burst, rows: dict[float, list[str]], heights_hz: list[float], column_ms: float, width: int) -> None:
    first = min(round(burst.start_ms / column_ms), width - 1)
    end = max(round(burst.end_ms / column_ms), first + 1)
    mark = "▒" if burst.segment.modulation else "█"
    for column in range(first, end):
        for frequency_hz in burst.segment.frequencies_at((column - first + 0.5) / (end - first)):
            nearest = min(heights_hz, key=lambda height_hz: abs(height_hz - frequency_hz))
            rows[nearest][column] = mark
