"""Cache of file contents. The files are read again only after one of them has changed."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
Stamp = tuple[int, int, int]


def stamp(path: Path) -> Stamp | None:
    """A value that changes with the file's content, or None if the file cannot be found.

    The value of a folder changes when an entry is added or removed.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class CachedFiles(Generic[T]):
    """The cached result of `read`, which is called again when a file has changed.

    Thread-safe. An error of `read` is passed on to the caller and is not cached.
    """

    def __init__(self, files: Callable[[], Iterable[Path]], read: Callable[[], T]) -> None:
        self._files = files
        self._read = read
        self._lock = threading.Lock()
        self._kept: tuple[tuple[Stamp | None, ...], T] | None = None

    @property
    def last(self) -> T | None:
        """The last result, even if the files have changed since, or None before the first result."""
        kept = self._kept
        return kept[1] if kept else None

    @property
    def is_read(self) -> bool:
        """True if the files have not changed since the last read, so `get` does not read them."""
        kept = self._kept
        return kept is not None and kept[0] == tuple(map(stamp, self._files()))

    def get(self) -> T:
        """The current result. Blocks while the files are read."""
        with self._lock:
            stamps = tuple(map(stamp, self._files()))
            if self._kept is None or self._kept[0] != stamps:
                self._kept = stamps, self._read()
            return self._kept[1]
