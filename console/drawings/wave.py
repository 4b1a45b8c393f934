"""A sound's waveform as a polygon."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idtone.tones.showing.spectrogram import envelope

from .scale import Tick, TimeScale

WIDTH: Final = 560
HEIGHT: Final = 130
_LEFT: Final = 24
_RIGHT: Final = WIDTH - 30
_MIDDLE: Final = 55.0
_MOST: Final = 45.0
_COLUMNS: Final = 400


@dataclass(frozen=True, slots=True)
class Wave:
    """A waveform. `points` are the points of an SVG polygon, scaled to the loudest sample.

    `peak_dbfs` is that sample's level, or None for silence.
    """

    width: float
    height: float
    left: float
    right: float
    middle: float
    bottom: float
    points: str
    ticks: tuple[Tick, ...]
    duration_ms: float
    peak_dbfs: float | None


def wave(samples: NDArray[np.int16], sample_rate_hz: int) -> Wave:
    """Waveform of 16-bit samples."""
    floats: NDArray[Any] = samples.astype(np.float64) / 32768
    low, high = envelope(floats, _COLUMNS)
    peak = max(float(-low.min()), float(high.max()))
    scale = _MOST / peak if peak else 0.0
    xs = np.linspace(_LEFT, _RIGHT, _COLUMNS)
    upper = [f"{x:.1f},{_MIDDLE - value * scale:.1f}" for x, value in zip(xs, high, strict=True)]
    lower = [f"{x:.1f},{_MIDDLE - value * scale:.1f}" for x, value in zip(xs, low, strict=True)]
    duration_ms = 1000 * len(samples) / sample_rate_hz
    return Wave(
        WIDTH,
        HEIGHT,
        _LEFT,
        _RIGHT,
        _MIDDLE,
        _MIDDLE + _MOST + 5,
        " ".join([*upper, *reversed(lower)]),
        tuple(TimeScale(0, duration_ms, _LEFT, _RIGHT).ticks()),
        duration_ms,
        20 * float(np.log10(peak)) if peak else None,
    )
