from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library
from idtone.tones.verification.plan import plan_of
from idtone.tones.verification.screening import HOP, RATE_HZ, Screen, cut

from ..profiles import make, tone
from .legs import leg, noise_for, without

PROFILES = {
    **load_library(),
    "pulses": make(tone(400, on_ms=100, off_ms=100), repeat=2),
    "sweep": make(tone(600, on_ms=300, sweep={"to_hz": [1200]})),
    "long": make(tone(1004, on_ms=2000)),
}


def screen(profile):
    return Screen(plan_of(profile), synthesise(profile, RATE_HZ).astype(np.float32))


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("snr_db", [40, 0, -5])
def test_the_sound_is_always_a_candidate(name, snr_db):
    profile = PROFILES[name]
    looking = screen(profile)
    middle_of_ramp = profile.segments[0].ramp_ms / 2
    for seed in range(5):
        at_ms = 700 + 1.7 * seed
        samples = leg(profile, at_ms=at_ms, noise_dbov=noise_for(profile, snr_db), seed=seed)
        found = looking.candidates(samples)
        best = found.samples[0] / RATE_HZ * 1000
        assert best == pytest.approx(at_ms + middle_of_ramp, abs=1000 * HOP / RATE_HZ * 2)
        assert list(found.scores) == sorted(found.scores, reverse=True)


@pytest.mark.parametrize("name", PROFILES)
def test_noise_gives_few(name):
    noise = np.random.default_rng(3).normal(size=60 * RATE_HZ).astype(np.float32) * 0.1
    assert len(screen(PROFILES[name]).candidates(noise).samples) <= 5


def test_a_known_loss_of_a_burst_is_allowed():
    profile = PROFILES["sample"]
    samples = without(leg(profile), [(round(0.97 * RATE_HZ), round(1.16 * RATE_HZ))])
    assert len(screen(profile).candidates(samples).samples) == 0
    assert len(screen(profile).candidates(samples, lossy=True).samples) > 0


@pytest.mark.parametrize("length", [0, 1, HOP, 1000])
def test_short_recordings_give_none(length):
    assert len(screen(PROFILES["notice"]).candidates(np.zeros(length, np.float32)).samples) == 0


def test_cutting_beyond_the_ends_gives_silence():
    samples = np.arange(1, 5, dtype=np.float32)
    assert cut(samples, -2, 4).tolist() == [0, 0, 1, 2]
    assert cut(samples, 3, 3).tolist() == [4, 0, 0]
    assert cut(samples, -9, 3).tolist() == cut(samples, 9, 3).tolist() == [0, 0, 0]
