from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from idtone.errors import ToneError
from idtone.tones.synthesis import amplitude, synthesise, to_pcm16

from .levels import level_dbm0, part
from .profiles import make, tone

LEVELLED = [
    tone(400),
    tone(1000),
    tone(600, 1000),
    tone(600, 1000, 1350),
    tone(400, modulation={"rate_hz": 20, "depth": 1}),
    tone(400, modulation={"rate_hz": 10, "depth": 0.22}),
]
"""All of them have whole periods in 100 ms."""


@pytest.mark.parametrize("sample_rate_hz", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("segment", LEVELLED)
@pytest.mark.parametrize("level", [-4.0, -16.0, -40.0])
def test_the_level_of_a_burst_is_exact(sample_rate_hz: int, segment: dict[str, Any], level: float) -> None:
    samples = synthesise(make(segment, level_dbm0=level), sample_rate_hz)
    assert level_dbm0(part(samples, sample_rate_hz, 50, 150) * 32768) == pytest.approx(level, abs=0.0002)


@pytest.mark.parametrize("segment", LEVELLED)
@pytest.mark.parametrize(("level", "tolerance_db"), [(-4.0, 0.005), (-16.0, 0.005), (-40.0, 0.02)])
def test_the_level_survives_16_bits(segment: dict[str, Any], level: float, tolerance_db: float) -> None:
    # At -40 dBm0 the peak is 228 steps, of which half a one is 0.02 dB.
    pcm = to_pcm16(synthesise(make(segment, level_dbm0=level), 8000))
    assert level_dbm0(part(pcm, 8000, 50, 150)) == pytest.approx(level, abs=tolerance_db)


def test_0_dbm0_is_that_of_a_law() -> None:
    assert amplitude(0) * 32768 == pytest.approx(22827, abs=0.1)
    assert amplitude(3.14) == 1


def test_the_frequency_is_exact() -> None:
    samples = synthesise(make(tone(1234.5, on_ms=10_000, ramp_ms=0)), 8000)
    expected = amplitude(-16) * np.sin(2 * np.pi * 1234.5 * np.arange(80_000) / 8000)
    assert np.abs(samples - expected).max() < 1e-9


def test_edges_are_rounded_from_the_beginning_of_the_sound() -> None:
    # 10.06 ms are 80.48 samples: rounded one by one, 100 of them would lose 48 samples.
    profile = make(tone(1000, on_ms=5, off_ms=5.06, ramp_ms=0), repeat=100)
    samples = synthesise(profile, 8000)
    assert len(samples) == 8048
    starts = np.flatnonzero((samples[1:] != 0) & (samples[:-1] == 0) & (np.roll(samples, 1)[:-1] == 0))
    assert starts[-1] == round(99 * 10.06 * 8)


def test_ramps_are_raised_cosines_inside_the_burst() -> None:
    profile = make(tone(1000, on_ms=100, off_ms=10, ramp_ms=20))
    sharp = make(tone(1000, on_ms=100, off_ms=10, ramp_ms=0))
    samples, full = synthesise(profile, 8000), synthesise(sharp, 8000)
    assert np.all(samples[800:] == 0)
    np.testing.assert_array_equal(samples[160:640], full[160:640])
    expected = (1 - np.cos(np.pi * (np.arange(160) + 0.5) / 160)) / 2
    np.testing.assert_allclose(samples[:160], full[:160] * expected, atol=1e-12)
    np.testing.assert_allclose(samples[640:800], full[640:800] * expected[::-1], atol=1e-12)


def test_modulation_swings_between_its_depths() -> None:
    profile = make(tone(1000, on_ms=200, ramp_ms=0, modulation={"rate_hz": 10, "depth": 0.5}))
    samples = synthesise(profile, 48000) / amplitude(-16) * np.sqrt(1 + 0.5**2 / 2)
    assert np.abs(part(samples, 48000, 24, 26)).max() == pytest.approx(1.5, abs=0.01)
    assert np.abs(part(samples, 48000, 74, 76)).max() == pytest.approx(0.5, abs=0.01)


def test_silence_and_pauses_are_zero() -> None:
    pcm = to_pcm16(synthesise(make(tone(on_ms=50), tone(600, on_ms=50, off_ms=50)), 8000))
    assert len(pcm) == 1200
    assert not pcm[:400].any()
    assert not pcm[800:].any()


def test_the_loudest_profile_allowed_does_not_clip() -> None:
    rates = {"rate_hz": 100.0, "depth": 1.0}
    profile = make(tone(2000, ramp_ms=0, modulation=rates), level_dbm0=-1.2)  # the bound is -1.1199 dBm0
    assert np.abs(to_pcm16(synthesise(profile, 48000))).max() > 32000


@pytest.mark.parametrize("peak", [1.0, -1.001, float("nan"), float("inf")])
def test_samples_beyond_full_scale_are_refused(peak: float) -> None:
    with pytest.raises(ToneError, match="full scale"):
        to_pcm16(np.array([0.0, peak]))


def test_rounding_goes_to_the_nearest() -> None:
    samples = np.array([-32768, -2.5, -0.6, 0.4, 0.5, 1.5, 32767.4]) / 32768
    assert to_pcm16(samples).tolist() == [-32768, -2, -1, 0, 0, 2, 32767]


def test_a_rate_below_the_band_is_refused() -> None:
    with pytest.raises(ToneError, match="too low"):
        synthesise(make(tone(600)), 7999)


@pytest.mark.parametrize(
    ("sample_rate_hz", "digest"),
    [
        (8000, "56fd62a9d2ad79c1702ddf5867d642062b2cd7844e93d1cbec98a540212b365d"),
        (16000, "11115fef05018399765fe165f8dfcb74b2ac0f541c78602bddba24277e20b995"),
        (44100, "564fc7e4469c3543a417389c80c036f9e7ecbccc61195f68606e81677cb6a281"),
    ],
)
def test_the_samples_are_the_same_on_every_machine(sample_rate_hz: int, digest: str) -> None:
    profile = make(
        tone(400, 1234.5, off_ms=33.3),
        tone(3400, on_ms=77.7, modulation={"rate_hz": 17, "depth": 0.9}, ramp_ms=20),
        repeat=3,
    )
    # float64 itself, before any rounding to 16 bits could hide a difference.
    assert hashlib.sha256(synthesise(profile, sample_rate_hz).astype("<f8").tobytes()).hexdigest() == digest
