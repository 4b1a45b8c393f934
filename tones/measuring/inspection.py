"""Measures a recording: its levels, its faults and every burst of tone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..mask_runs import mask_runs
from ..profile import Law
from .burst_measurement import (
    BurstMeasurement,
    find_boundary,
    join_glides,
    join_swells,
    measure_burst,
    rough_lines,
    same_waves,
)
from .click_energy import click_energy
from .levels import dbm0, power_db
from .sound_spans import Span, find_spans, frame_powers, noise_power
from .spectral_lines import SpectralLines
from .working_rate import WorkingSamples, to_working_rate

BURSTS: Final = 200
_TRIES: Final = 600
"""Maximum number of spans that are examined. An hour of speech has thousands."""
_CLIP: Final = 0.98
"""Highest µ-law value, as a share of full scale."""
_CLIP_RUN: Final = 3
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Partial:
    """One sine wave of a burst. Its level includes its modulation sidebands."""

    frequency_hz: float
    level_dbm0: float
    level_dbov: float


@dataclass(frozen=True, slots=True)
class AmplitudeModulation:
    rate_hz: float
    depth: float


@dataclass(frozen=True, slots=True)
class Glide:
    """Frequencies at the start and end of a gliding burst, in the order of its partials."""

    from_hz: tuple[float, ...]
    to_hz: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MeasuredBurst:
    """A burst of tone. Times count from the start of the recording.

    `start_ms` and `end_ms` are the outer ends of the ramps. `rise_ms` and `fall_ms` are the lengths of raised-cosine
    ramps of the same steepness. `partials` contains at most eight partials, strongest first. The level is measured
    between the ramps, as a mean for a decaying burst. `sinad_db` is the ratio of the partials' power to all other power
    between the ramps, up to half the working rate (16 to 32 kHz). `click_db` is the energy around both edges more than
    200 Hz from every partial, relative to the energy of the burst. `off_ms` is the time to the next burst, or None for
    the last burst.
    """

    start_ms: float
    end_ms: float
    rise_ms: float
    fall_ms: float
    partials: tuple[Partial, ...]
    level_dbm0: float
    level_dbov: float
    decay_db_per_s: float
    modulation: AmplitudeModulation | None
    glide: Glide | None
    sinad_db: float
    click_db: float
    off_ms: float | None = None

    @property
    def duration_ms(self) -> float:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Inspection:
    """Measurements of a leg. Levels below -200 dB are reported as -200.

    `clipped_runs` counts runs of three or more samples at the recording's peak, if this peak is the highest value of
    16-bit PCM, A-law or µ-law. `clipped_samples` counts the samples in these runs. `noise_dbov` is the level of the
    quietest tenth of the recording without its spectral peaks. `truncated` is True if there may be more bursts than
    listed.
    """

    duration_ms: float
    sample_rate_hz: int
    law: Law
    dc_offset: float
    peak: float
    peak_dbov: float
    level_dbov: float
    level_dbm0: float
    noise_dbov: float
    noise_dbm0: float
    clipped_runs: int
    clipped_samples: int
    bursts: tuple[MeasuredBurst, ...]
    truncated: bool


def inspect(
    samples: NDArray[Any], sample_rate_hz: int, law: Law = Law.A, progress: Callable[[float], None] = lambda share: None
) -> Inspection:
    """The measurements of one channel, where 1.0 is full scale.

    `law` defines 0 dBm0. `progress` receives the completed share.
    """
    power, mean, peak = _totals(samples)
    clipped_runs, clipped_samples = _clipping(samples, peak)
    work = to_working_rate(samples, sample_rate_hz, mean)
    powers = frame_powers(work.samples, work.sample_rate_hz)
    noise = noise_power(work.samples, work.sample_rate_hz)
    spans = find_spans(work.samples, work.sample_rate_hz, powers, noise)
    found, truncated = _find(work, spans, noise, progress)
    bursts = [_burst(work, found, index, sample_rate_hz, law) for index in range(len(found))]
    pauses = [after.start_ms - before.end_ms for before, after in pairwise(bursts)]
    paused = [replace(burst, off_ms=max(off_ms, 0.0)) for burst, off_ms in zip(bursts, pauses, strict=False)]
    level, noise_level = power_db(max(power - mean * mean, 0.0)), power_db(noise)
    return Inspection(
        duration_ms=1000 * len(samples) / sample_rate_hz,
        sample_rate_hz=sample_rate_hz,
        law=law,
        dc_offset=mean,
        peak=peak,
        peak_dbov=power_db(peak * peak),
        level_dbov=level,
        level_dbm0=dbm0(level, law),
        noise_dbov=noise_level,
        noise_dbm0=dbm0(noise_level, law),
        clipped_runs=clipped_runs,
        clipped_samples=clipped_samples,
        bursts=(*paused, *bursts[-1:]),
        truncated=truncated,
    )


def _blocks(samples: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    for first in range(0, len(samples), _BLOCK):
        yield np.asarray(samples[first : first + _BLOCK], np.float64)


def _totals(samples: NDArray[Any]) -> tuple[float, float, float]:
    """Mean power, mean value and peak."""
    if not len(samples):
        return 0.0, 0.0, 0.0
    sums = [(float(block @ block), float(block.sum()), float(np.abs(block).max())) for block in _blocks(samples)]
    squares, values, peaks = zip(*sums, strict=True)
    return sum(squares) / len(samples), sum(values) / len(samples), max(peaks)


def _clipping(samples: NDArray[Any], peak: float) -> tuple[int, int]:
    if peak < _CLIP:
        return 0, 0
    # Samples are 32-bit floats, and clip one step lower above zero than below.
    top = np.float32(peak) - np.float32(1.5 / 32768)
    count = total = reaching = 0
    for first in range(0, len(samples), _BLOCK):
        full = np.abs(samples[first : first + _BLOCK]) >= top
        found = mask_runs(full)
        lengths = found[:, 1] - found[:, 0]
        # A run at the end of a block may continue in the next block.
        if full[0]:
            lengths[0] += reaching
        else:
            lengths = np.append(lengths, reaching)
        reaching = 0
        if full[-1]:
            last = len(found) - 1
            reaching, lengths = int(lengths[last]), np.delete(lengths, last)
        clipped = lengths[lengths >= _CLIP_RUN]
        count, total = count + len(clipped), total + int(clipped.sum())
    return (count + 1, total + reaching) if reaching >= _CLIP_RUN else (count, total)


def _find(
    work: WorkingSamples, spans: list[Span], noise: float, progress: Callable[[float], None]
) -> tuple[list[BurstMeasurement], bool]:
    """The tone bursts by time, and True if there may be more."""
    samples, rate = work.samples, work.sample_rate_hz
    truncated = len(spans) > _TRIES
    drafts: list[tuple[Span, SpectralLines]] = []
    for span in join_glides(samples, join_swells(samples, spans[:_TRIES], rate, noise), rate, noise):
        lines = rough_lines(samples, span, rate)
        if lines is None:
            continue
        if drafts and span.joined_before and drafts[-1][0].end == span.first:
            former, former_lines = drafts[-1]
            if same_waves(former_lines, lines, span.first):
                drafts[-1] = (replace(former, end=span.end, joined_after=span.joined_after), former_lines)
                continue
            cut, hard = find_boundary(samples, former_lines, lines, span.first)
            if former.first < cut < span.end:
                drafts[-1] = (replace(former, end=cut, joined_after=hard), former_lines)
                span = replace(span, first=cut, joined_before=hard)
        if len(drafts) == BURSTS:
            truncated = True
            break
        drafts.append((span, lines))
    found = []
    for index, (span, lines) in enumerate(drafts):
        progress(index / len(drafts))
        before = drafts[index - 1][0].end if index else 0
        after = drafts[index + 1][0].first if index + 1 < len(drafts) else len(samples)
        # The ramp of a joined neighbor extends across the cut.
        reach = round(0.01 * rate)
        if burst := measure_burst(samples, span, lines, max(before - reach, 0), min(after + reach, len(samples))):
            found.append(burst)
    return found, truncated


def _burst(
    work: WorkingSamples, found: list[BurstMeasurement], index: int, sample_rate_hz: int, law: Law
) -> MeasuredBurst:
    burst = found[index]
    lines, rate = burst.lines, work.sample_rate_hz

    def at_ms(sample: float) -> float:
        # A sample covers the time from its start to the start of the next sample.
        return 1000 * (sample * work.step + 0.5) / sample_rate_hz

    carriers, modulation = _modulation(lines, burst)
    # A wave has its first frequency at its first sample, half a sample after the edge.
    starting = lines.frequencies_at(burst.start + 0.5 / work.step)
    kept = np.exp(-2 * burst.decay * (np.linspace(burst.start, burst.end, 200) - burst.span.first)).mean()
    partials = []
    for number, power in carriers[:8]:
        level_dbov = power_db(power * kept)
        partials.append(Partial(float(starting[number]), dbm0(level_dbov, law), level_dbov))
    level_dbov = power_db(float(lines.powers.sum() * kept))
    glide = None
    if lines.slopes.any() and len(burst.last_lines.frequencies_hz) == len(starting):
        ending = burst.last_lines.frequencies_at(burst.end + 0.5 / work.step)
        if burst.last_lines is not lines:
            ending = np.sort(ending)[np.argsort(np.argsort(starting))]
        glide = Glide(
            tuple(float(starting[number]) for number, _ in carriers[:8]),
            tuple(float(ending[number]) for number, _ in carriers[:8]),
        )
    others = [found[place].lines for place in (index - 1, index + 1) if 0 <= place < len(found)]
    energy = float(lines.powers.sum() * kept) * (burst.fall.half - burst.rise.half)
    return MeasuredBurst(
        start_ms=at_ms(burst.start),
        end_ms=at_ms(burst.end),
        rise_ms=1000 * burst.rise.ramp / rate,
        fall_ms=1000 * burst.fall.ramp / rate,
        partials=tuple(partials),
        level_dbm0=dbm0(level_dbov, law),
        level_dbov=level_dbov,
        decay_db_per_s=20 * float(np.log10(np.e)) * burst.decay * rate,
        modulation=modulation,
        glide=glide,
        sinad_db=_sinad_db(work.samples, burst),
        click_db=power_db(click_energy(work.samples, burst, others) / max(energy, 1e-30)),
    )


def _sinad_db(samples: NDArray[np.float32], burst: BurstMeasurement) -> float:
    """The SINAD between the ramps. Only the start of a long burst is measured, because only the start was fitted."""
    lines = burst.lines
    fitted = round(2 * (lines.origin - burst.start))
    first = max(round(burst.start + burst.rise.ramp) + 1, 0)
    end = min(round(burst.end - burst.fall.ramp) - 1, round(burst.start) + fitted - 1, len(samples))
    if end - first < 0.01 * lines.sample_rate_hz:
        return power_db(float(lines.powers.sum()) / max(lines.residual, 1e-30))
    wave = lines.samples(first, end) * np.exp(-burst.decay * (np.arange(first, end) - burst.span.first))
    residual = samples[first:end] - wave
    return power_db(float(np.mean(wave**2)) / max(float(np.mean(residual**2)), 1e-30))


def _modulation(
    lines: SpectralLines, burst: BurstMeasurement
) -> tuple[list[tuple[int, float]], AmplitudeModulation | None]:
    """The carriers with their powers, strongest first, and their common modulation.

    Sidebands are at equal distances on both sides of a carrier, with mirrored phases and about half its amplitude at
    most.
    """
    frequencies, amplitudes, powers = lines.frequencies_hz, lines.amplitudes, lines.powers
    near = 0.35 * lines.sample_rate_hz / max(burst.end - burst.start, 1.0)
    carriers: list[tuple[int, float]] = []
    taken: set[int] = set()
    rates: list[tuple[float, float, float]] = []
    for carrier in np.argsort(-powers, kind="stable").tolist():
        if carrier in taken:
            continue
        power = float(powers[carrier])
        for upper in range(len(frequencies)):
            rate = float(frequencies[upper] - frequencies[carrier])
            if upper in taken or not 0.4 < rate < 110:
                continue
            lower = int(np.argmin(np.abs(2 * frequencies[carrier] - frequencies[upper] - frequencies)))
            if lower in taken or lower == carrier:
                continue
            mirrored = abs(frequencies[lower] + frequencies[upper] - 2 * frequencies[carrier]) < near
            turned = amplitudes[upper] * amplitudes[lower] / amplitudes[carrier] ** 2
            alike = 0.5 < powers[upper] / powers[lower] < 2
            if not mirrored or not alike or turned.real < 0.8 * abs(turned) or abs(turned) > 0.28:
                continue
            if rates and abs(rate - rates[0][0]) > near:
                continue
            depth = 2 * float(np.sqrt(abs(turned)))
            rate = float(frequencies[upper] - frequencies[lower]) / 2
            rates.append((rate, depth, power))
            power += float(powers[upper] + powers[lower])
            taken |= {upper, lower}
            break
        taken.add(carrier)
        carriers.append((carrier, power))
    carriers.sort(key=lambda pair: -pair[1])
    if not rates:
        return carriers, None
    rate_hz, depth, weight = np.array(rates).T
    return carriers, AmplitudeModulation(
        float(np.average(rate_hz, weights=weight)), float(np.average(depth, weights=weight))
    )
