from __future__ import annotations

import errno
import hashlib
import io
import os
import signal
import struct
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idtone.tones.making.encoders import encode, write
from idtone.tones.making.formats import FORMATS, Libsndfile, SoundFormat
from idtone.tones.making.synthesis import synthesise, to_pcm16
from idtone.tones.profile_library import load_library

from ..levels import decode, level_dbm0, part
from ..profiles import make, tone

OURS = {name: each for name, each in FORMATS.items() if isinstance(each.encoding, Libsndfile)}
FFMPEGS = tuple(name for name in FORMATS if name not in OURS)
LOSSLESS = tuple(name for name, each in FORMATS.items() if each.linear)
G711 = ("ulaw", "alaw", "au")


@pytest.mark.parametrize("sound_format", OURS.values(), ids=OURS)
@pytest.mark.parametrize("on_ms", [100, 110, 117.3, 120])
def test_a_file_has_whole_frames_and_the_whole_sound(sound_format: SoundFormat, on_ms: float) -> None:
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
    # A sine whose period divides the sampling rate uses few steps of the quantiser; 1 Hz more uses all.
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


def test_au_is_the_mu_law_of_sun() -> None:
    content = encode(make(tone(600)), FORMATS["au"])
    assert struct.unpack(">4s5I", content[:24]) == (b".snd", 24, len(content) - 24, 1, 8000, 1)
    assert content[24:] == encode(make(tone(600)), FORMATS["ulaw"])


@pytest.mark.parametrize(("name", "octets"), [("g722", 160), ("g726-32", 80)])
def test_the_adpcm_formats_are_bare_frames(ffmpeg: Path, name: str, octets: int) -> None:
    assert len(encode(make(tone(600, on_ms=110)), FORMATS[name])) == 6 * octets


@pytest.mark.parametrize("name", [*FFMPEGS, "ogg"])
def test_a_file_is_the_same_each_time(ffmpeg: Path, name: str) -> None:
    profile = make(tone(600))
    assert encode(profile, FORMATS[name]) == encode(profile, FORMATS[name])


@pytest.mark.parametrize("name", ["mp3", "m4a"])
def test_the_formats_for_people_hold_the_profiles_sound(ffmpeg: Path, tmp_path: Path, name: str) -> None:
    profile = make(tone(600, on_ms=1000, off_ms=200))
    path = tmp_path / f"x.{name}"
    path.write_bytes(encode(profile, FORMATS[name]))
    raw = subprocess.check_output([ffmpeg, "-loglevel", "error", "-i", path, "-f", "s16le", "-"])
    pcm = np.frombuffer(raw, "<i2")
    assert level_dbm0(part(pcm, 16000, 200, 900)) == pytest.approx(-16, abs=0.2)
    assert len(pcm) / 16 == pytest.approx(1200, abs=75), "an AAC frame of 1024 samples is 64 ms"


@pytest.mark.parametrize("name", ["sln", "ulaw", "ogg"])
def test_a_long_sound_needs_no_more_memory_than_a_short_one(name: str, tmp_path: Path) -> None:
    profile = make(tone(1234.567, on_ms=600_000))
    tracemalloc.start()
    try:
        with (tmp_path / "long").open("w+b") as file:
            write(profile, FORMATS[name], file)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert (tmp_path / "long").stat().st_size > 300_000


class Full(io.BytesIO):
    """A disk with room for some frames."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > 5000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_one_error(ffmpeg: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    profile = make(tone(600.5, 1234.567, on_ms=20_000, modulation={"rate_hz": 33.3, "depth": 0.9}))
    with pytest.raises(OSError, match="No space left"):
        write(profile, FORMATS[name], Full())
    assert capfd.readouterr().err == "", "libsndfile's caller prints what is raised under it"


class Interrupted(io.BytesIO):
    """A file whose second block is written when the user interrupts."""

    writes = 0

    def write(self, data: Any) -> int:
        self.writes += 1
        if self.writes == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return super().write(data)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that starts the tests in the background makes them ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", ["wav", "au", "gsm", "ogg"])
def test_an_interruption_is_not_lost_in_libsndfile(
    name: str, capfd: pytest.CaptureFixture[str], interruptible: None
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        write(make(tone(600.5, on_ms=60_000)), FORMATS[name], Interrupted())
    assert capfd.readouterr().err == ""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is before


def test_progress_counts_every_sample(tmp_path: Path) -> None:
    told: list[int] = []
    with (tmp_path / "x").open("w+b") as file:
        write(make(tone(600, on_ms=1010)), FORMATS["sln"], file, told.append)
    assert sum(told) == 8080


@pytest.mark.parametrize("name", FORMATS)
def test_only_linear_formats_are_dithered(ffmpeg: Path, name: str) -> None:
    plain, dithered = make(tone(600)), make(tone(600), dither_seed=7)
    same = encode(plain, FORMATS[name]) == encode(dithered, FORMATS[name])
    assert same is not FORMATS[name].linear


GOLDEN = {
    ("notice", "wav"): "079aba2746334c741456f61e4306d9edbef36fbcd126d0fcdbd4d3ba7e608ec2",
    ("notice", "wav16"): "105ca67ba88f46b9a213f10f982d34fa3d46715044e61c07cc464f242118e60c",
    ("notice", "sln"): "93bbc898348fec6f57f53435f84d4fdfe326bbb6774a19cf2dea823baf57587f",
    ("notice", "sln16"): "923c594dc05a875ab4a96d5a5c61b1be5ed59553aa6a51f5b6666a6676c1e8b5",
    ("notice", "ulaw"): "056148114f0c7401fd7629ac802ddccbbb2b38ead80497987a7240030d5d739d",
    ("notice", "alaw"): "bc1905819e7c233633fc58708ebb0e9ffdb0e3fcd5e49d328830665f12918eff",
    ("notice", "gsm"): "5b64aae42e02a58576abe389e0608c9da6f263f292defc5be7a4ffadaf6a1340",
    ("notice", "sln12"): "de7442d90dc741b055a01444c8d5258ec959706ab23a309634ceadbfe1343fa9",
    ("notice", "sln24"): "6408f2643fd7ff0ca0217626a73a9b636a4f73c60693beb2b6d6febbe80de630",
    ("notice", "sln32"): "a1c61d98118b8e03b820ea8596615ec55704090837f84aeb5e14826352814b7d",
    ("notice", "sln48"): "be72d5a3338d02b27d047fdab66e85313ec6abade48d2638ff65418d3c232e3c",
    ("notice", "sln96"): "917da443181cda08da7186aef20c31c92ed727029955c90e70e0f9b7b07af13e",
    ("notice", "sln192"): "2eba1cd602aa93fd850a46f0e81b7be44879be12e183aedf6ac8a26fc7e9437c",
    ("notice", "au"): "2510bd01f77962e235400e12f01f0fce572f646cb17cebfc14a6dd44e7724f07",
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
