from __future__ import annotations

import numpy as np

from idtone.tones.making.dither import Dither


def test_the_noise_is_a_triangle_two_steps_wide():
    noise = Dither(1).steps(400_000)
    assert noise.min() > -1
    assert noise.max() < 1
    assert abs(noise.mean()) < 0.003
    density, _ = np.histogram(noise, bins=8, range=(-1, 1))
    np.testing.assert_allclose(density / len(noise), np.array([1, 3, 5, 7, 7, 5, 3, 1]) / 32, atol=0.002)
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.005


def test_the_lengths_of_the_parts_do_not_change_the_noise():
    whole, parts = Dither(2**64 - 1), Dither(2**64 - 1)
    together = np.concatenate([parts.steps(length) for length in (1, 2, 1000, 7)])
    np.testing.assert_array_equal(whole.steps(1010), together)


def test_the_first_values_of_a_seed_never_change():
    assert [value.hex() for value in Dither(5).steps(3).tolist()] == [
        "0x1.12de323000000p-3",
        "0x1.9211366000000p-1",
        "0x1.7cb64fe000000p-5",
    ]
