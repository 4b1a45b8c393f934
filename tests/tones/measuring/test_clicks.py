from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.making.synthesis import synthesise
from idtone.tones.measuring.bursts import measure, rough
from idtone.tones.measuring.clicks import BAND_HZ, click_energy
from idtone.tones.measuring.spans import Span

from ..profiles import make, tone


def found(samples, span):
    lines = rough(samples, span, 8000)
    assert lines is not None
    burst = measure(samples, span, lines, 0, len(samples))
    assert burst is not None
    return burst


@pytest.mark.parametrize("on_ms", [100, 1000])
def test_a_click_is_its_energy_wherever_the_other_edge_is(on_ms):
    samples = np.concatenate([np.zeros(800), synthesise(make(tone(800, on_ms=on_ms, ramp_ms=20, off_ms=100)), 8000)])
    burst = found(samples, Span(800, round(800 + 8 * on_ms)))
    quiet = click_energy(samples, burst, ())
    clicked = samples.copy()
    clicked[840] += 0.2
    # An impulse is equally strong everywhere; the band around the tone is left out.
    outside = 1 - 2 * BAND_HZ / 4000
    assert click_energy(clicked, burst, ()) - quiet == pytest.approx(0.04 * outside, rel=0.1)


def test_a_neighbour_is_not_a_click():
    samples = synthesise(make(tone(800, ramp_ms=20), tone(1600, ramp_ms=20)), 8000)
    first, second = found(samples, Span(0, 1600)), found(samples, Span(1600, 3200))
    assert click_energy(samples, first, (second.lines,)) < 0.001 * click_energy(samples, first, ())
