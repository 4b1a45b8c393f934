"""The registry's file: read, and watched for a newer one."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from idtone import documents
from idtone.errors import DocumentError

from .index import RegistryIndex
from .model import RegistryFile
from .rules import complaints

log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]


def load_registry(path: Path) -> RegistryIndex:
    """Read and check a registry. Raises DocumentError with every fault."""
    return RegistryIndex(documents.load(path, RegistryFile, complaints))


class RegistrySource:
    """Holds the last good generation of one file. `current` may be read from any thread at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: _Stamp | None | str = "never"
        self._lock = threading.Lock()
        self.current: RegistryIndex | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Take up the file if it has changed; True where a new generation was taken.

        A file that is faulty or gone leaves the last good generation in force, and one error in the log.
        """
        with self._lock:
            stamp = self._stamp()
            if stamp == self._seen:
                return False
            self._seen = stamp
            try:
                self.current = load_registry(self._path)
            except DocumentError as error:
                kept = f"version {self.current.version} stays in force" if self.current else "there is none in force"
                log.error("the registry cannot be used; %s. Faults:\n%s", kept, error)  # noqa: TRY400 — they say it all
                return False
            log.info("registry version %d is in force", self.current.version)
            return True

    def _stamp(self) -> _Stamp | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
