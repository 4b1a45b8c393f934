"""Puts the sound files where Asterisk plays them from."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idtone.errors import ToneError, UsageError

from .formats import FORMATS, SoundFormat, encode
from .profile import Profile

PBX_FORMATS: Final = ("sln16", "sln", "ulaw", "alaw", "gsm")
"""Asterisk plays the file that costs it the least transcoding: the G.711 and GSM ones go out as they
are, `sln16` serves G.722, Opus and other wideband, `sln` every other codec. WAVE would add nothing."""

_MODE: Final = 0o644
"""Asterisk runs as another user and must read the files."""


@dataclass(frozen=True, slots=True)
class SoundFile:
    """One file; `written` is False where the same content was there already."""

    path: Path
    sound_format: SoundFormat
    sha256: str
    written: bool


@dataclass(frozen=True, slots=True)
class Sound:
    """A profile's files. `stem` is the path without extension, as Asterisk wants it after `sound:`.

    `duration_ms` is the length of the sound itself; a file may end with up to a frame more of silence.
    """

    stem: Path
    duration_ms: float
    files: tuple[SoundFile, ...]

    @property
    def sha256(self) -> str:
        """Stands for the sound in the evidence: the hash of its first file."""
        return self.files[0].sha256


def ensure_sounds(
    directory: Path, profiles: Iterable[Profile], formats: Iterable[str] = PBX_FORMATS
) -> dict[str, Sound]:
    """Write each profile in each format to `directory`, made where missing; by profile id.

    A file is replaced in one step, and only where its content differs; other files are left alone.
    Raises ToneError where something cannot be written, UsageError for an unknown format.
    """
    wanted = [named_format(name) for name in formats]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return {profile.id: _ensure_sound(directory, profile, wanted) for profile in profiles}
    except OSError as error:
        place = error.filename2 or directory
        raise ToneError(
            f"{place}: cannot be written: {error.strerror}. "
            f"Let the user that runs idtone write to {directory}, or name another folder"
        ) from error


def named_format(name: str) -> SoundFormat:
    """A format of the table. Raises UsageError that lists them."""
    try:
        return FORMATS[name]
    except KeyError:
        raise UsageError(f"there is no format {name!r}; there are {', '.join(FORMATS)}") from None


def _ensure_sound(directory: Path, profile: Profile, formats: Iterable[SoundFormat]) -> Sound:
    stem = directory / profile.id
    files = []
    for sound_format in formats:
        path = directory / f"{profile.id}{sound_format.extension}"
        content = encode(profile, sound_format)
        written = not _holds(path, content)
        if written:
            _replace(path, content)
        files.append(SoundFile(path, sound_format, hashlib.sha256(content).hexdigest(), written))
    return Sound(stem, profile.duration_ms, tuple(files))


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except FileNotFoundError:
        return False


def _replace(path: Path, content: bytes) -> None:
    """Whoever opens `path` meanwhile gets the old file or the new one, never a part."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
