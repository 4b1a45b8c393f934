"""Where the registry comes from: a file, read anew when it changes. The room's only module that reads files."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final

from idtone.documents import load, parse
from idtone.errors import DocumentError

from .index import RegistryIndex
from .model import RegistryDocument
from .rules import complaints

log = logging.getLogger(__name__)

_LOGGED_FAULTS: Final = 5


def read_document(path: Path) -> RegistryDocument:
    """The registry as it stands in the file. Raises DocumentError with every fault."""
    return load(path, RegistryDocument, complaints)


def parse_document(text: str, name: str) -> RegistryDocument:
    """As `read_document`, from text; `name` stands for the file in the faults."""
    return parse(text, name, RegistryDocument, complaints)


def load_registry(path: Path) -> RegistryIndex:
    """The registry, ready for look-ups. Raises DocumentError with every fault."""
    return RegistryIndex(read_document(path))


class RegistrySource:
    """Keeps the last good generation of a registry file.

    A file that becomes faulty or disappears changes nothing but the log: what was good stays in use,
    and with it every suspension. Writers must replace the file (write beside it, then rename), or a
    half-written one is read and complained about.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._refreshing = threading.Lock()
        self.current: RegistryIndex | None = None

    def refresh(self) -> bool:
        """Look at the file, and read it where it has changed; True where a new generation was taken.

        Costs one `stat` where nothing changed. Blocks while reading: call it from a thread, any thread.
        """
        with self._refreshing:
            seen = _identity(self._path)
            if seen == self._seen:
                return False
            self._seen = seen  # of before the reading, so that a change meanwhile is found next time
            try:
                self.current = load_registry(self._path)
            except DocumentError as error:
                trouble = _summary(error)
            else:
                log.info("registry %s: version %d is in use", self._path, self.current.version)
                return True
            log.error("the registry cannot be used: %s. %s", trouble, self._consequence())
            return False

    def _consequence(self) -> str:
        if self.current is None:
            return "There is no registry: no licence counts"
        return f"Version {self.current.version} stays in use"


def _identity(path: Path) -> tuple[int, ...]:
    """Differs whenever the file was changed, replaced, removed or brought back."""
    try:
        status = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _summary(error: DocumentError) -> str:
    shown = "; ".join(map(str, error.faults[:_LOGGED_FAULTS]))
    more = len(error.faults) - _LOGGED_FAULTS
    return f"{shown}; and {more} more faults" if more > 0 else shown
