"""Cache of file contents, which rereads the files only after one of them has changed."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
Stamp = tuple[int, int, int]


def stamp(path: Path) -> Stamp | None:
    """A value that changes with the file's content, or None if the file cannot be found.

    For a folder, the value changes when an entry is added or removed.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class CachedFiles(Generic[T]):
    """Caches the result of `read` until a file changes.

    Thread-safe. Errors raised by `read` propagate to the caller and are not cached.
    """

    def __init__(self, files: Callable[[], Iterable[Path]], read: Callable[[], T]) -> None:
        self._files = files
        self._read = read
        self._lock = threading.Lock()
        self._kept: tuple[tuple[Stamp | None, ...], T] | None = None

    @property
    def last(self) -> T | None:
        """The last result, even if the files have changed since. None before the first result."""
        kept = self._kept
        return kept[1] if kept else None

    @property
    def is_read(self) -> bool:
        """True if the files have not changed since they were last read, so `get` will not read them."""
        kept = self._kept
        return kept is not None and kept[0] == tuple(map(stamp, self._files()))

    def get(self) -> T:
        """The current result. Blocks while it reads the files."""
        with self._lock:
            stamps = tuple(map(stamp, self._files()))
            if self._kept is None or self._kept[0] != stamps:
                self._kept = stamps, self._read()
            return self._kept[1]
