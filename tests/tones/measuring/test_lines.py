from __future__ import annotations

import math

import numpy as np
import pytest

from idtone.tones.measuring.lines import find_glides, find_lines


def waves(*frequencies_hz, length=800, sample_rate_hz=8000):
    time = np.arange(length) / sample_rate_hz
    return sum((0.1 * np.sin(2 * np.pi * f * time + f) for f in frequencies_hz), np.zeros(length))


@pytest.mark.parametrize(
    "frequencies_hz", [(400,), (400, 450), (440, 456), (350, 440, 480, 620), (600, 1000, 1350), (3399.5,)]
)
def test_lines_that_a_spectrum_cannot_separate(frequencies_hz):
    for sample_rate_hz in (8000, 16000):
        samples = waves(*frequencies_hz, length=sample_rate_hz // 10, sample_rate_hz=sample_rate_hz)
        lines = find_lines(samples, 0, sample_rate_hz)
        assert sorted(lines.frequencies_hz) == pytest.approx(frequencies_hz, abs=0.001)
        assert np.abs(lines.amplitudes) == pytest.approx([0.1] * len(frequencies_hz), rel=1e-4)
        np.testing.assert_allclose(lines.samples(0, len(samples)), samples, atol=1e-5)


def test_in_noise_the_frequency_error_is_the_theoretical_minimum():
    noise, length, rng = 0.02, 800, np.random.default_rng(1)
    errors = [
        find_lines(waves(500) + rng.normal(size=length) * noise, 0, 8000, limit=1).frequencies_hz[0] - 500
        for _ in range(200)
    ]
    bound_hz = 8000 / (2 * math.pi) * math.sqrt(24 / length**3) * noise / 0.1
    # The standard deviation of 200 trials is itself known to 5 %.
    assert np.std(errors) < 1.15 * bound_hz


def test_there_are_no_lines_in_noise_nor_in_silence_and_nothing_steady_glides():
    noise = np.random.default_rng(2).normal(size=4000)
    assert not len(find_lines(noise[:800], 0, 8000).frequencies_hz)
    assert not len(find_lines(np.zeros(800), 0, 8000).frequencies_hz)
    assert find_glides(waves(400, 450, length=4000), 0, 8000) is None
    assert find_glides(noise, 0, 8000) is None


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "duration_s"), [(400, 1000, 1), (300, 3400, 0.1), (2000, 1000, 0.1), (400, 420, 0.2)]
)
def test_a_glide(from_hz, to_hz, duration_s):
    length = round(8000 * duration_s)
    time = np.arange(length) / 8000
    samples = 0.1 * np.sin(2 * np.pi * (from_hz * time + (to_hz - from_hz) / duration_s * time**2 / 2))
    glides = find_glides(samples, 0, 8000)
    assert glides.at(0) == pytest.approx([from_hz], abs=0.01)
    assert glides.at(length) == pytest.approx([to_hz], abs=0.01)
