"""A file with the latest checkpoint that was signed or cosigned. By it the writer recognises an older database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from idtone.errors import LedgerError, ProofError
from idtone.signed_notes import NOTE_LIMIT, Note, VerifierKey
from idtone.translation import Message

from ..tree.checkpoints import Checkpoint, believed
from .private_files import replace_private


class CheckpointFile:
    """It need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def latest(self, log: VerifierKey) -> tuple[Note, Checkpoint] | None:
        """None if nothing was signed under this name yet.

        A checkpoint of another name is one of another log. Raises LedgerError if the file holds anything else.
        """
        try:
            octets = self.path.read_bytes()[: NOTE_LIMIT + 1]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError(
                Message(
                    "{path}: the latest signed checkpoint cannot be read: {reason}",
                    path=self.path,
                    reason=error.strerror,
                )
            ) from error
        try:
            note = Note.parse(octets)
            origin = note.text.partition("\n")[0]
            if origin != log.name:
                note.signed_by([replace(log, name=origin)])  # by this key or another one, and unchanged
                return None
            checkpoint = believed(note, log)
        except ProofError as error:
            raise LedgerError(
                Message("{path}: {error}; restore this file from a backup", path=self.path, error=error)
            ) from error
        return note, checkpoint

    def remember(self, note: Note) -> None:
        """Replace what was there. Raises OSError."""
        replace_private(self.path, str(note).encode())
