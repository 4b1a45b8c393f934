from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.measuring.working_rate import working


@pytest.mark.parametrize("sample_rate_hz", [32000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("frequency_hz", [300, 3400, 6500])
def test_decimation_keeps_level_and_place(sample_rate_hz, frequency_hz):
    length = sample_rate_hz + 17
    samples = 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(length) / sample_rate_hz) + 0.1
    work = working(samples, sample_rate_hz, 0.1)
    assert 16000 <= work.sample_rate_hz < 32000
    assert len(work.samples) == -(-length // work.step)
    inner = slice(200, -200)
    np.testing.assert_allclose(work.samples[inner], (samples - 0.1)[:: work.step][inner], atol=3e-4)


def test_frequencies_above_the_band_are_not_aliased():
    samples = np.sin(2 * np.pi * 15_000 * np.arange(48000) / 48000)
    assert np.abs(working(samples, 48000, 0.0).samples[200:-200]).max() < 1e-4


def test_narrow_recordings_stay_as_they_are():
    samples = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    np.testing.assert_array_equal(working(samples, 8000, 0.0).samples, samples)
