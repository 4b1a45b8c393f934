"""Table of file formats: those that Asterisk plays, and two for people to play. `encoders` writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

FRAME_MS: Final = 20
"""Duration of a frame, in ms. Asterisk reads files in frames of this duration, and GSM 06.10 requires it."""

_WAV_HEADER_SAMPLES: Final = 22
"""Number of samples that Asterisk drops at the end of a WAV file: 44 bytes, the size of the header."""
_RESAMPLER_MS: Final = 5
"""Delay of Asterisk's resampler on an 8 kHz channel, in ms. It drops the same amount at the end of a file."""


@dataclass(frozen=True, slots=True)
class LibsndfileEncoding:
    """A format's names in libsndfile: its container and its subtype."""

    container: str
    subtype: str


@dataclass(frozen=True, slots=True)
class FfmpegEncoding:
    """A format's names in ffmpeg, and the encoder's arguments."""

    muxer: str
    encoder: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """A file format. Its name is the one that Asterisk uses, which is also the file extension.

    Asterisk may not play the last `lost_samples` of a file. `delay_ms` is the delay of a sound when Asterisk plays the
    file on an 8 kHz channel (measured with 22.10.1), or None if Asterisk cannot read the format.
    """

    name: str
    sample_rate_hz: int
    encoding: LibsndfileEncoding | FfmpegEncoding
    lost_samples: int = 0
    delay_ms: float | None = 0.0

    @property
    def extension(self) -> str:
        return f".{self.name}"

    @property
    def linear(self) -> bool:
        """True if the file contains uncoded samples."""
        return self.encoding in (_RAW, _WAV)


_RAW: Final = LibsndfileEncoding("RAW", "PCM_16")
_WAV: Final = LibsndfileEncoding("WAV", "PCM_16")


def _held(sample_rate_hz: int) -> int:
    return sample_rate_hz * _RESAMPLER_MS // 1000


def _signed_linear(sample_rate_hz: int) -> SoundFormat:
    name = f"sln{sample_rate_hz // 1000}"
    return SoundFormat(name, sample_rate_hz, _RAW, _held(sample_rate_hz), _RESAMPLER_MS)


FORMATS: Final[Mapping[str, SoundFormat]] = MappingProxyType(
    {
        each.name: each
        for each in (
            SoundFormat("wav", 8000, _WAV, _WAV_HEADER_SAMPLES),
            SoundFormat("wav16", 16000, _WAV, _WAV_HEADER_SAMPLES + _held(16000), _RESAMPLER_MS),
            SoundFormat("sln", 8000, _RAW),
            *map(_signed_linear, (12000, 16000, 24000, 32000, 48000, 96000, 192000)),
            SoundFormat("ulaw", 8000, LibsndfileEncoding("RAW", "ULAW")),
            SoundFormat("alaw", 8000, LibsndfileEncoding("RAW", "ALAW")),
            SoundFormat("au", 8000, LibsndfileEncoding("AU", "ULAW")),
            SoundFormat("gsm", 8000, LibsndfileEncoding("RAW", "GSM610")),
            SoundFormat("g722", 16000, FfmpegEncoding("g722", "g722"), _held(16000), 0.66),
            SoundFormat("g726-32", 8000, FfmpegEncoding("g726le", "g726le", ("-b:a", "32k"))),
            SoundFormat("ogg", 8000, LibsndfileEncoding("OGG", "VORBIS")),
            SoundFormat("opus", 48000, FfmpegEncoding("opus", "libopus", ("-b:a", "64k")), _held(48000), _RESAMPLER_MS),
            SoundFormat("spx", 8000, FfmpegEncoding("spx", "libspeex", ("-cbr_quality", "10")), 80, 9.95),
            # At a constant bit rate, LAME lowers the level by 0.45 dB.
            SoundFormat("mp3", 16000, FfmpegEncoding("mp3", "libmp3lame", ("-q:a", "0")), delay_ms=None),
            SoundFormat("m4a", 16000, FfmpegEncoding("ipod", "aac", ("-b:a", "64k")), delay_ms=None),
        )
    }
)
