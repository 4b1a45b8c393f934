from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from idtone.tones.verification.log_odds import Features, calibration, log_odds
from idtone.tones.verification.verify import Verifier

from .legs import SAMPLE, leg, noise_for

VERIFIER = Verifier(SAMPLE)


def features(samples):
    fitted, _ = next(VERIFIER.fits(samples))
    return VERIFIER.features(samples, fitted)


def test_the_calibration_weighs_every_feature():
    stored = calibration()
    assert len(stored.weights) == len(fields(Features)) + 1
    assert stored.grey < stored.threshold
    assert stored.hours > 0
    assert stored.false_alarms_per_hour > stored.false_alarms / stored.hours


def test_a_clean_sound_has_high_evidence_and_noise_and_attenuation_lower_it():
    found = features(leg(SAMPLE))
    clean, noisy, quiet = (
        log_odds(each, calibration().weights)
        for each in (
            found,
            features(leg(SAMPLE, noise_dbov=noise_for(SAMPLE, -3))),
            features(leg(SAMPLE, gain_db=-14, noise_dbov=-80)),
        )
    )
    assert clean > max(noisy, quiet, calibration().threshold + 3)
    assert found.share > 5
    assert found.few == pytest.approx(1 / 3)
    assert found.spread < 0.2
    assert found.quiet == pytest.approx(0, abs=0.02)


def test_harmonics_beside_the_tones_lower_the_evidence():
    # A vowel has many harmonics, and the one at the sound's frequency has a small share.
    samples = leg(SAMPLE, noise_dbov=-90)
    companion = 0.15 * np.sin(2 * np.pi * 2100 * np.arange(len(samples)) / 8000)
    assert features(samples + companion.astype(np.float32)).share < features(samples).share - 4
