from __future__ import annotations

import numpy as np
import pytest

from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library
from idtone.tones.verification.plan import plan_of
from idtone.tones.verification.screening import HOP, RATE_HZ, Screen, cut

from ..profiles import make, tone
from .legs import NOTICE, SAMPLE, leg, noise_for, without

PROFILES = {
    **load_library(),
    "pulses": make(tone(400, on_ms=100, off_ms=100), repeat=2),
    "sweep": make(tone(600, on_ms=300, sweep={"to_hz": [1200]})),
    "long": make(tone(1004, on_ms=2000)),
}


def screen(profile):
    return Screen(plan_of(profile), synthesise(profile, RATE_HZ).astype(np.float32))


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_sound_is_always_a_candidate_and_noise_gives_few(profile):
    looking, middle_of_ramp = screen(profile), profile.segments[0].ramp_ms / 2
    for snr_db in (40, 0, -5):
        for seed in range(5):
            at_ms = 700 + 1.7 * seed
            found = looking.candidates(leg(profile, at_ms=at_ms, noise_dbov=noise_for(profile, snr_db), seed=seed))
            best_ms = found.samples[0] / RATE_HZ * 1000
            assert best_ms == pytest.approx(at_ms + middle_of_ramp, abs=1000 * HOP / RATE_HZ * 2), snr_db
            assert list(found.scores) == sorted(found.scores, reverse=True)
    noise = np.random.default_rng(3).normal(size=60 * RATE_HZ).astype(np.float32) * 0.1
    assert len(looking.candidates(noise).samples) <= 5


def test_a_known_loss_of_a_burst_is_allowed_and_short_recordings_give_none():
    samples = without(leg(SAMPLE), [(round(0.97 * RATE_HZ), round(1.16 * RATE_HZ))])
    assert len(screen(SAMPLE).candidates(samples).samples) == 0
    assert len(screen(SAMPLE).candidates(samples, lossy=True).samples) > 0
    for length in (0, 1, HOP, 1000):
        assert len(screen(NOTICE).candidates(np.zeros(length, np.float32)).samples) == 0


def test_cutting_beyond_the_ends_gives_silence():
    samples = np.arange(1, 5, dtype=np.float32)
    assert cut(samples, -2, 4).tolist() == [0, 0, 1, 2]
    assert cut(samples, 3, 3).tolist() == [4, 0, 0]
    assert cut(samples, -9, 3).tolist() == cut(samples, 9, 3).tolist() == [0, 0, 0]
