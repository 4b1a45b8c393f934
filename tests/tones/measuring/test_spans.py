from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.making.synthesis import synthesise
from idtone.tones.measuring.spans import find_spans, frame_powers, noise_power

from ..profiles import make, tone


def spans(samples):
    return find_spans(samples, 8000, frame_powers(samples, 8000), noise_power(samples, 8000))


@pytest.mark.parametrize("sample_rate_hz", [8000, 22050, 12345.5])
def test_frames_are_milliseconds_at_any_rate(sample_rate_hz):
    samples = np.zeros(int(sample_rate_hz * 70))
    samples[int(sample_rate_hz * 65.0005)] = 1
    powers = frame_powers(samples, sample_rate_hz)
    assert len(powers) == pytest.approx(70_000, abs=1)
    assert powers.argmax() == 65_000


def test_the_noise_is_measured_under_a_tone_that_never_pauses():
    samples = np.sin(2 * np.pi * 400 * np.arange(16000) / 8000) + np.random.default_rng(1).normal(size=16000) * 0.01
    assert 10 * np.log10(noise_power(samples, 8000)) == pytest.approx(-40, abs=1.5)


@pytest.mark.parametrize("off_ms", [8, 20, 500])
def test_a_pause_separates_spans(off_ms):
    first, second = spans(synthesise(make(tone(600, off_ms=off_ms), tone(600)), 8000))
    assert not first.joined_after
    assert not second.joined_before
    assert (first.end / 8, second.first / 8) == pytest.approx((200, 200 + off_ms), abs=4)


def test_a_change_of_frequency_separates_spans_without_a_pause():
    first, second = spans(synthesise(make(tone(600, ramp_ms=0), tone(700, ramp_ms=0)), 8000))
    assert first.joined_after
    assert second.joined_before
    assert first.end == second.first == pytest.approx(1600, abs=40)


def test_a_continuous_sound_and_a_fading_note_are_one_span():
    for frequencies_hz in ((400,), (400, 450), (350, 440, 620)):
        assert len(spans(synthesise(make(tone(*frequencies_hz, on_ms=1000, off_ms=100)), 8000))) == 1
    at = np.arange(16000) / 8000
    assert len(spans(np.exp(-5 * at) * np.sin(2 * np.pi * 600 * at))) == 1
