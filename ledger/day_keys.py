"""The file that holds the keys of the days, each encrypted with the ledger's key. What is destroyed here is gone.

A line a day, all of one length: `2026-11-01 BASE64`. A line is only ever added, or its key overwritten where it stands.
The file is not part of the database, so that neither the database's free pages and journals nor its backups hold a key.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from idtone.errors import LedgerError

from .private_files import make_parents, open_private
from .sealing import DayKey, KeyRing

_KEY_CHARACTERS: Final = 80
"""Base64 of nonce, key and tag."""
_DESTROYED: Final = "-" * _KEY_CHARACTERS
_LINE: Final = re.compile(rf"(\d{{4}}-\d\d-\d\d) ([A-Za-z0-9+/=]{{{_KEY_CHARACTERS}}}|{_DESTROYED})")
_LINE_BYTES: Final = 10 + 1 + _KEY_CHARACTERS + 1


class DayKeys:
    """The keys of all days that are not destroyed. Can be used from any thread; several processes may use one file."""

    def __init__(self, path: Path, ring: KeyRing) -> None:
        """`path` need not exist yet."""
        self._path = path
        self._ring = ring
        self._keys: dict[str, DayKey] = {}
        self._read: tuple[tuple[int, int], dict[str, str]] | None = None
        """Time and size of the file when it was read, and what it held."""

    def get(self, day: str) -> DayKey | None:
        """None where there never was a key of that day, or it is destroyed.

        Raises LedgerError where the file cannot be read, or belongs to another ledger's key.
        """
        kept = self._days().get(day)
        if kept is None or kept == _DESTROYED:
            self._keys.pop(day, None)
            return None
        if day not in self._keys:
            self._keys[day] = self._ring.unwrap(day, base64.b64decode(kept))
        return self._keys[day]

    def knows(self, day: str) -> bool:
        """Whether there is a key of that day, or was one that is destroyed."""
        return day in self._days()

    def writing(self, day: str) -> DayKey:
        """The key to seal numbers of this day with, made where there is none; it is on the disk before this returns.

        Raises LedgerError where it cannot be made or read, or is destroyed.
        """
        if day in self._keys:
            return self._keys[day]
        with self._locked() as descriptor:
            kept = self._days().get(day)
            if kept is None:
                key, wrapped = self._ring.make(day)
                whole = os.fstat(descriptor).st_size // _LINE_BYTES * _LINE_BYTES
                os.ftruncate(descriptor, whole)  # a line that was cut off, when the machine died, sealed nothing
                os.pwrite(descriptor, f"{day} {base64.b64encode(wrapped).decode()}\n".encode(), whole)
                os.fsync(descriptor)
                if whole == 0:
                    _bring_to_disk(self._path.parent)
                self._keys[day] = key
                return key
        if kept == _DESTROYED:
            raise LedgerError(f"{self._path}: the key of {day} is destroyed; what happens on that day cannot be sealed")
        self._keys[day] = self._ring.unwrap(day, base64.b64decode(kept))
        return self._keys[day]

    def destroyed(self) -> set[str]:
        """The days whose key is destroyed."""
        return {day for day, kept in self._days().items() if kept == _DESTROYED}

    def days(self) -> list[str]:
        """Those whose key is there, in order."""
        return sorted(day for day, kept in self._days().items() if kept != _DESTROYED)

    def destroy(self, before: str) -> list[str]:
        """Overwrite the keys of the days before this one, on the disk when it returns; which days they were.

        Raises LedgerError where the file cannot be written.
        """
        with self._locked() as descriptor:
            kept = self._days()
            doomed = [day for day, key in kept.items() if day < before and key != _DESTROYED]
            for number, day in enumerate(kept):
                if day in doomed:
                    os.pwrite(descriptor, _DESTROYED.encode(), number * _LINE_BYTES + 11)
                    self._keys.pop(day, None)
            os.fsync(descriptor)
        return sorted(doomed)

    def _days(self) -> dict[str, str]:
        """Day → its key as it is kept, in the order of the file."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if self._read and self._read[0] == seen:
                return self._read[1]
            text = self._path.read_text("ascii")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(error) from error
        found = {}
        for number, line in enumerate(text.split("\n")[:-1], 1):
            match = _LINE.fullmatch(line)
            if match is None:
                raise LedgerError(f"{self._path}:{number}: is not the key of a day; restore the file from a backup")
            found[match[1]] = match[2]
        self._read = (seen, found)
        return found

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            make_parents(self._path)
            descriptor = open_private(self._path)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        except OSError as error:
            raise self._unusable(error) from error
        finally:
            os.close(descriptor)

    def _unusable(self, error: Exception) -> LedgerError:
        what = error.strerror if isinstance(error, OSError) else "it is not text"
        return LedgerError(f"{self._path}: the keys of the days cannot be used: {what}; check the path and permissions")


def _bring_to_disk(folder: Path) -> None:
    """The name of a new file in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
