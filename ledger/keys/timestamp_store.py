"""The checkpoints with a timestamp of an authority (RFC 3161), in a folder beside the keys.

    ORIGIN/SIZE.checkpoint   the signed checkpoint of so many leaves, with its cosignatures
    ORIGIN/SIZE.tsr          the authority's reply

`ORIGIN` is the beginning of the SHA-256 of the tree's name. All of them are kept, because the earliest one that
contains a leaf says most about its time.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from idtone.core.errors import LedgerError, ProofError
from idtone.core.signed_notes import Note

from ..tree.checkpoints import Checkpoint
from .private_files import replace_private

_SLACK: Final = 1.5
_MORE: Final = timedelta(minutes=10)
"""Tolerance beyond `_SLACK` intervals, before a timestamp is overdue."""
_AHEAD: Final = timedelta(minutes=1)
"""Tolerated time of a timestamp in the future. A later one shows that the clock was set back."""


def is_overdue(at: datetime | None, every: timedelta, now: datetime) -> bool:
    """True if a timestamp is overdue. `at` is the time of the last timestamp of the newest head, or None if there never
    was one. The alert `IdtoneTimestampOverdue` has the same limit.
    """
    return at is None or not -_AHEAD <= now - at <= _SLACK * every + _MORE


@dataclass(frozen=True, slots=True)
class Stamp:
    """A checkpoint and the reply with its timestamp."""

    note: Note
    size: int
    reply: bytes


class Stamps:
    """The folder of timestamps, which may be missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _of(self, origin: str) -> Path:
        return self.folder / hashlib.sha256(origin.encode()).hexdigest()[:16]

    def sizes(self, origin: str) -> list[int]:
        """Sizes of the trees that have a timestamp, ascending."""
        return sorted(int(path.stem) for path in self._of(origin).glob("*.checkpoint") if path.stem.isdecimal())

    def newest(self, origin: str) -> tuple[int, datetime] | None:
        """The size of the largest tree with a timestamp, and the time of its arrival by this machine's clock; None if
        no tree has one.
        """
        sizes = self.sizes(origin)
        if not sizes:
            return None
        path = self._of(origin) / f"{sizes[-1]}.checkpoint"
        return sizes[-1], datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def put(self, note: Note, reply: bytes) -> None:
        """Keep a checkpoint with its timestamp. Raises OSError."""
        checkpoint = Checkpoint.parse(note.text)
        path = self._of(checkpoint.origin) / str(checkpoint.size)
        replace_private(path.with_suffix(".tsr"), reply)
        replace_private(path.with_suffix(".checkpoint"), str(note).encode())

    def covering(self, origin: str, leaf: int) -> Stamp | None:
        """The earliest timestamp whose tree contains this leaf; None if there is none. Raises LedgerError."""
        size = next((size for size in self.sizes(origin) if size > leaf), None)
        if size is None:
            return None
        path = self._of(origin) / str(size)
        try:
            note = Note.parse(path.with_suffix(".checkpoint").read_bytes())
            checkpoint = Checkpoint.parse(note.text)
            reply = path.with_suffix(".tsr").read_bytes()
        except (OSError, ProofError) as error:
            raise LedgerError(
                "{path}: cannot be read: {error}; restore it from a backup", path=path, error=error
            ) from error
        if (checkpoint.origin, checkpoint.size) != (origin, size):
            raise LedgerError("{path}: is of another tree; restore it from a backup", path=path)
        return Stamp(note, size, reply)
