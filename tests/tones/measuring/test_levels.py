"""Levels, and the rate that a recording is measured at."""

from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.measuring.levels import SILENCE_DB, SINE_DBOV, dbm0, power_db
from idtone.tones.measuring.working_rate import working
from idtone.tones.profile import Law


def test_a_square_wave_at_full_scale_is_0_dbov_and_a_sine_3_less():
    sine = np.sin(2 * np.pi * np.arange(8000) / 80)
    assert (power_db(1.0), power_db(float(np.mean(sine**2)))) == (0, pytest.approx(-3.01, abs=0.001))
    assert (dbm0(SINE_DBOV, Law.A), dbm0(SINE_DBOV, Law.MU)) == pytest.approx((3.14, 3.20), abs=0.006)
    assert power_db(0.0) == dbm0(SILENCE_DB, Law.A) == SILENCE_DB


@pytest.mark.parametrize("sample_rate_hz", [32000, 44100, 48000, 96000, 192000])
def test_decimation_keeps_level_and_place(sample_rate_hz):
    length, inner = sample_rate_hz + 17, slice(200, -200)
    for frequency_hz in (300, 3400, 6500):
        samples = 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(length) / sample_rate_hz) + 0.1
        work = working(samples, sample_rate_hz, 0.1)
        assert 16000 <= work.sample_rate_hz < 32000
        assert len(work.samples) == -(-length // work.step)
        np.testing.assert_allclose(work.samples[inner], (samples - 0.1)[:: work.step][inner], atol=3e-4)


def test_frequencies_above_the_band_are_not_aliased_and_narrow_recordings_stay_as_they_are():
    samples = np.sin(2 * np.pi * 15_000 * np.arange(48000) / 48000)
    assert np.abs(working(samples, 48000, 0.0).samples[200:-200]).max() < 1e-4
    noise = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    np.testing.assert_array_equal(working(noise, 8000, 0.0).samples, noise)
