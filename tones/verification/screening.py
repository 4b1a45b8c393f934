"""Finds places in a recording at which a sound may be, at tens of thousands of times real time.

Its two stages work on short windows, each reduced to a complex value at each of the sound's frequencies. At each place,
the first stage compares the power where the sound has its tones with all the power at these frequencies around it. The
second stage sums the values coherently over each tone, for pitches around the nominal one. Speech has power there too,
but does not stay in phase for so long. A place that passes is only a candidate: the thresholds are far below what `fit`
needs to recognize a sound.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .sound_plan import Component, Plan

RATE_HZ: Final = 8000
HOP: Final = 64
WINDOW: Final = 3 * HOP
"""Number of samples in the window, 24 ms, half as long as the shortest pulses of the network."""
BAND_HZ: Final = 62.0
"""Noise bandwidth of the window, in Hz."""
FRAMES_PER_S: Final = RATE_HZ / HOP
PITCH_REACH: Final = 0.025

_BLOCK: Final = 1024
"""Number of frames in one matrix product, so that it stays in the processor's cache."""
_CHANNEL_HZ: Final = 8.0
"""Distance below which frequencies share a channel, in Hz."""
_STEADY_HZ: Final = 40.0
"""Maximum width of each of the steady tones that approximate a glide, in Hz."""
_CONTRAST: Final = 0.5
_MOST: Final = 0.72
_BALANCE: Final = 0.08
"""Minimum balance of the pieces, as a share of the balance that the sound has in silence."""
_LASTING: Final = 1.1
"""Minimum ratio of the contrast to the contrast of a continuous tone, such as a musical note."""
_SILENCE: Final = 1e-7
"""Power of silence, −67 dBm0, below the noise of every telephone."""
_GATE: Final = 0.15
"""Minimum score, as a share of the score that the sound has in silence.

Under equally loud speech, the sound keeps more.
"""
_LOWEST_GATE: Final = 4.0
_CONTRAST_DAMAGED: Final = 0.85
"""Minimum contrast of a damaged sound, as a share of the usual minimum.

It is lower, because a room's tail surrounds the sound.
"""
_NEARLY: Final = 0.5
"""Minimum score of a peak near which a more coherent place is searched, as a share of the score for damaged places.

Such a place may reach the whole score.
"""
_REMAINING: Final = 0.75
"""Minimum contrast at which little coherence is enough, as a share of the sound's own contrast.

That much of the power is then in the sound's places.
"""
_OWN_SHARE: Final = 0.6
"""Minimum share of the total power at the sound's frequencies while the sound lasts.

Speech rarely has as much of its power there.
"""
_AROUND: Final = 8
"""Number of frames before and after a peak in which a damaged sound may be more coherent."""
_SPREAD: Final = 10**-1.6
"""Minimum power of the faintest tone relative to the loudest, -16 dB."""
_FAINTEST: Final = 10**-3.5
"""Minimum power of the loudest tone relative to the profile's level, -35 dB."""

Reals = NDArray[np.float32]
Complexes = NDArray[np.complex64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The `samples` at which the sound may begin, accurate to one hop, and their `scores`, best first."""

    samples: NDArray[np.intp]
    scores: Floats


@dataclass(frozen=True, slots=True)
class _Piece:
    """A steady tone: its channel, and its position in the sound in frames."""

    first: int
    frames: int
    channel: int
    middle_hz: float
    lines_hz: tuple[float, ...]
    power: float
    """Power of the profile's own tone."""


class Screen:
    """A search for one plan. `own` is the plan's sound in silence, at 8 kHz."""

    def __init__(self, plan: Plan, own: Reals) -> None:
        length = math.ceil(plan.length_s * FRAMES_PER_S)
        self._guard = min(max(3, length // 5), 12)
        self._span = length + 2 * self._guard
        frequencies: list[float] = []
        self._pieces = []
        for each, start_s, end_s, frequency_hz in _steady(plan):
            near = [index for index, other in enumerate(frequencies) if abs(other - frequency_hz) < _CHANNEL_HZ]
            if not near:
                near = [len(frequencies)]
                frequencies.append(frequency_hz)
            first = self._guard + round(start_s * FRAMES_PER_S)
            frames = max(self._guard + round(end_s * FRAMES_PER_S) - first, 1)
            lines = tuple(line_hz + frequency_hz - frequencies[near[0]] for line_hz in each.lines_hz)
            self._pieces.append(_Piece(first, frames, near[0], frequency_hz, lines, each.amplitude**2))
        self._channels = len(frequencies)
        self._frequencies = np.array(frequencies)
        self._kernel = _kernel(self._frequencies)
        self._contrast, self._balance = _CONTRAST, _BALANCE
        values = self._values(own)
        contrast, balance, _ = self._compare(values)
        best = int(contrast.argmax())
        self._gate = max(_GATE * float(self._coherence(values, np.array([best]), lossy=False)[0]), _LOWEST_GATE)
        # A continuous tone also fills the pauses and the surroundings.
        lasting = sum(piece.frames for piece in self._pieces) / (self._channels * self._span)
        self._remaining = _REMAINING * float(contrast[best])
        self._contrast = float(contrast[best]) * max(_CONTRAST, min(_LASTING * lasting / float(contrast[best]), _MOST))
        self._balance *= float(balance[best])

    def to_json(self) -> dict[str, Any]:
        """The reference values of the screening as JSON, which the browser's detector uses too."""
        return {
            "guard": self._guard,
            "span": self._span,
            "frequencies_hz": self._frequencies.tolist(),
            "pieces": [asdict(piece) for piece in self._pieces],
            "contrast": self._contrast,
            "remaining": self._remaining,
            "balance": self._balance,
            "gate": self._gate,
        }

    def candidates(self, samples: Reals, *, lossy: bool = False, least: float = 0.0) -> Candidates:
        """All candidates in `samples` at 8 kHz with a score above `least`, or above the sound's own gate if it is 0.

        If `lossy` is True, bursts may be missing.
        """
        values = self._values(samples)
        contrast, balance, power = self._compare(values)
        good = (contrast > self._contrast * (_CONTRAST_DAMAGED if least else 1)) & (power > _SILENCE)
        if not lossy:
            good &= balance > self._balance
        peaks = _peaks(np.where(good, contrast, 0))
        scores = self._coherence(values, peaks, lossy=lossy)
        if least:
            peaks, scores = self._nearby(values, peaks, scores, least)
        return self._ordered(peaks, scores, least or self._gate)

    def _ordered(self, peaks: NDArray[np.intp], scores: Floats, least: float) -> Candidates:
        kept = scores > least
        order = np.argsort(-scores[kept])
        places = peaks[kept][order] * HOP + WINDOW // 2 + (self._guard - self._edge) * HOP
        return Candidates(places, scores[kept][order])

    def candidates_without_phase(self, samples: Reals, least: float) -> Candidates:
        """The candidates for a sound after a line has destroyed most of its phase.

        Almost all their power is in the places of the sound's tones.
        """
        values = self._values(samples)
        contrast, _, power = self._compare(values)
        good = (contrast > self._remaining) & (power > _SILENCE) & (self._own_share(values, samples) > _OWN_SHARE)
        peaks = _peaks(np.where(good, contrast, 0))
        return self._ordered(peaks, self._coherence(values, peaks, lossy=True), least)

    def _nearby(
        self, values: tuple[Reals, Reals], peaks: NDArray[np.intp], scores: Floats, least: float
    ) -> tuple[NDArray[np.intp], Floats]:
        """The most coherent place near each peak. In a room, the peak of the power comes later than the sound."""
        peaks = peaks[scores > _NEARLY * least]
        around = peaks[:, None] + np.arange(-_AROUND, _AROUND + 1)
        np.clip(around, 0, len(values[0]) - self._span - 1, out=around)
        scores = self._coherence(values, around.ravel(), lossy=True).reshape(around.shape)
        best = scores.argmax(axis=1)
        rows = np.arange(len(peaks))
        # Neighboring peaks may share a place.
        places, first = np.unique(around[rows, best], return_index=True)
        return places, scores[rows, best][first]

    @property
    def _edge(self) -> int:
        """Number of frames of silence before and after the recording, so that a sound may be at its very end."""
        return self._guard + WINDOW // HOP

    def _values(self, samples: Reals) -> tuple[Reals, Reals]:
        """Cosine and sine parts of each channel's frequency in each window, both of shape frames × channels."""
        blocks = -(-len(samples) // HOP) + 2 * self._edge
        taps = WINDOW // HOP
        frames = blocks - taps + 1
        width = 2 * self._channels
        cosines, sines = np.zeros((2, frames, self._channels), np.float32)
        offset = self._edge * HOP
        for first in range(0, frames, _BLOCK):
            end = min(first + _BLOCK, frames)
            begin, stop = first * HOP - offset, (end + taps - 1) * HOP - offset
            rows = padded_slice(samples, begin, stop - begin).reshape(-1, HOP)
            partial = rows @ self._kernel
            parts = partial[: end - first, :width].copy()
            for tap in range(1, taps):
                parts += partial[tap : tap + end - first, width * tap : width * (tap + 1)]
            cosines[first:end] = parts[:, : self._channels]
            sines[first:end] = parts[:, self._channels :]
        return cosines, sines

    def _compare(self, values: tuple[Reals, Reals]) -> tuple[Floats, Floats, Floats]:
        """For each place, the contrast, the ratio of the weakest piece to the mean, and the mean power."""
        cosines, sines = values
        places = max(len(cosines) - self._span, 0)
        sums = np.zeros((self._channels, len(cosines) + 1))
        np.cumsum((cosines * cosines + sines * sines).T, axis=1, out=sums[:, 1:])
        matched, weakest, frames = np.zeros(places), np.full(places, np.inf), 0
        for piece in self._pieces:
            channel = sums[piece.channel]
            power = channel[piece.first + piece.frames :][:places] - channel[piece.first :][:places]
            matched += power
            np.minimum(weakest, power / piece.frames, out=weakest)
            frames += piece.frames
        total = sums.sum(axis=0)
        everything = total[self._span :][:places] - total[:places]
        mean = matched / frames
        return matched / (everything + 1e-12), weakest / (mean + 1e-12), mean

    def _own_share(self, values: tuple[Reals, Reals], samples: Reals) -> Floats:
        """For each place, the share of the sound's frequencies in the total power while the sound lasts."""
        cosines, sines = values
        length = self._span - 2 * self._guard
        hops = padded_slice(samples, -self._edge * HOP, (len(cosines) + 2) * HOP).reshape(-1, HOP)
        # A window is three hops long, and its power is taken from the middle hop.
        squares = np.asarray(np.mean(hops * hops, axis=1, dtype=np.float64))[1:-1]
        own = np.asarray(np.sum(cosines * cosines + sines * sines, axis=1, dtype=np.float64)) / 2
        places = max(len(cosines) - self._span, 0)

        def lasting(power: Floats) -> Floats:
            sums = np.concatenate([[0.0], np.cumsum(power)])
            return np.asarray(sums[self._guard + length :][:places] - sums[self._guard :][:places])

        return np.asarray(lasting(own) / (lasting(squares) + 1e-12))

    def _coherence(self, values: tuple[Reals, Reals], places: NDArray[np.intp], *, lossy: bool) -> Floats:
        """−log10 of the probability of this much coherence in noise at each place, for all pieces together."""
        cosines, sines = values
        scores = np.zeros(len(places))
        loudest, faintest = np.zeros(len(places)), np.full(len(places), np.inf)
        for piece in self._pieces:
            guard = min(2, piece.frames // 2)
            frames = np.arange(-guard, piece.frames + guard)
            index = places[:, None] + (piece.first + frames)[None, :]
            found = cosines[index, piece.channel] + 1j * sines[index, piece.channel]
            energy = np.sum(found.real**2 + found.imag**2, axis=1) + 1e-12
            inside = found[:, guard : guard + piece.frames]
            reach_hz = PITCH_REACH * piece.middle_hz
            count = math.ceil(reach_hz * 2.5 * piece.frames / FRAMES_PER_S)
            pitches = np.linspace(-reach_hz, reach_hz, 2 * count + 1)
            explained: Floats | float = 0.0
            for line_hz in piece.lines_hz:
                offsets = self._frequencies[piece.channel] + line_hz + pitches
                turns = np.outer(frames[guard : guard + piece.frames] / FRAMES_PER_S, offsets)
                sums = inside @ np.exp(-2j * np.pi * turns).astype(np.complex64)
                explained = explained + (sums.real**2 + sums.imag**2) / piece.frames
            best = np.max(explained, axis=1)
            cells = max(len(frames) / FRAMES_PER_S * BAND_HZ - len(piece.lines_hz), 0)
            scores -= cells * np.log10(1 - np.minimum(best / energy, 0.999))
            relative = best / piece.frames / piece.power
            np.maximum(loudest, relative, out=loudest)
            np.minimum(faintest, relative, out=faintest)
        if not lossy:
            scores[faintest < loudest * _SPREAD] = 0
        scores[loudest < _FAINTEST] = 0
        return scores


def _peaks(values: Floats) -> NDArray[np.intp]:
    """The places of positive values that no neighbor exceeds."""
    places = np.flatnonzero(values)
    padded = np.pad(values, 1)
    return places[(values[places] >= padded[places]) & (values[places] > padded[places + 2])]


def padded_slice(samples: Reals, begin: int, count: int) -> Reals:
    """`count` samples starting at `begin`, with silence before and after the recording."""
    inside = samples[max(begin, 0) : max(begin + count, 0)]
    if len(inside) == count:
        return inside
    before = min(max(-begin, 0), count)
    return np.pad(inside, (before, count - before - len(inside)))


def _steady(plan: Plan) -> list[tuple[Component, float, float, float]]:
    """The plan's components as steady tones, each as component, start, end and frequency."""
    pieces = []
    for each in plan.components:
        span_hz = each.to_hz - each.from_hz
        count = max(1, math.ceil(abs(span_hz) / _STEADY_HZ))
        for index in range(count):
            first_s, last_s = each.track_s
            start_s, end_s = (first_s + (last_s - first_s) * (index + edge) / count for edge in (0, 1))
            inside_s = max(start_s, each.start_s), min(end_s, each.end_s)
            pieces.append((each, *inside_s, each.from_hz + span_hz * (index + 0.5) / count))
    return pieces


def _kernel(frequencies_hz: Floats) -> Reals:
    """Windowed cosines and sines, cut into taps so that a single product serves all taps.

    The shape is HOP × (taps · 2 · channels).
    """
    position = np.arange(WINDOW)
    window = np.hanning(WINDOW + 1)[:WINDOW]
    waves = (2 / window.sum() * window)[:, None] * np.exp(-2j * np.pi * np.outer(position, frequencies_hz) / RATE_HZ)
    parts = np.concatenate([waves.real, waves.imag], axis=1).astype(np.float32)
    return np.concatenate(np.split(parts, WINDOW // HOP), axis=1)
