"""The file of the day keys, each encrypted with the ledger's key. A key that is destroyed here is gone.

One line a day, all of one length: `2026-11-01 BASE64`. A line is added, or its key is overwritten in place; nothing
else changes. A damaged line costs the numbers of its day, and nothing else.
The file is not part of the database, so no key is in the database's free pages, journals and backups.
"""

from __future__ import annotations

import base64
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from idtone.errors import LedgerError
from idtone.translation import Message

from .held_keys import HeldKeys
from .private_files import make_parents, open_private
from .sealing import DayKey, LedgerKey

_KEY_CHARACTERS: Final = 80
"""Base64 of nonce, key and tag."""
_DESTROYED: Final = "-" * _KEY_CHARACTERS
_LINE: Final = re.compile(rf"(\d{{4}}-\d\d-\d\d) ([A-Za-z0-9+/=]{{{_KEY_CHARACTERS}}}|{_DESTROYED})\n".encode())
_LINE_BYTES: Final = 10 + 1 + _KEY_CHARACTERS + 1


_log = logging.getLogger(__name__)


class _Line(NamedTuple):
    day: str
    key: str


class DayKeys:
    """The day keys that are not destroyed. From any thread; several processes may use one file."""

    def __init__(self, path: Path, ring: LedgerKey) -> None:
        """`path` need not exist yet."""
        self._path = path
        self.ledger_key = ring
        self.held = HeldKeys(path.with_name(f"{path.name}-held"), ring)
        """The keys of single records that outlive the key of their day."""
        self._keys: dict[str, DayKey] = {}
        self._read: tuple[tuple[int, int], list[_Line | None]] | None = None
        """Time and size of the file when it was read, and its lines; None for a damaged line."""
        self._told: set[str] = set()

    def get(self, day: str) -> DayKey | None:
        """None if there never was a key of that day, or it is destroyed or damaged.

        Raises LedgerError if the file cannot be read, or belongs to another ledger's key.
        """
        kept = self._days().get(day)
        if kept is None or kept == _DESTROYED:
            self._keys.pop(day, None)
            return None
        if day not in self._keys:
            try:
                self._keys[day] = self._unwrapped(day, kept)
            except LedgerError:
                if not any(self._opens(*each) for each in self._days().items()):
                    raise
                self._tell(f"the key of {day} is damaged")
                return None
        return self._keys[day]

    def _opens(self, day: str, kept: str) -> bool:
        try:
            return kept != _DESTROYED and bool(self._unwrapped(day, kept))
        except LedgerError:
            return False

    def _unwrapped(self, day: str, kept: str) -> DayKey:
        """Raises LedgerError."""
        return self.ledger_key.unwrap(day, base64.b64decode(kept))

    def _tell(self, what: str) -> None:
        """Once."""
        if what not in self._told:
            self._told.add(what)
            _log.error(
                "%s: %s; numbers that it has sealed cannot be opened: restore the file from a backup", self._path, what
            )

    def knows(self, day: str) -> bool:
        """Whether there is a key of that day, or there was one that is destroyed."""
        return day in self._days()

    def writing(self, day: str) -> DayKey:
        """The key that seals numbers of this day. A new key is on the disk before this returns.

        Raises LedgerError if it cannot be made or read, or is destroyed.
        """
        if day in self._keys:
            return self._keys[day]
        with self._locked() as descriptor:
            kept = self._days().get(day)
            if kept is None:
                key, wrapped = self.ledger_key.make(day)
                whole = os.fstat(descriptor).st_size // _LINE_BYTES * _LINE_BYTES
                os.ftruncate(descriptor, whole)  # a line that was cut off when the machine died sealed nothing
                os.pwrite(descriptor, f"{day} {base64.b64encode(wrapped).decode()}\n".encode(), whole)
                os.fsync(descriptor)
                if whole == 0:
                    _bring_to_disk(self._path.parent)
                self._keys[day] = key
                return key
        if kept == _DESTROYED:
            raise LedgerError(
                Message(
                    "{path}: the key of {day} is destroyed; what happens on that day cannot be sealed",
                    path=self._path,
                    day=day,
                )
            )
        self._keys[day] = self._unwrapped(day, kept)
        return self._keys[day]

    def destroyed(self) -> set[str]:
        """The days whose key is destroyed."""
        return {day for day, kept in self._days().items() if kept == _DESTROYED}

    def days(self) -> list[str]:
        """The days whose key is there, in order."""
        return sorted(day for day, kept in self._days().items() if kept != _DESTROYED)

    def destroy(self, before: str) -> list[str]:
        """Overwrite the keys of the days before this one, on the disk when this returns; returns these days.

        Raises LedgerError if the file cannot be written.
        """
        doomed = []
        with self._locked() as descriptor:
            later = None
            for number, line in reversed(list(enumerate(self._lines()))):
                later = line.day if line else later  # a damaged line has no later day than the line after it
                if later and later < before and not (line and line.key == _DESTROYED):
                    os.pwrite(descriptor, _DESTROYED.encode(), number * _LINE_BYTES + 11)
                    doomed += [line.day] if line else []
                    self._keys.pop(later, None)
            os.fsync(descriptor)
        return sorted(doomed)

    def _days(self) -> dict[str, str]:
        """Day → its key as it is stored."""
        return dict(filter(None, self._lines()))

    def _lines(self) -> list[_Line | None]:
        """The lines of the file, without a last one that was cut off."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if self._read and self._read[0] == seen:
                return self._read[1]
            octets = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from error
        starts = range(0, len(octets) - _LINE_BYTES + 1, _LINE_BYTES)
        matches = [_LINE.fullmatch(octets[start : start + _LINE_BYTES]) for start in starts]
        found = [_Line(match[1].decode(), match[2].decode()) if match else None for match in matches]
        for number, line in enumerate(found, 1):
            if line is None:
                self._tell(f"line {number} is not the key of a day")
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

    def _unusable(self, error: OSError) -> LedgerError:
        return LedgerError(
            Message(
                "{path}: the keys of the days cannot be used: {reason}; check the path and permissions",
                path=self._path,
                reason=error.strerror,
            )
        )


def _bring_to_disk(folder: Path) -> None:
    """Sync the name of a new file in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
