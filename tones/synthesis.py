"""Profile → samples, the same on every machine.

The sine is computed here, from additions and multiplications alone: IEEE 754 fixes their results to
the last bit, while `numpy.sin` and libm differ between processors and builds. The level goes through
decimal arithmetic for the same reason.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from idtone.errors import ToneError

from .profile import Law, Profile, Segment

Samples = NDArray[np.float64]
"""One channel; 1.0 is full scale, which is 32 768 in 16-bit PCM."""

LOWEST_RATE_HZ: Final = 8000

_SINE: Final = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(11))
"""Taylor coefficients; up to a quarter turn the rest of the series is below 2e-18."""


def amplitude(level_dbm0: float, law: Law = Law.A) -> float:
    """The peak of a sine of this level."""
    overload_dbm0, peak = law.overload
    return float(Decimal(10) ** ((Decimal(str(level_dbm0)) - overload_dbm0) / 20) * peak / 32768)


def synthesise(profile: Profile, sample_rate_hz: int) -> Samples:
    """The whole sound, its last pause included.

    Every edge is rounded to the nearest sample from its own time, so that errors do not add up. A burst
    starts with phase 0 on its first sample. Raises ToneError for a rate that cannot carry the band.
    """
    if sample_rate_hz < LOWEST_RATE_HZ:
        raise ToneError(f"{sample_rate_hz} Hz is too low for the telephone band; use {LOWEST_RATE_HZ} Hz or more")
    samples = np.zeros(_sample_at(profile.duration_ms, sample_rate_hz))
    for burst in profile.bursts():
        first, end = _sample_at(burst.start_ms, sample_rate_hz), _sample_at(burst.end_ms, sample_rate_hz)
        peak = amplitude(profile.level_of(burst.segment), profile.law)
        samples[first:end] = peak * _burst(burst.segment, end - first, sample_rate_hz)
    return samples


def to_pcm16(samples: Samples) -> NDArray[np.int16]:
    """Round to 16 bits, halves to even. Raises ToneError where a sample does not fit."""
    rounded = np.rint(samples * 32768.0)
    if not np.all((rounded >= -32768) & (rounded <= 32767)):
        raise ToneError("the samples exceed full scale; lower the level")
    return rounded.astype(np.int16)


def _sample_at(time_ms: float, sample_rate_hz: int) -> int:
    return math.floor(time_ms * sample_rate_hz / 1000 + 0.5)


def _burst(segment: Segment, length: int, sample_rate_hz: int) -> Samples:
    """The burst at the level of a sine with peak 1."""
    position = np.arange(length, dtype=np.float64)
    wave = np.zeros(length)
    for frequency_hz in segment.frequencies_hz:
        wave += _sine(position * frequency_hz / sample_rate_hz)
    wave /= math.sqrt(len(segment.frequencies_hz))
    if segment.modulation:
        depth = segment.modulation.depth
        swell = 1.0 + depth * _sine(position * segment.modulation.rate_hz / sample_rate_hz)
        wave *= swell / math.sqrt(1 + depth * depth / 2)
    if segment.ramp_ms:
        wave *= _ramps(position + 0.5, length, segment.ramp_ms * sample_rate_hz / 1000)
    return wave


def _ramps(middle: Samples, length: int, ramp: float) -> Samples:
    """Raised cosine, sin² of a quarter turn, up over the first `ramp` samples and down over the last."""
    from_edge = np.minimum(middle, length - middle)
    rising: Samples = _sine(np.minimum(from_edge / ramp, 1.0) / 4) ** 2
    return rising


def _sine(turns: Samples) -> Samples:
    """sin(2π·turns)."""
    half = turns - np.rint(turns)
    quarter = np.where(np.abs(half) > 0.25, np.copysign(0.5, half) - half, half)
    angle = quarter * (2 * math.pi)
    square = angle * angle
    series = np.full_like(angle, _SINE[-1])
    for coefficient in reversed(_SINE[:-1]):
        series = series * square + coefficient
    return series * angle
