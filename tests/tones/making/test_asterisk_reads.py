"""The real Asterisk reads each format, and plays the profile's sound."""

import numpy as np
import pytest

from idtone.tones.making.encoders import encode
from idtone.tones.making.formats import FORMATS
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library
from lab.nightly_tests import rest_at_night
from lab.tones.levels import level_dbm0, slice_ms
from lab.tones.profiles import make_profile, tone

READ = [name for name, each in FORMATS.items() if each.delay_ms is not None]
COARSE = {"gsm": (0.7, 2.0)}
"""Tolerances of coarse codecs. GSM 06.10 models a voice: at first it is too loud, and it never reaches the full level
of a tone.
"""
PROFILES = {
    # The first pause shows a codec that sounds too early, and 301.3 ms end inside a frame.
    "two tones": make_profile(tone(on_ms=100), tone(600, on_ms=300, off_ms=100), tone(1040, on_ms=301.3)),
    "quiet pair": make_profile(tone(on_ms=60), tone(800.5, 1350, on_ms=250, ramp_ms=10), level_dbm0=-24),
    "notice": load_library()["notice"],
}
_FINE = 16
"""Number of steps for each sample in which a shift is measured."""


def shift_ms(heard, sound):
    """The delay of `heard` in milliseconds, from the peak of the cross-correlation."""
    size = 1 << 15
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sound, size))
    at = int(np.argmax(np.fft.irfft(spectrum, size * _FINE)))
    return (at if at < size * _FINE // 2 else at - size * _FINE) / _FINE / 8


def onset_ms(pcm):
    """Time in milliseconds at which the power, averaged over about a period of the tone, first exceeds a tenth of its
    maximum.
    """
    power = np.convolve(pcm.astype(float) ** 2, np.ones(16), mode="same")
    return float(np.argmax(power > np.max(power) / 10)) / 8


def converted(asterisk, path, content):
    """The samples that Asterisk plays from a file on an 8 kHz channel."""
    path.write_bytes(content)
    path.parent.chmod(0o777)  # Asterisk has a user of its own
    said = asterisk.command(f"file convert {path} {path}.sln")
    assert "Converted" in said, said
    return np.frombuffer(path.with_name(f"{path.name}.sln").read_bytes(), "<i2")


@rest_at_night("name", READ)
def test_asterisk_plays_the_profiles_sound_to_its_end(asterisk, ffmpeg, tmp_path, name):
    delay_ms, (level_db, late_ms) = FORMATS[name].delay_ms, COARSE.get(name, (0.2, 1.0))
    for profile_name, profile in PROFILES.items():
        sound = synthesise(profile, 8000) * 32768
        path = tmp_path / f"{profile_name.replace(' ', '-')}.{name}"
        pcm = converted(asterisk, path, encode(profile, FORMATS[name]))
        assert shift_ms(pcm, sound) == pytest.approx(delay_ms, abs=0.1), profile_name
        assert onset_ms(pcm) - onset_ms(sound) == pytest.approx(delay_ms, abs=late_ms), profile_name
        assert 0 <= len(pcm) / 8 - profile.duration_ms <= 40, "a frame, and one more for the decoder's delay"
        assert len(pcm) / 8 - profile.duration_ms - delay_ms < 20 + 5
        for burst in profile.bursts():
            margin_ms = 2 * burst.segment.ramp_ms + 20
            span = burst.start_ms + margin_ms, burst.end_ms - margin_ms
            late = [each + delay_ms for each in span]
            loud = level_dbm0(slice_ms(pcm, 8000, *late)) - level_dbm0(slice_ms(sound, 8000, *span))
            assert loud == pytest.approx(0, abs=level_db), profile_name
        if profile_name == "two tones" and name not in COARSE:
            end_ms = profile.duration_ms + delay_ms
            assert level_dbm0(slice_ms(pcm, 8000, end_ms - 12, end_ms - 6)) == pytest.approx(-16, abs=1)
