"""Measures parts of a fitted sound: its bursts' edges, missing parts of bursts, and pauses."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .fit import Baseband, Fitted, edge_frames
from .running_sums import FRAMES_PER_S
from .screening import RATE_HZ
from .sound_plan import Component, Plan

_SHORTEST_PAUSE_S: Final = 0.02
_EDGE_REACH: Final = 0.7
"""Distance within which an edge is searched, as a share of the burst's length."""
_EDGE_STEP_S: Final = 0.0005
_SLICE_S: Final = 0.024
"""Length of a slice, in seconds.

It equals one packet and the rise time of the baseband filter, so that a lost packet silences at least one slice.
"""
_SLICES: Final = 3
"""Minimum number of slices of a short burst."""
_SLICE_STEP_S: Final = 0.004
_ASIDE_S: Final = 0.006
"""Time at each edge of a burst that slices exclude, in seconds.

The filter mixes this time with the sound around the burst.
"""
_SLICE_HEARD: Final = 0.5
"""Minimum received share of a slice that counts."""
_TAIL_S: Final = (0.015, 0.055)
_LATE_S: Final = (0.11, 0.16)
"""Second of two periods after the end of a burst, in seconds. `_TAIL_S` is the first.

In a room, much of the tone remains in the first period, and less in the second.
"""
_TAIL: Final = 10 ** (-25 / 20)
_CONTINUED: Final = 10 ** (-2 / 20)
"""Highest amplitude of a tail, as a share of the burst's amplitude. `_TAIL` is the lowest.

Below `_TAIL` is silence, and above `_CONTINUED` the burst continues.
"""
_DECAY: Final = 10 ** (-3 / 20)
"""Maximum amplitude of a tail's second period, as a share of the amplitude in its first."""
_AROUND_S: Final = 0.25
_QUIET: Final = 10 ** (-5 / 20)
"""Maximum amplitude of the tones around a sound that stands alone, as a share of the sound's amplitude."""
_AROUND_HEARD: Final = 0.8
"""Minimum received share of the time around the sound. Below it, nothing is known about that time."""
_BLAST: Final = 5.0
"""Ratio to the amplitude in the middle of a burst above which a part is so loud that it outweighs the rest."""


def edge_errors(base: Baseband, index: int, each: Component, fitted: Fitted, reach_s: float) -> tuple[float, float]:
    """Offsets of a component's start and end from the fit of the whole sound, in seconds, at most `reach_s`."""
    component = fitted.components[index]
    origin = base.first / RATE_HZ
    start_s, end_s = component.start_s - origin, component.end_s - origin
    reach_s = min(reach_s, _EDGE_REACH * each.length_s)
    offsets = np.arange(-reach_s, reach_s, _EDGE_STEP_S)
    starts = base.explained_spans(index, each, fitted, start_s + offsets, np.full_like(offsets, end_s))
    ends = base.explained_spans(index, each, fitted, np.full_like(offsets, start_s), end_s + offsets)
    return float(offsets[starts.argmax()]), float(offsets[ends.argmax()])


def weakest_slice(base: Baseband, index: int, each: Component, fitted: Fitted) -> float:
    """Amplitude of a component's weakest slice of 24 ms, relative to its louder slices. 1 is an even burst."""
    component = fitted.components[index]
    origin = base.first / RATE_HZ
    start_s, end_s = component.start_s - origin, component.end_s - origin
    inside = (base.times >= start_s) & (base.times <= end_s)
    times, band = base.times[inside], base.demodulated(index, each, fitted)[inside]
    heard = np.ones(len(times)) if base.mask is None else base.mask[inside]
    lines = np.exp(2j * np.pi * np.outer(times, each.lines_hz)) * heard[:, None]
    amplitudes, *_ = np.linalg.lstsq(lines, band, rcond=None)
    model = lines @ amplitudes
    width_s = min(_SLICE_S, (end_s - start_s - 2 * _ASIDE_S) / _SLICES)
    starts = np.arange(start_s + _ASIDE_S, end_s - _ASIDE_S - width_s + _SLICE_STEP_S / 2, _SLICE_STEP_S)
    first, last = np.searchsorted(times, starts), np.searchsorted(times, starts + width_s, side="right")
    matched, power, share = (_sums(values, first, last) for values in (model.conj() * band, np.abs(model) ** 2, heard))
    known = (last > first) & (share.real > _SLICE_HEARD * np.maximum(last - first, 1))
    gains = np.abs(matched[known]) / np.maximum(power[known].real, 1e-20)
    return float(gains.min() / max(np.quantile(gains, 0.75), 1e-9)) if len(gains) else 0.0


def _sums(values: NDArray[Any], first: NDArray[np.intp], last: NDArray[np.intp]) -> NDArray[Any]:
    running = np.concatenate([[0], np.cumsum(values, dtype=np.complex128)])
    return np.asarray(running[last] - running[first])


def amplitude_in_pause(
    base: Baseband, index: int, each: Component, fitted: Fitted, gap_start_s: float, gap_end_s: float
) -> float | None:
    """Amplitude of a component's tone in a pause of the plan, or None if the pause is too short to measure."""
    inset_s = edge_frames(each) / FRAMES_PER_S
    place_s = fitted.start_s - base.first / RATE_HZ
    tempo = 1 + fitted.tempo
    start = np.array([place_s + tempo * gap_start_s + inset_s])
    end = np.array([place_s + tempo * gap_end_s - inset_s])
    if end[0] - start[0] < _SHORTEST_PAUSE_S:
        return None
    energy = base.explained_spans(index, each, fitted, start, end)[0]
    return float(np.sqrt(energy / ((end[0] - start[0]) * FRAMES_PER_S)))


def dies_away(base: Baseband, plan: Plan, fitted: Fitted) -> list[bool]:
    """One value per measurable burst: True if the tone dies away slowly after it, as in a room."""
    times = base.times + base.first / RATE_HZ
    found: list[bool] = []

    def level(index: int, window_s: tuple[float, float]) -> float:
        first_s, last_s = (fitted.components[index].end_s + each for each in window_s)
        band = base.bands[base.track_of[index]][(times >= first_s) & (times <= last_s)]
        return float(np.sqrt(np.mean(np.abs(band) ** 2))) if len(band) else 0.0

    for index, each in enumerate(plan.components):
        later = plan.components[index + 1 :]
        same = (
            other.start_s
            for other, track in zip(later, base.track_of[index + 1 :], strict=True)
            if track == base.track_of[index]
        )
        if not each.steady or min(same, default=np.inf) < each.end_s + 1.2 * _LATE_S[1]:
            continue
        own, tail, late = fitted.components[index].amplitude, level(index, _TAIL_S), level(index, _LATE_S)
        found.append(_TAIL * own < tail < _CONTINUED * own and late < _DECAY * tail)
    return found


def stands_alone(base: Baseband, fitted: Fitted) -> bool:
    """True if the sound's tones are quiet before the sound, and after a room's tail has died away.

    A longer or pulsating tone, from the network or in music, also sounds before or after. Lost time around the sound
    may hide that kind of tone, in which case the result is False.
    """
    times = base.times + base.first / RATE_HZ
    begin_s, end_s = fitted.start_s - _AROUND_S, fitted.end_s + _LATE_S[0] + _AROUND_S
    windows = (
        (times >= begin_s) & (times < fitted.start_s - _TAIL_S[0]),
        (times > fitted.end_s + _LATE_S[0]) & (times <= end_s),
    )
    if times[0] > begin_s or times[-1] < end_s:
        return False
    if base.mask is not None and any(np.mean(base.mask[window]) < _AROUND_HEARD for window in windows):
        return False
    for track, band in enumerate(base.bands):
        own = max(each.amplitude for each, one in zip(fitted.components, base.track_of, strict=True) if one == track)
        power = np.abs(band) ** 2
        if any(np.mean(power[window]) > (_QUIET * own) ** 2 for window in windows):
            return False
    return True


def level_without_blast(base: Baseband, plan: Plan, fitted: Fitted) -> float | None:
    """The sound's level as a factor of the profile's, if its first burst is temporarily much louder; otherwise None.

    A codec with a memory, such as G.722, starts a sound like this if the states of its encoder and decoder differ. The
    effect lasts for less than half of a burst, so the median of the burst's amplitudes is the true level.
    """
    times = base.times + base.first / RATE_HZ
    middle = peak = 0.0
    for index, each in enumerate(plan.components):
        component = fitted.components[index]
        amplitudes = np.abs(base.bands[base.track_of[index]])[(times >= component.start_s) & (times <= component.end_s)]
        if len(amplitudes):
            middle = max(middle, float(np.median(amplitudes)) / each.amplitude)
            if each.burst == 0:
                peak = max(peak, float(amplitudes.max()) / each.amplitude)
    return middle if peak > _BLAST * middle > 0 else None
