from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.tones.making.synthesis import synthesise
from idtone.tones.verification.fit import Fitter, phase
from idtone.tones.verification.plan import plan_of

from ..profiles import make, tone
from .legs import RATE_HZ, leg


def sound(pitch=1.0, tempo=1.0, last_ms=160):
    return make(
        tone(520 * pitch, on_ms=120 * tempo, off_ms=20 * tempo, ramp_ms=10),
        tone(700 * pitch, on_ms=last_ms * tempo, ramp_ms=10),
    )


FITTER = Fitter(plan_of(sound()))


def fit(samples, first, heard=None):
    base = FITTER.baseband(samples, heard, first)
    return FITTER.fine(base, FITTER.coarse(base))


@settings(max_examples=25, deadline=None)
@given(off=st.integers(-80, 80), pitch=st.floats(-0.02, 0.02), tempo=st.floats(-0.1, 0.1))
def test_place_pitch_and_tempo_are_found(off, pitch, tempo):
    found = fit(leg(sound(1 + pitch, 1 + tempo), noise_dbov=-70), 5600 + 40 + off)
    assert found.start_s == pytest.approx(0.705, abs=0.003)
    assert found.pitch == pytest.approx(pitch, abs=0.0006)
    assert found.tempo == pytest.approx(tempo, abs=0.025)


@pytest.mark.parametrize("lost", [False, True])
def test_a_sound_is_coherent_and_has_its_amplitude_and_losses_do_not_affect_the_rest(lost):
    samples = leg(sound(), noise_dbov=-90)
    heard = np.ones(len(samples), np.float32)
    if lost:
        heard[5700:5860] = 0
    found = fit(samples * heard, 5640, heard if lost else None)
    assert all(each.coherence > (0.9 if lost else 0.97) for each in found.components)
    assert found.components[0].heard == pytest.approx(1 - 160 / 1440 * lost, abs=0.1)
    amplitudes = [each.amplitude / each.component.amplitude for each in found.components]
    assert amplitudes == pytest.approx([1, 1], rel=0.05 if lost else 0.02)
    assert lost or found.score > 80


def test_noise_scores_little_and_silence_outside_the_recording_nothing():
    rng = np.random.default_rng(5)
    assert max(fit(rng.normal(size=16000).astype(np.float32) * 0.1, 8000).score for _ in range(20)) < 12
    assert fit(np.zeros(100, np.float32), -4000).score == 0


def test_edges_are_found_one_by_one():
    base = FITTER.baseband(leg(sound(last_ms=175), noise_dbov=-80), None, 5640)
    found = FITTER.fine(base, FITTER.coarse(base))
    start_s, end_s = base.edge_errors(1, FITTER.plan.components[1], found)
    assert found.components[1].end_s + end_s == pytest.approx(0.7 + 0.14 + 0.170, abs=0.002)
    assert found.components[1].start_s + start_s == pytest.approx(0.7 + 0.145, abs=0.002)


def test_the_carrier_of_a_glide_follows_the_synthesis():
    profile = make(tone(600, on_ms=300, ramp_ms=10, sweep={"to_hz": [1200]}))
    (each,) = plan_of(profile).components
    samples = synthesise(profile, RATE_HZ)
    times = np.arange(len(samples)) / RATE_HZ - each.ramp_s / 2
    at_rest = samples * np.exp(-2j * np.pi * phase(each, times))
    assert abs(at_rest.mean()) == pytest.approx(each.amplitude / 2 * each.length_s / 0.3, rel=0.03)
