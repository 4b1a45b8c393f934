"""A file that contains the latest signed or cosigned checkpoint.

The ledger's writer compares the checkpoint with the database to detect an older copy of the database.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from idtone.core.errors import LedgerError, ProofError
from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import NOTE_LIMIT, Note, VerifierKey

from ..tree.checkpoints import Checkpoint, verified_checkpoint
from .private_files import replace_private


class CheckpointFile:
    """The file with a log's latest signed checkpoint. The file need not exist.

    Keep each earlier tree's last checkpoint in a separate file if `keeps_earlier` is True.
    """

    def __init__(self, path: Path, keeps_earlier: bool = False) -> None:
        """Keep each earlier tree's last checkpoint in a separate file if `keeps_earlier` is True."""
        self.path = path
        self._keeps_earlier = keeps_earlier

    def of_tree(self, origin: str) -> Path:
        """Path of the separate file for the tree `origin`'s last checkpoint."""
        return self.path.with_name(f"{self.path.name}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}")

    def latest(self, log: VerifierKey) -> tuple[Note, Checkpoint] | None:
        """The log's latest checkpoint, as a note and in parsed form; None if nothing is signed under its name.

        A checkpoint with another name belongs to another log. Raises LedgerError if the file contains anything else.
        """
        found = self._latest(self.path, log)
        return self._latest(self.of_tree(log.name), log) if found is None and self._keeps_earlier else found

    def path_for(self, log: VerifierKey) -> Path:
        """Path of the file in which `latest` finds `log`'s checkpoint.

        Raises LedgerError if the file cannot be read.
        """
        is_earlier = self._keeps_earlier and self._latest(self.path, log) is None
        return self.of_tree(log.name) if is_earlier else self.path

    def _latest(self, path: Path, log: VerifierKey) -> tuple[Note, Checkpoint] | None:
        try:
            octets = path.read_bytes()[: NOTE_LIMIT + 1]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError(
                "{path}: the latest signed checkpoint cannot be read: {reason}", path=path, reason=error.strerror
            ) from error
        try:
            note = Note.parse(octets)
            origin = note.text.partition("\n")[0]
            if origin != log.name:
                note.signed_by([replace(log, name=origin)])  # by this key or another one, and unchanged
                return None
            checkpoint = verified_checkpoint(note, log)
        except ProofError as error:
            raise LedgerError("{path}: {error}; restore this file from a backup", path=path, error=error) from error
        return note, checkpoint

    def remember(self, note: Note) -> None:
        """Replace the checkpoint in the file.

        Raises OSError.
        """
        if self._keeps_earlier:
            self._keep_earlier(note)
        replace_private(self.path, str(note).encode())

    def _keep_earlier(self, note: Note) -> None:
        """Copy the current checkpoint to a separate file if `note` belongs to another tree."""
        try:
            octets = self.path.read_bytes()
            origin = Note.parse(octets[: NOTE_LIMIT + 1]).text.partition("\n")[0]
        except (FileNotFoundError, ProofError):
            return
        if origin != note.text.partition("\n")[0]:
            replace_private(self.of_tree(origin), octets)


def cosigned_file(settings: LedgerSettings) -> CheckpointFile:
    """The file with the last checkpoint that witnesses cosigned.

    Earlier trees' last cosigned checkpoints are kept in separate files.
    """
    return CheckpointFile(settings.cosigned_file(), keeps_earlier=True)
