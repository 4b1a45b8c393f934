from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from idtone.tones.formats import FORMATS, SoundFormat, encode
from idtone.tones.library import load_library
from idtone.tones.synthesis import synthesise, to_pcm16

from .levels import decode, level_dbm0, part
from .profiles import make, tone

EVERY = pytest.mark.parametrize("sound_format", FORMATS.values(), ids=FORMATS)
LOSSLESS = ("wav", "wav16", "sln", "sln16")
G711 = ("ulaw", "alaw")


def test_the_names_are_asterisks() -> None:
    assert set(FORMATS) == {"wav", "wav16", "sln", "sln16", "ulaw", "alaw", "gsm"}
    assert {f.name: f.sample_rate_hz for f in FORMATS.values() if f.sample_rate_hz != 8000} == {
        "wav16": 16000,
        "sln16": 16000,
    }
    assert FORMATS["sln16"].extension == ".sln16"


@EVERY
@pytest.mark.parametrize("on_ms", [100, 110, 117.3, 120])
def test_a_file_is_whole_frames_and_loses_nothing_of_the_sound(sound_format: SoundFormat, on_ms: float) -> None:
    profile = make(tone(600, on_ms=on_ms))
    pcm = decode(encode(profile, sound_format), sound_format)
    frame = sound_format.sample_rate_hz // 50
    sound = round(on_ms * sound_format.sample_rate_hz / 1000)
    assert len(pcm) % frame == 0
    played = len(pcm) - sound_format.lost_samples
    assert sound <= played < sound + frame
    if sound_format.name in LOSSLESS:
        assert not pcm[sound:].any()


@pytest.mark.parametrize("name", LOSSLESS)
def test_linear_formats_hold_the_samples_themselves(name: str) -> None:
    profile = make(tone(600, on_ms=117))
    expected = to_pcm16(synthesise(profile, FORMATS[name].sample_rate_hz))
    pcm = decode(encode(profile, FORMATS[name]), FORMATS[name])
    np.testing.assert_array_equal(pcm[: len(expected)], expected)


@pytest.mark.parametrize("name", G711)
@pytest.mark.parametrize("level", [0, -10, -16, -30])
@pytest.mark.parametrize("frequency_hz", [400, 1040, 3000])
def test_the_level_survives_g711(name: str, level: float, frequency_hz: float) -> None:
    # A sine whose period divides the sampling rate meets few steps of the quantiser; 1 Hz beside it meets all.
    profile = make(tone(frequency_hz + 1, on_ms=1200), level_dbm0=level)
    pcm = decode(encode(profile, FORMATS[name]), FORMATS[name])
    assert level_dbm0(part(pcm, 8000, 100, 1100)) == pytest.approx(level, abs=0.05)
    assert abs(np.mean(part(pcm, 8000, 100, 1100))) < 2, "the encoder adds a DC bias"


@pytest.mark.parametrize("profile_id", ["notice", "sample"])
@pytest.mark.parametrize("name", [*G711, "gsm"])
def test_the_shipped_sounds_survive_the_codecs(profile_id: str, name: str) -> None:
    profile = load_library()[profile_id]
    original = to_pcm16(synthesise(profile, 8000)).astype(np.float64)
    heard = decode(encode(profile, FORMATS[name]), FORMATS[name])[: len(original)].astype(np.float64)
    assert np.corrcoef(original, heard)[0, 1] > (0.98 if name == "gsm" else 0.999)
    assert 20 * np.log10(np.std(heard) / np.std(original)) == pytest.approx(0, abs=1.0 if name == "gsm" else 0.05)


@pytest.mark.parametrize("name", ["wav", "wav16"])
def test_wave_files_are_the_plain_kind_that_asterisk_reads(name: str) -> None:
    content = encode(make(tone(600)), FORMATS[name])
    rate = FORMATS[name].sample_rate_hz
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", len(content) - 8, b"WAVE"),
        *(b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16),
        *(b"data", len(content) - 44),
    )
    assert content[:44] == header


def test_gsm_files_are_bare_frames() -> None:
    content = encode(make(tone(600, on_ms=100)), FORMATS["gsm"])
    assert len(content) == 5 * 33
    assert {content[at] >> 4 for at in range(0, len(content), 33)} == {0xD}, (
        "each frame starts with the mark of GSM 06.10"
    )


GOLDEN = {
    ("notice", "wav"): "079aba2746334c741456f61e4306d9edbef36fbcd126d0fcdbd4d3ba7e608ec2",
    ("notice", "wav16"): "105ca67ba88f46b9a213f10f982d34fa3d46715044e61c07cc464f242118e60c",
    ("notice", "sln"): "93bbc898348fec6f57f53435f84d4fdfe326bbb6774a19cf2dea823baf57587f",
    ("notice", "sln16"): "923c594dc05a875ab4a96d5a5c61b1be5ed59553aa6a51f5b6666a6676c1e8b5",
    ("notice", "ulaw"): "056148114f0c7401fd7629ac802ddccbbb2b38ead80497987a7240030d5d739d",
    ("notice", "alaw"): "bc1905819e7c233633fc58708ebb0e9ffdb0e3fcd5e49d328830665f12918eff",
    ("notice", "gsm"): "5b64aae42e02a58576abe389e0608c9da6f263f292defc5be7a4ffadaf6a1340",
    ("sample", "wav"): "3e6c25e64f61b1087add19d3792f69499d1c707415510a98c69663048673ac71",
    ("sample", "wav16"): "61b3c2a18f9e9d64fe885047953af90900e71e0a85ef258a5183119b800cda5a",
    ("sample", "sln"): "f07c666846b4f751a6cb2e035a11685e6a6f1080566d7394b5e1c8ebd6cd07a2",
    ("sample", "sln16"): "677c94ec50550cce8cf484f3acaeed5305511062dcd487bb69754458843ceaff",
    ("sample", "ulaw"): "49e0550473e11666743ef251cf97c0a774d8a7e1f89a0db0e61446807c1aa82e",
    ("sample", "alaw"): "ba72b86a56ce55d4c2130df97e78b5d41fb191798c19a64bc23ae92564eeca84",
    ("sample", "gsm"): "7fb77db9c895da6a8d1bff67ded422bb389060c07625cada66d78d646361779b",
}


@pytest.mark.parametrize(("profile_id", "name"), GOLDEN)
def test_the_files_are_the_same_on_every_machine(profile_id: str, name: str) -> None:
    content = encode(load_library()[profile_id], FORMATS[name])
    assert hashlib.sha256(content).hexdigest() == GOLDEN[profile_id, name]
