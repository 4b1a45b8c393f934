from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from idtone.tones.making.oscillation import Glide, Tone, exact, sine, sine_of

WHOLE = 1000
SPANS = ((0, WHOLE), (WHOLE, WHOLE), (2 * WHOLE, 30), (5 * WHOLE, WHOLE), (10**9, WHOLE), (0, WHOLE), (WHOLE, 17))
"""First places and lengths, in no order."""


def blocks(wave, count):
    return np.concatenate([wave.block(at * WHOLE, WHOLE).copy() for at in range(count)])


def exactly(turns):
    return np.sin(2 * np.pi * np.array([float(turn % 1) for turn in turns]))


def test_the_sine_is_that_of_libm_and_a_number_is_taken_as_written():
    turns = np.linspace(-3, 3, 10_001)
    np.testing.assert_allclose(sine(turns), np.sin(2 * np.pi * turns), atol=3e-15)
    assert sine_of(Fraction(10**30) + Fraction(1, 12)) == pytest.approx(0.5, abs=1e-15)
    assert exact(1234.567) == Fraction(1_234_567, 1000)


@pytest.mark.parametrize(
    "frequency", [Fraction(1_234_567, 8_000_000), Fraction(1, 20), Fraction(1, 8_000_001), Fraction(3999, 8000)]
)
def test_a_tone_stays_exact_over_more_blocks_than_a_run_and_in_any_order(frequency):
    phase = Fraction(1, 3)
    made = blocks(Tone(frequency, WHOLE, gain=2.0, phase=phase), 600)
    places = [*range(0, len(made), 7919), *range(254_900, 256_100), len(made) - 1]
    np.testing.assert_allclose(made[places], 2 * exactly([phase + frequency * at for at in places]), atol=1e-11)
    wave = Tone(frequency, WHOLE)
    for first, length in SPANS:
        expected = exactly([frequency * at for at in range(first, first + length)])
        np.testing.assert_allclose(wave.block(first, length), expected, atol=1e-11)


@pytest.mark.parametrize("bend", [Fraction(1, 10**8), Fraction(-1, 10**9), Fraction(0)])
def test_a_glide_stays_exact_over_more_blocks_than_a_run_and_in_any_order(bend):
    frequency = Fraction(4003, 80_000)
    made = blocks(Glide(frequency, bend, WHOLE, gain=0.5), 300)
    places = [*range(0, len(made), 997), *range(127_500, 128_500), len(made) - 1]
    np.testing.assert_allclose(made[places], 0.5 * exactly([(frequency + bend * at) * at for at in places]), atol=1e-9)
    wave = Glide(frequency, bend, WHOLE)
    for first, length in SPANS[:4] + SPANS[5:]:
        expected = exactly([(frequency + bend * at) * at for at in range(first, first + length)])
        np.testing.assert_allclose(wave.block(first, length), expected, atol=1e-10)
