"""The keys of single records under a legal hold, each encrypted with the ledger's key, in a file beside the day keys.

A record's numbers are sealed under a key of their own, which the day key encrypts (`sealing`). While the day key is
there, nothing here is needed. When it is destroyed, the record's key in this file still opens the numbers of that
record and of no other. One line a record, all of one length:
`SHA256-OF-THE-CALL-ID BASE64`. A line is added, or its key is overwritten in place, and then it is gone.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from idtone.errors import LedgerError
from idtone.translation import Message

from .private_files import make_parents, open_private
from .sealing import LedgerKey

_KEY_CHARACTERS: Final = 80
"""Base64 of nonce, key and tag."""
_DESTROYED: Final = "-" * _KEY_CHARACTERS
_LINE: Final = re.compile(rf"([0-9a-f]{{64}}) ([A-Za-z0-9+/=]{{{_KEY_CHARACTERS}}}|{_DESTROYED})\n".encode())
_LINE_BYTES: Final = 64 + 1 + _KEY_CHARACTERS + 1


class HeldKeys:
    """From any thread; several processes may use one file, which need not exist."""

    def __init__(self, path: Path, ring: LedgerKey) -> None:
        self.path = path
        self._ring = ring
        self._read: tuple[tuple[int, int], dict[str, str]] | None = None

    def get(self, call_id: str) -> bytes | None:
        """The key of the record; None if it is not held. Raises LedgerError if the file or the key cannot be used."""
        kept = self._lines().get(_name(call_id))
        if kept is None or kept == _DESTROYED:
            return None
        return self._ring.unwrap_record(call_id, base64.b64decode(kept))

    def add(self, keys: Mapping[str, bytes]) -> None:
        """Call id → the key of its record. They are on the disk when this returns. Raises LedgerError."""
        with self._locked() as descriptor:
            there = self._lines()
            new = {call: key for call, key in keys.items() if there.get(_name(call), _DESTROYED) == _DESTROYED}
            whole = os.fstat(descriptor).st_size // _LINE_BYTES * _LINE_BYTES
            os.ftruncate(descriptor, whole)
            lines = [
                f"{_name(call)} {base64.b64encode(self._ring.wrap_record(call, key)).decode()}\n"
                for call, key in new.items()
            ]
            os.pwrite(descriptor, "".join(lines).encode(), whole)
            os.fsync(descriptor)

    def keep_only(self, call_ids: Collection[str]) -> int:
        """Overwrite the keys of all other records; returns how many. Raises LedgerError."""
        kept, count = set(map(_name, call_ids)), 0
        if not self.path.exists():
            return 0
        with self._locked() as descriptor:
            octets = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            for start in range(0, len(octets) - _LINE_BYTES + 1, _LINE_BYTES):
                match = _LINE.fullmatch(octets[start : start + _LINE_BYTES])
                if match and (match[1].decode() in kept or match[2] == _DESTROYED.encode()):
                    continue
                os.pwrite(descriptor, _DESTROYED.encode(), start + 65)
                count += 1
            os.fsync(descriptor)
        return count

    def _lines(self) -> dict[str, str]:
        """The name of each record → its key as it is stored; a later line counts."""
        try:
            status = self.path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if self._read and self._read[0] == seen:
                return self._read[1]
            octets = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(error) from error
        starts = range(0, len(octets) - _LINE_BYTES + 1, _LINE_BYTES)
        matches = filter(None, (_LINE.fullmatch(octets[start : start + _LINE_BYTES]) for start in starts))
        found = {match[1].decode(): match[2].decode() for match in matches}
        self._read = (seen, found)
        return found

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            make_parents(self.path)
            descriptor = open_private(self.path)
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
                "{path}: the keys of held calls cannot be used: {reason}; check the path and permissions",
                path=self.path, reason=error.strerror,
            )
        )  # fmt: skip


def _name(call_id: str) -> str:
    return hashlib.sha256(call_id.encode()).hexdigest()
