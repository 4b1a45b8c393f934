"""Measures the positions and ramps of a burst's edges by comparison with the burst's own sine waves.

The recording's gain relative to these waves is estimated around each sample. An edge is located where this gain passes
one half. The length of the raised-cosine ramp follows from the rise time from 10 to 90 %.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
"""An array of single or double precision."""

WINDOW_MS: Final = 5.0
_RISE: Final = 0.5903
"""Rise time from 10 to 90 % of a raised cosine, in ramp lengths."""


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge. `half` is the sample position at which the amplitude is one half.

    Positions between samples are fractions.
    """

    half: float
    ramp: float
    """Length of the ramp, in samples."""


def estimate_gains(samples: Floats, waves: Floats, sample_rate_hz: float, lowest_hz: float) -> Floats:
    """The factor by which the waves must be multiplied around each sample to match the recording."""
    length = max(WINDOW_MS / 1000, 2 / max(lowest_hz, 100.0)) * sample_rate_hz
    window = np.hanning(2 * round(length / 2) + 1 + 2)[1:-1]
    found = _smooth(samples * waves, window)
    possible = _smooth(waves * waves, window)
    # The gain is unknown where beats or modulation cancel the waves.
    certain = possible > 0.02 * possible.max(initial=0.0)
    if not certain.any():
        return np.zeros(len(samples))
    places = np.arange(len(samples))
    return np.asarray(np.interp(places, places[certain], found[certain] / possible[certain]))


def rising_edge(gains: Floats, inside: int, sample_rate_hz: float, lowest_hz: float) -> Edge | None:
    """The edge before `inside`, a position in the burst, or None if the gain before it never falls below one half."""
    below = np.flatnonzero(gains[: inside + 1] < 0.5)
    if not len(below) or below[-1] == inside:
        return None
    half_at = int(below[-1])
    half = _crossing(gains, half_at, 0.5)
    above = np.flatnonzero(gains[half_at : inside + 1] >= 0.9)
    under = np.flatnonzero(gains[: half_at + 1] <= 0.1)
    upper = _crossing(gains, half_at + int(above[0]) - 1, 0.9) - half if len(above) else float(inside - half)
    lower = half - _crossing(gains, int(under[-1]), 0.1) if len(under) else upper
    length = max(WINDOW_MS / 1000, 2 / max(lowest_hz, 100.0)) * sample_rate_hz
    # Close behind another burst, the gain does not fall to zero.
    return Edge(half, _ramp(min(lower, 1.5 * upper) + upper, length))


def falling_edge(gains: Floats, inside: int, sample_rate_hz: float, lowest_hz: float) -> Edge | None:
    """The edge after `inside`, or None if the gain after it never falls below one half."""
    mirrored = rising_edge(gains[::-1], len(gains) - 1 - inside, sample_rate_hz, lowest_hz)
    return mirrored and mirror_edge(mirrored, len(gains))


def mirror_edge(edge: Edge, length: int) -> Edge:
    """The same edge, counted in reversed samples."""
    return Edge(length - 1 - edge.half, edge.ramp)


def refine_edge(samples: Floats, waves: Floats, edge: Edge, sample_rate_hz: float, *, again: bool = False) -> Edge:
    """The rising edge whose ramped waves best fit the samples, by a least-squares fit that starts from `edge`.

    If the waves beat, an edge in a null seems later and steeper. Several initial values are therefore tried. If `again`
    is True, only `edge` is tried.
    """
    ms = sample_rate_hz / 1000
    reach = round(edge.ramp / 2 + WINDOW_MS * ms)
    low, high = max(round(edge.half) - reach, 0), min(round(edge.half) + reach, len(samples))
    if high - low < 8:
        return edge
    beginnings = [(edge.half, edge.ramp)]
    if not again:
        others = ((0, 1), (0, 6), (1.5, 3), (-1.5, 3))
        beginnings += [(edge.half - earlier * ms, ramp * ms) for earlier, ramp in others]
    fits = [
        _fit(samples[low:high], waves[low:high], max(half - low, -0.5), max(ramp, 1.0), 2.0 * reach)
        for half, ramp in beginnings
    ]
    # Among equal fits the first is taken. At the end of a recording, all may be equal.
    least = min(energy for energy, _, _ in fits) * 1.0001 + 1e-15
    _, half, ramp = next(fit for fit in fits if fit[0] <= least)
    # A ramp cannot begin before the first sample.
    ramp = min(ramp, 2 * (half + low + 0.5))
    return Edge(half + low, ramp if ramp > 1 else 0.0)


def _fit(samples: Floats, waves: Floats, half: float, ramp: float, longest: float) -> tuple[float, float, float]:
    """Remaining energy, position and ramp of the edge, from a Levenberg–Marquardt fit."""
    at = np.arange(len(samples))

    def error(half: float, ramp: float) -> Floats:
        return np.asarray(_flank(at - half, ramp) * waves - samples)

    here = error(half, ramp)
    energy = float(here @ here)
    damping = 1e-3
    for _ in range(25):
        slope = np.stack([error(half + 0.05, ramp) - here, error(half, ramp + 0.05) - here]) / 0.05
        (a, b), (_, d) = slope @ slope.T
        p, q = slope @ here
        a, d = a * (1 + damping) + 1e-30, d * (1 + damping) + 1e-30
        determinant = a * d - b * b
        if determinant <= 0:
            break
        step = -(d * p - b * q) / determinant, -(a * q - b * p) / determinant
        moved = min(max(half + step[0], -0.5), len(samples) - 1.0), min(max(ramp + step[1], 1.0), longest)
        there = error(*moved)
        remaining = float(there @ there)
        if remaining >= energy:
            damping *= 10
            if damping > 1e4:
                break
            continue
        half, ramp, here, energy, damping = *moved, there, remaining, damping / 5
        if max(abs(step[0]), abs(step[1])) < 1e-4:
            break
    return energy, float(half), float(ramp)


def burst_envelope(first: int, end: int, rise: Edge, fall: Edge) -> Floats:
    """The envelope, from 0 to 1, of a burst with these two edges."""
    at = np.arange(first, end)
    return _flank(at - rise.half, rise.ramp) * _flank(fall.half - at, fall.ramp)


def _flank(distance: Floats, ramp: float) -> Floats:
    # A ramp is at least one sample long, as a sample is either in or out.
    return np.asarray(np.sin(np.clip(distance / max(ramp, 1.0) + 0.5, 0.0, 1.0) * np.pi / 2) ** 2)


def _crossing(gains: Floats, before: int, level: float) -> float:
    low, high = gains[before], gains[before + 1]
    return float(before + (level - low) / (high - low)) if high > low else float(before)


def _smooth(values: Floats, window: Floats) -> Floats:
    size = 1 << (len(values) + len(window) - 1).bit_length()
    spread = np.fft.irfft(np.fft.rfft(values, size) * np.fft.rfft(window / window.sum(), size), size)
    half = len(window) // 2
    return np.asarray(spread[half : half + len(values)])


def _ramp(width: float, window: float) -> float:
    """The length of the ramp whose rise from 10 to 90 % takes `width`.

    The rise was smoothed by a Hann window of length `window`.
    """
    ratios, widths = _widths()
    if width >= widths[-1] * window:
        return width / _RISE
    return float(np.interp(width / window, widths, ratios)) * window


@cache
def _widths() -> tuple[Floats, Floats]:
    """Table of ramp lengths and their widths after smoothing, both in window lengths."""
    grain = 200
    window = np.hanning(grain + 1) / np.hanning(grain + 1).sum()
    ratios = np.concatenate([[0.0], np.geomspace(0.02, 20, 80)])
    widths = []
    for ratio in ratios:
        at = np.arange(-2 * grain - round(ratio * grain), 2 * grain + round(ratio * grain) + 1)
        seen = np.convolve(_flank(at, ratio * grain), window, "same")[grain:-grain]
        widths.append((np.interp(0.9, seen, np.arange(len(seen))) - np.interp(0.1, seen, np.arange(len(seen)))) / grain)
    return ratios, np.array(widths)
