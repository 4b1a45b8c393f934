from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.measuring.edges import Edge, falling_edge, gain, mirror, rising_edge, shape, sharpen

RATE_HZ = 8000
WAVES = np.sin(2 * np.pi * 700 * np.arange(2400) / RATE_HZ)


@pytest.mark.parametrize("ramp_ms", [0, 3, 10, 40])
def test_edges_of_a_ramped_burst(ramp_ms):
    ramp = ramp_ms * RATE_HZ / 1000
    rise, fall = Edge(800.25, ramp), Edge(1700.5, ramp)
    samples = WAVES * shape(0, 2400, rise, fall)
    gains = gain(samples, WAVES, RATE_HZ, 700)
    first, last = rising_edge(gains, 1250, RATE_HZ, 700), falling_edge(gains, 1250, RATE_HZ, 700)
    assert (first.half, last.half) == pytest.approx((rise.half, fall.half), abs=4)
    assert (first.ramp, last.ramp) == pytest.approx((ramp, ramp), abs=16)
    sharp = sharpen(samples, WAVES, first, RATE_HZ)
    assert sharp.half == pytest.approx(rise.half, abs=0.5)
    assert sharp.ramp == pytest.approx(ramp, abs=2.5)


def test_without_an_edge_none_is_found_and_silence_has_no_gain():
    gains = gain(WAVES, WAVES, RATE_HZ, 700)
    assert [find(gains, 1250, RATE_HZ, 700) for find in (rising_edge, falling_edge)] == [None, None]
    assert not gain(WAVES, np.zeros(2400), RATE_HZ, 700).any()
    edge = Edge(12.25, 7.0)
    assert mirror(mirror(edge, 100), 100) == edge
