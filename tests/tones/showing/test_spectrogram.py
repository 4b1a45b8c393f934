from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.showing.spectrogram import RANGE_DB, envelope, spectrogram


def test_the_envelope_holds_every_peak():
    samples = np.zeros(10_000)
    samples[3], samples[9_999] = 0.5, -0.25
    low, high = envelope(samples, 100)
    assert (len(low), len(high), high[0], low[-1]) == (100, 100, 0.5, -0.25)


def test_few_samples_fill_all_columns_and_silence_is_empty():
    for length in (0, 1, 7):
        assert [len(edge) for edge in envelope(np.ones(length), 50)] == [50, 50]
        assert spectrogram(np.ones(length), 8000, 50, 16, 4000).shape == (16, 50)
    assert (spectrogram(np.zeros(8000), 8000, 20, 10, 4000) == -RANGE_DB).all()


@pytest.mark.parametrize(("sample_rate_hz", "seconds"), [(8000, 1), (48000, 1), (8000, 300)])
def test_a_tone_lies_in_its_row_and_at_its_time(sample_rate_hz, seconds):
    samples = np.sin(2 * np.pi * 1030 * np.arange(sample_rate_hz * seconds) / sample_rate_hz)
    samples[len(samples) // 2 :] = 0
    levels = spectrogram(samples, sample_rate_hz, 60, 40, 4000)
    assert levels.max() == 0
    assert set(levels[:, 3:27].argmax(axis=0)) == {10}
    assert (levels[:, 33:] == -RANGE_DB).all()
