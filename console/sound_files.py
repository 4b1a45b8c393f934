"""Sound files that Asterisk plays: checks them, converts them for browsers, and draws them.

The audio libraries are imported when a page first needs them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from idtone.core.errors import RecordingError, ToneError
from idtone.core.translation import Message, template
from idtone.registry.sources import identity
from idtone.tones.profile import Profile, sha256_of
from idtone.tones.registered_profile_check import play_objection

if TYPE_CHECKING:
    from idtone.tones.measuring.inspection import MeasuredBurst
    from idtone.tones.showing.spectrogram import Floats

    from .drawings.spectrum import Spectrum
    from .drawings.wave import Wave

LONGEST_S: Final = 60.0
"""Maximum duration of a sound in seconds. Longer files are not sounds for calls."""


class SoundKind(StrEnum):
    """A sound's role on this node."""

    LICENSED = template("licensed sound")
    NOTICE = template("notice")
    OTHER = template("other sound")


@dataclass(frozen=True, slots=True)
class FileState:
    """A sound's file in one format."""

    format: str
    path: Path
    octets: int | None
    """Size in bytes, or None if the file is missing or unreadable."""
    sha256: str
    wanted: str
    """Expected SHA-256, empty if the sound cannot be rendered."""
    trouble: str

    @property
    def is_right(self) -> bool:
        return bool(self.wanted) and self.sha256 == self.wanted


@dataclass(frozen=True, slots=True)
class SoundState:
    profile: Profile
    kind: SoundKind
    source: str
    licensed_sha256: str | None
    """SHA-256 of the registry's master."""
    doubt: str | None
    files: Sequence[FileState]

    @property
    def plays(self) -> FileState | None:
        """The file for pages to play and draw, or None if no file is readable."""
        return next((file for file in self.files if file.octets is not None), None)


@dataclass(frozen=True, slots=True)
class MeasuredSound:
    """Measurements and drawings of a sound file."""

    wave: Wave
    spectrum: Spectrum
    bursts: Sequence[MeasuredBurst]


def kind_of(profile: Profile, notice: str, tones: Mapping[str, str | None] | None) -> SoundKind:
    """A profile's role. `notice` is the id of the node's notice, and `tones` are the registry's sounds."""
    if tones is not None and profile.id in tones:
        return SoundKind.LICENSED
    return SoundKind.NOTICE if profile.id == notice else SoundKind.OTHER


def sound_state(
    directory: Path, profile: Profile, source: str, kind: SoundKind, tones: Mapping[str, str | None] | None
) -> SoundState:
    """The state of a sound and its files in the folder."""
    files = [file_state(directory, profile, name) for name in formats()]
    return SoundState(profile, kind, source, (tones or {}).get(profile.id), play_objection(profile, tones), files)


def formats() -> Sequence[str]:
    from idtone.tones.making.sound_files import PBX_FORMATS

    return PBX_FORMATS


def file_state(directory: Path, profile: Profile, name: str) -> FileState:
    path = directory / f"{profile.id}.{name}"
    wanted, trouble = "", ""
    try:
        wanted = _digest_of(profile, name)
    except (ToneError, RecordingError) as error:
        trouble = str(error)
    try:
        return FileState(name, path, path.stat().st_size, sha256_of(path), wanted, trouble)
    except OSError as error:
        why = Message("is missing") if isinstance(error, FileNotFoundError) else error.strerror or "?"
        return FileState(name, path, None, "", wanted, trouble or why)


@lru_cache(256)
def _digest_of(profile: Profile, name: str) -> str:
    """The file's expected digest, cached because rendering the sound takes too long for a page."""
    from idtone.tones.making.encoders import encode
    from idtone.tones.making.sound_files import find_format

    return hashlib.sha256(encode(profile, find_format(name))).hexdigest()


def as_wav(path: Path) -> bytes:
    """A file's sound as 16-bit WAV, which every browser can play. Raises RecordingError."""
    import soundfile

    samples, rate_hz = _samples(path)
    made = io.BytesIO()
    soundfile.write(made, samples, rate_hz, format="WAV", subtype="PCM_16")
    return made.getvalue()


def measure_sound(path: Path) -> MeasuredSound:
    """Measure and draw a file. Raises RecordingError.

    Results are cached, because measuring takes too long for a page.
    """
    return _measured(path, identity(path))


@lru_cache(64)
def _measured(path: Path, _: tuple[int, ...]) -> MeasuredSound:
    from idtone.tones.measuring.inspection import inspect

    from .drawings.spectrum import spectrum
    from .drawings.wave import wave

    samples, rate_hz = _samples(path)
    steps = (samples * 32768).round().clip(-32768, 32767).astype("int16")
    return MeasuredSound(wave(steps, rate_hz), spectrum(samples, rate_hz), inspect(samples, rate_hz).bursts)


def _samples(path: Path) -> tuple[Floats, int]:
    from idtone.tones.recordings.audio_files import read_audio_file

    leg = read_audio_file(path, longest_s=LONGEST_S)[0]
    return leg.samples, leg.sample_rate_hz
