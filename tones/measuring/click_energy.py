"""Measures the click at a burst's edges: the energy outside the bands around its frequencies."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..making.oscillation import raised_cosine
from .burst_measurement import BurstMeasurement
from .spectral_lines import SpectralLines

BAND_HZ: Final = 200.0
_CORE_S: Final = 0.015
_FLANK_S: Final = 0.02


def click_energy(samples: NDArray[Any], burst: BurstMeasurement, neighbours: Sequence[SpectralLines]) -> float:
    """Energy (sum of squares) around both edges, more than 200 Hz from all frequencies of burst and neighbors.

    For a glide, all frequencies that it passes count as its own.
    """
    rate = burst.lines.sample_rate_hz
    flank = round(_FLANK_S * rate)
    cores = [
        (round(edge.half - edge.ramp / 2 - _CORE_S * rate), round(edge.half + edge.ramp / 2 + _CORE_S * rate))
        for edge in (burst.rise, burst.fall)
    ]
    if cores[1][0] - cores[0][1] < 2 * flank:
        cores = [(cores[0][0], cores[1][1])]
    bands = [
        (min(pair), max(pair))
        for pair in zip(
            np.sort(burst.lines.frequencies_at(burst.start)),
            np.sort(burst.last_lines.frequencies_at(burst.end)),
            strict=False,
        )
    ]
    bands += [(float(frequency), float(frequency)) for lines in neighbours for frequency in lines.frequencies_hz]
    return sum(_outside(samples, core, flank, bands, rate) for core in cores)


def _outside(
    samples: NDArray[Any], core: tuple[int, int], flank: int, bands: Sequence[tuple[float, float]], rate: float
) -> float:
    first, end = core[0] - flank, core[1] + flank
    part = np.zeros(end - first)
    inside = samples[max(first, 0) : end]
    part[max(-first, 0) : max(-first, 0) + len(inside)] = inside
    # The cut is soft, because a hard cut would itself click.
    slope = raised_cosine((np.arange(flank) + 0.5) / flank)
    part[:flank] *= slope
    part[-flank:] *= slope[::-1]
    size = 1 << (len(part) - 1).bit_length()
    energies = 2 * np.abs(np.fft.rfft(part, size)) ** 2 / size
    frequencies = np.arange(len(energies)) * rate / size
    for low, high in bands:
        energies[(frequencies >= low - BAND_HZ) & (frequencies <= high + BAND_HZ)] = 0.0
    return float(energies.sum())
