"""The keys of single records under a legal hold, each encrypted with the ledger's key, in a file beside the day keys.

A record's numbers are sealed under a separate key, which the day key encrypts (`sealing`). After the day key is
destroyed, the record's key in this file still opens the numbers of that record, and of no other. One line for each
record (`erasable_key_file`): `SHA256-OF-THE-CALL-ID BASE64`.
"""

import base64
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError

from .erasable_key_file import DESTROYED, ErasableKeyFile, KeyLine
from .sealing import LedgerKey

_NAME_BYTES: Final = 64


class LegalHoldKeys:
    """The keys under a legal hold, in a file that may be missing. Thread-safe; several processes may use it."""

    def __init__(self, path: Path, ring: LedgerKey) -> None:
        self.path = path
        self._ring = ring
        self._lines = ErasableKeyFile(path, f"[0-9a-f]{{{_NAME_BYTES}}}", _NAME_BYTES, self._unusable)

    def get(self, call_id: str) -> bytes | None:
        """The key of the record; None if it is not held. Raises LedgerError if the file or the key cannot be used."""
        kept = self._lines.by_name().get(_name(call_id), DESTROYED)
        return None if kept == DESTROYED else self._ring.unwrap_record(call_id, base64.b64decode(kept))

    def add(self, keys: Mapping[str, bytes]) -> None:
        """Write these keys of records, given by call id, durably. Raises LedgerError."""
        with self._lines.changing() as change:
            there = self._lines.by_name()
            change.add(
                (_name(call), self._ring.wrap_record(call, key))
                for call, key in keys.items()
                if there.get(_name(call), DESTROYED) == DESTROYED
            )

    def destroy(self, call_ids: Collection[str]) -> int:
        """Overwrite the keys of these records, and return how many there were. Raises LedgerError."""
        if not self.path.exists():
            return 0
        names = set(map(_name, call_ids))

        def is_doomed(line: KeyLine | None) -> bool:
            return line is not None and line.name in names and line.key != DESTROYED

        with self._lines.changing() as change:
            doomed = [number for number, line in enumerate(self._lines.read()) if is_doomed(line)]
            change.destroy(doomed)
        return len(doomed)

    def _unusable(self, error: OSError) -> LedgerError:
        return LedgerError(
            "{path}: the keys of held calls cannot be used: {reason}; check the path and permissions",
            path=self.path,
            reason=error.strerror,
        )


def _name(call_id: str) -> str:
    return hashlib.sha256(call_id.encode()).hexdigest()
