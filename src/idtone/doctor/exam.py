"""What the checks share: the settings, one look at Asterisk, one reading of the profiles. I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from idtone.dialplan import Hook
from idtone.errors import AriError, DocumentError
from idtone.exporting import hook_for
from idtone.settings import Settings
from idtone.tones.library import Library, load_library

from . import ari
from .asterisk import Seen

USUAL_FOLDER: Final = Path("/etc/asterisk")


@dataclass
class Exam:
    """One visit of the doctor. Every check may wait for the look at Asterisk; each of them sees the same."""

    settings: Settings
    config: Path | None
    """The settings file as it was named, for remedies."""
    named_folder: Path | None
    """Asterisk's configuration folder, where the user named one."""
    environment: Mapping[str, str]
    now: Callable[[], datetime]
    _seen: Future[Seen] = field(default_factory=Future)

    def look(self, secret: str) -> Seen:
        """Look at Asterisk, for all. Raises AriError."""
        try:
            seen = ari.look(self.settings.ari, secret)
        except BaseException as error:
            self._seen.set_exception(error)
            raise
        self._seen.set_result(seen)
        return seen

    def not_looked(self, error: DocumentError) -> None:
        """There is no password to look with."""
        self._seen.set_exception(error)

    @property
    def seen(self) -> Seen | None:
        """Asterisk as it was seen; None where it could not be. Waits for the look."""
        try:
            return self._seen.result()
        except (AriError, DocumentError):
            return None  # the check that looks tells why

    @property
    def folder(self) -> Path | None:
        """Asterisk's configuration folder; None where it is on another machine."""
        if self.named_folder:
            return self.named_folder
        seen = self.seen
        if seen is None:
            return USUAL_FOLDER
        return Path(seen.variables["ASTETCDIR"] or USUAL_FOLDER) if seen.nearby else None

    @cached_property
    def library(self) -> Library:
        """Raises DocumentError."""
        return load_library(self.settings.sounds.profiles)

    def hook(self) -> Hook:
        """What `idtone dialplan export` would write now. Raises DocumentError, and UsageError as `hook_for`."""
        return hook_for(self.settings, self.config, self.library)
