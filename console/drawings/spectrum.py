"""A sound's levels by frequency, as an open curve."""

from dataclasses import dataclass
from typing import Final

from idtone.tones.showing.spectrogram import RANGE_DB, Floats, spectrogram

from .stacked_plot import Tick

WIDTH: Final = 560
HEIGHT: Final = 130
LEFT: Final = 56
RIGHT: Final = 30
TOP: Final = 10
BOTTOM: Final = 24
TOP_HZ: Final = 4000
"""Highest frequency of the drawing, slightly above the telephone band."""
_ROWS: Final = 500
_MOMENTS: Final = 60
"""Number of windows across the sound's duration."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The curve of a spectrum.

    `points` are the points of an SVG polyline. It shows the peak level at each frequency, relative to the highest peak.
    """

    width: int
    height: int
    left: int
    right: int
    bottom: int
    points: str
    frequencies: tuple[Tick, ...]
    levels: tuple[Tick, ...]


def spectrum(samples: Floats, sample_rate_hz: int) -> Spectrum:
    """Spectrum of one channel of samples, where 1.0 is full scale."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(hertz: float) -> float:
        return round(LEFT + (right - LEFT) * hertz / TOP_HZ, 1)

    def y(level_db: float) -> float:
        return round(TOP - (bottom - TOP) * level_db / RANGE_DB, 1)

    levels = spectrogram(samples, sample_rate_hz, _MOMENTS, _ROWS, TOP_HZ).max(axis=1)
    row_hz = TOP_HZ / _ROWS
    return Spectrum(
        WIDTH,
        HEIGHT,
        LEFT,
        right,
        bottom,
        " ".join(f"{x((row + 0.5) * row_hz):g},{y(float(level)):g}" for row, level in enumerate(levels)),
        tuple(Tick(x(hertz), f"{hertz} Hz") for hertz in range(0, TOP_HZ + 1, 1000)),
        tuple(Tick(y(level_db), f"{level_db} dB") for level_db in (0, -20, -40, -60)),
    )
