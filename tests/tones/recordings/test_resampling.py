import numpy as np
import pytest

from idtone.tones.recordings.recorded_leg import RecordedLeg
from idtone.tones.recordings.resampling import resample


def sine(sample_rate_hz):
    return (0.5 * np.sin(2 * np.pi * 400 * np.arange(sample_rate_hz) / sample_rate_hz)).astype(np.float32)


def test_the_same_rate_is_the_same_leg():
    leg = RecordedLeg("mono", sine(8000), 8000)
    assert resample(leg, 8000) is leg


@pytest.mark.parametrize("sample_rate_hz", [4000, 11_025, 16_000, 44_100, 48_000, 192_000])
def test_nothing_moves_and_no_level_changes(sample_rate_hz):
    leg = resample(RecordedLeg("mono", sine(sample_rate_hz), sample_rate_hz), 8000)
    assert (leg.name, leg.sample_rate_hz, leg.samples.dtype) == ("mono", 8000, np.float32)
    assert abs(len(leg.samples) - 8000) <= 1
    assert np.abs(leg.samples[500:7500] - sine(8000)[500:7500]).max() < 1e-4


def test_lost_spans_grow_to_whole_samples_and_stay_silent():
    samples = np.ones(1000, np.float32)
    lost = ((100, 103), (103, 106), (201, 205), (990, 1000))
    for start, end in lost:
        samples[start:end] = 0
    leg = resample(RecordedLeg("mono", samples, 16_000, lost), 8000)
    assert leg.lost == ((50, 53), (100, 103), (495, 500))
    assert len(leg.samples) == 500
    assert (leg.duration_ms, leg.lost_ms) == (62.5, 11 / 8)
    assert not any(leg.samples[start:end].any() for start, end in leg.lost)
    assert resample(RecordedLeg("mono", samples, 8000, lost[:1]), 48_000).lost == ((600, 618),)
