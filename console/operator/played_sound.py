"""The file of a sound that was played, if the PBX still has it as it was: its SHA-256 is in the evidence."""

from __future__ import annotations

import hashlib
import io
import re
import wave as wave_file
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from idtone.tones.making.formats import FORMATS
from idtone.tones.making.sounds import PBX_FORMATS
from idtone.translation import Message

FORMAT: Final = FORMATS[PBX_FORMATS[0]]
"""That of the file whose SHA-256 identifies a sound."""
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SIZE_LIMIT: Final = 4 * 2**20


@dataclass(frozen=True, slots=True)
class PlayedSound:
    """`content`: the samples, if the file is the one that was played. `problem`: why there are none."""

    content: bytes | None
    problem: Message | None = None

    @property
    def samples(self) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        return np.frombuffer(self.content or b"", dtype="<i2").astype(np.int16)

    def as_wav(self) -> bytes:
        """For the player of a browser."""
        file = io.BytesIO()
        with wave_file.open(file, "wb") as written:
            written.setnchannels(1)
            written.setsampwidth(2)
            written.setframerate(FORMAT.sample_rate_hz)
            written.writeframes(self.content or b"")
        return file.getvalue()


def played_sound(directory: Path, profile: str, sha256: str) -> PlayedSound:
    """The file in the folder of the sounds, compared with the evidence. `profile` and `sha256` are from there."""
    if not _ID.fullmatch(profile):
        return PlayedSound(None, Message("The evidence names no profile that could have a file."))
    path = directory / f"{profile}{FORMAT.extension}"
    try:
        with path.open("rb") as file:
            content = file.read(_SIZE_LIMIT + 1)
    except OSError as error:
        return PlayedSound(
            None, Message("{path}: the sound cannot be read: {reason}", path=path, reason=error.strerror or error)
        )
    found = hashlib.sha256(content).hexdigest()
    if len(content) > _SIZE_LIMIT or len(content) % 2 or found != sha256:
        return PlayedSound(
            None,
            Message(
                "{path} is another sound now: its SHA-256 is {found}, and that of the one that was played is in the "
                "evidence.",
                path=path,
                found=found,
            ),
        )
    return PlayedSound(content)
