import math

import numpy as np
import pytest

from idtone.core.errors import RecordingError, ToneError
from idtone.tones.making.amplitude import amplitude
from idtone.tones.making.master_recording import sounding_rms
from idtone.tones.making.synthesis import synthesise
from idtone.tones.making.waveform import waveform
from idtone.tones.profile import Law
from lab.tones.error_text import error_text
from lab.tones.profiles import make_profile, tone
from lab.tones.synthetic_recordings import recording_of, with_silence, write


@pytest.fixture
def master(tmp_path):
    return write(tmp_path / "m.wav", 0.2 * with_silence(), subtype="PCM_24")


@pytest.mark.parametrize("law", Law)
def test_a_recording_at_its_level(master, law):
    for rate_hz in (8000, 16_000, 48_000):
        made = waveform(recording_of(master, level_dbm0=-20, law=law), rate_hz)
        assert len(made) == 280 * rate_hz // 1000
        plateau = made[round(0.02 * rate_hz) : round(0.08 * rate_hz)]
        level_db = 20 * math.log10(math.sqrt(2 * np.mean(plateau**2)) / amplitude(-20, law))
        assert level_db == pytest.approx(0, abs=0.05)
        assert sounding_rms(made, rate_hz) * math.sqrt(2) == pytest.approx(amplitude(-20, law), rel=0.003)
        assert len(waveform(recording_of(master, to_ms=590), rate_hz)) == 440 * rate_hz // 1000, "beyond the end"


@pytest.mark.parametrize("source_hz", [8000, 11_025, 22_050, 44_100, 96_000])
def test_a_recording_of_a_synthesised_sound_is_that_sound(tmp_path, source_hz):
    """Every sample is unchanged and in its place, also at the soft ends."""
    profile = make_profile(tone(620, on_ms=100, off_ms=100, ramp_ms=10), tone(950, on_ms=100, ramp_ms=10))
    path = write(tmp_path / "m.wav", with_silence(profile, source_hz, 200), source_hz, "FLOAT")
    for rate_hz in (8000, 16_000):
        made, wanted = waveform(recording_of(path, 200, 500), rate_hz), synthesise(profile, rate_hz)
        assert len(made) == len(wanted)
        assert np.max(np.abs(made - wanted)) / np.max(wanted) < 0.01


def test_a_cut_inside_a_wave_does_not_click(master):
    made = waveform(recording_of(master, from_ms=180.4, to_ms=240.4), 48_000)
    spectrum = np.abs(np.fft.rfft(np.pad(made, 48_000))) ** 2
    outside = np.abs(np.fft.rfftfreq(len(made) + 96_000, 1 / 48_000) - 620) > 200
    assert 10 * math.log10(np.sum(spectrum[outside]) / np.sum(spectrum)) < -38


def test_clipping_peaks_are_reported_with_a_level_that_does_not_clip(tmp_path):
    wave = np.zeros(48_000)
    wave[::240] = 0.5
    path = write(tmp_path / "clicks.wav", np.convolve(wave, np.hanning(24)), subtype="PCM_24")
    said = error_text(ToneError, waveform, recording_of(path, 100, 900, level_dbm0=-3), 16_000)
    assert "peaks clip at -3 dBm0; set a level_dbm0 of " in said
    level_dbm0 = float(said.split(" of ")[1].split()[0])
    for rate_hz in (8000, 16_000, 48_000):
        assert np.max(np.abs(waveform(recording_of(path, 100, 900, level_dbm0=level_dbm0), rate_hz))) <= 1


def test_recordings_that_cannot_be_played(master):
    profile = recording_of(master)
    assert "too low" in error_text(ToneError, waveform, profile, 7999)
    assert "contains only silence" in error_text(ToneError, waveform, recording_of(master, 0, 50), 8000)
    write(master, 0.3 * with_silence(), subtype="PCM_24")
    assert "has another SHA-256 than its profile names" in error_text(ToneError, waveform, profile, 8000)
    master.write_bytes(b"RIFF but nothing after it")
    error_text(RecordingError, waveform, recording_of(master), 8000)
    master.unlink()
    assert "m.wav: cannot be read: No such file" in error_text(ToneError, waveform, profile, 8000)
