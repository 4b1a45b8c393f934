"""Near misses differ from the sound, and by more than it tolerates."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.verify import near_misses
from tests.bench.verify.conditions import sound_of
from tests.bench.verify.profiles import profiles


@pytest.fixture(params=list(profiles()))
def profile(request):
    return profiles()[request.param]


def test_none_of_them_is_the_sound_itself(profile):
    sound = sound_of(profile)
    for name, make in near_misses.near_misses(profile).items():
        samples = make(np.random.default_rng(1))
        assert samples.dtype == np.float32
        assert np.max(np.abs(samples)) > 0.05
        same = len(samples) == len(sound) and np.allclose(samples, sound, atol=1e-3)
        assert not same, name


def test_the_alterations_are_beyond_the_tolerance(profile):
    altered = dict(near_misses._altered(profile))
    bursts = profile.bursts()
    tolerance = profile.tolerance
    for sign in (-1, 1):
        frequency = altered[f"frequency {2 * sign:+d} %"].bursts()[0].segment.frequencies_hz[0]
        assert frequency == pytest.approx(bursts[0].segment.frequencies_hz[0] * (1 + sign * 0.02))
        assert tolerance.frequency_percent < 2
        last = altered[f"cadence {12 * sign:+d} %"].bursts()[-1]
        assert last.end_ms == pytest.approx(bursts[-1].end_ms * (1 + sign * 0.12))
        assert tolerance.time_percent < 12
    assert len(altered[f"{len(bursts) + 1} bursts for {len(bursts)}"].bursts()) == len(bursts) + 1


def test_random_signals_come_from_their_generator_alone():
    make = near_misses.near_misses(profiles()["sample"])["V.21 caller"]
    first, again, other = (make(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
