"""The bound that frequency errors are held against."""

from __future__ import annotations

import math

import pytest

from tests.bench.verify.measurements import frequency_bound, steady
from tests.bench.verify.profiles import profiles
from tests.tones.profiles import make, tone


def test_one_plain_burst_has_the_textbook_bound():
    """Rife and Boorstyn: var ω ≥ 24 σ² / (A² N (N² − 1)), for a real sine."""
    n, frequency_hz, snr_db = 1600, 1000, 10
    noise_over_sine = 0.5 * 10 ** (-snr_db / 10)
    textbook = math.sqrt(24 * noise_over_sine / (n * (n**2 - 1))) / (2 * math.pi * frequency_hz / 8000)
    assert frequency_bound(make(tone(frequency_hz, on_ms=200, ramp_ms=0)), snr_db) == pytest.approx(textbook, rel=0.01)


def test_more_noise_and_less_tone_make_it_wider():
    profile = profiles()["two-pulses"]
    assert frequency_bound(profile, 0) == pytest.approx(frequency_bound(profile, 20) * 10)
    assert frequency_bound(make(tone(400, on_ms=100)), 10) > frequency_bound(profile, 10)


def test_it_is_for_sines_alone():
    assert [name for name, profile in profiles().items() if not steady(profile)] == ["trembling", "sweep"]
