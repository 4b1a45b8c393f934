from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.showing.spectrogram import RANGE_DB, envelope, spectrogram


def test_the_envelope_holds_every_peak() -> None:
    samples = np.zeros(10_000)
    samples[3], samples[9_999] = 0.5, -0.25
    low, high = envelope(samples, 100)
    assert len(low) == len(high) == 100
    assert high[0] == 0.5
    assert low[-1] == -0.25


@pytest.mark.parametrize("length", [0, 1, 7])
def test_few_samples_fill_all_columns_too(length: int) -> None:
    low, high = envelope(np.ones(length), 50)
    assert len(low) == len(high) == 50
    assert spectrogram(np.ones(length), 8000, 50, 16, 4000).shape == (16, 50)


@pytest.mark.parametrize(("sample_rate_hz", "seconds"), [(8000, 1), (48000, 1), (8000, 300)])
def test_a_tone_lies_in_its_row_and_at_its_time(sample_rate_hz: int, seconds: int) -> None:
    samples = np.sin(2 * np.pi * 1030 * np.arange(sample_rate_hz * seconds) / sample_rate_hz)
    samples[len(samples) // 2 :] = 0
    levels = spectrogram(samples, sample_rate_hz, 60, 40, 4000)
    assert levels.max() == 0
    assert set(levels[:, 3:27].argmax(axis=0)) == {10}
    assert (levels[:, 33:] == -RANGE_DB).all()


def test_silence_is_empty() -> None:
    assert (spectrogram(np.zeros(8000), 8000, 20, 10, 4000) == -RANGE_DB).all()
