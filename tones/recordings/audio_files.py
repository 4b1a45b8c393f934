"""Reads audio files with libsndfile, and other formats with the ffmpeg program."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

import G722
import numpy as np
import soundfile
from numpy.typing import NDArray

from idtone.core.errors import RecordingError

from . import ffmpeg_decoding
from .open_recording import LARGEST_SAMPLES, LONGEST_S, Notice, beginning_of, open_recording, warn
from .recorded_leg import RecordedLeg

SAMPLE_RATES_HZ: Final = (4000, 192_000)
CHANNELS: Final = 16
_BEYOND: Final = 256.0
"""Largest amplitude of a sound, 48 dB above full scale. Only integers stored as floats exceed it."""
_BLOCK: Final = 1 << 16
"""Number of frames in a block. Reading a long Ogg file in a single call crashes libsndfile."""

Channels = tuple[list[NDArray[np.float32]], int]
"""The samples of each channel, and their sample rate in Hz."""


@dataclass(frozen=True, slots=True)
class RawFormat:
    """One of Asterisk's headerless formats. `subtype` is for libsndfile, and `demuxer` is for ffmpeg."""

    sample_rate_hz: int
    subtype: str = ""
    demuxer: tuple[str, ...] = ()


RAW_FORMATS: Final[Mapping[str, RawFormat]] = MappingProxyType(
    {
        **dict.fromkeys((".ulaw", ".pcm", ".ul", ".mu", ".ulw"), RawFormat(8000, "ULAW")),
        **dict.fromkeys((".alaw", ".al", ".alw"), RawFormat(8000, "ALAW")),
        **dict.fromkeys((".sln", ".raw"), RawFormat(8000, "PCM_16")),
        **{f".sln{khz}": RawFormat(1000 * khz, "PCM_16") for khz in (12, 16, 24, 32, 48, 96, 192)},
        ".sln44": RawFormat(44_100, "PCM_16"),
        ".gsm": RawFormat(8000, "GSM610"),
        ".vox": RawFormat(8000, "VOX_ADPCM"),
        ".g722": RawFormat(16_000),
        ".g729": RawFormat(8000, demuxer=("-f", "g729")),
        **{
            f".g726-{8 * bits}": RawFormat(8000, demuxer=("-f", "g726le", "-code_size", str(bits)))
            for bits in (2, 3, 4, 5)
        },
    }
)
"""Headerless formats by extension.

A file that has one of these extensions but begins like a known container is read as that container.
"""

_CONTAINERS: Final = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b".snd", b"FORM", b"caff", b"riff", b"ID3", b"#!AMR")
_COMPRESSED: Final[Mapping[bytes, str]] = MappingProxyType(
    {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}
)


def read_audio_file(path: Path, *, longest_s: float = LONGEST_S, notice: Notice = warn) -> tuple[RecordedLeg, ...]:
    """Read each channel's sound, where 1.0 is full scale.

    Channels are named "mono", "left" and "right", or "channel 1" and so on. Headerless files are recognized by
    Asterisk's extension. libsndfile recognizes its formats by content, regardless of the extension, and ffmpeg decodes
    all others. A file that is shorter than its header says is read to its end. The missing part does not count as lost,
    because a recorder that is killed leaves that kind of header. If ffmpeg skips damaged data, `notice` receives a
    sentence about it, because the sound after the damage may come too early.

    Raises RecordingError if the file is not a sound, is longer than `longest_s`, or has a sample rate outside 4–192
    kHz, more than 16 channels, or invalid samples.
    """
    with open_recording(path) as file:
        beginning = beginning_of(file)
        for magic, packer in _COMPRESSED.items():
            if beginning.startswith(magic):
                raise RecordingError("{path}: is compressed with {packer}. Unpack it first", path=path, packer=packer)
        raw = None if beginning.startswith(_CONTAINERS) else RAW_FORMATS.get(path.suffix.lower())
        if raw:
            channels, sample_rate_hz = _read_raw(path, file, raw, longest_s, notice)
        else:
            channels, sample_rate_hz = _read_known(path, file, longest_s, notice)
    names = {1: ("mono",), 2: ("left", "right")}.get(len(channels))
    names = names or tuple(f"channel {number}" for number in range(1, len(channels) + 1))
    for samples in channels:
        _check_samples(path, samples)
    return tuple(RecordedLeg(name, samples, sample_rate_hz) for name, samples in zip(names, channels, strict=True))


def _read_known(path: Path, file: BinaryIO, longest_s: float, notice: Notice) -> Channels:
    try:
        return _read_sndfile(path, file, longest_s)
    except soundfile.SoundFileError:
        return _read_ffmpeg(path, file, (), longest_s, notice)


def _read_raw(path: Path, file: BinaryIO, raw: RawFormat, longest_s: float, notice: Notice) -> Channels:
    if raw.demuxer:
        return _read_ffmpeg(path, file, raw.demuxer, longest_s, notice)
    if not raw.subtype:
        octets = file.read(_most_frames(1, raw.sample_rate_hz, longest_s) // 2 + 1)
        _check_extent(path, 2 * len(octets), 1, raw.sample_rate_hz, longest_s)
        pcm = np.frombuffer(G722.G722(raw.sample_rate_hz, 64_000).decode(octets), np.int16)
        return [pcm.astype(np.float32) * np.float32(2**-15)], raw.sample_rate_hz
    try:
        return _read_sndfile(path, file, longest_s, raw)
    except soundfile.SoundFileError as error:
        raise RecordingError(
            "{path}: cannot be read as {format}: {error}",
            path=path,
            format=path.suffix[1:],
            error=ffmpeg_decoding.short_message(str(error)),
        ) from error


def _read_sndfile(path: Path, file: BinaryIO, longest_s: float, raw: RawFormat | None = None) -> Channels:
    layout = {"format": "RAW", "subtype": raw.subtype, "channels": 1, "samplerate": raw.sample_rate_hz} if raw else {}
    # Opened by descriptor, so that libsndfile cannot guess a format from the name.
    with soundfile.SoundFile(file.fileno(), closefd=False, **layout) as sound:
        rate = int(sound.samplerate)
        _check_extent(path, sound.frames, sound.channels, rate, longest_s)
        channels = [np.empty(sound.frames, np.float32) for _ in range(sound.channels)]
        done = 0
        while done < sound.frames:
            block = sound.read(min(_BLOCK, sound.frames - done), dtype="float32", always_2d=True)
            if not len(block):
                return [samples[:done].copy() for samples in channels], rate
            for number, samples in enumerate(channels):
                samples[done : done + len(block)] = block[:, number]
            done += len(block)
    return channels, rate


def _read_ffmpeg(path: Path, file: BinaryIO, demuxer: tuple[str, ...], longest_s: float, notice: Notice) -> Channels:
    interleaved, rate, message = ffmpeg_decoding.decode_with_ffmpeg(
        path, file, demuxer, longest_s=longest_s, largest=LARGEST_SAMPLES
    )
    if message:
        notice(f"{path}: is damaged, parts may be missing or shifted: {message}")
    _check_extent(path, len(interleaved), interleaved.shape[1], rate, longest_s)
    return [interleaved[:, number].astype(np.float32) for number in range(interleaved.shape[1])], rate


def _check_extent(path: Path, frames: int, channels: int, sample_rate_hz: int, longest_s: float) -> None:
    least_hz, most_hz = SAMPLE_RATES_HZ
    if not least_hz <= sample_rate_hz <= most_hz:
        raise RecordingError(
            "{path}: has {sample_rate_hz} samples a second; {least_hz} to {most_hz} are read. Resample it first",
            path=path,
            sample_rate_hz=sample_rate_hz,
            least_hz=least_hz,
            most_hz=most_hz,
        )
    if not 1 <= channels <= CHANNELS:
        raise RecordingError(
            "{path}: has {channels} channels; up to {most} are read. Split it first",
            path=path,
            channels=channels,
            most=CHANNELS,
        )
    if frames > _most_frames(channels, sample_rate_hz, longest_s):
        raise RecordingError(
            "{path}: is longer than the limit ({longest_s:g} s, 2 GiB of samples). Cut it first",
            path=path,
            longest_s=longest_s,
        )


def _most_frames(channels: int, sample_rate_hz: int, longest_s: float) -> int:
    return min(math.floor(longest_s * sample_rate_hz), LARGEST_SAMPLES // channels)


def _check_samples(path: Path, samples: NDArray[np.float32]) -> None:
    if not len(samples):
        raise RecordingError("{path}: contains no sound: it ends where the samples should begin", path=path)
    least, most = float(samples.min()), float(samples.max())
    if not math.isfinite(least) or not math.isfinite(most):
        raise RecordingError("{path}: holds samples that are not numbers (NaN or infinite). Export it again", path=path)
    if max(-least, most) > _BEYOND:
        raise RecordingError(
            "{path}: holds samples {times:.3g} times full scale. Export it again, as 16-bit integers",
            path=path,
            times=max(-least, most),
        )
