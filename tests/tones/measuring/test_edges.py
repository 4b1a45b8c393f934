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
    for found, wanted in (
        (rising_edge(gains, 1250, RATE_HZ, 700), rise),
        (falling_edge(gains, 1250, RATE_HZ, 700), fall),
    ):
        assert found is not None
        assert found.half == pytest.approx(wanted.half, abs=4)
        assert found.ramp == pytest.approx(wanted.ramp, abs=16)
    first = rising_edge(gains, 1250, RATE_HZ, 700)
    assert first is not None
    sharp = sharpen(samples, WAVES, first, RATE_HZ)
    assert sharp.half == pytest.approx(rise.half, abs=0.5)
    assert sharp.ramp == pytest.approx(rise.ramp, abs=2.5)


def test_without_an_edge_none_is_found():
    gains = gain(WAVES, WAVES, RATE_HZ, 700)
    assert rising_edge(gains, 1250, RATE_HZ, 700) is None
    assert falling_edge(gains, 1250, RATE_HZ, 700) is None


def test_the_gain_of_silence_is_zero():
    assert not gain(WAVES, np.zeros(2400), RATE_HZ, 700).any()


def test_a_mirrored_edge_mirrors_back():
    edge = Edge(12.25, 7.0)
    assert mirror(mirror(edge, 100), 100) == edge
