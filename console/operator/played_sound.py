"""Finds the file of a played sound on the PBX, if it still matches the SHA-256 in the evidence."""

import hashlib
import io
import re
import wave as wave_file
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from idtone.core.errors import RecordingError
from idtone.core.translation import Message
from idtone.tones.making.formats import FORMATS
from idtone.tones.making.sound_files import PBX_FORMATS, combined_digest
from idtone.tones.recordings.audio_files import read_audio_file

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SIZE_LIMIT: Final = 4 * 2**20
_LONGEST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class PlayedSound:
    """A played sound.

    `content` contains the 16-bit samples if this is the file that was played. Otherwise, `content` is None and
    `problem` says why.
    """

    content: bytes | None
    problem: Message | None = None
    sample_rate_hz: int = 0

    @property
    def samples(self) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        return np.frombuffer(self.content or b"", dtype="<i2").astype(np.int16)

    def as_wav(self) -> bytes:
        """The sound as a WAV file for browsers."""
        file = io.BytesIO()
        with wave_file.open(file, "wb") as written:
            written.setnchannels(1)
            written.setsampwidth(2)
            written.setframerate(self.sample_rate_hz)
            written.writeframes(self.content or b"")
        return file.getvalue()


def played_sound(directory: Path, profile: str, sha256: str, file_format: str = "") -> PlayedSound:
    """The played sound, if a file in the folder matches the evidence.

    `profile`, `sha256` and `file_format` come from the evidence. If no format is given, `sha256` is compared with the
    combined digest of all formats.
    """
    if not _ID.fullmatch(profile) or file_format not in ("", *PBX_FORMATS):
        return PlayedSound(None, Message("The evidence names no profile that could have a file."))
    digests = {}
    for name in [file_format] if file_format else PBX_FORMATS:
        path = directory / f"{profile}{FORMATS[name].extension}"
        try:
            with path.open("rb") as file:
                content = file.read(_SIZE_LIMIT + 1)
        except OSError as error:
            return _unreadable(path, error.strerror or str(error))
        digests[name] = hashlib.sha256(content).hexdigest()
    found = digests[file_format] if file_format else combined_digest(digests)
    shown = directory / f"{profile}{FORMATS[file_format or PBX_FORMATS[0]].extension}"
    if found != sha256:
        return PlayedSound(
            None,
            Message(
                "{path} is another sound now: its SHA-256 is {found}, and that of the one that was played is in the "
                "evidence.",
                path=shown if file_format else directory / f"{profile}.*",
                found=found,
            ),
        )
    try:
        leg = read_audio_file(shown, longest_s=_LONGEST_S)[0]
    except RecordingError as error:
        return _unreadable(shown, str(error))
    steps = (leg.samples * 32768).round().clip(-32768, 32767).astype("<i2")
    return PlayedSound(steps.tobytes(), None, leg.sample_rate_hz)


def _unreadable(path: Path, reason: str) -> PlayedSound:
    return PlayedSound(None, Message("{path}: the sound cannot be read: {reason}", path=path, reason=reason))
