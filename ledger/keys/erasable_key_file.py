"""A file of encrypted keys of equal length, one per line.

New keys are appended. A key is destroyed by overwriting its characters in place. Key files are separate from the
database, so its free pages, journals and backups never contain a key.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from idtone.core.errors import LedgerError
from idtone.core.files import sync_folder

from .private_files import make_parents, open_private

_KEY_CHARACTERS: Final = 80
"""Length of the Base64 text for nonce, key and tag."""
DESTROYED: Final = "-" * _KEY_CHARACTERS


class KeyLine(NamedTuple):
    name: str
    key: str


class _Content(NamedTuple):
    lines: list[KeyLine | None]
    by_name: dict[str, str]


class ErasableKeyFile:
    """A file with one named key per line. The file need not exist.

    `name` is the pattern for a line's name, which has `name_bytes` bytes. `unusable` creates the error to raise if the
    file cannot be used. Thread-safe. Several processes may use one file.
    """

    def __init__(self, path: Path, name: str, name_bytes: int, unusable: Callable[[OSError], LedgerError]) -> None:
        """Prepare to use the file, which need not exist.

        `name` is the pattern for a line's name, which has `name_bytes` bytes. `unusable` creates the error to raise if
        the file cannot be used.
        """
        self.path = path
        self._name_bytes = name_bytes
        self._line = re.compile(rf"({name}) ([A-Za-z0-9+/=]{{{_KEY_CHARACTERS}}}|{DESTROYED})\n".encode())
        self._line_bytes = name_bytes + 1 + _KEY_CHARACTERS + 1
        self._unusable = unusable
        self._read: tuple[tuple[int, int], _Content] | None = None
        """The file's time, size and content when it was last read."""

    def read(self) -> list[KeyLine | None]:
        """The file's lines, with None for each damaged line.

        An incomplete last line is omitted. The method returns the same list object until the file changes. Raises
        LedgerError.
        """
        return self._content().lines

    def by_name(self) -> dict[str, str]:
        """The file's encrypted keys by line name. A destroyed key has the value `DESTROYED`.

        If a name occurs more than once, the last line counts. Raises LedgerError.
        """
        return self._content().by_name

    def _content(self) -> _Content:
        try:
            status = self.path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if self._read and self._read[0] == seen:
                return self._read[1]
            octets = self.path.read_bytes()
        except FileNotFoundError:
            return _Content([], {})
        except OSError as error:
            raise self._unusable(error) from error
        starts = range(0, len(octets) - self._line_bytes + 1, self._line_bytes)
        matches = [self._line.fullmatch(octets[start : start + self._line_bytes]) for start in starts]
        found = [KeyLine(match[1].decode(), match[2].decode()) if match else None for match in matches]
        content = _Content(found, dict(filter(None, found)))
        self._read = (seen, content)
        return content

    @contextmanager
    def changing(self) -> Iterator[KeyFileChange]:
        """Lock the file against other processes during the block.

        Changes are on disk when the block ends. Raises LedgerError.
        """
        try:
            make_parents(self.path)
            descriptor = open_private(self.path)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield KeyFileChange(self.path, descriptor, self._line_bytes, self._name_bytes + 1)
        except OSError as error:
            raise self._unusable(error) from error
        finally:
            os.close(descriptor)


class KeyFileChange:
    """Adds and destroys keys in a file that the caller has locked.

    All methods raise OSError.
    """

    def __init__(self, path: Path, descriptor: int, line_bytes: int, key_at: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._line_bytes = line_bytes
        self._key_at = key_at

    def add(self, keys: Iterable[tuple[str, bytes]]) -> None:
        """Append one line for each name and its encrypted key."""
        whole = os.fstat(self._descriptor).st_size // self._line_bytes * self._line_bytes
        os.ftruncate(self._descriptor, whole)  # a line that was cut off when the machine died sealed nothing
        lines = [f"{name} {base64.b64encode(wrapped).decode()}\n" for name, wrapped in keys]
        os.pwrite(self._descriptor, "".join(lines).encode(), whole)
        os.fsync(self._descriptor)
        if whole == 0:
            sync_folder(self._path.parent)

    def destroy(self, numbers: Iterable[int]) -> None:
        """Overwrite the keys in the given lines, counted from 0."""
        for number in numbers:
            os.pwrite(self._descriptor, DESTROYED.encode(), number * self._line_bytes + self._key_at)
        os.fsync(self._descriptor)
