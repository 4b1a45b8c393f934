"""Writes sound files to the folder from which Asterisk plays them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from idtone.core.errors import ToneError, UsageError
from idtone.core.files import draft

from ..profile import CALL_LIMIT_MS, Profile, sha256_of
from .formats import FORMATS, SoundFormat

if TYPE_CHECKING:
    from .encoders import Advance

PBX_FORMATS: Final = ("sln16", "sln", "ulaw", "alaw", "gsm")
"""Formats for a PBX, of which Asterisk plays the one that needs the least transcoding.

G.711 and GSM files are sent unchanged. `sln16` serves G.722, Opus and other wideband codecs, and `sln` serves all other
codecs. WAV files would add nothing.
"""


@dataclass(frozen=True, slots=True)
class SoundFile:
    """One sound file. `written` is False if the file already existed with the same content."""

    path: Path
    sound_format: SoundFormat
    sha256: str
    octets: int
    written: bool


@dataclass(frozen=True, slots=True)
class Sound:
    """A profile's files. `stem` is the path without an extension, as Asterisk expects it after `sound:`.

    `duration_ms` is the duration of the sound itself. A file may end with up to one additional frame of silence.
    """

    stem: Path
    duration_ms: float
    files: tuple[SoundFile, ...]

    @property
    def sha256(self) -> str:
        """Combined hash of all files, computed over one line per file, `FORMAT SHA256`.

        The lines are sorted by format, as described in evidence-format.md.
        """
        return combined_digest({file.sound_format.name: file.sha256 for file in self.files})

    @property
    def is_there(self) -> bool:
        """True if all files exist with their original size.

        Their content is not read, because a call cannot wait for that.
        """
        try:
            return all(os.stat(file.path).st_size == file.octets for file in self.files)
        except OSError:
            return False


def combined_digest(digests: Mapping[str, str]) -> str:
    """The value of `Sound.sha256` for files that have these digests, by format."""
    lines = sorted(f"{name} {digest}\n" for name, digest in digests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def ensure_sounds(
    directory: Path,
    profiles: Iterable[Profile],
    formats: Iterable[str] = PBX_FORMATS,
    advance: Advance | None = None,
) -> dict[str, Sound]:
    """Create each profile in each format in `directory`, and return the sounds by profile id.

    A missing directory is created. A file is replaced atomically, and only if its content differs. Other files are not
    touched. Raises ToneError if a file cannot be created, and UsageError for an unknown format.
    """
    from .encoders import (  # imports the synthesis libraries, which a node need not have
        encode,
        require_encoder,
        write,
    )

    wanted = [find_format(name) for name in formats]
    for sound_format in wanted:
        require_encoder(sound_format)

    def ensure(path: Path, profile: Profile, sound_format: SoundFormat) -> SoundFile:
        if profile.duration_ms <= CALL_LIMIT_MS:
            # In memory, so that a folder with correct files may be read-only.
            return _ensure_content(path, sound_format, encode(profile, sound_format, advance))
        with draft(path) as new:
            write(profile, sound_format, new.file, advance)
            new.file.flush()
            digest = sha256_of(new.path)
            written = not path.is_file() or sha256_of(path) != digest
            if written:
                new.put()
        return SoundFile(path, sound_format, digest, path.stat().st_size, written)

    return _in_folder(directory, profiles, wanted, ensure)


def install_sounds(
    directory: Path, profiles: Iterable[Profile], content: Callable[[Profile, SoundFormat], bytes]
) -> dict[str, Sound]:
    """Write the profiles in the formats for calls, as `ensure_sounds` does. `content` returns the bytes of a file."""
    return _in_folder(
        directory,
        profiles,
        [FORMATS[name] for name in PBX_FORMATS],
        lambda path, profile, sound_format: _ensure_content(path, sound_format, content(profile, sound_format)),
    )


def _in_folder(
    directory: Path,
    profiles: Iterable[Profile],
    formats: Iterable[SoundFormat],
    ensure: Callable[[Path, Profile, SoundFormat], SoundFile],
) -> dict[str, Sound]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return {
            profile.id: Sound(
                directory / profile.id,
                profile.duration_ms,
                tuple(ensure(directory / f"{profile.id}{each.extension}", profile, each) for each in formats),
            )
            for profile in profiles
        }
    except OSError as error:
        place = error.filename2 or directory
        raise ToneError(
            "{place}: cannot be written: {reason}. "
            "Let the user that runs idtone write to {directory}, or name another folder",
            place=place,
            reason=error.strerror,
            directory=directory,
        ) from error


def find_format(name: str) -> SoundFormat:
    """The format with this name. If the name is unknown, raises UsageError, which lists all formats."""
    if name == "sln44":
        raise UsageError("sln44 is not written, because Asterisk plays it 6 dB too low; use sln48")
    try:
        return FORMATS[name]
    except KeyError:
        raise UsageError(
            "unknown format {name!r}; the formats are {names}", name=name, names=", ".join(FORMATS)
        ) from None


def _ensure_content(path: Path, sound_format: SoundFormat, content: bytes) -> SoundFile:
    written = not _holds(path, content)
    if written:
        with draft(path) as new:
            new.file.write(content)
            new.put()
    return SoundFile(path, sound_format, hashlib.sha256(content).hexdigest(), len(content), written)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except FileNotFoundError:
        return False
