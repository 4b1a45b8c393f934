import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.tones.making.synthesis import synthesise, to_pcm16
from idtone.tones.measuring import burst_measurement, spectral_lines
from idtone.tones.measuring import inspection as inspection_module
from idtone.tones.measuring.inspection import inspect
from idtone.tones.profile import Law
from lab.tones.profiles import make_profile, tone


def heard(profile, sample_rate_hz=8000):
    return inspect(to_pcm16(synthesise(profile, sample_rate_hz)) / 32768, sample_rate_hz)


def assert_plan(profile, sample_rate_hz):
    """Check the measured bursts of a plain profile, with the tolerances that `tone inspect` promises."""
    inspection = heard(profile, sample_rate_hz)
    for planned, burst in zip(profile.bursts(), inspection.bursts, strict=True):
        found_hz = sorted(partial.frequency_hz for partial in burst.partials)
        assert found_hz == pytest.approx(sorted(planned.segment.frequencies_hz), abs=0.05)
        assert (burst.start_ms, burst.end_ms) == pytest.approx((planned.start_ms, planned.end_ms), abs=0.5)
        assert burst.level_dbm0 == pytest.approx(profile.level_of(planned.segment), abs=0.02)
        assert (burst.modulation, burst.glide) == (None, None)


@st.composite
def segments(draw):
    frequencies_hz = []
    for frequency_hz in draw(st.lists(st.integers(3000, 34000), min_size=1, max_size=3)):
        if all(abs(frequency_hz / 10 - other) >= 40 for other in frequencies_hz):
            frequencies_hz.append(frequency_hz / 10)
    on_ms, off_ms, ramp_ms = draw(st.integers(100, 300)), draw(st.integers(20, 200)), draw(st.integers(2, 40))
    return tone(*frequencies_hz, on_ms=on_ms, off_ms=off_ms, ramp_ms=ramp_ms, level_dbm0=-draw(st.integers(10, 30)))


@given(plan=st.lists(segments(), min_size=1, max_size=3), sample_rate_hz=st.sampled_from([8000, 16000, 44100, 48000]))
@settings(max_examples=3, deadline=None, derandomize=True)
def test_a_plain_profile_comes_back(plan, sample_rate_hz):
    assert_plan(make_profile(*plan), sample_rate_hz)


@pytest.mark.parametrize(
    ("profile", "sample_rate_hz"),
    [
        (make_profile(tone(400, 450, on_ms=100, off_ms=100), repeat=2), 8000),
        (make_profile(tone(400, on_ms=125, off_ms=125), repeat=3), 48000),
        (make_profile(tone(950, on_ms=330), tone(1400, on_ms=330), tone(1800, on_ms=330)), 8000),
        (make_profile(*(tone(f, on_ms=70, ramp_ms=0) for f in (1060, 1160, 1270, 2400, 1060))), 48000),
        (make_profile(tone(440, on_ms=200, ramp_ms=0), tone(466.16, on_ms=200, ramp_ms=0)), 8000),
        (make_profile(tone(600, on_ms=100, ramp_ms=50, off_ms=50), repeat=2), 8000),
        (make_profile(tone(1000, on_ms=20, off_ms=10, ramp_ms=2), repeat=3), 48000),
        (make_profile(tone(425, on_ms=3500, off_ms=50)), 8000),
        # Here two lines are first found at one frequency.
        (make_profile(tone(447.3, 819.7, on_ms=100, off_ms=20, ramp_ms=40)), 8000),
    ],
    ids=["close", "busy", "joined", "joined-hard", "semitone", "all-ramp", "short", "long", "double"],
)
def test_known_plans_come_back(profile, sample_rate_hz):
    assert_plan(profile, sample_rate_hz)


def test_click_energy():
    for ramp_ms, expected_db in ((0, -24), (5, -41), (10, -55)):
        for sample_rate_hz in (8000, 48000)[: 1 + (ramp_ms == 5)]:
            (burst,) = heard(make_profile(tone(400, on_ms=100, ramp_ms=ramp_ms)), sample_rate_hz).bursts
            assert burst.click_db == pytest.approx(expected_db, abs=1.5), (ramp_ms, sample_rate_hz)


@pytest.mark.parametrize(("rate_hz", "depth"), [(16, 1), (10, 0.2)])
def test_modulation(rate_hz, depth):
    profile = make_profile(tone(400, on_ms=1000, off_ms=200, modulation={"rate_hz": rate_hz, "depth": depth}), repeat=2)
    for burst, planned in zip(heard(profile).bursts, profile.bursts(), strict=True):
        assert burst.modulation.rate_hz == pytest.approx(rate_hz, abs=0.01)
        assert burst.modulation.depth == pytest.approx(depth, abs=0.005)
        assert [partial.frequency_hz for partial in burst.partials] == pytest.approx([400], abs=0.01)
        assert burst.level_dbm0 == pytest.approx(-16, abs=0.02)
        assert (burst.start_ms, burst.end_ms) == pytest.approx((planned.start_ms, planned.end_ms), abs=0.5)


def test_equal_tones_are_not_modulation():
    (burst,) = heard(make_profile(tone(400, 450, 500, on_ms=400, off_ms=50))).bursts
    assert (burst.modulation, len(burst.partials)) == (None, 3)


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "on_ms"), [((300,), (3400,), 500), ((500, 900), (700, 800), 500), ((1000,), (1400,), 100)]
)
def test_glides(from_hz, to_hz, on_ms):
    (burst,) = heard(make_profile(tone(*from_hz, on_ms=on_ms, off_ms=50, sweep={"to_hz": to_hz}))).bursts
    first_hz, last_hz = zip(*sorted(zip(burst.glide.from_hz, burst.glide.to_hz, strict=True)), strict=True)
    assert first_hz == pytest.approx(from_hz, abs=0.2)
    assert last_hz == pytest.approx(to_hz, abs=0.2)


def test_steps_are_joined_bursts():
    bursts = heard(make_profile(tone(300, on_ms=1000, ramp_ms=10, sweep={"to_hz": [2100], "steps": 10}))).bursts
    assert [burst.partials[0].frequency_hz for burst in bursts] == pytest.approx(range(300, 2101, 200), abs=0.05)
    assert [burst.off_ms for burst in bursts] == [0.0] * 9 + [None]


def test_signal_to_noise_is_that_of_the_noise_or_of_quantisation():
    samples = synthesise(make_profile(tone(600, on_ms=500)), 8000)
    power = np.mean(samples[200:-200] ** 2)
    noise = np.random.default_rng(1).normal(size=24000) * np.sqrt(power / 100)
    noise[8000:12000] += samples
    inspection = inspect(noise, 8000)
    (burst,) = inspection.bursts
    assert burst.sinad_db == pytest.approx(20, abs=0.5)
    assert burst.partials[0].frequency_hz == pytest.approx(600, abs=0.05)
    assert inspection.noise_dbov == pytest.approx(10 * np.log10(power / 100), abs=1)
    (burst,) = heard(make_profile(tone(1234.5, on_ms=500), level_dbm0=-10)).bursts
    step_db = 10 * np.log10(1 / 12 / 32768**2)
    assert burst.sinad_db == pytest.approx(burst.level_dbov - step_db, abs=0.5)


def test_decaying_consecutive_notes_are_separated():
    at = np.arange(4000) / 8000
    notes = [
        sum(0.2 / k * np.exp(-3 * k * at) * np.sin(2 * np.pi * f * k * at) for k in (1, 2, 3)) for f in (440, 523, 659)
    ]
    bursts = inspect(np.concatenate([np.zeros(800), *notes, np.zeros(800)]), 8000).bursts
    assert [round(burst.partials[0].frequency_hz) for burst in bursts] == [440, 523, 659]
    assert [burst.start_ms for burst in bursts] == pytest.approx([100, 600, 1100], abs=5)
    assert [burst.end_ms for burst in bursts] == pytest.approx([600, 1100, 1600], abs=15)
    assert all(burst.decay_db_per_s > 10 for burst in bursts)


def test_a_stretch_of_speech_that_has_none_of_its_lines_has_no_decay():
    """In that stretch, the gain of the lines is zero, or negative if their phase is opposite."""
    assert [burst_measurement._decay(np.full(800, gain), 8000) for gain in (0.0, -0.3)] == [0, 0]


def test_dc_and_clipping(monkeypatch):
    wave = np.clip(1.5 * np.sin(2 * np.pi * 400 * np.arange(800) / 8000) + 0.01, -1, 32767 / 32768)
    inspection = inspect(wave.astype(np.float32), 8000)
    assert (inspection.clipped_runs, inspection.peak) == (80, 1)
    assert inspection.clipped_samples > 240
    assert inspect(np.full(800, 0.25), 8000).dc_offset == 0.25
    assert inspect(0.5 * wave, 8000).clipped_runs == 0
    wave = np.array([0, 1, 1, 0, 1, -1, 1, 1, 0, 1, 1, 1], np.float32)
    for block in (1, 2, 5, 7, 100):
        monkeypatch.setattr(inspection_module, "_BLOCK", block)
        inspection = inspect(wave, 8000)
        assert (inspection.clipped_runs, inspection.clipped_samples) == (2, 7), block


def test_the_law_moves_dbm0_and_nothing_else():
    samples = synthesise(make_profile(tone(600)), 8000)
    by_a, by_mu = inspect(samples, 8000, Law.A), inspect(samples, 8000, Law.MU)
    assert by_mu.level_dbov == by_a.level_dbov
    assert by_mu.bursts[0].level_dbm0 - by_a.bursts[0].level_dbm0 == pytest.approx(0.065, abs=0.002)


def test_silence_and_noise_have_no_bursts():
    noise = 0.1 * np.random.default_rng(2).normal(size=8000)
    pulse, gust = np.eye(1, 8000, 4000)[0], np.pad(noise[:2000], 3000)
    for samples in (np.zeros(0), np.zeros(3), np.zeros(8000), np.ones(8000), pulse, noise, gust):
        for sample_rate_hz in (8000, 192000):
            inspection = inspect(samples.astype(np.float32), sample_rate_hz)
            assert (inspection.bursts, inspection.truncated) == ((), False)
            assert np.isfinite([inspection.level_dbm0, inspection.noise_dbov, inspection.peak_dbov]).all()


def test_a_long_recording_is_bounded(monkeypatch):
    monkeypatch.setattr(inspection_module, "BURSTS", 20)
    once = synthesise(make_profile(tone(600, on_ms=100, off_ms=900)), 8000).astype(np.float32)
    inspection = inspect(np.tile(once, 40), 8000)
    assert (len(inspection.bursts), inspection.truncated) == (20, True)
    assert inspection.bursts[-1].start_ms == pytest.approx(19_000, abs=0.1)


@given(st.lists(st.floats(-1, 1, width=32), max_size=3000), st.sampled_from([8000, 48000]))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_any_samples_are_measured(samples, sample_rate_hz):
    for burst in inspect(np.array(samples, np.float32), sample_rate_hz).bursts:
        assert burst.start_ms < burst.end_ms
        assert np.isfinite([burst.level_dbm0, burst.sinad_db, burst.click_db]).all()


def voice(seconds, sample_rate_hz):
    """Syllables of a synthetic voice, with moving pitch, harmonics and moving formants."""
    t = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    pitch_hz = 125 * 2 ** (0.25 * np.sin(2 * np.pi * 0.9 * t) + 0.08 * np.sin(2 * np.pi * 2.7 * t))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / sample_rate_hz
    formants = (
        (500 + 200 * np.sin(2 * np.pi * 3 * t), 150),
        (1500 + 400 * np.sin(2 * np.pi * 2 * t), 250),
        (2500, 300),
    )
    samples = np.zeros(len(t))
    for harmonic in range(1, 25):
        level = sum(np.exp(-(((harmonic * pitch_hz - middle_hz) / width_hz) ** 2)) for middle_hz, width_hz in formants)
        samples += (level + 0.02) * np.sin(harmonic * phase + harmonic)
    samples = samples * np.clip(1.5 * np.sin(2 * np.pi * 3.3 * t) + 0.4, 0, 1)
    samples += 0.01 * np.random.default_rng(1).standard_normal(len(t))
    return 0.2 * samples / np.abs(samples).max()


def test_a_voice_takes_no_more_work_than_a_processor_does_in_its_time(monkeypatch):
    """The work takes at most twice as long as the voice lasts. The sum of unknowns × samples over all fits shows a
    slowdown earlier.
    """
    work, shares, solve = 0, [], spectral_lines._solve

    def counted(columns, samples):
        nonlocal work
        work += columns.size
        return solve(columns, samples)

    monkeypatch.setattr(spectral_lines, "_solve", counted)
    samples = voice(5.8, 8000)
    began_s = time.process_time()
    assert inspect(samples, 8000, progress=shares.append).bursts
    assert time.process_time() - began_s <= 2 * 5.8
    assert work < 40e6
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1
