"""The file with the ledger's day keys, each encrypted with the ledger's key.

A day key seals the telephone numbers in one day's evidence. A destroyed day key cannot be recovered. Each day has one
line: `2026-11-01 BASE64`. A damaged line makes only that day's numbers unreadable.
"""

import base64
import logging
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError

from .erasable_key_file import DESTROYED, ErasableKeyFile, KeyLine
from .legal_hold_keys import LegalHoldKeys
from .sealing import DayKey, LedgerKey

_DAY_BYTES: Final = 10

_log = logging.getLogger(__name__)


class DayKeys:
    """The keys that seal each day's telephone numbers.

    Thread-safe. Several processes may use one file. The file `path` need not exist yet.
    """

    def __init__(self, path: Path, ring: LedgerKey) -> None:
        """`path` need not exist yet."""
        self._path = path
        self.ledger_key = ring
        self.held = LegalHoldKeys(path.with_name(f"{path.name}-held"), ring)
        """Keys for individual records that outlive their day key."""
        self._keys: dict[str, DayKey] = {}
        self._file = ErasableKeyFile(path, r"\d{4}-\d\d-\d\d", _DAY_BYTES, self._unusable)
        self._seen: list[KeyLine | None] = []
        """Damaged lines that were already logged."""
        self._told: set[str] = set()

    def get(self, day: str) -> DayKey | None:
        """The key that opens a day's numbers; None if it never existed, or if it is destroyed or damaged.

        Raises LedgerError if the file cannot be read or was encrypted with another ledger's key.
        """
        kept = self._days().get(day)
        if kept is None or kept == DESTROYED:
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
            return kept != DESTROYED and bool(self._unwrapped(day, kept))
        except LedgerError:
            return False

    def _unwrapped(self, day: str, kept: str) -> DayKey:
        return self.ledger_key.unwrap(day, base64.b64decode(kept))

    def _tell(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            _log.error(
                "%s: %s; numbers that it has sealed cannot be opened: restore the file from a backup", self._path, what
            )

    def knows(self, day: str) -> bool:
        """True if the file has a key for the day, even if that key is destroyed."""
        return day in self._days()

    def writing(self, day: str) -> DayKey:
        """The key that seals a day's numbers, which is created if the day has none.

        A new key is on disk before the method returns. Raises LedgerError if the key is destroyed, or cannot be created
        or read.
        """
        if day in self._keys:
            return self._keys[day]
        with self._file.changing() as change:
            kept = self._days().get(day)
            if kept is None:
                key, wrapped = self.ledger_key.make(day)
                change.add([(day, wrapped)])
                self._keys[day] = key
                return key
        if kept == DESTROYED:
            raise LedgerError(
                "{path}: the key of {day} is destroyed; what happens on that day cannot be sealed",
                path=self._path,
                day=day,
            )
        self._keys[day] = self._unwrapped(day, kept)
        return self._keys[day]

    def destroyed(self) -> set[str]:
        return {day for day, kept in self._days().items() if kept == DESTROYED}

    def days(self) -> list[str]:
        return sorted(day for day, kept in self._days().items() if kept != DESTROYED)

    def destroy(self, before: str) -> list[str]:
        """Overwrite on disk the keys of all days before `before`, and return those days.

        Raises LedgerError if the file cannot be written.
        """
        doomed: list[int] = []
        days: list[str] = []
        with self._file.changing() as change:
            later = None
            for number, line in reversed(list(enumerate(self._lines()))):
                later = line.name if line else later  # a damaged line has no later day than the line after it
                if later and later < before and not (line and line.key == DESTROYED):
                    doomed.append(number)
                    days += [line.name] if line else []
                    self._keys.pop(later, None)
            change.destroy(doomed)
        return sorted(days)

    def _days(self) -> dict[str, str]:
        return dict(filter(None, self._lines()))

    def _lines(self) -> list[KeyLine | None]:
        found = self._file.read()
        if found is not self._seen:
            self._seen = found
            for number, line in enumerate(found, 1):
                if line is None:
                    self._tell(f"line {number} is not the key of a day")
        return found

    def _unusable(self, error: OSError) -> LedgerError:
        return LedgerError(
            "{path}: the keys of the days cannot be used: {reason}; check the path and permissions",
            path=self._path,
            reason=error.strerror,
        )
