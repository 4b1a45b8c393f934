from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.making.synthesis import synthesise
from idtone.tones.measuring.bursts import boundary, fuse, measure, rough, same, unite
from idtone.tones.measuring.spans import Span

from ..profiles import make, tone


def test_a_burst_is_measured_beyond_its_span():
    samples = synthesise(make(tone(on_ms=50), tone(600, on_ms=200, ramp_ms=20, off_ms=50)), 8000)
    span = Span(440, 1950)
    lines = rough(samples, span, 8000)
    assert lines is not None
    found = measure(samples, span, lines, 0, len(samples))
    assert found is not None
    assert (found.start + 0.5, found.end + 0.5) == pytest.approx((400, 2000), abs=0.2)
    assert (found.rise.ramp, found.fall.ramp) == pytest.approx((160, 160), abs=0.5)


def test_noise_is_not_a_burst():
    assert rough(np.random.default_rng(1).normal(size=4000), Span(0, 4000), 8000) is None


@pytest.mark.parametrize(("ramp_ms", "hard"), [(0, True), (10, False)])
def test_the_boundary_of_joined_bursts(ramp_ms, hard):
    samples = synthesise(make(tone(600, ramp_ms=ramp_ms), tone(626, ramp_ms=ramp_ms)), 8000)
    before, after = rough(samples, Span(0, 1580), 8000), rough(samples, Span(1620, 3200), 8000)
    assert before is not None
    assert after is not None
    cut, sounds_on = boundary(samples, before, after, 1570)
    assert cut == pytest.approx(1600, abs=2 if hard else 40)
    assert sounds_on is hard
    assert not same(before, after, cut)
    assert same(before, before, cut)


def test_swells_are_fused_and_pulses_are_not():
    swelling = synthesise(make(tone(400, on_ms=500, ramp_ms=0, modulation={"rate_hz": 10, "depth": 1})), 8000)
    pieces = [Span(max(0, round(800 * (n - 0.21))), min(4000, round(800 * (n + 0.71)))) for n in range(6)]
    pieces = [span for span in pieces if span.end - span.first > 100]
    assert len(fuse(swelling, pieces, 8000, 0.0)) == 1
    pulsed = synthesise(make(tone(400, on_ms=90, off_ms=10), repeat=5), 8000)
    assert len(fuse(pulsed, [Span(800 * n, 800 * n + 720) for n in range(5)], 8000, 0.0)) == 5


def test_parts_of_a_glide_are_united_and_notes_are_not():
    glide = synthesise(make(tone(500, on_ms=300, sweep={"to_hz": [1500]})), 8000)
    parts = [Span(0, 800, False, True), Span(800, 1600, True, True), Span(1600, 2400, True, False)]
    assert unite(glide, parts, 8000, 0.0) == [Span(0, 2400)]
    notes = synthesise(make(*(tone(f, on_ms=100) for f in (500, 1500, 800))), 8000)
    assert unite(notes, parts, 8000, 0.0) == parts
