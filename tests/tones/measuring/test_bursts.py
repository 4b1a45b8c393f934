"""Bursts, and the clicks at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.making.synthesis import synthesise
from idtone.tones.measuring.bursts import boundary, fuse, measure, rough, same, unite
from idtone.tones.measuring.clicks import BAND_HZ, click_energy
from idtone.tones.measuring.spans import Span

from ..profiles import make, tone


def sound(*segments, **more):
    return synthesise(make(*segments, **more), 8000)


def found(samples, span):
    return measure(samples, span, rough(samples, span, 8000), 0, len(samples))


def test_a_burst_is_measured_beyond_its_span():
    burst = found(sound(tone(on_ms=50), tone(600, on_ms=200, ramp_ms=20, off_ms=50)), Span(440, 1950))
    assert (burst.start + 0.5, burst.end + 0.5) == pytest.approx((400, 2000), abs=0.2)
    assert (burst.rise.ramp, burst.fall.ramp) == pytest.approx((160, 160), abs=0.5)


def test_noise_is_not_a_burst():
    assert rough(np.random.default_rng(1).normal(size=4000), Span(0, 4000), 8000) is None


@pytest.mark.parametrize(("ramp_ms", "hard"), [(0, True), (10, False)])
def test_the_boundary_of_joined_bursts(ramp_ms, hard):
    samples = sound(tone(600, ramp_ms=ramp_ms), tone(626, ramp_ms=ramp_ms))
    before, after = rough(samples, Span(0, 1580), 8000), rough(samples, Span(1620, 3200), 8000)
    cut, sounds_on = boundary(samples, before, after, 1570)
    assert cut == pytest.approx(1600, abs=2 if hard else 40)
    assert sounds_on is hard
    assert not same(before, after, cut)
    assert same(before, before, cut)


def test_swells_are_fused_and_pulses_are_not():
    swelling = sound(tone(400, on_ms=500, ramp_ms=0, modulation={"rate_hz": 10, "depth": 1}))
    pieces = [Span(max(0, round(800 * (n - 0.21))), min(4000, round(800 * (n + 0.71)))) for n in range(6)]
    assert len(fuse(swelling, [span for span in pieces if span.end - span.first > 100], 8000, 0.0)) == 1
    pulsed = sound(tone(400, on_ms=90, off_ms=10), repeat=5)
    assert len(fuse(pulsed, [Span(800 * n, 800 * n + 720) for n in range(5)], 8000, 0.0)) == 5


def test_parts_of_a_glide_are_united_and_notes_are_not():
    parts = [Span(0, 800, False, True), Span(800, 1600, True, True), Span(1600, 2400, True, False)]
    assert unite(sound(tone(500, on_ms=300, sweep={"to_hz": [1500]})), parts, 8000, 0.0) == [Span(0, 2400)]
    assert unite(sound(*(tone(f, on_ms=100) for f in (500, 1500, 800))), parts, 8000, 0.0) == parts


@pytest.mark.parametrize("on_ms", [100, 1000])
def test_a_click_is_its_energy_wherever_the_other_edge_is(on_ms):
    samples = np.concatenate([np.zeros(800), sound(tone(800, on_ms=on_ms, ramp_ms=20, off_ms=100))])
    burst = found(samples, Span(800, round(800 + 8 * on_ms)))
    clicked = samples.copy()
    clicked[840] += 0.2
    # An impulse is equally strong everywhere; the band around the tone is left out.
    added = click_energy(clicked, burst, ()) - click_energy(samples, burst, ())
    assert added == pytest.approx(0.04 * (1 - 2 * BAND_HZ / 4000), rel=0.1)


def test_a_neighbour_is_not_a_click():
    samples = sound(tone(800, ramp_ms=20), tone(1600, ramp_ms=20))
    first, second = found(samples, Span(0, 1600)), found(samples, Span(1600, 3200))
    assert click_energy(samples, first, (second.lines,)) < 0.001 * click_energy(samples, first, ())
