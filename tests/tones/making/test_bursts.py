from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from idtone.tones.making.bursts import BurstWave, Timeline
from idtone.tones.making.oscillation import BLOCK

from ..profiles import make, tone

LONG_MS = 9000
MODULATED = {"modulation": {"rate_hz": 16.5, "depth": 0.5}}
SWEPT = {"sweep": {"to_hz": [900]}}
STEPPED = {"sweep": {"to_hz": [900], "steps": 3}}


def burst(*frequencies_hz, sample_rate_hz=8000, **more):
    segment = make(tone(*frequencies_hz, on_ms=LONG_MS, **more)).segments[0]
    return BurstWave(segment, LONG_MS * sample_rate_hz // 1000, sample_rate_hz, 1000.0)


def test_edges_are_rounded_from_exact_times_and_silence_is_left_out():
    profile = make(tone(600, on_ms=10.06, off_ms=1), tone(on_ms=5), tone(700, on_ms=1, ramp_ms=0), repeat=1000)
    timeline = Timeline(profile, 8000)
    edges = [(first, end) for first, end, _ in timeline.bursts()]
    assert timeline.cycle == Fraction("17.06") * 8
    assert edges[:2] == [(0, 80), (128, 136)]
    assert edges[-2] == (136_344, 136_424), "999 cycles are 136 343.52 samples"
    assert timeline.end == 136_480


def test_the_plateau_repeats_after_the_common_period():
    waves = burst(400), burst(400, 450), burst(400.5), burst(400, **MODULATED), burst(1234.567), burst(400, **SWEPT)
    assert [wave.period for wave in waves] == [20, 160, 16_000, 16_000, 8_000_000, None]
    assert burst(400, sample_rate_hz=44_100).period == 441


@pytest.mark.parametrize("more", [{}, MODULATED, SWEPT, STEPPED], ids=["steady", "modulated", "swept", "stepped"])
def test_any_part_equals_that_part_of_the_whole(more):
    wave = burst(700.5, ramp_ms=300, **more)
    whole = np.concatenate([block.copy() for block in wave.blocks()])
    assert len(whole) == wave.length
    assert wave.plateau == (2400, wave.length - 2400)
    for span in ((0, 100), (30, 50_000), (BLOCK, 3 * BLOCK), (70_001, 72_000)):
        part = np.concatenate([block.copy() for block in wave.blocks(*span)])
        np.testing.assert_allclose(part, whole[slice(*span)], atol=1e-6)
