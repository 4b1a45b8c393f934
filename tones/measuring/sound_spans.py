"""Finds spans of sound between pauses, cut where the frequencies change without a pause."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..mask_runs import mask_runs
from .spectral_lines import LOWEST_HZ

Floats = NDArray[Any]
"""An array of single or double precision."""

FRAME_MS: Final = 1.0
_QUIETEST: Final = 1e-7
"""Minimum power of sound, -70 dBov. Below it, a 16-bit recording contains little more than quantization noise."""
_RANGE: Final = 1e-5
"""Power ratio of 50 dB. Sound that is quieter than the loudest by more than this is ignored."""
_OVER_NOISE: Final = 6.0
_DIP: Final = 0.0025
"""Power ratio of 26 dB. In a pause, the sound is this far below the loudest sound within `_AROUND_MS`."""
_AROUND_MS: Final = 100
_SHORTEST_PAUSE_MS: Final = 4
_SHORTEST_SPAN_MS: Final = 8
_WINDOW_MS: Final = 40.0
_HOP_MS: Final = 2.0
_CHANGE: Final = 0.35
_GLIDE_MS: Final = 90
"""Maximum duration of a sudden frequency change, in ms. A longer change is a glide."""


@dataclass(frozen=True, slots=True)
class Span:
    """The samples from `first` up to `end`.

    `joined_before` and `joined_after` are True if no pause separates this span from its neighbor on that side.
    """

    first: int
    end: int
    joined_before: bool = False
    joined_after: bool = False


def frame_powers(samples: Floats, sample_rate_hz: float) -> Floats:
    """The mean power of each frame of `FRAME_MS`, without an incomplete last frame."""
    edges = np.arange(0, int(len(samples) / sample_rate_hz * 1000 / FRAME_MS) + 1) * sample_rate_hz * FRAME_MS / 1000
    edges = edges.astype(np.int64)
    powers = np.zeros(max(len(edges) - 1, 0), np.float32)
    block = 60_000
    for start in range(0, len(powers), block):
        part = edges[start : start + block + 1]
        squares = np.square(samples[part[0] : part[-1]], dtype=np.float64)
        sums = np.add.reduceat(squares, part[:-1] - part[0]) if len(squares) else np.zeros(0)
        powers[start : start + block] = sums / np.diff(part)
    return powers


def noise_power(samples: Floats, sample_rate_hz: float) -> float:
    """The power that a tenth of the frames do not exceed, without their spectral peaks."""
    size = round(0.032 * sample_rate_hz)
    if len(samples) < size:
        return 0.0
    starts = np.linspace(0, len(samples) - size, min(3000, 1 + 2 * (len(samples) - size) // size)).astype(np.int64)
    window = np.hanning(size)
    scale = 2 / (size * np.sum(window**2))
    found = []
    for chunk in np.array_split(starts, -(-len(starts) // 256)):
        frames = np.stack([samples[start : start + size] for start in chunk]).astype(np.float64)
        power = np.abs(np.fft.rfft(frames * window)) ** 2 * scale
        floor = np.median(power, axis=1, keepdims=True)
        peaks = power > 50 * floor
        found.append(np.where(peaks, floor, power).sum(axis=1))
    return float(np.quantile(np.concatenate(found), 0.1))


def find_spans(samples: Floats, sample_rate_hz: float, powers: Floats, noise: float) -> list[Span]:
    """All spans by time. `powers` come from `frame_powers`."""
    if not len(powers):
        return []
    smooth = np.convolve(powers, [0.5, 0.5], "same")
    least = max(_QUIETEST, _OVER_NOISE * noise, _RANGE * float(smooth.max()))
    active = (smooth > least) & (smooth > _DIP * _highest_around(smooth, _AROUND_MS))
    sounding = _join(mask_runs(active), _SHORTEST_PAUSE_MS)
    frame = sample_rate_hz * FRAME_MS / 1000
    spans = []
    for first, end in sounding:
        if end - first < _SHORTEST_SPAN_MS:
            continue
        low, high = round(first * frame), min(round(end * frame), len(samples))
        cuts = [low, *_changes(samples, sample_rate_hz, low, high), high]
        for index in range(len(cuts) - 1):
            spans.append(Span(cuts[index], cuts[index + 1], index > 0, index < len(cuts) - 2))
    return spans


def _highest_around(values: Floats, distance: int) -> Floats:
    highest = values
    reached = 0
    while reached < distance:
        step = min(max(reached, 1), distance - reached)
        padded = np.pad(highest, step)
        highest = np.maximum(np.maximum(padded[: len(values)], highest), padded[2 * step :])
        reached += step
    return highest


def _join(parts: NDArray[np.intp], pause: int) -> NDArray[np.intp]:
    if not len(parts):
        return parts
    apart = np.flatnonzero(parts[1:, 0] - parts[:-1, 1] >= pause)
    firsts, lasts = np.concatenate([[0], apart + 1]), np.concatenate([apart, [len(parts) - 1]])
    return np.stack([parts[firsts, 0], parts[lasts, 1]], 1)


def _changes(samples: Floats, sample_rate_hz: float, first: int, end: int) -> list[int]:
    """The samples between `first` and `end` at which the spectrum changes."""
    size, hop = round(_WINDOW_MS * sample_rate_hz / 1000), round(_HOP_MS * sample_rate_hz / 1000)
    apart = size // 2 // hop
    low = max(first - size // 2, 0)
    count = (min(end + size // 2, len(samples)) - low - size) // hop + 1
    if count < 2 * apart + 3:
        return []
    window = np.hanning(size)
    lowest = round(LOWEST_HZ / sample_rate_hz * 2 * size)
    change = np.zeros(count)
    # Blocks limit the memory for a long span. They overlap by the compared distance.
    block = 4096
    for start in range(0, count, block):
        stop = min(start + block + 2 * apart, count)
        frames = np.lib.stride_tricks.sliding_window_view(
            samples[low + start * hop : low + (stop - 1) * hop + size], size
        )[::hop]
        shapes = np.abs(np.fft.rfft(frames * window, 2 * size, axis=1))[:, lowest : 2 * round(size * 0.45)]
        sums = shapes.sum(axis=1)
        shapes = shapes / np.maximum(sums, 1e-12)[:, None]
        changed = 1 - np.minimum(shapes[: -2 * apart], shapes[2 * apart :]).sum(axis=1)
        # The start or end of a sound is not a change of frequency.
        quiet = np.minimum(sums[: -2 * apart], sums[2 * apart :]) < 0.1 * np.maximum(
            sums[: -2 * apart], sums[2 * apart :]
        )
        change[start + apart : start + apart + len(changed)] = np.where(quiet, 0.0, changed)
    cuts = []
    for begin, stop in mask_runs(change > _CHANGE):
        if (stop - begin) * _HOP_MS > _GLIDE_MS:
            continue
        weights = change[begin:stop] - _CHANGE
        centre = float(np.sum(weights * np.arange(begin, stop)) / weights.sum())
        cuts.append(round(low + centre * hop + size / 2))
    # Closer to a pause, one half of the comparison would be the pause.
    shortest = _WINDOW_MS * sample_rate_hz / 1000
    return [cut for cut in cuts if first + shortest < cut < end - shortest]
