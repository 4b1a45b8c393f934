from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from idtone.tones.profile_library import load_library
from idtone.tones.verification.log_odds import Features, calibration, log_odds
from idtone.tones.verification.verify import Verifier

from .legs import leg, noise_for

SAMPLE = load_library()["sample"]
VERIFIER = Verifier(SAMPLE)


def features(samples):
    fitted, _ = next(VERIFIER.fits(samples))
    return VERIFIER.features(samples, fitted)


def test_the_calibration_weighs_every_feature():
    assert len(calibration().weights) == len(fields(Features)) + 1
    assert calibration().grey < calibration().threshold
    assert calibration().hours > 0
    assert calibration().false_alarms_per_hour > calibration().false_alarms / calibration().hours


def test_a_clean_sound_has_high_evidence():
    found = features(leg(SAMPLE))
    assert log_odds(found, calibration().weights) > calibration().threshold + 3
    assert found.share > 5
    assert found.few == pytest.approx(1 / 3)
    assert found.spread < 0.2
    assert found.quiet == pytest.approx(0, abs=0.02)


def test_noise_and_attenuation_lower_the_evidence():
    clean = log_odds(features(leg(SAMPLE)), calibration().weights)
    noisy = log_odds(features(leg(SAMPLE, noise_dbov=noise_for(SAMPLE, -3))), calibration().weights)
    quiet = log_odds(features(leg(SAMPLE, gain_db=-14, noise_dbov=-80)), calibration().weights)
    assert noisy < clean
    assert quiet < clean


def test_harmonics_beside_the_tones_lower_the_evidence():
    # A vowel has many harmonics, and the one at the sound's frequency has a small share.
    samples = leg(SAMPLE, noise_dbov=-90)
    times = np.arange(len(samples)) / 8000
    companion = 0.15 * np.sin(2 * np.pi * 2100 * times)
    assert features(samples + companion.astype(np.float32)).share < features(samples).share - 4
