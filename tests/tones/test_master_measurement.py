"""Each reason to refuse a master, tested with a master that has only this fault."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import ToneError
from idtone.tones.master_measurement import measure_master
from idtone.tones.profile import CALL_LIMIT_MS, Law
from idtone.tones.profile_library import load_library
from idtone.tones.recordings.recorded_leg import RecordedLeg
from lab.tones import error_text
from lab.tones.profiles import make_profile, tone
from lab.tones.synthetic_recordings import LEAD_MS, PU_PU, legs, noise, with_silence

RMS = 10 ** (-16 / 20) * 22827 / 32768 / math.sqrt(2)
FULL = 32767 / 32768
RATES = (8000, 11_025, 16_000, 44_100, 48_000, 192_000)
HONEST = {
    "pu-pu": PU_PU,
    **load_library(),
    "no ramps": make_profile(tone(400, on_ms=100, off_ms=50, ramp_ms=0), tone(400, on_ms=103, ramp_ms=0)),
    "one long tone": make_profile(tone(1000, on_ms=2000)),
    "chord": make_profile(tone(400, 500, 600, on_ms=100)),
    "glide": make_profile(tone(400, on_ms=800, sweep={"to_hz": [3000]})),
    "modulated": make_profile(tone(400, on_ms=1000, modulation={"rate_hz": 16, "depth": 0.9})),
    "short": make_profile(tone(800, on_ms=60)),
    "longest": make_profile(tone(800, on_ms=CALL_LIMIT_MS - 10)),
}


def measured(*channels, sample_rate_hz=48_000):
    return measure_master(legs(*channels, sample_rate_hz=sample_rate_hz), "m.wav")


def refusal(*channels, sample_rate_hz=48_000):
    said = error_text.error_text(ToneError, measured, *channels, sample_rate_hz=sample_rate_hz)
    assert said.startswith("m.wav: cannot be the master of a sound: it ")
    return said.removeprefix("m.wav: cannot be the master of a sound: it ")


@pytest.mark.parametrize("profile", HONEST.values(), ids=HONEST)
def test_a_valid_recording_is_measured(profile):
    for sample_rate_hz in (8000, 44_100):
        wave = with_silence(profile, sample_rate_hz)
        master = measured(wave, wave, sample_rate_hz=sample_rate_hz)
        assert master.trim.from_ms == pytest.approx(LEAD_MS, abs=1.5)
        assert master.duration_ms == pytest.approx(profile.duration_ms, abs=2.5)
        assert max(master.noise_db, master.dc_db) < -60
        assert master.peak == pytest.approx(np.max(np.abs(wave)))


@pytest.mark.parametrize("sample_rate_hz", RATES)
def test_the_level_is_that_of_the_bursts_and_the_loudest_is_not_clipped(sample_rate_hz):
    master = measured(with_silence(sample_rate_hz=sample_rate_hz), sample_rate_hz=sample_rate_hz)
    assert master.level_dbm0(Law.A) == pytest.approx(-16, abs=0.03)
    assert master.level_dbm0(Law.MU) == pytest.approx(-15.935, abs=0.03)
    wave = with_silence(make_profile(tone(300, on_ms=200)), sample_rate_hz)
    for peak in (FULL, 0.99):
        measured(np.rint(wave / np.max(np.abs(wave)) * peak * 32768) / 32768, sample_rate_hz=sample_rate_hz)


def test_a_recording_without_silence_around_it_is_accepted():
    master = measured(with_silence(lead_ms=0))
    assert master.trim.from_ms <= 1
    assert master.duration_ms == pytest.approx(280, abs=2)


def test_a_decaying_sound_is_kept_down_to_forty_decibels():
    time_s = np.arange(48_000) / 48_000
    master = measured(0.3 * np.exp(-time_s * 10) * np.sin(2 * math.pi * 880 * time_s))
    assert 20 * math.log10(math.exp(-master.trim.to_ms / 100)) == pytest.approx(-40, abs=1)


def test_noise_is_measured_and_the_sound_still_found():
    wave = with_silence(sample_rate_hz=8000, lead_ms=400)
    master = measured(wave + noise(len(wave), RMS / 100), sample_rate_hz=8000)
    assert master.noise_db == pytest.approx(-40, abs=2)
    assert master.trim.from_ms == pytest.approx(400, abs=2)
    assert master.duration_ms == pytest.approx(280, abs=4)


@pytest.mark.parametrize(
    ("lead_ms", "profile"), [(150, PU_PU), (0, make_profile(tone(620, on_ms=400)))], ids=["gap", "none"]
)
def test_too_noisy(lead_ms, profile):
    wave = with_silence(profile, 8000, lead_ms)
    noisy = {snr_db: wave + noise(len(wave), RMS * 10 ** (-snr_db / 20)) for snr_db in (40, 25, 10)}
    measured(noisy.pop(40), sample_rate_hz=8000)
    for samples in noisy.values():
        said = refusal(samples, sample_rate_hz=8000)
        assert said.startswith("is too noisy: by its quietest 20 ms and its spectrum")


def test_clipped():
    wave = with_silence()
    clipped = np.clip(wave * (1.2 / wave.max()), -1, FULL)
    flat = np.abs(clipped) >= FULL
    said = refusal(clipped)
    assert said.startswith("is clipped: ")
    assert f"the first at {np.flatnonzero(flat)[0] / 48_000:.3f} s" in said
    assert int(said.split("full scale: ")[1].split(",")[0]) == pytest.approx(np.count_nonzero(flat), rel=0.05)
    place = int(np.argmax(wave))
    wave[place : place + 5] = -1.0
    one_run = f"is clipped: samples at full scale: 5, in runs: 1, the first at {place / 48_000:.3f} s"
    assert refusal(wave) == one_run
    few = with_silence(make_profile(tone(1010, on_ms=200)), 8000)
    assert "is clipped" in refusal(np.clip(few / np.max(np.abs(few)) * 1.3, -1, FULL), sample_rate_hz=8000)


def test_silent():
    whistle = 0.3 * np.hanning(48_000) * np.sin(np.arange(48_000) * 2 * math.pi * 9000 / 48_000)
    for wave, nothing in ((with_silence() * 0, True), (with_silence() * 0.0002, False), (whistle, False)):
        said = refusal(wave)
        assert said.startswith("is silent: its loudest 20 ms in the telephone band have ")
        assert ("have nothing of" in said) == nothing


@pytest.mark.parametrize("change", [0.9, 0.0, -1.0])
def test_channels_that_differ(change):
    wave = with_silence()
    said = refusal(wave, wave * change)
    assert said.startswith("has channels that differ: channel 1 minus channel 2 reaches ")


def sounding(on_ms, **more):
    return with_silence(make_profile(tone(620, on_ms=on_ms)), 8000, **more)


@pytest.mark.parametrize(
    ("wave", "sample_rate_hz", "says"),
    [
        (sounding(30), 8000, "is too short: 3"),
        # Too short to tell its noise.
        (sounding(12, lead_ms=1), 8000, "is too short: "),
        (sounding(10_100), 8000, "is too long: 10.1"),
        (np.pad(noise(4000, 0.1), 4000), 8000, "is noise, not a sound: its spectrum is as flat as noise at "),
        (with_silence() + RMS / 10, 48_000, "has a DC of -20.0 dB relative to the sound; -30 dB is the most"),
        (np.append(with_silence(), math.nan), 48_000, "holds 1 samples that are not numbers, the first at 0.580 s"),
        (np.append(with_silence(), math.inf), 48_000, "holds 1 samples that are not numbers, the first at 0.580 s"),
        (with_silence(), 7999, "has 7999 samples per second"),
        (with_silence(), 192_001, "has 192001 samples per second"),
        (np.zeros(0), 48_000, "holds no samples"),
    ],
)
def test_one_fault_is_one_reason(wave, sample_rate_hz, says):
    said = refusal(wave, sample_rate_hz=sample_rate_hz)
    assert said.startswith(says)
    assert not re.search("; (is|has|holds) ", said)


def test_all_faults_are_reported_at_once():
    wave = np.clip(with_silence(make_profile(tone(620, on_ms=30))) * 20, -1, FULL)
    said = refusal(wave, -wave)
    assert all(part in said for part in ("has channels that differ", "; is clipped", "; is too short"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), max_size=600), st.integers(0, 3000), st.sampled_from([8000, 44_100]))
def test_any_recording_is_measured_or_refused(values, repeat, sample_rate_hz):
    samples = np.resize(np.array(values, np.float32), len(values) + repeat if values else 0)
    try:
        master = measure_master([RecordedLeg("mono", samples, sample_rate_hz)], "m.wav")
    except ToneError:
        return
    assert 0 <= master.trim.from_ms < master.trim.to_ms <= 1000 * len(samples) / sample_rate_hz + 0.001
    assert math.isfinite(master.rms)
    assert master.rms > 0


def test_one_sample_is_too_short_to_be_measured():
    said = error_text.error_text(ToneError, measured, np.zeros(1), sample_rate_hz=44_100)
    assert "is too short to be measured: samples: 1" in said
