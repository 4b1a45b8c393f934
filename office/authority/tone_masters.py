"""Adds an association sound: an entry in the registry, and a master recording in `tones`."""

import hashlib
import io
import wave
from pathlib import Path
from typing import Final

from idtone.core.errors import TrustError, UsageError
from idtone.core.files import writing
from idtone.core.terminal.prompts import checked_line
from idtone.registry.model import RegistryDocument
from idtone.registry.trust import tuf_roles

from . import group_shared_files
from .change_registry import Attribution, change_registry
from .history import Action, HistoryEntry
from .workspace import Workspace
from .yaml_text import YamlText

LIMIT: Final = 20_000_000
"""Maximum size of a master recording in bytes."""
LONGEST_S: Final = 60
_LOWEST_RATE_HZ: Final = 8000


def enter_tone(
    workspace: Workspace, tone: str, title: str, octets: bytes, attribution: Attribution, title_name: str
) -> HistoryEntry:
    """Store a sound's master recording and add the sound to the registry with the master's SHA-256.

    `title_name` is the title's field name in error messages. Raises IdtoneError without adding the sound to the
    registry.
    """
    title = checked_line(title, title_name)
    _check(octets)
    sha256 = hashlib.sha256(octets).hexdigest()
    master = master_of(workspace, tone)

    def edit(text: YamlText, document: RegistryDocument) -> None:
        if tone in {each.id for each in document.tones}:
            raise UsageError(
                "the registry has a tone {tone!r} already; members know it by its SHA-256: choose a new id", tone=tone
            )
        text.append(("tones",), [{"id": tone, "title": title, "sha256": sha256}])

    with workspace.locked():

        def put() -> None:
            """Write the master before the registry, so that the registry never names a missing master. A master without
            an entry does no harm; the next attempt replaces it.
            """
            with writing(master.parent, TrustError):
                group_shared_files.write(master, octets)

        return change_registry(workspace, Action.TONE, tone, attribution, edit, put)


def master_of(workspace: Workspace, tone: str) -> Path:
    return workspace.folder / tuf_roles.TONES / f"{tone}.wav"


def _check(octets: bytes) -> None:
    try:
        with wave.open(io.BytesIO(octets)) as file:
            channels, rate_hz, frames = file.getnchannels(), file.getframerate(), file.getnframes()
    except (wave.Error, EOFError) as error:
        raise UsageError("the master is not a WAV file (PCM)") from error
    if channels != 1 or rate_hz < _LOWEST_RATE_HZ or not 0 < frames <= LONGEST_S * rate_hz:
        raise UsageError(
            "a master has one channel, at least {rate} Hz, and lasts at most {seconds} s",
            rate=_LOWEST_RATE_HZ,
            seconds=LONGEST_S,
        )
