from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.making.synthesis import synthesise
from idtone.tones.measuring.inspection import inspect
from idtone.tones.showing.marks import MARKS, marks_of_inspection, marks_of_profile, offset_ms, top_hz_of

from ..profiles import make, tone

PROFILE = make(tone(400, 500, on_ms=100, off_ms=50), tone(800, on_ms=200, sweep={"to_hz": [1200]}))


def test_the_marks_of_a_profile_are_its_bursts_and_tolerances():
    first, second = marks_of_profile(PROFILE, offset_ms=1000)
    assert (first.start_ms, first.end_ms, first.lines_hz) == (1000, 1100, ((400, 400), (500, 500)))
    assert (second.start_ms, second.lines_hz, second.tolerance_percent) == (1150, ((800, 1200),), 1)
    assert second.edges_ms == pytest.approx((9, 21))
    assert len(marks_of_profile(make(tone(400, on_ms=100, off_ms=100), repeat=10_000))) == MARKS


def test_a_plan_is_found_in_a_recording():
    samples = np.concatenate([synthesise(make(tone(1500, off_ms=300)), 8000), synthesise(PROFILE, 8000), np.zeros(800)])
    inspection = inspect(samples, 8000)
    assert len(marks_of_inspection(inspection)) == 3
    assert offset_ms(PROFILE, inspection.bursts) == pytest.approx(500, abs=0.5)
    assert offset_ms(make(tone(2500)), inspection.bursts) is None


def test_a_picture_covers_the_band_and_the_plan():
    assert top_hz_of(8000, ()) == top_hz_of(48000, ()) == 4000
    inspection = inspect(np.sin(2 * np.pi * 6000 * np.arange(8000) / 48000), 48000)
    assert top_hz_of(48000, marks_of_inspection(inspection)) == pytest.approx(6900, abs=1)
