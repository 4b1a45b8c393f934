"""The file of this node's own suspensions, next to the ledger and readable only by the service's user.

The file contains telephone numbers. Commands and the service change it under a lock. Each change replaces it
atomically, so it stays complete even if a program dies during the change.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from idtone.core.errors import UsageError
from idtone.core.settings.settings import Settings
from idtone.ledger.keys.private_files import open_private, replace_private
from idtone.ledger.store.sqlite import path_of

from .own_stops import NO_STOPS, OwnStopIndex
from .own_suspension import OwnSuspension, OwnSuspensions

log = logging.getLogger(__name__)

FORMAT: Final = 1


def suspensions_path(settings: Settings) -> Path:
    ledger = path_of(settings.ledger.own_url())
    return ledger.with_name(f"{ledger.name}.suspensions")


def read_suspensions(path: Path) -> OwnSuspensions:
    """Read the suspensions; a missing file is empty. Raises UsageError if the file is unusable."""
    try:
        found = OwnSuspensions.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return OwnSuspensions()
    except OSError as error:
        raise UsageError(
            "{path}: cannot be read: {reason}; run this as the service's user", path=path, reason=error.strerror
        ) from error
    except ValidationError:
        found = OwnSuspensions(format=0)  # its message would quote numbers
    if found.format != FORMAT:
        raise UsageError(
            "{path}: is damaged, or of another version; restore it, or remove it and enter this node's suspensions "
            "again (`idtone suspend`): `idtone ledger list` names them",
            path=path,
        )
    return found


class SuspensionDraft:
    """New content of the suspension file, written at the end of the change."""

    def __init__(self, read: OwnSuspensions) -> None:
        self.held = read

    def put(self, changed: OwnSuspension) -> None:
        self.held = self.held.put(changed)


@contextmanager
def changing(path: Path) -> Iterator[SuspensionDraft]:
    """Change the suspension file atomically. An exception inside the block leaves it unchanged.

    Blocks while another program changes the file. Raises UsageError.
    """
    try:
        descriptor = open_private(path.with_name(f"{path.name}-lock"))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            draft = SuspensionDraft(read := read_suspensions(path))
            yield draft
            if draft.held != read:
                replace_private(path, draft.held.model_dump_json().encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UsageError(
            "{path}: cannot be written: {reason}; run this as the user that `idtone serve` runs as",
            path=path,
            reason=error.strerror,
        ) from error


class StopsInUse:
    """The operator's suspensions as decisions use them. `index` is replaced only if they differ."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises UsageError if it is unusable; otherwise, suspended numbers would be connected."""
        self.path = path
        self.index = NO_STOPS
        self._seen: tuple[int, ...] = ()
        self.refresh()

    def has_changed(self) -> bool:
        """True if the file has changed. The check takes one `stat`."""
        return _identity(self.path) != self._seen

    def refresh(self) -> None:
        """Read the file if it has changed. If UsageError is raised, the earlier suspensions stay in use."""
        seen = _identity(self.path)
        if seen == self._seen:
            return
        self._seen = seen
        made = OwnStopIndex(read_suspensions(self.path).suspensions)
        if made.digest != self.index.digest:
            self.index = made


def _identity(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return (status.st_mtime_ns, status.st_size, status.st_ino)
