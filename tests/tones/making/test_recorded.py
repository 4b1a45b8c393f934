from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idtone.errors import RecordingError, ToneError
from idtone.tones.making.recorded import sounding, sounding_rms
from idtone.tones.making.scale import amplitude
from idtone.tones.making.synthesis import synthesise
from idtone.tones.making.waveform import waveform
from idtone.tones.profile import Law, Profile, build_profile

from ..profiles import make, tone
from ..recorded import PU_PU, Wave, recorded, write

RATES = (8000, 16_000, 48_000)


def profile_of(path: Path, from_ms: float = 150, to_ms: float = 430, **more: Any) -> Profile:
    tree = {
        "id": "test",
        "title": "Test",
        "level_dbm0": -16,
        "recording": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "trim": {"from_ms": from_ms, "to_ms": to_ms},
    }
    return build_profile(tree | more, "test").model_copy(update={"recording": path})


@pytest.fixture
def master(tmp_path: Path) -> Path:
    return write(tmp_path / "m.wav", 0.2 * recorded(), subtype="PCM_24")


def test_a_profile_of_segments_is_synthesised() -> None:
    assert np.array_equal(waveform(PU_PU, 8000), synthesise(PU_PU, 8000))


@pytest.mark.parametrize("sample_rate_hz", RATES)
@pytest.mark.parametrize("law", Law)
def test_a_recording_at_its_level(master: Path, sample_rate_hz: int, law: Law) -> None:
    made = waveform(profile_of(master, level_dbm0=-20, law=law), sample_rate_hz)
    assert len(made) == 280 * sample_rate_hz // 1000
    plateau = made[round(0.02 * sample_rate_hz) : round(0.08 * sample_rate_hz)]
    level_db = 20 * math.log10(math.sqrt(2 * np.mean(plateau**2)) / amplitude(-20, law))
    assert level_db == pytest.approx(0, abs=0.05)
    assert sounding_rms(made, sample_rate_hz) * math.sqrt(2) == pytest.approx(amplitude(-20, law), rel=0.003)


@pytest.mark.parametrize("source_hz", [8000, 11_025, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("sample_rate_hz", [8000, 16_000])
def test_a_recording_of_a_synthesised_sound_is_that_sound(tmp_path: Path, source_hz: int, sample_rate_hz: int) -> None:
    """Every sample is unchanged and in its place, also at the soft ends."""
    profile = make(tone(620, on_ms=100, off_ms=100, ramp_ms=10), tone(950, on_ms=100, ramp_ms=10))
    path = write(tmp_path / "m.wav", recorded(profile, source_hz, 200), source_hz, "FLOAT")
    made = waveform(profile_of(path, 200, 500), sample_rate_hz)
    wanted = synthesise(profile, sample_rate_hz)
    assert len(made) == len(wanted)
    assert np.max(np.abs(made - wanted)) / np.max(wanted) < 0.01


def test_a_cut_inside_a_wave_does_not_click(master: Path) -> None:
    made = waveform(profile_of(master, from_ms=180.4, to_ms=240.4), 48_000)
    spectrum = np.abs(np.fft.rfft(np.pad(made, 48_000))) ** 2
    outside = np.abs(np.fft.rfftfreq(len(made) + 96_000, 1 / 48_000) - 620) > 200
    assert 10 * math.log10(np.sum(spectrum[outside]) / np.sum(spectrum)) < -38


@pytest.mark.parametrize("to_ms", [579.9, 580.0, 590.0])
def test_a_trim_up_to_the_end_of_the_file_and_beyond_it(master: Path, to_ms: float) -> None:
    made = waveform(profile_of(master, to_ms=to_ms), 8000)
    assert len(made) == round((to_ms - 150) * 8)


def test_only_the_bursts_count_for_the_level() -> None:
    wave = recorded(sample_rate_hz=8000)
    part = sounding(wave, 8000)
    edges = np.flatnonzero(np.diff(part.astype(int)))
    assert edges == pytest.approx([8 * at_ms for at_ms in (157, 243, 337, 423)], abs=8), "7 ms inside of each burst"
    assert sounding_rms(wave, 8000) == pytest.approx(amplitude(-16) / math.sqrt(2), rel=0.003)
    assert sounding_rms(np.zeros(100), 8000) == 0


def test_clipping_peaks_are_reported_with_a_level_that_does_not_clip(tmp_path: Path) -> None:
    wave: Wave = np.zeros(48_000)
    wave[::240] = 0.5
    path = write(tmp_path / "clicks.wav", np.convolve(wave, np.hanning(24)), subtype="PCM_24")
    with pytest.raises(ToneError, match="peaks clip at -3 dBm0; set a level_dbm0 of ") as clipped:
        waveform(profile_of(path, 100, 900, level_dbm0=-3), 16_000)
    level_dbm0 = float(str(clipped.value).split(" of ")[1].split()[0])
    for sample_rate_hz in RATES:
        made = waveform(profile_of(path, 100, 900, level_dbm0=level_dbm0), sample_rate_hz)
        assert np.max(np.abs(made)) <= 1


def test_a_recording_that_was_changed_since_it_was_loaded_is_not_played(master: Path) -> None:
    profile = profile_of(master)
    write(master, 0.3 * recorded(), subtype="PCM_24")
    with pytest.raises(ToneError, match="has another SHA-256 than its profile names"):
        waveform(profile, 8000)
    master.unlink()
    with pytest.raises(ToneError, match=r"m\.wav: cannot be read: No such file"):
        waveform(profile, 8000)


def test_a_recording_that_is_not_a_sound(tmp_path: Path) -> None:
    (tmp_path / "m.wav").write_bytes(b"RIFF but nothing after it")
    with pytest.raises(RecordingError):
        waveform(profile_of(tmp_path / "m.wav"), 8000)


def test_silence_between_the_ends_of_the_trim(master: Path) -> None:
    with pytest.raises(ToneError, match="contains only silence"):
        waveform(profile_of(master, from_ms=0, to_ms=50), 8000)


@pytest.mark.parametrize("sample_rate_hz", [0, 7999])
def test_a_rate_too_low(master: Path, sample_rate_hz: int) -> None:
    with pytest.raises(ToneError, match="too low"):
        waveform(profile_of(master), sample_rate_hz)
