"""Keys of single records under a legal hold, in a file next to the day keys.

Each record's numbers are sealed under a separate key, which the day key encrypts (`sealing`). After the day key is
destroyed, a held key still opens the numbers of its own record. Each held record has one line: `SHA256-OF-THE-CALL-ID
BASE64`. The ledger's key encrypts the held keys.
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
    """The keys of records under a legal hold, in a file that may be missing.

    Thread-safe. Several processes may use one file.
    """

    def __init__(self, path: Path, ring: LedgerKey) -> None:
        self.path = path
        self._ring = ring
        self._lines = ErasableKeyFile(path, f"[0-9a-f]{{{_NAME_BYTES}}}", _NAME_BYTES, self._unusable)

    def get(self, call_id: str) -> bytes | None:
        """Key that opens the numbers of a held call; None if the call is not held.

        Raises LedgerError if the file or the key cannot be used.
        """
        kept = self._lines.by_name().get(_name(call_id), DESTROYED)
        return None if kept == DESTROYED else self._ring.unwrap_record(call_id, base64.b64decode(kept))

    def add(self, keys: Mapping[str, bytes]) -> None:
        """Write the keys of records to the disk, given by call id.

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
        """Overwrite the keys of the given calls, and return the number of destroyed keys.

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
