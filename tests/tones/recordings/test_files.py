from __future__ import annotations

import math
from pathlib import Path

import G722
import numpy as np
import pytest
import soundfile

from idtone.errors import RecordingError
from idtone.tones.recordings.files import CHANNELS, RAW_FORMATS, read_file

from ...lab import g711

PEAK = 0.3


def sine(
    sample_rate_hz: int, frequency_hz: float = 400, duration_s: float = 1
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    times = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    return PEAK * np.sin(2 * np.pi * frequency_hz * times)


def level(samples: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    """Peak of the sine in the middle, where codecs have settled."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4].astype(np.float64)
    return math.sqrt(2 * np.mean(middle**2))


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        *(
            ("WAV", each)
            for each in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "GSM610")
        ),
        *((each, "PCM_16") for each in ("WAVEX", "AIFF", "AU", "CAF", "W64", "RF64", "FLAC", "NIST", "IRCAM", "VOC")),
        ("WAV", "IMA_ADPCM"),
        ("AU", "ULAW"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_libsndfile_recognises_formats_under_any_name(tmp_path: Path, container: str, subtype: str) -> None:
    path = tmp_path / "0312345678"
    soundfile.write(path, sine(8000), 8000, format=container, subtype=subtype)
    for name in ("talk", "talk.ulaw", "talk.raw", "talk.mp4"):
        if container in ("NIST", "IRCAM", "VOC", "MP3") and name.endswith(("w", "ulaw")):
            continue
        path = path.rename(tmp_path / name)
        (leg,) = read_file(path)
        assert (leg.name, leg.sample_rate_hz, leg.lost, leg.samples.dtype) == ("mono", 8000, (), np.float32)
        assert leg.duration_ms == pytest.approx(1000, abs=40)  # a frame of WAV49
        assert level(leg.samples) == pytest.approx(PEAK, rel=0.05)


@pytest.mark.parametrize(
    ("channels", "names"),
    [(2, ["left", "right"]), (3, ["channel 1", "channel 2", "channel 3"]), (CHANNELS, None)],
)
def test_a_leg_for_each_channel(tmp_path: Path, channels: int, names: list[str] | None) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.outer(sine(8000, duration_s=10), np.arange(1, channels + 1) / channels), 8000)
    legs = read_file(path)
    assert len(legs) == channels
    assert names is None or [leg.name for leg in legs] == names
    for number, leg in enumerate(legs, 1):
        assert leg.samples.flags.c_contiguous
        assert level(leg.samples) == pytest.approx(PEAK * number / channels, rel=0.001)


@pytest.mark.parametrize("extension", sorted(RAW_FORMATS))
def test_headerless_files_by_the_extension(tmp_path: Path, extension: str, ffmpeg: Path) -> None:
    raw = RAW_FORMATS[extension]
    pcm = np.rint(32768 * sine(raw.sample_rate_hz)).astype("<i2")
    path = tmp_path / f"a{extension.upper()}"
    if extension == ".g722":
        path.write_bytes(bytes(G722.G722(16_000, 64_000).encode(pcm)))
    elif raw.subtype in ("ULAW", "ALAW"):
        path.write_bytes(g711.encode(pcm, g711.PCMU if raw.subtype == "ULAW" else g711.PCMA))
    elif raw.subtype == "PCM_16":
        path.write_bytes(pcm.tobytes())
    elif raw.subtype:
        soundfile.write(path, pcm, 8000, format="RAW", subtype=raw.subtype)
    else:
        path.write_bytes(bytes(8000))
        assert str(ffmpeg)
        (leg,) = read_file(path)
        assert leg.sample_rate_hz == 8000
        return
    (leg,) = read_file(path)
    assert leg.sample_rate_hz == raw.sample_rate_hz
    assert leg.duration_ms == pytest.approx(1000, abs=20)
    assert level(leg.samples) == pytest.approx(PEAK, rel=0.05)
    if raw.subtype == "PCM_16":
        assert np.array_equal(leg.samples * 32768, pcm)


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU", "W64"])
def test_a_truncated_file_is_read_to_its_end(tmp_path: Path, container: str) -> None:
    path = tmp_path / "a"
    soundfile.write(path, sine(8000), 8000, format=container, subtype="PCM_16")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 8000])
    (leg,) = read_file(path)
    assert (len(leg.samples), leg.lost) == (4000, ())
    assert np.abs(leg.samples - sine(8000)[:4000]).max() < 1 / 32_767


def test_ffmpeg_reads_a_truncated_flac_to_its_end(tmp_path: Path, ffmpeg: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, sine(8000, duration_s=10), 8000, format="FLAC")
    path.write_bytes(path.read_bytes()[:-2000])
    assert str(ffmpeg)
    told: list[str] = []
    (leg,) = read_file(path, notice=told.append)
    assert len(told) == 1
    assert 4000 < len(leg.samples) < 80_000


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_not_numbers(tmp_path: Path, bad: float) -> None:
    samples = sine(8000)
    samples[7000] = bad
    soundfile.write(tmp_path / "a.wav", np.stack([sine(8000), samples], 1), 8000, subtype="FLOAT")
    with pytest.raises(RecordingError, match="samples that are not numbers"):
        read_file(tmp_path / "a.wav")


def test_integers_that_were_saved_as_floats(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(8000) * 32768, 8000, subtype="FLOAT")
    with pytest.raises(RecordingError, match=r"samples 9.83e\+03 times full scale"):
        read_file(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("rate", "channels", "problem"),
    [
        (3999, 1, "has 3999 samples a second"),
        (192_001, 1, "has 192001 samples a second"),
        (8000, 17, "has 17 channels"),
    ],
)
def test_rates_and_channels_outside_the_limits(tmp_path: Path, rate: int, channels: int, problem: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((100, channels)), rate)
    with pytest.raises(RecordingError, match=problem):
        read_file(tmp_path / "a.wav")


def test_no_samples_at_all(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 8000)
    with pytest.raises(RecordingError, match="contains no sound"):
        read_file(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.ulaw", "a.g722", "a.g729", "a.mp4"])
def test_longer_than_allowed(tmp_path: Path, name: str, ffmpeg: Path) -> None:
    path = tmp_path / name
    if name == "a.wav":
        soundfile.write(path, sine(8000, duration_s=10), 8000)
    elif name == "a.mp4":
        soundfile.write(path, sine(8000, duration_s=10), 8000, format="FLAC")
        path.write_bytes(path.read_bytes()[:-100])  # libsndfile cannot read this, but ffmpeg can
    else:
        path.write_bytes(bytes(80_000))
    assert str(ffmpeg)
    with pytest.raises(RecordingError, match=r"is longer than the limit \(2 s"):
        read_file(path, longest_s=2, notice=str)


@pytest.mark.parametrize(
    ("magic", "packer"), [(b"\x1f\x8b\x08", "gzip"), (b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd")]
)
def test_the_compression_of_a_file_is_named(tmp_path: Path, magic: bytes, packer: str) -> None:
    (tmp_path / "a.ulaw").write_bytes(magic + bytes(100))
    with pytest.raises(RecordingError, match=f"is compressed with {packer}. Unpack it first"):
        read_file(tmp_path / "a.ulaw")
