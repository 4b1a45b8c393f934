"""The real Asterisk reads each format, and plays the profile's sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from idtone.tones.making.encoders import encode
from idtone.tones.making.formats import FORMATS
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile import Profile
from idtone.tones.profile_library import load_library

from ...lab.asterisk import Asterisk
from ..levels import level_dbm0, part
from ..profiles import make, tone

READ = [name for name, each in FORMATS.items() if each.delay_ms is not None]
LEVEL_DB, ONSET_MS = 0.2, 1.0
COARSE = {"gsm": (0.7, 2.0)}
"""GSM 06.10 models a voice: at first it is too loud, and it never reaches the full level of a tone."""
PROFILES: dict[str, Profile] = {
    # The first pause shows a codec that sounds too early, and 301.3 ms end inside a frame.
    "two tones": make(tone(on_ms=100), tone(600, on_ms=300, off_ms=100), tone(1040, on_ms=301.3)),
    "quiet pair": make(tone(on_ms=60), tone(800.5, 1350, on_ms=250, ramp_ms=10), level_dbm0=-24),
    "notice": load_library()["notice"],
}
_FINE = 16
"""A shift is measured in these fractions of a sample."""


def shift_ms(heard: NDArray[Any], sound: NDArray[Any]) -> float:
    """The delay of `heard`, by the peak of the cross-correlation."""
    size = 1 << 15
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sound, size))
    correlation = np.fft.irfft(spectrum, size * _FINE)
    at = int(np.argmax(correlation))
    return (at if at < size * _FINE // 2 else at - size * _FINE) / _FINE / 8


def onset_ms(pcm: NDArray[Any]) -> float:
    """When the power over about one period of the tone first exceeds a tenth of the loudest."""
    power = np.convolve(pcm.astype(float) ** 2, np.ones(16), mode="same")
    return float(np.argmax(power > np.max(power) / 10)) / 8


@pytest.fixture(scope="module")
def heard(asterisk: Asterisk, ffmpeg: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The samples that Asterisk plays from a profile's file on an 8 kHz channel."""
    folder = tmp_path_factory.mktemp("reads")

    def convert(profile_name: str, format_name: str) -> NDArray[np.int16]:
        path = folder / f"{profile_name.replace(' ', '-')}.{format_name}"
        result = folder / f"{path.name}.sln"
        path.write_bytes(encode(PROFILES[profile_name], FORMATS[format_name]))
        said = asterisk.command(f"file convert {path} {result}")
        assert "Converted" in said, said
        return np.frombuffer(result.read_bytes(), "<i2")

    return convert


@pytest.mark.parametrize("profile_name", PROFILES)
@pytest.mark.parametrize("name", READ)
def test_asterisk_plays_the_profiles_sound(heard: Any, name: str, profile_name: str) -> None:
    profile, delay_ms = PROFILES[profile_name], FORMATS[name].delay_ms
    assert delay_ms is not None
    level_db, late_ms = COARSE.get(name, (LEVEL_DB, ONSET_MS))
    sound, pcm = synthesise(profile, 8000) * 32768, heard(profile_name, name)
    assert shift_ms(pcm, sound) == pytest.approx(delay_ms, abs=0.1)
    assert onset_ms(pcm) - onset_ms(sound) == pytest.approx(delay_ms, abs=late_ms)
    assert 0 <= len(pcm) / 8 - profile.duration_ms <= 40, "a frame, and one more for the decoder's delay"
    assert len(pcm) / 8 - profile.duration_ms - delay_ms < 20 + 5
    for burst in profile.bursts():
        margin_ms = 2 * burst.segment.ramp_ms + 20
        span = burst.start_ms + margin_ms, burst.end_ms - margin_ms
        late = [each + delay_ms for each in span]
        loud = level_dbm0(part(pcm, 8000, *late)) - level_dbm0(part(sound, 8000, *span))
        assert loud == pytest.approx(0, abs=level_db)


@pytest.mark.parametrize("name", ["wav", "sln", "sln48", "ulaw", "g722", "opus", "spx"])
def test_the_last_burst_is_heard_to_its_end(heard: Any, name: str) -> None:
    profile, delay_ms = PROFILES["two tones"], FORMATS[name].delay_ms or 0
    end_ms = profile.duration_ms + delay_ms
    tail = part(heard("two tones", name), 8000, end_ms - 12, end_ms - 6)
    assert level_dbm0(tail) == pytest.approx(-16, abs=1)


def test_why_there_is_no_sln44(asterisk: Asterisk, tmp_path: Path) -> None:
    sound = synthesise(PROFILES["two tones"], 44100) * 32768
    (tmp_path / "x.sln44").write_bytes(np.rint(sound).astype("<i2").tobytes())
    asterisk.command(f"file convert {tmp_path}/x.sln44 {tmp_path}/x.sln")
    pcm = np.frombuffer((tmp_path / "x.sln").read_bytes(), "<i2")
    assert level_dbm0(part(pcm, 8000, 150, 350)) < -16 - 3
