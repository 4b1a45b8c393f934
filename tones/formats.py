"""The file formats that Asterisk plays, and their encoders. All in memory, so a file's bytes depend on
its profile alone.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from .profile import Profile
from .synthesis import synthesise, to_pcm16

FRAME_MS: Final = 20
"""Asterisk reads files in frames of this length, and GSM 06.10 has no other."""

_WAV_HEADER: Final = 22
"""Asterisk takes the 44 bytes of the header off the end of a WAVE file as well, which are 22 samples."""
_RESAMPLER: Final = 80
"""On an 8 kHz channel Asterisk's resampler still holds 5 ms when the file ends (measured, 22.10.1)."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """A format under the name that Asterisk has for it, which is also the file's extension.

    `container` and `subtype` are libsndfile's. The last `lost_samples` of a file may never be played.
    """

    name: str
    sample_rate_hz: int
    container: str
    subtype: str
    lost_samples: int = 0

    @property
    def extension(self) -> str:
        return f".{self.name}"


FORMATS: Final[Mapping[str, SoundFormat]] = MappingProxyType(
    {
        each.name: each
        for each in (
            SoundFormat("wav", 8000, "WAV", "PCM_16", _WAV_HEADER),
            SoundFormat("wav16", 16000, "WAV", "PCM_16", _WAV_HEADER + _RESAMPLER),
            SoundFormat("sln", 8000, "RAW", "PCM_16"),
            SoundFormat("sln16", 16000, "RAW", "PCM_16", _RESAMPLER),
            SoundFormat("ulaw", 8000, "RAW", "ULAW"),
            SoundFormat("alaw", 8000, "RAW", "ALAW"),
            SoundFormat("gsm", 8000, "RAW", "GSM610"),
        )
    }
)


def encode(profile: Profile, sound_format: SoundFormat) -> bytes:
    """The whole file: the sound, and silence up to the end of a frame."""
    pcm = to_pcm16(synthesise(profile, sound_format.sample_rate_hz))
    frame = sound_format.sample_rate_hz * FRAME_MS // 1000
    silence = sound_format.lost_samples
    silence += -(len(pcm) + silence) % frame
    return _encode_pcm(np.pad(pcm, (0, silence)), sound_format)


def _encode_pcm(pcm: NDArray[np.int16], sound_format: SoundFormat) -> bytes:
    file = io.BytesIO()
    soundfile.write(
        file,
        pcm,
        sound_format.sample_rate_hz,
        format=sound_format.container,
        subtype=sound_format.subtype,
        endian="FILE" if sound_format.container == "WAV" else "LITTLE",
    )
    return file.getvalue()
