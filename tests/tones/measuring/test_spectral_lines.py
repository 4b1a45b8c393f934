import math

import numpy as np

from idtone.tones.measuring.edges import estimate_gains
from idtone.tones.measuring.spectral_lines import find_glides, find_lines


def waves(*frequencies_hz, length=800):
    time = np.arange(length) / 8000
    return sum((0.1 * np.sin(2 * np.pi * f * time + f) for f in frequencies_hz), np.zeros(length))


def test_in_noise_the_frequency_error_is_the_theoretical_minimum():
    noise, length, rng = 0.02, 800, np.random.default_rng(1)
    errors = [
        find_lines(waves(500) + rng.normal(size=length) * noise, 0, 8000, limit=1).frequencies_hz[0] - 500
        for _ in range(100)
    ]
    bound_hz = 8000 / (2 * math.pi) * math.sqrt(24 / length**3) * noise / 0.1
    assert np.std(errors) < 1.2 * bound_hz


def test_noise_and_silence_have_no_lines_and_no_gain_and_notes_up_and_down_are_no_glide():
    noise = np.random.default_rng(2).normal(size=4000)
    for nothing in (noise[:800], np.zeros(800)):
        assert not len(find_lines(nothing, 0, 8000).frequencies_hz)
    assert not estimate_gains(noise, np.zeros(4000), 8000, 700).any()
    for steady in (noise, waves(400, 450, length=4000)):
        assert find_glides(steady, 0, 8000) is None
    assert find_glides(np.concatenate([waves(f, length=1600) for f in (500, 1500, 800)]), 0, 8000) is None
