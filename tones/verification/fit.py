"""A candidate held against the plan: the best place, tempo and pitch of the sound there, and how well it fits.

Each component is demodulated along its own track into a narrow baseband. There a burst is a constant, so
that one coherent sum over it is the maximum-likelihood estimate of its amplitude, and the energy which all
bursts explain together is the likelihood of a hypothesis (place, tempo, pitch). Near misses need no
templates of their own: they are hypotheses of the same grid, outside the profile's tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .plan import Component, Plan
from .screen import HOP as SCREEN_HOP
from .screen import RATE_HZ, Reals, cut

HOP: Final = 16
FRAMES_PER_S: Final = RATE_HZ / HOP
FILTER: Final = 128
"""Samples of the baseband filter, a Hann window of 16 ms."""
BAND_HZ: Final = 94.0
"""Its noise bandwidth."""
MARGIN_S: Final = 0.3
"""Looked at before and after the sound, or farther where its bursts are longer."""
PITCH_REACH: Final = 0.035
GUARD_S: Final = 0.04
"""Before and after a burst, where its frequency must be quiet for it to count as one."""

_SHORTEST_PAUSE_S: Final = 0.02
_EDGE_S: Final = 0.008
"""How soft the filter makes an edge."""
_COARSE_TEMPI: Final = np.linspace(0.80, 1.20, 10)

Floats = NDArray[np.floating[Any]]
Complexes = NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class FittedComponent:
    """A component as it was found.

    `amplitude` is that of a sine of the same power (1.0 is full scale). `coherence` is the share of the
    energy in its band, from a guard before it to a guard after it, that the model explains; `cells` is how
    many independent values that band had there. `heard` is the share of it that is not lost.
    """

    component: Component
    start_s: float
    end_s: float
    amplitude: float
    coherence: float
    cells: float
    heard: float

    @property
    def score(self) -> float:
        """−log10 of the chance that noise of the band alone is as coherent (a beta distribution)."""
        return -(max(self.cells * self.heard - len(self.component.lines_hz), 0.0)) * float(
            np.log10(max(1 - self.coherence, 1e-3))
        )


@dataclass(frozen=True, slots=True)
class Fitted:
    """The best hypothesis. `start_s` is in the recording; `pitch` and `tempo` are relative errors, 0.01 being 1 %
    higher and 1 % slower."""

    start_s: float
    end_s: float
    pitch: float
    tempo: float
    components: tuple[FittedComponent, ...]

    @property
    def score(self) -> float:
        return sum(each.score for each in self.components)

    @property
    def energy(self) -> float:
        """What all components explain."""
        return sum(each.amplitude**2 * each.heard * each.component.length_s for each in self.components)

    @property
    def first(self) -> int:
        """The sample at which it starts."""
        return round(self.start_s * RATE_HZ)


class Fitter:
    """Fits one plan to places of recordings."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        longest_s = min(0.25, max(each.length_s for each in plan.components))
        highest_hz = max(max(each.from_hz, each.to_hz) for each in plan.components)
        self._pitch_step = 1 / (2.5 * longest_s * highest_hz)
        window = np.hanning(FILTER + 1)[:FILTER]
        self._window: Reals = (2 / window.sum() * window).astype(np.float32)
        gaps_s = [later.start_s - each.end_s for each, later in pairwise(plan.components)]
        self._margin_s = max(MARGIN_S, min(longest_s + max([0.05, *gaps_s]) + GUARD_S, 1.0))
        self._reach_s = SCREEN_HOP / RATE_HZ * 1.5 + 0.1 * plan.length_s

    def baseband(self, samples: Reals, heard: Reals | None, first: int) -> Baseband:
        """The surroundings of a candidate at sample `first`; `heard` is 0 at lost samples and else 1."""
        margin = round(self._margin_s * RATE_HZ)
        begin = first - margin - FILTER // 2
        frames = (round(self.plan.length_s * RATE_HZ) + 2 * margin) // HOP
        count = (frames + FILTER // HOP - 1) * HOP
        piece = cut(samples, begin, count)
        times = (np.arange(count) + begin - first) / RATE_HZ
        tracks: dict[tuple[float, ...], int] = {}
        bands: list[Complexes] = []
        track_of = []
        for each in self.plan.components:
            key = (each.from_hz,) if each.steady else (each.from_hz, each.to_hz, each.start_s, each.end_s)
            if key not in tracks:
                tracks[key] = len(bands)
                carrier = np.exp(-2j * np.pi * phase(each, times)).astype(np.complex64)
                bands.append(self._filtered(piece * carrier, frames))
            track_of.append(tracks[key])
        whole = np.ones(count, np.float32) if heard is None else cut(heard, begin, count)
        mask: Reals = np.asarray(self._filtered(whole, frames).real / 2, np.float32)
        frame_times = (np.arange(frames) * HOP + FILTER / 2 + begin - first) / RATE_HZ
        return Baseband(first, tuple(bands), tuple(track_of), frame_times, mask)

    def coarse(self, base: Baseband) -> Fitted:
        """The best hypothesis of a wide and thin grid."""
        reach = round(self._reach_s / 0.004)
        places = np.arange(-reach, reach + 1) * 0.004
        if len(places) > 81:
            places = np.linspace(-self._reach_s, self._reach_s, 81)
        count = round(PITCH_REACH / self._pitch_step)
        pitches = np.arange(-count, count + 1) * self._pitch_step
        return self._best(base, pitches, places, _COARSE_TEMPI)

    def fine(self, base: Baseband, coarse: Fitted) -> Fitted:
        """Refined around `coarse`, to below a frame and a hundredth of the pitch's resolution."""
        best = coarse
        origin = base.first / RATE_HZ
        place_step, tempo_step, pitch_step = 0.002, 0.02, self._pitch_step / 2
        for _ in range(4):
            steps = np.arange(-3, 4)
            best = self._best(
                base,
                best.pitch + steps * pitch_step,
                best.start_s - origin + steps * place_step,
                1 + best.tempo + steps * tempo_step,
            )
            place_step, tempo_step, pitch_step = place_step / 2.5, tempo_step / 2.5, pitch_step / 3
        return best

    def _filtered(self, wave: NDArray[np.complexfloating] | Reals, frames: int) -> Complexes:
        taps = FILTER // HOP
        partial = wave[: (frames + taps - 1) * HOP].reshape(-1, HOP) @ self._window.reshape(taps, HOP).T
        band = np.zeros(frames, np.complex64)
        for tap in range(taps):
            band += partial[tap : tap + frames, tap]
        return band

    def _best(self, base: Baseband, pitches: Floats, places: Floats, tempi: Floats) -> Fitted:
        explained = base.explained(self.plan, pitches, places, tempi)
        at = np.unravel_index(int(np.argmax(np.sum(explained, axis=0))), explained[0].shape)
        place, tempo, pitch = places[at[0]], tempi[at[1]], pitches[at[2]]
        components = tuple(
            base.component(index, each, float(place), float(tempo), float(explained[index][at]))
            for index, each in enumerate(self.plan.components)
        )
        start_s = base.first / RATE_HZ + place
        return Fitted(
            float(start_s), float(start_s + tempo * self.plan.length_s), float(pitch), float(tempo - 1), components
        )


@dataclass(frozen=True, slots=True)
class Baseband:
    """The surroundings of a place: a band for each track, at 500 frames a second.

    `times` are in seconds from sample `first`; `mask` is the share of each frame that is not lost.
    """

    first: int
    bands: tuple[Complexes, ...]
    track_of: tuple[int, ...]
    times: Floats
    mask: Reals

    def explained(self, plan: Plan, pitches: Floats, places: Floats, tempi: Floats) -> list[Floats]:
        """The energy that each component explains: places × tempi × pitches. All three in equal steps."""
        sums: dict[tuple[object, ...], list[Complexes]] = {}
        found = []
        for index, each in enumerate(plan.components):
            starts = places[:, None] + tempi[None, :] * each.start_s
            ends = places[:, None] + tempi[None, :] * each.end_s
            if each.steady or each.stairs:
                key = (self.track_of[index], _softness(each), each.lines_hz)
                if key not in sums:
                    sums[key] = self._sums(index, each, pitches)
                found.append(self._energies(each, sums[key], starts, ends))
                continue
            # The carrier glides from where the sound was first thought to begin; later, it is too high all the time.
            slope = (each.to_hz - each.from_hz) / each.length_s / each.middle_hz
            rows = [
                self._energies(each, self._sums(index, each, pitches - slope * place), starts[row], ends[row])
                for row, place in enumerate(places)
            ]
            found.append(np.stack(rows))
        return found

    def _explained_spans(self, index: int, each: Component, pitch: float, starts: Floats, ends: Floats) -> Floats:
        """The energy that a component would explain from each of `starts` to each of `ends`."""
        return self._energies(each, self._sums(index, each, np.array([pitch])), starts, ends)[..., 0]

    def _sums(self, index: int, each: Component, pitches: Floats) -> list[Complexes]:
        """For each line the running sum of the band at rest, softened as the edges are: edges × pitches."""
        softness, band = _softness(each), self.bands[self.track_of[index]]
        return [
            _soft_sums((_turning(pitches * each.middle_hz + line_hz, self.times) * band).T, softness)
            for line_hz in each.lines_hz
        ]

    def _energies(self, each: Component, sums: Sequence[Complexes], starts: Floats, ends: Floats) -> Floats:
        softness = _softness(each)
        first, last = self._position(starts), self._position(ends)
        heard = _soft_sums(self.mask[:, None], softness)
        norm = np.maximum(_between(heard, last) - _between(heard, first) - softness / 3, 1.0)
        energies = np.zeros((*starts.shape, sums[0].shape[1]))
        for line in sums:
            found = _between(line, last) - _between(line, first)
            energies += (found.real**2 + found.imag**2) / norm
        return energies

    def component(self, index: int, each: Component, place: float, tempo: float, explained: float) -> FittedComponent:
        start_s, end_s = place + tempo * each.start_s, place + tempo * each.end_s
        guard_s = min(GUARD_S, each.length_s / 2)
        inside = (self.times >= start_s - guard_s) & (self.times <= end_s + guard_s)
        band = self.bands[self.track_of[index]][inside]
        energy = float(np.sum(band.real**2 + band.imag**2))
        frames = float(self.mask[(self.times >= start_s) & (self.times <= end_s)].sum()) - _softness(each) / 3
        origin = self.first / RATE_HZ
        return FittedComponent(
            each,
            origin + start_s,
            origin + end_s,
            float(np.sqrt(explained / max(frames, 1.0))),
            min(explained / (energy + 1e-12), 1.0),
            float(inside.sum() / FRAMES_PER_S * BAND_HZ),
            float(self.mask[inside].mean()) if inside.any() else 0.0,
        )

    def edge_errors(self, index: int, each: Component, fitted: Fitted) -> tuple[float, float]:
        """How far the start and the end of a component lie from where the whole fit has them, in seconds."""
        component = fitted.components[index]
        origin = self.first / RATE_HZ
        start_s, end_s = component.start_s - origin, component.end_s - origin
        reach_s = min(0.03, 0.4 * each.length_s)
        offsets = np.arange(-reach_s, reach_s, 0.0005)
        starts = self._explained_spans(index, each, fitted.pitch, start_s + offsets, np.full_like(offsets, end_s))
        ends = self._explained_spans(index, each, fitted.pitch, np.full_like(offsets, start_s), end_s + offsets)
        return float(offsets[starts.argmax()]), float(offsets[ends.argmax()])

    def between(
        self, index: int, each: Component, fitted: Fitted, gap_start_s: float, gap_end_s: float
    ) -> float | None:
        """The amplitude of a component's tone in a pause of the plan; None where the pause is too short to say."""
        inset_s = _softness(each) / FRAMES_PER_S
        place_s = fitted.start_s - self.first / RATE_HZ
        tempo = 1 + fitted.tempo
        start = np.array([place_s + tempo * gap_start_s + inset_s])
        end = np.array([place_s + tempo * gap_end_s - inset_s])
        if end[0] - start[0] < _SHORTEST_PAUSE_S:
            return None
        energy = self._explained_spans(index, each, fitted.pitch, start, end)[0]
        return float(np.sqrt(energy / ((end[0] - start[0]) * FRAMES_PER_S)))

    def elsewhere(
        self, index: int, each: Component, fitted: Fitted, first_s: float, last_s: float
    ) -> list[tuple[float, float, float]]:
        """Where else the tone could have a burst: places in the recording (s), their amplitude and coherence.

        `first_s` and `last_s` enclose the plan's own bursts of this tone.
        """
        place_s = fitted.start_s - self.first / RATE_HZ
        tempo = 1 + fitted.tempo
        length_s = tempo * each.length_s
        guard_s = _softness(each) / FRAMES_PER_S
        before = np.arange(self.times[0] + guard_s, place_s + tempo * first_s - guard_s - length_s, 0.004)
        after = np.arange(place_s + tempo * last_s + guard_s, self.times[-1] - guard_s - length_s, 0.004)
        starts = np.concatenate([before, after])
        if not len(starts):
            return []
        energies = self._explained_spans(index, each, fitted.pitch, starts, starts + length_s)
        band = self.bands[self.track_of[index]]
        power = np.concatenate([[0.0], np.cumsum(band.real**2 + band.imag**2, dtype=np.float64)])
        # A burst is quiet around it; a tone that goes on is none.
        around_s = min(GUARD_S, each.length_s / 2)
        edges = self._position(np.stack([starts - around_s, starts + length_s + around_s]))
        edges = np.clip(np.rint(edges), 0, len(band)).astype(np.intp)
        total = power[edges[1]] - power[edges[0]] + 1e-12
        amplitudes = np.sqrt(energies / (length_s * FRAMES_PER_S))
        origin = self.first / RATE_HZ
        return [
            (origin + float(start), float(amplitude), float(min(energy / whole, 1.0)))
            for start, amplitude, energy, whole in zip(starts, amplitudes, energies, total, strict=True)
        ]

    def _position(self, times: Floats) -> Floats:
        # The middle of frame 0 is half a frame after the edge at which the sums begin.
        return np.asarray((times - self.times[0]) * FRAMES_PER_S + 0.5)


def phase(each: Component, times: Floats) -> Floats:
    """Turns of the component's carrier, `times` counting from the start of the sound. Outside it goes on steadily."""
    if each.steady:
        return each.from_hz * times
    inside = np.clip(times - each.start_s, 0, each.length_s)
    outside = each.from_hz * np.minimum(times - each.start_s, 0) + each.to_hz * np.maximum(times - each.end_s, 0)
    span_hz = each.to_hz - each.from_hz
    if each.stairs is None:
        return np.asarray(outside + each.from_hz * inside + span_hz / each.length_s * inside**2 / 2)
    stair_s = each.length_s / each.stairs
    stair = np.minimum(inside // stair_s, each.stairs - 1)
    step_hz = span_hz / (each.stairs - 1)
    before = stair_s * (each.from_hz * stair + step_hz * stair * (stair - 1) / 2)
    return np.asarray(outside + before + (each.from_hz + step_hz * stair) * (inside - stair * stair_s))


def _softness(each: Component) -> int:
    """Frames over which an edge rises; odd, so that its middle is a frame's."""
    return 2 * round(float(np.hypot(_EDGE_S, each.ramp_s / 2)) * FRAMES_PER_S / 2) + 1


def _turning(frequencies_hz: Floats, times: Floats) -> Complexes:
    """Equally spaced frequencies × times: the carriers that bring them to rest."""
    turning = np.empty((len(frequencies_hz), len(times)), np.complex64)
    turning[0] = np.exp(-2j * np.pi * frequencies_hz[0] * times)
    if len(frequencies_hz) > 1:
        turning[1:] = np.exp(-2j * np.pi * (frequencies_hz[1] - frequencies_hz[0]) * times)
        # An exponential each would take most of the time of a fit.
        np.multiply.accumulate(turning, axis=0, out=turning)
    return turning


def _soft_sums(values: NDArray[Any], softness: int) -> NDArray[Any]:
    """The running sum over the first axis, one longer, and then the mean of it over `softness` frames."""
    frames = len(values)
    half = softness // 2
    sums = np.zeros((frames + 1 + 2 * half + 1, *values.shape[1:]), values.dtype)
    np.cumsum(values, axis=0, out=sums[half + 2 : half + 2 + frames])
    sums[half + 2 + frames :] = sums[half + 1 + frames]
    twice = np.cumsum(sums, axis=0)
    soft: NDArray[Any] = (twice[softness:] - twice[:-softness]) / softness
    return soft


def _between(values: NDArray[Any], position: Floats) -> NDArray[Any]:
    """Linear interpolation along the first axis, held at its ends: position × the other axis."""
    clipped = np.clip(position, 0, len(values) - 1.001)
    index = clipped.astype(np.intp)
    share = (clipped - index).astype(np.float32)[..., None]
    found: NDArray[Any] = values[index] * (1 - share) + values[index + 1] * share
    return found
