"""Keys for individual records under a legal hold, in a file next to the day keys.

Each record's numbers are sealed with a separate key, which is encrypted with the day key (`sealing`). After the day key
is destroyed, a held key still opens its own record's numbers. Each held record has one line: `SHA256-OF-THE-CALL-ID
BASE64`. The held keys are encrypted with the ledger's key.
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
    """Keys for records under a legal hold, in a file that need not exist.

    Thread-safe. Several processes may use one file.
    """

    def __init__(self, path: Path, ring: LedgerKey) -> None:
        self.path = path
        self._ring = ring
        self._lines = ErasableKeyFile(path, f"[0-9a-f]{{{_NAME_BYTES}}}", _NAME_BYTES, self._unusable)

    def get(self, call_id: str) -> bytes | None:
        """The key that opens a held call's numbers; None if the call is not held.

        Raises LedgerError if the file or the key cannot be used.
        """
        kept = self._lines.by_name().get(_name(call_id), DESTROYED)
        return None if kept == DESTROYED else self._ring.unwrap_record(call_id, base64.b64decode(kept))

    def add(self, keys: Mapping[str, bytes]) -> None:
        """Write record keys, given by call id, to disk.

        Raises LedgerError.
        """
        with self._lines.changing() as change:
            there = self._lines.by_name()
            change.add(
                (_name(call), self._ring.wrap_record(call, key))
                for call, key in keys.items()
                if there.get(_name(call), DESTROYED) == DESTROYED
            )

    def destroy(self, call_ids: Collection[str]) -> int:
        """Overwrite the given calls' keys, and return the number of keys destroyed.

        Raises LedgerError.
        """
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
