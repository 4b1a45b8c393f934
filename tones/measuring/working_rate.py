"""Converts samples to the working rate for measurements, 8 to 32 kHz, and removes DC.

A telephone carries no higher frequencies, and an hour at 192 kHz would take twelve times as long to measure.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DECIMATED_RATE_HZ: Final = 16_000
"""Lowest working rate of a decimated recording, in Hz.

A recording at twice this rate or more is decimated to this rate or slightly above.
"""
_BLOCK: Final = 1 << 16
_TAPS: Final = 48
"""Taps on each side of the filter's center, at the lower rate."""


@dataclass(frozen=True, slots=True)
class WorkingSamples:
    """Samples at `sample_rate_hz`, each of which represents `step` samples of the recording."""

    samples: NDArray[np.float32]
    sample_rate_hz: float
    step: int


def to_working_rate(samples: NDArray[Any], sample_rate_hz: int, mean: float) -> WorkingSamples:
    """The samples without their DC (`mean`), low-pass filtered and decimated by an integer factor, block by block."""
    step = max(1, sample_rate_hz // DECIMATED_RATE_HZ)
    if step == 1:
        return WorkingSamples(np.asarray(samples, np.float32) - np.float32(mean), sample_rate_hz, 1)
    reach = _TAPS * step
    at = np.arange(-reach, reach + 1) / step
    taps = np.sinc(at * 0.92) * np.kaiser(len(at), 9.0)
    taps /= taps.sum()
    size = 1 << (_BLOCK + 2 * reach - 1).bit_length()
    spectrum = np.fft.rfft(taps, size)
    count = -(-len(samples) // step)
    result = np.zeros(count, np.float32)
    block = _BLOCK // step * step
    for first in range(0, len(samples), block):
        low, high = first - reach, first + block + reach
        part = np.zeros(high - low)
        inside = np.asarray(samples[max(low, 0) : high], np.float64) - mean
        part[max(-low, 0) : max(-low, 0) + len(inside)] = inside
        filtered = np.fft.irfft(np.fft.rfft(part, size) * spectrum, size)[2 * reach : 2 * reach + block : step]
        place = first // step
        result[place : place + block // step] = filtered[: count - place]
    return WorkingSamples(result, sample_rate_hz / step, step)
