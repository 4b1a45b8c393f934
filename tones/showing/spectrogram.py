"""Computes data for drawing sounds of any length, with one value or list of values per column."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
"""An array of single or double precision."""

RANGE_DB: Final = 70.0
"""Range of levels, in dB below the loudest, that are drawn. Quieter sound is not drawn."""
_WINDOW_S: Final = 0.025
_LOOKS: Final = 6
"""Maximum number of windows in a column. An hour of sound has too many to compute all of them."""


def envelope(samples: Floats, columns: int) -> tuple[Floats, Floats]:
    """The lowest and the highest sample of each column."""
    if not len(samples):
        return np.zeros(columns), np.zeros(columns)
    edges = np.linspace(0, len(samples), columns + 1).astype(np.int64)
    starts = np.minimum(edges[:-1], len(samples) - 1)
    return np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)


def spectrogram(samples: Floats, sample_rate_hz: int, columns: int, rows: int, top_hz: float) -> Floats:
    """Levels in dB relative to the loudest, at least -`RANGE_DB`, as rows × columns.

    Rows cover 0 Hz up to `top_hz`, lowest first. A column longer than a window shows the loudest of several windows.
    """
    size = min(round(_WINDOW_S * sample_rate_hz), max(len(samples), 16))
    window = np.hanning(size)
    looks = int(np.clip(len(samples) / columns / size * 2, 1, _LOOKS))
    centres = (np.arange(columns * looks) + 0.5) * len(samples) / (columns * looks)
    bins = 1 << (max(size, int(rows * sample_rate_hz / top_hz)) - 1).bit_length()
    edges = np.linspace(0, top_hz / sample_rate_hz * bins, rows + 1)
    starts = edges[:-1].astype(int)
    powers = np.zeros((columns * looks, rows))
    for first in range(0, len(centres), 512):
        frames = np.zeros((min(512, len(centres) - first), size))
        for row, centre in enumerate(centres[first : first + 512]):
            begin = int(centre) - size // 2
            part = samples[max(begin, 0) : max(begin + size, 0)]
            frames[row, max(-begin, 0) : max(-begin, 0) + len(part)] = part
        power = np.abs(np.fft.rfft(frames * window, bins, axis=1)) ** 2
        stop = min(int(np.ceil(edges[-1])) + 1, power.shape[1])
        usable = starts < stop
        powers[first : first + len(frames), usable] = np.maximum.reduceat(power[:, :stop], starts[usable], axis=1)
    loudest = powers.reshape(columns, looks, rows).max(axis=1)
    most = loudest.max()
    if most <= 0:
        return np.full((rows, columns), -RANGE_DB)
    return np.asarray(np.maximum(10 * np.log10(np.maximum(loudest / most, 1e-20)), -RANGE_DB).T)
