"""Near misses, whose difference from the sound exceeds its tolerances."""

import numpy as np
import pytest

from bench.verify import near_misses
from bench.verify.impaired_legs import sound_of
from bench.verify.profiles import profiles


def test_none_of_them_is_the_sound_itself_nor_within_its_tolerance():
    for profile in profiles().values():
        sound, made = sound_of(profile), near_misses.near_misses(profile)
        for name, make in made.items():
            samples, again = (make(np.random.default_rng(1)) for _ in range(2))
            assert np.array_equal(samples, again), name
            assert np.max(np.abs(samples)) > 0.05
            assert len(samples) != len(sound) or not np.allclose(samples, sound, atol=1e-3), name
        altered, first = dict(near_misses._altered(profile)), profile.bursts()[0]
        for sign in (-1, 1):
            higher = altered[f"frequency {2 * sign:+d} %"].bursts()[0].segment.frequencies_hz[0]
            assert higher == pytest.approx(first.segment.frequencies_hz[0] * (1 + sign * 0.02))
        assert profile.tolerance.frequency_percent < 2
        assert profile.tolerance.time_percent < 12
