"""Checkpoints with RFC 3161 timestamps, in a folder next to the keys.

`ORIGIN/SIZE.checkpoint` is the signed and cosigned checkpoint of `SIZE` leaves. `ORIGIN/SIZE.tsr` is the authority's
reply. `ORIGIN` is the beginning of the SHA-256 of the tree's name. All timestamps are kept, because the earliest
checkpoint that contains a leaf gives the tightest bound on its time.
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
"""Additional tolerance, beyond `_SLACK` intervals, before a timestamp is overdue."""
_AHEAD: Final = timedelta(minutes=1)
"""How far in the future a timestamp may lie. A later timestamp shows that the clock was set back."""


def is_overdue(at: datetime | None, every: timedelta, now: datetime) -> bool:
    """True if a timestamp is overdue because the last one is too old or, after a clock change, in the future.

    `at` is the time of the newest head's last timestamp, or None if there never was one. The alert
    `IdtoneTimestampOverdue` uses the same limit.
    """
    return at is None or not -_AHEAD <= now - at <= _SLACK * every + _MORE


@dataclass(frozen=True, slots=True)
class Stamp:
    """A checkpoint with the timestamp authority's reply."""

    note: Note
    size: int
    reply: bytes


class Stamps:
    """The folder of timestamped checkpoints, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _of(self, origin: str) -> Path:
        return self.folder / hashlib.sha256(origin.encode()).hexdigest()[:16]

    def sizes(self, origin: str) -> list[int]:
        """Sizes of a tree's timestamped checkpoints, ascending."""
        return sorted(int(path.stem) for path in self._of(origin).glob("*.checkpoint") if path.stem.isdecimal())

    def newest(self, origin: str) -> tuple[int, datetime] | None:
        """Size of the newest timestamped checkpoint, and the local time at which its timestamp arrived.

        None if the tree has no timestamp.
        """
        sizes = self.sizes(origin)
        if not sizes:
            return None
        path = self._of(origin) / f"{sizes[-1]}.checkpoint"
        return sizes[-1], datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def put(self, note: Note, reply: bytes) -> None:
        """Store a checkpoint with the timestamp authority's reply.

        Raises OSError.
        """
        checkpoint = Checkpoint.parse(note.text)
        path = self._of(checkpoint.origin) / str(checkpoint.size)
        replace_private(path.with_suffix(".tsr"), reply)
        replace_private(path.with_suffix(".checkpoint"), str(note).encode())

    def covering(self, origin: str, leaf: int) -> Stamp | None:
        """The earliest timestamped checkpoint whose tree contains a leaf; None if there is none.

        Raises LedgerError if its files cannot be read.
        """
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
