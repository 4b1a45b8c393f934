"""Fits a plan to a candidate, to find the sound's best place, tempo and pitch and the quality of the fit.

Each component is demodulated along its own track into a narrow baseband. In the baseband, a burst is a constant, so one
coherent sum over it is the maximum-likelihood estimate of its amplitude. The energy that all bursts explain together is
the likelihood of a hypothesis (place, tempo, pitch). The same grid also contains near misses, which are hypotheses
outside the profile's tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .running_sums import FRAMES_PER_S, HOP, Floats, Position, Spans, soft_sums
from .screening import HOP as SCREEN_HOP
from .screening import RATE_HZ, Reals, padded_slice
from .sound_plan import Component, Plan

FILTER: Final = 128
"""Number of samples in the baseband filter, a Hann window of 16 ms."""
BAND_HZ: Final = 94.0
"""Noise bandwidth of the filter, in Hz."""
MARGIN_S: Final = 0.4
"""Minimum examined time before and after the sound, in seconds. Longer bursts need more."""
PITCH_REACH: Final = 0.035
GUARD_S: Final = 0.04
"""Time before and after a burst in which its frequency must be quiet, in seconds."""

_INSEPARABLE: Final = 0.02
"""Regularization for lines that a short burst cannot separate. Without it, their fit would amplify noise."""
_EDGE_S: Final = 0.008
"""Rise time of an edge in the filter, in seconds."""
_COARSE_PLACE_S: Final = 0.004
_COARSE_PLACES: Final = 40
COARSE_TEMPI: Final = np.linspace(0.80, 1.20, 11)

Complexes = NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class FittedComponent:
    """A component fitted to the recording.

    `amplitude` is the amplitude of a sine with the same power, where 1.0 is full scale. `coherence` is the share of the
    energy in its band that the model explains, including the guard times before and after. `cells` is the number of
    independent values in the band. `heard` is the received share of the component.
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
        """−log10 of the probability that noise alone is this coherent in the band (a beta distribution)."""
        return -(max(self.cells * self.heard - len(self.component.lines_hz), 0.0)) * float(
            np.log10(max(1 - self.coherence, 1e-3))
        )


@dataclass(frozen=True, slots=True)
class Fitted:
    """The best hypothesis.

    `start_s` counts from the start of the recording. `pitch` and `tempo` are relative errors: 0.01 is 1 % higher and 1
    % slower. `explained` is the energy of the bands that the hypothesis explains.
    """

    start_s: float
    end_s: float
    pitch: float
    tempo: float
    explained: float
    components: tuple[FittedComponent, ...]

    @property
    def score(self) -> float:
        return sum(each.score for each in self.components)

    @property
    def first(self) -> int:
        """The sample at which the sound starts."""
        return round(self.start_s * RATE_HZ)


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of hypotheses: every combination of pitch, place and tempo, each in equal steps.

    The grid caches values that do not depend on the recording, so the coarse grid serves all candidates.
    """

    pitches: Floats
    places: Floats
    tempi: Floats
    _cache: dict[tuple[object, ...], Any] = field(default_factory=dict)

    def spans(self, each: Component) -> tuple[Floats, Floats]:
        """Starts and ends of a component, as arrays of shape places × tempi."""
        places, tempi = self.places[:, None], self.tempi[None, :]
        return places + tempi * each.start_s, places + tempi * each.end_s

    def cached(self, key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]


class Fitter:
    """Fits a plan to places in recordings."""

    def __init__(self, plan: Plan, tempi: Floats = COARSE_TEMPI) -> None:
        """`tempi` are the tempi of the coarse grid."""
        self.plan = plan
        longest_s = min(0.25, max(each.length_s for each in plan.components))
        highest_hz = max(max(each.from_hz, each.to_hz) for each in plan.components)
        self._pitch_step = 1 / (2.5 * longest_s * highest_hz)
        window = np.hanning(FILTER + 1)[:FILTER]
        self._window: Reals = (2 / window.sum() * window).astype(np.float32)
        gaps_s = [later.start_s - each.end_s for each, later in pairwise(plan.components)]
        margin = round(max(MARGIN_S, min(longest_s + max([0.05, *gaps_s]) + GUARD_S, 1.0)) * RATE_HZ)
        self._lead = margin + FILTER // 2
        frames = (round(plan.length_s * RATE_HZ) + 2 * margin) // HOP
        self._count = (frames + FILTER // HOP - 1) * HOP
        self._times = (np.arange(frames) * HOP + FILTER / 2 - self._lead) / RATE_HZ
        self._tracks = _tracks(plan)
        times = (np.arange(self._count) - self._lead) / RATE_HZ
        carried = {track: each for each, track in zip(plan.components, self._tracks, strict=True)}
        self._carriers = [
            np.exp(-2j * np.pi * carrier_phase(carried[track], times)).astype(np.complex64) for track in carried
        ]
        glides = [each for each in plan.components if not each.steady]
        self.ridge = max((frequency_slope(each) / each.middle_hz for each in glides), key=abs, default=0.0)
        """Relative rise of a glide's apparent pitch per second by which its assumed start is too late."""
        self.reach_s = SCREEN_HOP / RATE_HZ * 1.5 + 0.1 * plan.length_s
        """Reach of the coarse grid on each side of a candidate, in seconds."""
        self._coarse = self._coarse_grid(self.reach_s, tempi)

    def baseband(self, samples: Reals, heard: Reals | None, first: int) -> Baseband:
        """The baseband around a candidate at sample `first`. `heard` is 0 at lost samples and 1 elsewhere."""
        begin = first - self._lead
        piece = padded_slice(samples, begin, self._count)
        bands = tuple(self._filtered(piece * carrier) for carrier in self._carriers)
        mask: Reals | None = None
        if heard is not None:
            mask = np.asarray(self._filtered(padded_slice(heard, begin, self._count)).real / 2, np.float32)
        return Baseband(first, bands, self._tracks, self._times, mask)

    def coarse(self, base: Baseband) -> Fitted:
        """The best hypothesis in the coarse grid, which covers a wide range."""
        return self._best(base, self._coarse)

    def fine(self, base: Baseband, coarse: Fitted) -> Fitted:
        """The best hypothesis near `coarse`.

        Its error is less than a frame, and less than a hundredth of the pitch's resolution.
        """
        if not self.plan.steady:
            return self._fine_glide(base, coarse)
        best = coarse
        origin = base.first / RATE_HZ
        place_step, tempo_step, pitch_step = 0.002, 0.02, self._pitch_step / 2
        steps = np.arange(-3, 4)
        for _ in range(4):
            grid = Grid(
                best.pitch + steps * pitch_step,
                best.start_s - origin + steps * place_step,
                1 + best.tempo + steps * tempo_step,
            )
            best = self._best(base, grid)
            place_step, tempo_step, pitch_step = (step / 2.5 for step in (place_step, tempo_step, pitch_step))
        return best

    def _fine_glide(self, base: Baseband, coarse: Fitted) -> Fitted:
        """The best hypothesis near `coarse` for a plan with glides.

        If a later start is assumed, a glide seems higher. The likelihood therefore forms a ridge, and the search moves
        along the ridge and then across it.
        """
        origin = base.first / RATE_HZ
        best = coarse
        reach_s, tempo_step, pitch_step = 0.012, 0.02, self._pitch_step / 2
        for _ in range(5):
            place, tempi = best.start_s - origin, 1 + best.tempo + np.array([-1, 0, 1]) * tempo_step
            along = [
                Grid(np.array([best.pitch + self.ridge * off]), np.array([place + off]), tempi)
                for off in np.linspace(-reach_s, reach_s, 41)
            ]
            best = max((self._best(base, grid) for grid in along), key=lambda found: found.explained)
            across = Grid(best.pitch + np.arange(-6, 7) * pitch_step, np.array([best.start_s - origin]), tempi)
            best = self._best(base, across)
            reach_s, tempo_step, pitch_step = reach_s / 3, tempo_step / 2, pitch_step / 2.5
        return best

    def _coarse_grid(self, reach_s: float, tempi: Floats) -> Grid:
        reach = min(round(reach_s / _COARSE_PLACE_S), _COARSE_PLACES)
        count = round(PITCH_REACH / self._pitch_step)
        return Grid(
            np.arange(-count, count + 1) * self._pitch_step,
            np.linspace(-reach_s, reach_s, 2 * reach + 1),
            tempi,
        )

    def _filtered(self, wave: NDArray[np.complexfloating] | Reals) -> Complexes:
        taps, frames = FILTER // HOP, len(self._times)
        partial = wave.reshape(-1, HOP) @ self._window.reshape(taps, HOP).T
        band = np.zeros(frames, np.complex64)
        for tap in range(taps):
            band += partial[tap : tap + frames, tap]
        return band

    def _best(self, base: Baseband, grid: Grid) -> Fitted:
        explained = base.explained(self.plan, grid)
        at = np.unravel_index(int(np.argmax(np.sum(explained, axis=0))), explained[0].shape)
        place, tempo, pitch = grid.places[at[0]], grid.tempi[at[1]], grid.pitches[at[2]]
        components = tuple(
            base.component(index, each, float(place), float(tempo), float(explained[index][at]))
            for index, each in enumerate(self.plan.components)
        )
        start_s = base.first / RATE_HZ + place
        return Fitted(
            float(start_s),
            float(start_s + tempo * self.plan.length_s),
            float(pitch),
            float(tempo - 1),
            float(sum(each[at] for each in explained)),
            components,
        )


@dataclass(frozen=True, slots=True)
class Baseband:
    """The recording around a place, as one narrow band per track, at 500 frames per second.

    `times` are in seconds from sample `first`. `mask` is the share of each frame that is not lost, or None if nothing
    is lost.
    """

    first: int
    bands: tuple[Complexes, ...]
    track_of: tuple[int, ...]
    times: Floats
    mask: Reals | None

    def explained(self, plan: Plan, grid: Grid) -> list[Floats]:
        """The energy explained by each component, as arrays of shape places × tempi × pitches."""
        sums: dict[tuple[object, ...], list[Complexes]] = {}
        found = []
        for index, each in enumerate(plan.components):
            spans = grid.cached(("spans", index), partial(self._spans, *grid.spans(each)))
            if each.steady:
                key = (self.track_of[index], edge_frames(each), each.lines_hz)
                if key not in sums:
                    sums[key] = self._sums(index, each, grid.pitches, grid)
                found.append(self._energies(each, sums[key], spans))
                continue
            found.append(self._glide_energies(index, each, grid, spans))
        return found

    def demodulated(self, index: int, each: Component, fitted: Fitted) -> Complexes:
        """The band of a component at its fitted place.

        While the component sounds, the band is constant for a single line, and otherwise the sum of the lines.
        """
        turning = _turning(np.array([fitted.pitch * each.middle_hz]), self.times)[0]
        bend = self._bent(each, fitted)
        return np.asarray(self.bands[self.track_of[index]] * (turning if bend is None else turning * bend))

    def _bent(self, each: Component, fitted: Fitted) -> Complexes | None:
        """The phase difference between a measured glide and its carrier, or None for a steady tone."""
        if each.steady:
            return None
        return self._bend(each, fitted.start_s - self.first / RATE_HZ, 1 + fitted.tempo)

    def _bend(self, each: Component, place: float, tempo: float) -> Complexes:
        turns = frequency_slope(each) * ((1 / tempo - 1) * self.times**2 / 2 - place / tempo * self.times)
        return np.asarray(np.exp(-2j * np.pi * turns), np.complex64)

    def _glide_energies(self, index: int, each: Component, grid: Grid, spans: Spans) -> Floats:
        """The energy explained by a glide, whose carrier fits only one place and one tempo.

        The shape is places × tempi × pitches.
        """
        energies = np.zeros((*spans.shape[:2], len(grid.pitches)), np.float32)
        for column, tempo in enumerate(grid.tempi):
            for row, place in enumerate(grid.places):
                sums = self._sums(index, each, grid.pitches, grid, self._bend(each, float(place), float(tempo)))
                energies[row, column] = self._energies(each, sums, spans.at(row, column))
        return energies

    def explained_spans(self, index: int, each: Component, fitted: Fitted, starts: Floats, ends: Floats) -> Floats:
        """The energy that a component would explain from each of `starts` to each of `ends`."""
        sums = self._sums(index, each, np.array([fitted.pitch]), bend=self._bent(each, fitted))
        return self._energies(each, sums, self._spans(starts, ends))[..., 0]

    def _sums(
        self, index: int, each: Component, pitches: Floats, grid: Grid | None = None, bend: Complexes | None = None
    ) -> list[Complexes]:
        """Running sums of the demodulated band for each line, smoothed like the edges, of shape edges × pitches."""
        soft, band = edge_frames(each), self.bands[self.track_of[index]]
        if bend is not None:
            band = band * bend
        sums = []
        for line_hz in each.lines_hz:
            make = partial(_turning, pitches * each.middle_hz + line_hz, self.times)
            turning = grid.cached(("turning", each.middle_hz, line_hz), make) if grid else make()
            sums.append(soft_sums((turning * band).T, soft))
        return sums

    def _energies(self, each: Component, sums: Sequence[Complexes], spans: Spans) -> Floats:
        soft = edge_frames(each)
        norm = np.maximum(self._frames(soft, spans) - soft / 3, 1.0)
        found = [spans.last.of(line) - spans.first.of(line) for line in sums]
        if len(found) == 1:
            return np.asarray((found[0].real ** 2 + found[0].imag ** 2) / norm)
        # Lines close to each other overlap. A least-squares fit gives what they explain together.
        lines = np.stack(found, axis=-1)
        overlap = norm[..., None] * _overlap(each, spans)
        together = np.matmul(lines, np.linalg.inv(overlap).swapaxes(-1, -2))
        return np.asarray(np.sum((lines.conj() * together).real, axis=-1))

    def _frames(self, soft: int, spans: Spans) -> Floats:
        """The number of received frames in each span."""
        if self.mask is None:
            return spans.frames
        heard = soft_sums(self.mask[:, None], soft)
        return np.asarray(spans.last.of(heard) - spans.first.of(heard))

    def _spans(self, starts: Floats, ends: Floats) -> Spans:
        # The middle of frame 0 is half a frame after the edge at which the sums begin.
        first, last = ((times - self.times[0]) * FRAMES_PER_S + 0.5 for times in (starts, ends))
        frames = len(self.times)
        return Spans(Position.at(first, frames), Position.at(last, frames), starts, ends)

    def component(self, index: int, each: Component, place: float, tempo: float, explained: float) -> FittedComponent:
        start_s, end_s = place + tempo * each.start_s, place + tempo * each.end_s
        guard_s = min(GUARD_S, each.length_s / 2)
        inside = (self.times >= start_s - guard_s) & (self.times <= end_s + guard_s)
        band = self.bands[self.track_of[index]][inside]
        energy = float(np.sum(band.real**2 + band.imag**2))
        heard = 1.0 if self.mask is None or not inside.any() else float(self.mask[inside].mean())
        frames = (end_s - start_s) * FRAMES_PER_S * heard - edge_frames(each) / 3
        origin = self.first / RATE_HZ
        return FittedComponent(
            each,
            origin + start_s,
            origin + end_s,
            float(np.sqrt(explained / max(frames, 1.0))),
            min(explained / (energy + 1e-12), 1.0),
            float(inside.sum() / FRAMES_PER_S * BAND_HZ),
            heard,
        )


def carrier_phase(each: Component, times: Floats) -> Floats:
    """The carrier's phase in turns, at `times` in seconds from the start of the sound.

    Before and after the component, the frequency stays constant.
    """
    if each.steady:
        return each.from_hz * times
    start_s, end_s = each.track_s
    inside = np.clip(times - start_s, 0, end_s - start_s)
    outside = each.from_hz * np.minimum(times - start_s, 0) + each.to_hz * np.maximum(times - end_s, 0)
    return np.asarray(outside + each.from_hz * inside + frequency_slope(each) * inside**2 / 2)


def frequency_slope(each: Component) -> float:
    """The slope of a component's frequency, in Hz per second."""
    start_s, end_s = each.track_s
    return (each.to_hz - each.from_hz) / (end_s - start_s)


def edge_frames(each: Component) -> int:
    """Number of frames over which an edge rises, always odd so that its middle is the middle of a frame."""
    return 2 * round(float(np.hypot(_EDGE_S, each.ramp_s / 2)) * FRAMES_PER_S / 2) + 1


def _turning(frequencies_hz: Floats, times: Floats) -> Complexes:
    """Carriers that demodulate equally spaced frequencies, of shape frequencies × times."""
    turning = np.empty((len(frequencies_hz), len(times)), np.complex64)
    turning[0] = np.exp(-2j * np.pi * frequencies_hz[0] * times)
    if len(frequencies_hz) > 1:
        turning[1:] = np.exp(-2j * np.pi * (frequencies_hz[1] - frequencies_hz[0]) * times)
        # One exponential per frequency would take most of the time of a fit.
        np.multiply.accumulate(turning, axis=0, out=turning)
    return turning


def _overlap(each: Component, spans: Spans) -> Complexes:
    """Correlation of a component's lines over each span, of shape … × lines × lines. 1 means equal."""
    lines_hz = np.array(each.lines_hz)
    apart = (lines_hz[None, :] - lines_hz[:, None]) * (spans.ends - spans.starts)[..., None, None]
    middle = (lines_hz[None, :] - lines_hz[:, None]) * ((spans.starts + spans.ends) / 2)[..., None, None]
    overlap = np.sinc(apart) * np.exp(2j * np.pi * middle)
    return np.asarray(overlap + _INSEPARABLE * np.eye(len(lines_hz)), np.complex64)


def _tracks(plan: Plan) -> tuple[int, ...]:
    """The number of each component's carrier. Bursts of the same steady tone share a carrier."""
    numbers: dict[tuple[float, ...], int] = {}
    keys = [
        (each.from_hz,) if each.steady else (each.from_hz, each.to_hz, each.start_s, each.end_s)
        for each in plan.components
    ]
    return tuple(numbers.setdefault(key, len(numbers)) for key in keys)
