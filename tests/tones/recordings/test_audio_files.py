import math

import G722
import numpy as np
import pytest
import soundfile

from idtone.core.errors import RecordingError
from idtone.tones.recordings.audio_files import CHANNELS, RAW_FORMATS, read_audio_file
from lab import g711
from lab.tones.error_text import error_text

PEAK = 0.3


def sine(sample_rate_hz=8000, duration_s=1):
    return PEAK * np.sin(2 * np.pi * 400 * np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz)


def level(samples):
    """The peak of the sine in the middle of the samples, where codecs have settled."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4].astype(np.float64)
    return math.sqrt(2 * np.mean(middle**2))


@pytest.mark.parametrize(
    ("container", "subtypes"),
    [
        ("WAV", "PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW GSM610 IMA_ADPCM"),
        *((each, "PCM_16") for each in ("WAVEX", "AIFF", "CAF", "W64", "RF64", "FLAC", "NIST", "IRCAM", "VOC")),
        ("AU", "PCM_16 ULAW"),
        ("OGG", "VORBIS OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_libsndfile_recognises_formats_under_any_name(tmp_path, container, subtypes):
    for subtype in subtypes.split():
        for name in ("talk", "talk.ulaw"):
            if container in ("NIST", "IRCAM", "VOC", "MP3") and name.endswith("ulaw"):
                continue
            soundfile.write(tmp_path / name, sine(), 8000, format=container, subtype=subtype)
            (leg,) = read_audio_file(tmp_path / name)
            assert (leg.name, leg.sample_rate_hz, leg.lost, leg.samples.dtype) == ("mono", 8000, (), np.float32)
            assert leg.duration_ms == pytest.approx(1000, abs=40), subtype  # a frame of WAV49
            assert level(leg.samples) == pytest.approx(PEAK, rel=0.05), subtype


@pytest.mark.parametrize(
    ("channels", "names"),
    [
        (2, ["left", "right"]),
        (3, ["channel 1", "channel 2", "channel 3"]),
        (CHANNELS, [f"channel {number}" for number in range(1, CHANNELS + 1)]),
    ],
)
def test_a_leg_for_each_channel(tmp_path, channels, names):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.outer(sine(duration_s=10), np.arange(1, channels + 1) / channels), 8000)
    legs = read_audio_file(path)
    assert [leg.name for leg in legs] == names
    for number, leg in enumerate(legs, 1):
        assert leg.samples.flags.c_contiguous
        assert level(leg.samples) == pytest.approx(PEAK * number / channels, rel=0.001)


@pytest.mark.parametrize("extension", sorted(RAW_FORMATS))
def test_headerless_files_by_the_extension(tmp_path, extension, ffmpeg):
    raw = RAW_FORMATS[extension]
    pcm = np.rint(32768 * sine(raw.sample_rate_hz)).astype("<i2")
    path = tmp_path / f"a{extension.upper()}"
    if extension == ".g722":
        path.write_bytes(bytes(G722.G722(16_000, 64_000).encode(pcm)))
    elif raw.subtype in ("ULAW", "ALAW"):
        path.write_bytes(g711.encode(pcm, g711.PCMU if raw.subtype == "ULAW" else g711.PCMA))
    elif raw.subtype:
        soundfile.write(path, pcm, raw.sample_rate_hz, format="RAW", subtype=raw.subtype)
    else:
        path.write_bytes(bytes(8000))
    (leg,) = read_audio_file(path)
    assert leg.sample_rate_hz == raw.sample_rate_hz
    if raw.subtype or extension == ".g722":
        assert leg.duration_ms == pytest.approx(1000, abs=20)
        assert level(leg.samples) == pytest.approx(PEAK, rel=0.05)
    if raw.subtype == "PCM_16":
        assert np.array_equal(leg.samples * 32768, pcm)


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU", "W64"])
def test_a_truncated_file_is_read_to_its_end(tmp_path, container):
    path = tmp_path / "a"
    soundfile.write(path, sine(), 8000, format=container, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-8000])
    (leg,) = read_audio_file(path)
    assert (len(leg.samples), leg.lost) == (4000, ())
    assert np.abs(leg.samples - sine()[:4000]).max() < 1 / 32_767


def test_an_mp3_that_ends_early_is_read_to_its_end(tmp_path):
    path = tmp_path / "a"
    soundfile.write(path, sine(duration_s=5), 8000, format="MP3")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (leg,) = read_audio_file(path)
    assert 1000 < leg.duration_ms < 4000


def with_bad(value):
    return np.stack([sine(), np.append(sine()[1:], value)], 1)


@pytest.mark.parametrize(
    ("samples", "rate", "problem"),
    [
        (with_bad(math.nan), 8000, "samples that are not numbers"),
        (with_bad(math.inf), 8000, "samples that are not numbers"),
        (with_bad(-math.inf), 8000, "samples that are not numbers"),
        # Integers that were saved as floats.
        (sine() * 32768, 8000, "samples 9.83e+03 times full scale"),
        (np.zeros(100), 3999, "has 3999 samples a second"),
        (np.zeros(100), 192_001, "has 192001 samples a second"),
        (np.zeros((100, 17)), 8000, "has 17 channels"),
        (np.zeros(0), 8000, "contains no sound"),
    ],
)
def test_samples_that_are_no_sound_and_what_is_outside_the_limits(tmp_path, samples, rate, problem):
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    assert problem in error_text(RecordingError, read_audio_file, tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.ulaw", "a.g722", "a.g729", "a.mp4"])
def test_longer_than_allowed(tmp_path, name, ffmpeg):
    path = tmp_path / name
    if name == "a.wav":
        soundfile.write(path, sine(duration_s=10), 8000)
    elif name == "a.mp4":
        soundfile.write(path, sine(duration_s=10), 8000, format="FLAC")
        path.write_bytes(path.read_bytes()[:-100])  # libsndfile cannot read this, but ffmpeg can
    else:
        path.write_bytes(bytes(80_000))
    assert "is longer than the limit (2 s" in error_text(RecordingError, read_audio_file, path, longest_s=2, notice=str)


def test_the_compression_of_a_file_is_named(tmp_path):
    for magic, packer in ((b"\x1f\x8b\x08", "gzip"), (b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd")):
        (tmp_path / "a.ulaw").write_bytes(magic + bytes(100))
        said = error_text(RecordingError, read_audio_file, tmp_path / "a.ulaw")
        assert f"is compressed with {packer}. Unpack it first" in said
