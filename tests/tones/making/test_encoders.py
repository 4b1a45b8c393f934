import errno
import hashlib
import io
import os
import signal
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest

from idtone.tones.making.encoders import encode, write
from idtone.tones.making.formats import FORMATS, LibsndfileEncoding
from idtone.tones.making.synthesis import synthesise, to_pcm16
from idtone.tones.profile_library import load_library
from lab.nightly_tests import breadth
from lab.tones.levels import decode, level_dbm0, slice_ms
from lab.tones.profiles import make_profile, tone

OURS = {name: each for name, each in FORMATS.items() if isinstance(each.encoding, LibsndfileEncoding)}
LINEAR = {name for name, each in FORMATS.items() if each.linear}
ONE_OF_EACH = [name if name in ("wav", "sln16", "ulaw", "g722") else breadth(name) for name in FORMATS]
"""A format for each kind of encoder, linear and not linear."""


@pytest.mark.parametrize("sound_format", OURS.values(), ids=OURS)
def test_a_file_has_whole_frames_and_the_whole_sound(sound_format):
    for on_ms in (100, 117.3):
        profile = make_profile(tone(600, on_ms=on_ms))
        pcm = decode(encode(profile, sound_format), sound_format)
        frame = sound_format.sample_rate_hz // 50
        sound = round(on_ms * sound_format.sample_rate_hz / 1000)
        assert len(pcm) % frame == 0
        assert sound <= len(pcm) - sound_format.lost_samples < sound + frame
        if sound_format.linear:
            np.testing.assert_array_equal(pcm[:sound], to_pcm16(synthesise(profile, sound_format.sample_rate_hz)))
            assert not pcm[sound:].any()


@pytest.mark.parametrize("name", ["ulaw", "alaw"])
def test_the_level_survives_g711(name):
    # A sine whose period divides the sampling rate uses few steps of the quantiser; 1 Hz more uses all.
    for frequency_hz in (401, 3001):
        for level in (0, -16, -30):
            profile = make_profile(tone(frequency_hz, on_ms=1200), level_dbm0=level)
            pcm = slice_ms(decode(encode(profile, FORMATS[name]), FORMATS[name]), 8000, 100, 1100)
            assert level_dbm0(pcm) == pytest.approx(level, abs=0.05)
            assert abs(np.mean(pcm)) < 2, "the encoder adds a DC bias"


def test_headers_and_frames_are_the_plain_kind_that_asterisk_reads(ffmpeg):
    wav, gsm, au, ulaw = (encode(make_profile(tone(600)), FORMATS[name]) for name in ("wav16", "gsm", "au", "ulaw"))
    riff, fmt = (b"RIFF", len(wav) - 8, b"WAVE"), (b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    assert wav[:44] == struct.pack("<4sI4s4sIHHIIHH4sI", *riff, *fmt, b"data", len(wav) - 44)
    assert len(gsm) == 10 * 33
    assert {gsm[at] >> 4 for at in range(0, len(gsm), 33)} == {0xD}, "each frame starts with the mark of GSM 06.10"
    assert au == struct.pack(">4s5I", b".snd", 24, len(au) - 24, 1, 8000, 1) + ulaw
    assert [len(encode(make_profile(tone(600, on_ms=110)), FORMATS[name])) for name in ("g722", "g726-32")] == [
        960,
        480,
    ]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_only_linear_formats_are_dithered_and_the_others_are_the_same_each_time(ffmpeg, name):
    plain, dithered = (encode(make_profile(tone(600), dither_seed=seed), FORMATS[name]) for seed in (None, 7))
    assert (plain == dithered) is (name not in LINEAR)


@pytest.mark.parametrize("name", ["mp3", "m4a"])
def test_the_formats_for_people_hold_the_profiles_sound(ffmpeg, tmp_path, name):
    path = tmp_path / f"x.{name}"
    path.write_bytes(encode(make_profile(tone(600, on_ms=1000, off_ms=200)), FORMATS[name]))
    raw = subprocess.check_output([ffmpeg, "-loglevel", "error", "-i", path, "-f", "s16le", "-"])
    pcm = np.frombuffer(raw, "<i2")
    assert level_dbm0(slice_ms(pcm, 16000, 200, 900)) == pytest.approx(-16, abs=0.2)
    assert len(pcm) / 16 == pytest.approx(1200, abs=75), "an AAC frame of 1024 samples is 64 ms"


@pytest.mark.parametrize("name", ["sln", "ulaw", "ogg"])
def test_a_long_sound_needs_no_more_memory_than_a_short_one(name, tmp_path):
    told = []
    tracemalloc.start()
    try:
        with (tmp_path / "long").open("w+b") as file:
            write(make_profile(tone(1234.567, on_ms=200_000)), FORMATS[name], file, told.append)
        assert tracemalloc.get_traced_memory()[1] < 2_600_000
    finally:
        tracemalloc.stop()
    assert (tmp_path / "long").stat().st_size > 90_000
    assert sum(told) == 200 * 8000, "progress counts every sample"


class Full(io.BytesIO):
    """A file on a disk that has space for only some frames."""

    def write(self, data):
        if self.tell() + len(data) > 5000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_full_disk_is_one_error(ffmpeg, name, capfd):
    profile = make_profile(tone(600.5, 1234.567, on_ms=5_000, modulation={"rate_hz": 33.3, "depth": 0.9}))
    with pytest.raises(OSError, match="No space left"):
        write(profile, FORMATS[name], Full())
    assert capfd.readouterr().err == "", "libsndfile's caller prints what is raised under it"


class Interrupted(io.BytesIO):
    """A file: the user interrupts while its second block is written."""

    writes = 0

    def write(self, data):
        self.writes += 1
        if self.writes == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return super().write(data)


@pytest.mark.parametrize("name", ["wav", "au", "gsm", "ogg"])
def test_an_interruption_is_not_lost_in_libsndfile(name, capfd):
    # A shell that starts the tests in the background makes them ignore SIGINT.
    before, terminating = signal.signal(signal.SIGINT, signal.default_int_handler), signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(KeyboardInterrupt):
            write(make_profile(tone(600.5, on_ms=60_000)), FORMATS[name], Interrupted())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == ""
    assert signal.getsignal(signal.SIGTERM) is terminating


SHA256 = {
    "wav": "ba656da2bdd3a6f7f419f81f18a67e85a26bf6a0a8bdb6fad0ad8442cc69dd66",
    "wav16": "076833c00ed5cf2034f4fb82e9c8fb555bed25c52467186403a403255fda3942",
    "sln": "b2de05f7b1018d5c8ff658310dff997ed5075adbeb4e3abdb1e4d22d48390b2e",
    "ulaw": "643e61953751223cb2319cd7b79fb51499e8ac898125748527938fad87b31ede",
    "alaw": "d28d61c0fc6acc6acb92c11e1d39977355dfff9010d831eef17574f4e1619918",
    "gsm": "c0ad16d1a886a500acfdfd6fd22d47103595e4fa565aab9f74a5160dc68fc46a",
    "sln12": "efdd19810a4623bb35c4d66ce7651145cf3de301197b7c9d465a43cd7a40d1ce",
    "sln16": "9fc5c2e6d2b97e00fdaa58d85918b99d6b7d4ace65fff68c42e863cfd8a8019c",
    "sln24": "5bc73773f6385a60cf5630a36ac1400686c1775d1817f3fce93cadf9460e15b2",
    "sln32": "93dfc80c8a8ff0ee758fb3a961e7532db52341a571679ec760e0af31d1c155a7",
    "sln48": "08b4a2d3929e7a54c65ac90acb2025e92717abf1d8a9bc34dd1e76af1376d52d",
    "sln96": "ecbe797239abc92b12842169c7f0bffc7dd3a26d613291b4dedd36a5ec9f208d",
    "sln192": "85103755636ae8b4c8055cb4d93cc85116ad049495cf18ec18658b9fea8f19aa",
    "au": "da736f6deaed8c1255b090fa6ff91541c9e129b8aaf8457d7d5c958aae5ace42",
}
"""Format → digest of the files of both shipped sounds, concatenated."""


@pytest.mark.parametrize("name", SHA256)
def test_the_files_are_the_same_on_every_machine(name):
    files = (encode(profile, FORMATS[name]) for profile in load_library().values())
    assert hashlib.sha256(b"".join(files)).hexdigest() == SHA256[name]
