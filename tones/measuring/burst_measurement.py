"""Measures one burst within its span: its waves, edges and residual."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .edges import Edge, burst_envelope, estimate_gains, falling_edge, mirror_edge, refine_edge, rising_edge
from .sound_spans import Span
from .spectral_lines import SpectralLines, find_glides, find_lines, refine_lines, select_lines

Floats = NDArray[Any]
"""An array of single or double precision."""

STRETCH_S: Final = 3.0
"""Duration of a burst that suffices to measure its frequencies, in seconds."""
_BEYOND_S: Final = 0.03
_TONE: Final = 0.5
"""Minimum share of a span's power that the waves of a tone must explain."""
_MANY: Final = 24
"""Maximum number of lines in a burst, for a few frequencies with the sidebands of their modulation."""
_NEARLY: Final = 0.1
"""Share of the power that eight lines may leave unexplained for the search to continue with more lines.

A voice with its many harmonics leaves more.
"""
_PER_LINE_S: Final = 0.008
_SEARCHES: Final = 3
_TURNS: Final = 50
"""Maximum number of rounds of the fit. It converges slowly if the ramps are long, and otherwise at once."""
_NOISY: Final = 0.01
"""Share of the power that the waves may leave unexplained. Above this share, the ramps do not converge."""
_VOICE: Final = 4
"""Minimum number of lines with which a span with a noisy fit counts as a voice. Its lines are not searched again."""
_UNSURE: Final = 2
"""Number of samples on each side of a cut that may still belong to the neighboring burst."""
_GLIDE: Final = 0.02
"""Share of the power that the fit of a glide may leave unexplained. A melody leaves more."""
_LEAST_DECAY_DB: Final = 1.5


@dataclass(frozen=True, slots=True)
class BurstMeasurement:
    """A measured burst, in samples of the working rate.

    `lines` are the spectral lines at its start, and `last_lines` those at its end. The amplitudes of `lines` are those
    of the plateau between the ramps, or of the start of the burst if it decays.
    """

    span: Span
    lines: SpectralLines
    last_lines: SpectralLines
    rise: Edge
    fall: Edge
    decay: float
    """Decay of the amplitude. After n samples, the amplitude is exp(-decay·n) of its value at the start."""

    @property
    def start(self) -> float:
        return self.rise.half - self.rise.ramp / 2

    @property
    def end(self) -> float:
        return self.fall.half + self.fall.ramp / 2


def rough_lines(samples: Floats, span: Span, sample_rate_hz: float) -> SpectralLines | None:
    """The waves in the middle of a span, or None if it is not a tone."""
    aside = round(min(0.02 * sample_rate_hz, 0.2 * (span.end - span.first)))
    first = span.first + aside
    end = min(span.end - aside, first + round(STRETCH_S * sample_rate_hz))
    return _waves(samples[first:end], first, sample_rate_hz)


def measure_burst(
    samples: Floats, span: Span, lines: SpectralLines, before: int, after: int
) -> BurstMeasurement | None:
    """The measurement of a burst, or None if it is not a tone. Only samples from `before` to `after` are used."""
    rate = lines.sample_rate_hz
    stretch = round(STRETCH_S * rate)
    beyond = round(_BEYOND_S * rate)
    low = span.first if span.joined_before else max(span.first - beyond, before)
    high = span.end if span.joined_after else min(span.end + beyond, after)
    if span.end - span.first <= stretch:
        found = _measure(samples, span, lines, low, high)
        # Long ramps can cause lines this close to a stronger line.
        strong = found and _without_sidebands(found.lines, 2.5 * rate / (span.end - span.first))
        if found and strong and len(strong.frequencies_hz) < len(found.lines.frequencies_hz):
            other = _measure(samples, span, strong, low, high, search=False)
            if other and _residual_energy(samples, other, low, high) < _residual_energy(samples, found, low, high):
                return other
        return found
    head = replace(span, end=span.first + stretch, joined_after=True)
    tail = replace(span, first=span.end - stretch, joined_before=True)
    tail_lines = rough_lines(samples, tail, rate)
    beginning = _measure(samples, head, lines, low, head.end)
    ending = tail_lines and _measure(samples, tail, tail_lines, tail.first, high)
    if not beginning or not ending:
        return None
    return replace(beginning, span=span, last_lines=ending.last_lines, fall=ending.fall)


def find_boundary(samples: Floats, before: SpectralLines, after: SpectralLines, near: int) -> tuple[int, bool]:
    """The sample at which one burst changes into the next, and True if the level does not dip there."""
    rate = before.sample_rate_hz
    reach = round(0.025 * rate)
    low, high = max(near - reach, 0), min(near + reach, len(samples))
    part = np.asarray(samples[low:high], np.float64)
    first = np.cumsum((part - before.samples(low, high)) ** 2)
    second = np.cumsum((part - after.samples(low, high)) ** 2)
    place = int(np.argmin(np.concatenate([[0.0], first]) + second[-1] - np.concatenate([[0.0], second])))
    around = round(0.002 * rate)
    dip = np.mean(part[max(place - around, 0) : place + around] ** 2)
    usual = min(before.powers.sum(), after.powers.sum())
    return low + place, bool(dip > 0.4 * usual)


def same_waves(before: SpectralLines, after: SpectralLines, cut: int) -> bool:
    """True if both sides of a cut have the same strong frequencies."""
    rate = before.sample_rate_hz
    shortest = 2 * min(abs(cut - before.origin), abs(after.origin - cut)) / rate
    near_hz = 0.5 / max(shortest, 0.01)
    strong = [lines.frequencies_at(cut)[lines.powers > 0.1 * lines.powers.max()] for lines in (before, after)]
    apart = np.abs(strong[0][:, None] - strong[1][None, :])
    return bool((apart.min(axis=0) < near_hz).all() and (apart.min(axis=1) < near_hz).all())


def join_swells(samples: Floats, spans: Sequence[Span], sample_rate_hz: float, noise: float) -> list[Span]:
    """The spans, with the swells of one modulated or beating burst joined into one span."""
    fused: list[Span] = []
    index = 0
    while index < len(spans):
        count = _swells(spans, index)
        if count > 1:
            first = spans[index].first
            end = min(spans[index + count - 1].end, first + round(STRETCH_S * sample_rate_hz))
            aside = (spans[index].end - first) // 4
            part = samples[first + aside : end - aside]
            lines = find_lines(part, first + aside, sample_rate_hz, limit=9 if count > 2 else 3)
            power = lines.powers.sum()
            if lines.residual < 0.003 * power + 3 * noise:
                last = spans[index + count - 1]
                fused.append(Span(first, last.end, spans[index].joined_before, last.joined_after))
                index += count
                continue
        fused.append(spans[index])
        index += 1
    return fused


def join_glides(samples: Floats, spans: Sequence[Span], sample_rate_hz: float, noise: float) -> list[Span]:
    """The spans, with adjacent parts of one glide joined into one span."""
    united: list[Span] = []
    index = 0
    while index < len(spans):
        count = 1
        while index + count < len(spans) and spans[index + count].joined_before:
            count += 1
        first, end = spans[index].first, spans[index + count - 1].end
        if count > 1 and end - first <= STRETCH_S * sample_rate_hz:
            aside = round(0.1 * (end - first))
            glides = find_glides(samples[first + aside : end - aside], first + aside, sample_rate_hz)
            if glides and glides.residual < _GLIDE * glides.powers.sum() + 3 * noise:
                united.append(Span(first, end))
                index += count
                continue
        united += spans[index : index + count]
        index += count
    return united


def _swells(spans: Sequence[Span], index: int) -> int:
    """Number of spans, starting at `index`, that are separated by short gaps at equal distances."""
    nulls: list[float] = []
    for here, following in zip(spans[index:], spans[index + 1 :], strict=False):
        if following.joined_before:
            break
        null = (here.end + following.first) / 2
        if len(nulls) > 1 and abs(null - nulls[-1] - (nulls[1] - nulls[0])) > 0.15 * (nulls[1] - nulls[0]):
            break
        longest = max(here.end - here.first, following.end - following.first)
        if following.first - here.end > 0.2 * longest:
            break
        nulls.append(null)
    return len(nulls) + 1


def _waves(samples: Floats, first: int, sample_rate_hz: float, form: Floats | None = None) -> SpectralLines | None:
    if len(samples) < 0.004 * sample_rate_hz:
        return None
    # Several waves together could also fit a few milliseconds of noise.
    limit = int(np.clip(len(samples) / sample_rate_hz / _PER_LINE_S, 1, 8))
    lines = find_lines(samples, first, sample_rate_hz, limit=limit, shape=form)
    if lines.residual > 0.01 * lines.powers.sum():
        glides = find_glides(samples, first, sample_rate_hz)
        if glides and glides.residual < 0.3 * lines.residual:
            lines = glides if form is None else refine_lines(samples, first, glides, glide=True, shape=form)
        elif len(lines.frequencies_hz) >= 8 and lines.residual < _NEARLY * lines.powers.sum():
            lines = find_lines(samples, first, sample_rate_hz, limit=_MANY, shape=form)
    explained = lines.powers.sum()
    return lines if explained and lines.residual < _TONE * (explained + lines.residual) else None


def _without_sidebands(lines: SpectralLines, near_hz: float) -> SpectralLines:
    kept: list[int] = []
    for number in np.argsort(-lines.powers, kind="stable").tolist():
        if all(abs(lines.frequencies_hz[number] - lines.frequencies_hz[other]) > near_hz for other in kept):
            kept.append(number)
    return select_lines(lines, kept)


def _residual_energy(samples: Floats, found: BurstMeasurement, low: int, high: int) -> float:
    """The energy that a burst leaves unexplained."""
    wave = found.lines.samples(low, high) * burst_envelope(low, high, found.rise, found.fall)
    wave *= _faded(found.decay, np.arange(low, high) - found.span.first)
    return float(np.sum((samples[low:high] - wave) ** 2))


def _measure(
    samples: Floats, span: Span, lines: SpectralLines, low: int, high: int, *, search: bool = True
) -> BurstMeasurement | None:
    """The burst in the span, or None if it is not a tone.

    If `search` is True, its lines are searched again once the edges are known. Otherwise `lines` are only refined.
    """
    rate = lines.sample_rate_hz
    part = np.asarray(samples[low:high], np.float64)
    fading = np.arange(low, high) - span.first
    decay = 0.0
    rise = fall = Edge(0.0, 0.0)
    for turn in range(_TURNS):
        before = rise.ramp, fall.ramp
        waves = lines.samples(low, high) * _faded(decay, fading)
        lowest_hz = float(lines.frequencies_at(span.first).min())
        if turn < 2:
            gains = estimate_gains(part, waves, rate, lowest_hz)
            rise, fall = _edges(gains, span, low, rate, lowest_hz)
            if turn == 0:
                decay = _decay(gains[max(round(rise.half), 0) : max(round(fall.half), 0)], rate)
                waves *= _faded(decay, fading)
        again = turn >= _SEARCHES or (turn > 0 and lines.residual > _NOISY * lines.powers.sum())
        if not span.joined_before:
            rise = refine_edge(part, waves, rise, rate, again=again)
        if not span.joined_after:
            back = refine_edge(part[::-1], waves[::-1], mirror_edge(fall, len(part)), rate, again=again)
            fall = mirror_edge(back, len(part))
        first = min(max(int(np.ceil(rise.half - rise.ramp / 2)), 0), len(part)) + _UNSURE * span.joined_before
        end = min(max(int(np.ceil(fall.half + fall.ramp / 2)), 0), len(part)) - _UNSURE * span.joined_after
        if end - first < 0.004 * rate:
            return None
        form = burst_envelope(first, end, rise, fall) * _faded(decay, fading[first:end])
        noisy = lines.residual > _NOISY * lines.powers.sum()
        searches = 1 if noisy and len(lines.frequencies_hz) >= _VOICE else _SEARCHES
        if search and turn < searches:
            found = _waves(part[first:end], low + first, rate, form)
            if found is None:
                return None
            lines = found
        else:
            lines = refine_lines(part[first:end], low + first, lines, glide=bool(lines.slopes.any()), shape=form)
            converged = max(abs(rise.ramp - before[0]), abs(fall.ramp - before[1])) < 0.01
            if converged or noisy:
                break
    if lines.residual > lines.powers.sum():
        return None
    return BurstMeasurement(
        span, lines, lines, replace(rise, half=rise.half + low), replace(fall, half=fall.half + low), decay
    )


def _edges(gains: Floats, span: Span, low: int, rate: float, lowest_hz: float) -> tuple[Edge, Edge]:
    """The edges, counted from `low`. At a joined end, the edge is the cut."""
    first, end = span.first - low, span.end - low
    strong = np.flatnonzero(gains[first:end] >= 0.9)
    rise = fall = None
    if len(strong):
        rise = None if span.joined_before else rising_edge(gains, first + int(strong[0]), rate, lowest_hz)
        fall = None if span.joined_after else falling_edge(gains, first + int(strong[-1]), rate, lowest_hz)
    return rise or Edge(first - 0.5, 0.0), fall or Edge(end - 0.5, 0.0)


def _faded(decay: float, distance: Floats) -> Floats:
    return np.asarray(np.exp(np.clip(-decay * distance, -20.0, 5.0)))


def _decay(gains: Floats, rate: float) -> float:
    """The decay of the amplitude's natural logarithm per sample.

    The decay is 0 if the burst keeps its level or does not contain the lines.
    """
    aside = min(len(gains) // 5, round(0.01 * rate))
    middle = gains[aside : len(gains) - aside]
    if len(middle) < 0.02 * rate:
        return 0.0
    at = np.arange(len(middle))
    heard = middle > max(0.02 * middle.max(), 0.0)
    if np.count_nonzero(heard) < 2:
        return 0.0
    slope = float(np.polyfit(at[heard], np.log(middle[heard]), 1)[0])
    return -slope if abs(slope) * len(middle) * 8.686 > _LEAST_DECAY_DB else 0.0
