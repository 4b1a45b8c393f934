"""A profile as a small picture of text: a row for each frequency, time to the right."""

from __future__ import annotations

import math
from typing import Final

from .profile import Profile

_WIDTH: Final = 60
_SHORTEST_COLUMN_MS: Final = 10.0


def draw(profile: Profile) -> str:
    """The picture, highest frequency on top, with the times of its edges below."""
    column_ms = max(_SHORTEST_COLUMN_MS, profile.duration_ms / _WIDTH)
    width = math.ceil(profile.duration_ms / column_ms)
    rows: dict[float, list[str]] = {}
    for burst in profile.bursts():
        first = min(round(burst.start_ms / column_ms), width - 1)
        end = max(round(burst.end_ms / column_ms), first + 1)
        mark = "▒" if burst.segment.modulation else "█"
        for frequency_hz in burst.segment.frequencies_hz:
            row = rows.setdefault(frequency_hz, [" "] * width)
            row[first:end] = mark * (end - first)
    lines = [
        f"{frequency_hz:>7g} Hz {''.join(rows[frequency_hz]).rstrip()}" for frequency_hz in sorted(rows, reverse=True)
    ]
    scale = f"{profile.duration_ms:g} ms"
    return "\n".join([*lines, f"{'0':>11}{scale:>{max(width, len(scale) + 1)}}"])
