"""Finds the sine waves in a stretch of sound, each as exactly as the noise allows.

The strongest peak of the windowed spectrum is taken as a line. All lines are refined together by least squares
(Gauss-Newton on frequency, glide and complex amplitude), and the search continues in the residual. On clean sound, the
frequencies reach the Cramér-Rao bound.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
"""An array of single or double precision."""

LOWEST_HZ: Final = 80.0
"""Lowest frequency of a line, in Hz, above mains hum."""
WEAKEST_DB: Final = -32.0
"""Lowest level relative to the strongest line. Weaker lines come from the codec or the recorder."""
_SIGNIFICANT: Final = 30.0
"""Minimum power of a significant peak, relative to the spectrum's median.

In pure noise, one in 30 000 peaks is this high by chance.
"""
_HOPELESS: Final = {3: 0.8, 8: 0.5}
"""Number of lines → share of a tone's power that they may leave unexplained. A chord of eight lines passes."""
_APART: Final = 0.6
"""Minimum difference between two lines, in turns over the stretch."""
_ROUNDS: Final = 15
_EXACT: Final = 1e-8
_CONVERGED: Final = 1e-3
"""Limits for the last change of a frequency at which the fit has converged.

`_EXACT` is in turns over the stretch, and `_CONVERGED` is a share of the frequency's uncertainty.
"""
_NOISY_ROUNDS: Final = 5
_NOISY: Final = 0.2
"""Share of the amplitude that may remain unexplained.

If more remains, as in speech, more rounds would only fit the noise.
"""
_SEARCH_ROUNDS: Final = 4


@dataclass(frozen=True, slots=True)
class SpectralLines:
    """Sine waves Re(A·exp(2πi(f·t + s·t²/2))), where t is in seconds from sample `origin`."""

    sample_rate_hz: float
    origin: float
    frequencies_hz: Floats
    slopes: Floats
    """Slopes of the frequencies, in Hz per second."""
    amplitudes: NDArray[np.complex128]
    residual: float
    """Mean power that the lines leave unexplained in the stretch where they were found."""

    @property
    def powers(self) -> Floats:
        return np.abs(self.amplitudes) ** 2 / 2

    def samples(self, first: int, end: int) -> Floats:
        """The sum of the lines, even outside the stretch where they were found."""
        time = (np.arange(first, end) - self.origin) / self.sample_rate_hz
        wave = np.zeros(end - first)
        for frequency_hz, slope, amplitude in zip(self.frequencies_hz, self.slopes, self.amplitudes, strict=True):
            phase = 2 * np.pi * (frequency_hz * time + slope * time * time / 2)
            wave += amplitude.real * np.cos(phase) - amplitude.imag * np.sin(phase)
        return wave

    def frequencies_at(self, sample: float) -> Floats:
        """The frequencies at a sample, in Hz."""
        return np.asarray(self.frequencies_hz + self.slopes * (sample - self.origin) / self.sample_rate_hz)


def find_lines(
    samples: Floats,
    first: int,
    sample_rate_hz: float,
    *,
    limit: int = 8,
    weakest_db: float = WEAKEST_DB,
    shape: Floats | None = None,
) -> SpectralLines:
    """The lines of a stretch that begins at sample `first`, strongest first. No lines if everything is noise.

    `shape` is the known envelope of the stretch. The search ends early if the lines explain too little of the stretch,
    which is then not a tone.
    """
    samples = np.asarray(samples, np.float64)
    lines = _none(samples, first, sample_rate_hz)
    if shape is not None:
        lines = replace(lines, residual=lines.residual / max(float(np.mean(shape**2)), 1e-12))
    total = lines.residual
    remainder = samples
    apart_hz = _APART * sample_rate_hz / max(len(samples), 1)
    while len(lines.frequencies_hz) < limit:
        peak_hz = _peak(remainder, sample_rate_hz)
        if peak_hz is None or _near(peak_hz, lines.frequencies_hz, apart_hz):
            break
        more = replace(
            lines, frequencies_hz=np.append(lines.frequencies_hz, peak_hz), slopes=np.append(lines.slopes, 0.0)
        )
        more = refine_lines(samples, first, more, shape=shape, rounds=_SEARCH_ROUNDS)
        if more.powers[-1] < more.powers.max() * 10 ** (weakest_db / 10) or more.residual > 0.98 * lines.residual:
            break
        if not _apart(more.frequencies_hz, apart_hz):
            break
        lines = more
        if lines.residual > total * _HOPELESS.get(len(lines.frequencies_hz), 1.0):
            break
        remainder = samples - lines.samples(first, first + len(samples)) * (1.0 if shape is None else shape)
    while len(lines.frequencies_hz):
        refined = refine_lines(samples, first, lines, shape=shape)
        if _apart(refined.frequencies_hz, apart_hz):
            lines = refined
            break
        # Two lines at the same frequency would grow without bound in opposite phase.
        lines = select_lines(lines, slice(0, -1))
    return select_lines(lines, np.argsort(-lines.powers, kind="stable"))


def find_glides(samples: Floats, first: int, sample_rate_hz: float) -> SpectralLines | None:
    """Lines whose frequencies glide evenly through the stretch, or None if there are none."""
    length = min(round(0.024 * sample_rate_hz), len(samples) // 6)
    if length < 0.008 * sample_rate_hz:
        return None
    places = np.linspace(0, len(samples) - length, min(12, len(samples) // length)).astype(int)
    found = []
    for at in places:
        found.append(find_lines(samples[at : at + length], 0, sample_rate_hz, limit=4, weakest_db=-8))
        piece = np.asarray(samples[at : at + length], np.float64)
        if found[-1].residual > 0.6 * np.mean(piece * piece):
            return None
    counts = Counter(len(lines.frequencies_hz) for lines in found)
    count, often = counts.most_common(1)[0]
    # A fast glide looks like several lines even in a short piece, and close lines look like one.
    if often < 0.6 * len(found):
        count = 1
    usable = [index for index, lines in enumerate(found) if len(lines.frequencies_hz) >= count]
    if len(usable) < 4:
        return None
    places = places[usable]
    track = np.array([np.sort(found[index].frequencies_hz[:count]) for index in usable])
    steps = np.diff(track, axis=0)
    unsure_hz = 0.05 * sample_rate_hz / length
    steady = (np.abs(track[-1] - track[0]) < unsure_hz).all()
    one_way = (steps > -unsure_hz).all(axis=0) | (steps < unsure_hz).all(axis=0)
    if steady or not one_way.all():
        return None
    middles = (places + length / 2 - len(samples) / 2) / sample_rate_hz
    slopes, at_centre = np.polyfit(middles, track, 1)
    guess = replace(
        _none(samples, first, sample_rate_hz),
        origin=first + (len(samples) - 1) / 2,
        frequencies_hz=at_centre,
        slopes=slopes,
    )
    # Refinement starts in the middle. Over a whole fast glide, a rough guess would slip by one turn of the phase.
    for share in (0.25, 0.5, 1.0):
        aside = round(len(samples) * (1 - share) / 2)
        guess = refine_lines(samples[aside : len(samples) - aside], first + aside, guess, glide=True)
        guess = select_lines(guess, guess.powers > guess.powers.max() * 10 ** (WEAKEST_DB / 10))
    return guess


def refine_lines(
    samples: Floats,
    first: int,
    lines: SpectralLines,
    *,
    glide: bool = False,
    shape: Floats | None = None,
    rounds: int = _ROUNDS,
) -> SpectralLines:
    """The lines that best fit the samples by least squares.

    `lines` is the initial estimate. The stretch begins at sample `first`.
    """
    samples = np.asarray(samples, np.float64)
    rate = lines.sample_rate_hz
    origin = first + (len(samples) - 1) / 2
    time = (np.arange(len(samples)) - (len(samples) - 1) / 2) / rate
    # In turns over the stretch, so that all columns have the same magnitude.
    span = len(samples) / rate
    frequencies, slopes = lines.frequencies_at(origin), lines.slopes.copy()
    count = len(frequencies)
    amplitudes = np.zeros(count, np.complex128)
    remainder, total = samples, float(np.mean(samples**2)) if len(samples) else 0.0
    for done, last in enumerate((*[False] * rounds, True), 1):
        columns = _columns(time, frequencies, slopes, shape)
        if not last and amplitudes.any():
            moved = list(_moves(columns, amplitudes, time / span, glide))
            weights = _solve(np.vstack([columns, *moved]), samples)
        else:
            weights = _solve(columns, samples)
        amplitudes = weights[:count] - 1j * weights[count : 2 * count]
        remainder = samples - weights[: 2 * count] @ columns
        if len(weights) == 2 * count:
            if last:
                break
            continue
        turns = np.clip(weights[2 * count : 3 * count], -0.3, 0.3)
        frequencies = frequencies + turns / span
        bent = np.zeros(count)
        if glide:
            bent = np.clip(weights[3 * count :], -1.0, 1.0)
            slopes = slopes + 2 * bent / span**2
        unsure = float(np.sqrt(np.mean(remainder**2) / max(total, 1e-30)))
        moved_most = max(np.abs(turns).max(), np.abs(bent).max())
        if moved_most < max(_EXACT, _CONVERGED * unsure) or (done >= _NOISY_ROUNDS and unsure > _NOISY):
            break
    power = 1.0 if shape is None else max(float(np.mean(shape**2)), 1e-12)
    residual = float(np.mean(remainder**2)) / power if len(remainder) else 0.0
    return SpectralLines(rate, origin, frequencies, slopes, amplitudes, residual)


def select_lines(lines: SpectralLines, chosen: Any) -> SpectralLines:
    """The lines selected by a numpy index."""
    return replace(
        lines,
        frequencies_hz=lines.frequencies_hz[chosen],
        slopes=lines.slopes[chosen],
        amplitudes=lines.amplitudes[chosen],
    )


def _columns(time: Floats, frequencies: Floats, slopes: Floats, shape: Floats | None) -> Floats:
    phase = 2 * np.pi * (np.outer(frequencies, time) + np.outer(slopes, time * time / 2))
    columns = np.vstack([np.cos(phase), np.sin(phase)])
    return columns if shape is None else columns * shape


def _moves(columns: Floats, amplitudes: NDArray[np.complex128], place: Floats, glide: bool) -> Iterator[Floats]:
    """Yield the derivatives of the samples by each frequency (in turns over the stretch) and by each slope."""
    count = len(amplitudes)
    across = -amplitudes.real[:, None] * columns[count:] - amplitudes.imag[:, None] * columns[:count]
    turned = 2 * np.pi * place * across
    yield turned
    if glide:
        yield turned * place


def _solve(columns: Floats, samples: Floats) -> Floats:
    scale = np.sqrt(np.einsum("ij,ij->i", columns, columns))
    scale[scale == 0] = 1.0
    scaled = columns / scale[:, None]
    weights, *_ = np.linalg.lstsq(scaled @ scaled.T, scaled @ samples, rcond=1e-12)
    return np.asarray(weights / scale)


def _peak(samples: Floats, sample_rate_hz: float) -> float | None:
    """The frequency of the highest peak, or None if the peak is not significant."""
    size = max(4096, 1 << (2 * len(samples) - 1).bit_length())
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size)) ** 2
    lowest = int(np.ceil(LOWEST_HZ * size / sample_rate_hz))
    highest = int(0.48 * size)
    band = power[lowest:highest]
    place = int(np.argmax(band))
    if band[place] <= 1e-24 or band[place] < _SIGNIFICANT * np.median(band):
        return None
    if not 0 < place < len(band) - 1:
        return None
    before, here, after = np.log(band[place - 1 : place + 2] + 1e-300)
    shift = 0.5 * (before - after) / (before - 2 * here + after)
    return float((lowest + place + shift) * sample_rate_hz / size)


def _near(frequency_hz: float, frequencies_hz: Floats, distance_hz: float) -> bool:
    return bool((np.abs(frequencies_hz - frequency_hz) < distance_hz).any())


def _apart(frequencies_hz: Floats, distance_hz: float) -> bool:
    return bool((np.diff(np.sort(frequencies_hz)) > distance_hz).all())


def _none(samples: Floats, first: int, sample_rate_hz: float) -> SpectralLines:
    nothing = np.zeros(0)
    power = float(np.mean(np.square(samples))) if len(samples) else 0.0
    return SpectralLines(sample_rate_hz, float(first), nothing, nothing, np.zeros(0, np.complex128), power)
