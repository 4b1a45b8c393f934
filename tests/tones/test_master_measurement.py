"""Each reason to refuse a master, tested with a master that has only this fault."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.errors import ToneError
from idtone.tones.master_measurement import examine
from idtone.tones.profile import CALL_LIMIT_MS, Law, Profile
from idtone.tones.profile_library import load_library
from idtone.tones.recordings.leg import Leg

from .profiles import make, tone
from .recorded import LEAD_MS, PU_PU, Wave, legs, noise, recorded

RMS = 10 ** (-16 / 20) * 22827 / 32768 / math.sqrt(2)
RATES = (8000, 11_025, 16_000, 44_100, 48_000, 192_000)
HONEST = {
    "pu-pu": PU_PU,
    "sample": load_library()["sample"],
    "notice": load_library()["notice"],
    "no ramps": make(tone(400, on_ms=100, off_ms=50, ramp_ms=0), tone(400, on_ms=103, ramp_ms=0)),
    "one long tone": make(tone(1000, on_ms=2000)),
    "chord": make(tone(400, 500, 600, on_ms=100)),
    "glide": make(tone(400, on_ms=800, sweep={"to_hz": [3000]})),
    "modulated": make(tone(400, on_ms=1000, modulation={"rate_hz": 16, "depth": 0.9})),
    "short": make(tone(800, on_ms=60)),
    "longest": make(tone(800, on_ms=CALL_LIMIT_MS - 10)),
}


def refusal(*channels: Wave, sample_rate_hz: int = 48_000) -> str:
    with pytest.raises(ToneError, match=r"^m\.wav: cannot be the master of a sound: it ") as refused:
        examine(legs(*channels, sample_rate_hz=sample_rate_hz), "m.wav")
    return str(refused.value).removeprefix("m.wav: cannot be the master of a sound: it ")


@pytest.mark.parametrize("profile", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize("sample_rate_hz", [8000, 44_100])
def test_a_valid_recording_is_measured(profile: Profile, sample_rate_hz: int) -> None:
    wave = recorded(profile, sample_rate_hz)
    master = examine(legs(wave, wave, sample_rate_hz=sample_rate_hz), "m.wav")
    assert master.trim.from_ms == pytest.approx(LEAD_MS, abs=1.5)
    assert master.duration_ms == pytest.approx(profile.duration_ms, abs=2.5)
    assert master.noise_db < -60
    assert master.dc_db < -60
    assert master.peak == pytest.approx(np.max(np.abs(wave)))


@pytest.mark.parametrize("sample_rate_hz", RATES)
def test_the_level_is_that_of_the_bursts(sample_rate_hz: int) -> None:
    master = examine(legs(recorded(sample_rate_hz=sample_rate_hz), sample_rate_hz=sample_rate_hz), "m.wav")
    assert master.level_dbm0(Law.A) == pytest.approx(-16, abs=0.03)
    assert master.level_dbm0(Law.MU) == pytest.approx(-15.935, abs=0.03)


def test_a_recording_without_silence_around_it_is_accepted() -> None:
    master = examine(legs(recorded(lead_ms=0)), "m.wav")
    assert master.trim.from_ms <= 1
    assert master.duration_ms == pytest.approx(280, abs=2)


def test_a_decaying_sound_is_kept_down_to_forty_decibels() -> None:
    time_s = np.arange(48_000) / 48_000
    chime = 0.3 * np.exp(-time_s * 10) * np.sin(2 * math.pi * 880 * time_s)
    master = examine(legs(chime), "m.wav")
    assert 20 * math.log10(math.exp(-master.trim.to_ms / 100)) == pytest.approx(-40, abs=1)


def test_noise_is_measured_and_the_sound_still_found() -> None:
    wave = recorded(sample_rate_hz=8000, lead_ms=400)
    master = examine(legs(wave + noise(len(wave), RMS / 100), sample_rate_hz=8000), "m.wav")
    assert master.noise_db == pytest.approx(-40, abs=2)
    assert master.trim.from_ms == pytest.approx(400, abs=2)
    assert master.duration_ms == pytest.approx(280, abs=4)


@pytest.mark.parametrize(("lead_ms", "gap"), [(150, True), (0, False)])
@pytest.mark.parametrize(("snr_db", "refused"), [(40, False), (25, True), (10, True)])
def test_too_noisy(lead_ms: float, gap: bool, snr_db: float, refused: bool) -> None:
    profile = PU_PU if gap else make(tone(620, on_ms=400))
    wave = recorded(profile, 8000, lead_ms)
    noisy = wave + noise(len(wave), RMS * 10 ** (-snr_db / 20))
    if refused:
        assert refusal(noisy, sample_rate_hz=8000).startswith("is too noisy: by its quietest 20 ms and its spectrum")
    else:
        examine(legs(noisy, sample_rate_hz=8000), "m.wav")


def test_a_recording_too_short_for_noise_has_infinite_noise() -> None:
    said = refusal(recorded(make(tone(1000, on_ms=12)), 8000, 1), sample_rate_hz=8000)
    assert said.startswith("is too short: ")
    assert "noisy" not in said


def test_noise_with_muted_surroundings() -> None:
    said = refusal(np.pad(noise(4000, 0.1), 4000), sample_rate_hz=8000)
    assert said.startswith("is noise, not a sound: its spectrum is as flat as noise at ")


def test_clipped() -> None:
    wave = recorded()
    crests = np.flatnonzero(wave > 0.9 * wave.max())[:6]
    clipped = np.clip(wave * (1.2 / wave.max()), -1, 32767 / 32768)
    flat = np.abs(clipped) >= 32767 / 32768
    said = refusal(clipped)
    first_s = np.flatnonzero(flat)[0] / 48_000
    assert crests.size
    assert said.startswith("is clipped: ")
    assert f"the first at {first_s:.3f} s" in said
    assert int(said.split("full scale: ")[1].split(",")[0]) == pytest.approx(np.count_nonzero(flat), rel=0.05)


def test_one_clipped_run_is_counted_to_the_sample() -> None:
    wave = recorded()
    place = int(np.argmax(wave))
    wave[place : place + 5] = -1.0
    said = refusal(wave)
    assert said == f"is clipped: samples at full scale: 5, in runs: 1, the first at {place / 48_000:.3f} s"


@pytest.mark.parametrize("sample_rate_hz", RATES)
@pytest.mark.parametrize("peak", [32767 / 32768, 0.99])
def test_a_recording_just_below_clipping_is_not_clipped(sample_rate_hz: int, peak: float) -> None:
    wave = recorded(make(tone(300, on_ms=200)), sample_rate_hz)
    wave = np.rint(wave / np.max(np.abs(wave)) * peak * 32768) / 32768
    examine(legs(wave, sample_rate_hz=sample_rate_hz), "m.wav")


def test_clipping_of_few_samples_is_found_at_8_khz() -> None:
    wave = recorded(make(tone(1010, on_ms=200)), 8000)
    assert "is clipped" in refusal(np.clip(wave / np.max(np.abs(wave)) * 1.3, -1, 32767 / 32768), sample_rate_hz=8000)


@pytest.mark.parametrize("factor", [0, 0.0002])
def test_silent(factor: float) -> None:
    said = refusal(recorded() * factor)
    assert said.startswith("is silent: its loudest 20 ms in the telephone band have ")
    assert ("have nothing of" in said) == (factor == 0)


def test_a_sound_above_the_telephone_band_is_silent() -> None:
    whistle = 0.3 * np.hanning(48_000) * np.sin(np.arange(48_000) * 2 * math.pi * 9000 / 48_000)
    assert refusal(whistle).startswith("is silent")


@pytest.mark.parametrize(("on_ms", "says"), [(30, "is too short: 3"), (10_100, "is too long: 10.1")])
def test_too_short_and_too_long(on_ms: float, says: str) -> None:
    assert refusal(recorded(make(tone(620, on_ms=on_ms)), 8000), sample_rate_hz=8000).startswith(says)


@pytest.mark.parametrize("change", [0.9, 0.0, -1.0])
def test_channels_that_differ(change: float) -> None:
    wave = recorded()
    said = refusal(wave, wave * change)
    assert said.startswith("has channels that differ: channel 1 minus channel 2 reaches ")


def test_dc() -> None:
    said = refusal(recorded() + RMS / 10)
    assert "has a DC of -20.0 dB relative to the sound; -30 dB is the most" in said


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_samples_that_are_not_numbers(value: float) -> None:
    wave = recorded()
    wave[480] = value
    assert refusal(wave) == "holds 1 samples that are not numbers, the first at 0.010 s"


@pytest.mark.parametrize("sample_rate_hz", [7999, 192_001])
def test_rates_outside_the_limits(sample_rate_hz: int) -> None:
    assert refusal(recorded(), sample_rate_hz=sample_rate_hz).startswith(f"has {sample_rate_hz} samples per second")


def test_no_samples() -> None:
    assert refusal(np.zeros(0)) == "holds no samples"


def test_all_faults_are_reported_at_once() -> None:
    wave = np.clip(recorded(make(tone(620, on_ms=30))) * 20, -1, 32767 / 32768)
    said = refusal(wave, -wave)
    assert all(part in said for part in ("has channels that differ", "; is clipped", "; is too short"))


def test_one_sample_without_content_in_the_telephone_band() -> None:
    with pytest.raises(ToneError, match="is too short to be measured: samples: 1"):
        examine([Leg("mono", np.zeros(1, np.float32), 44_100)], "m.wav")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1, 1, width=32), min_size=0, max_size=600),
    st.integers(0, 3000),
    st.sampled_from([8000, 11_025, 44_100]),
)
def test_any_recording_is_measured_or_refused(values: list[float], repeat: int, sample_rate_hz: int) -> None:
    samples = np.resize(np.array(values, np.float32), len(values) + repeat if values else 0)
    try:
        master = examine([Leg("mono", samples, sample_rate_hz)], "m.wav")
    except ToneError:
        return
    assert 0 <= master.trim.from_ms < master.trim.to_ms <= 1000 * len(samples) / sample_rate_hz + 0.001
    assert math.isfinite(master.rms)
    assert master.rms > 0
