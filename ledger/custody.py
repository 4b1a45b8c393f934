"""What the ledger's writer has beside the database: the keys of the days, the key that signs, and what was signed
last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from idtone.errors import LedgerError, ProofError
from idtone.files import replace_durably
from idtone.settings import LedgerSettings

from .day_keys import DayKeys
from .key_file import load_key, read_key
from .private_files import PRIVATE_FILE, make_parents
from .sealing import KeyRing
from .tree.checkpoints import Checkpoint, believed
from .tree.notes import NOTE_LIMIT, Note, Signer, VerifierKey


class Seen:
    """The file with the latest checkpoint that was signed or cosigned, by which a database that is older is known."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def latest(self, log: VerifierKey) -> tuple[Note, Checkpoint] | None:
        """None where nothing was signed yet by this name.

        What this key has signed by another name was another log. Raises LedgerError where the file holds anything else.
        """
        try:
            octets = self.path.read_bytes()[: NOTE_LIMIT + 1]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError(f"{self.path}: what was signed last cannot be read: {error.strerror}") from error
        try:
            note = Note.parse(octets)
            origin = note.text.partition("\n")[0]
            checkpoint = believed(note, replace(log, name=origin))
        except ProofError as error:
            raise LedgerError(f"{self.path}: {error}; restore this file from a backup") from error
        return (note, checkpoint) if origin == log.name else None

    def remember(self, note: Note) -> None:
        """Put it in the place of what was there. Raises OSError."""
        make_parents(self.path)
        replace_durably(self.path, str(note).encode(), PRIVATE_FILE)


@dataclass(frozen=True)
class Custody:
    """`signer` signs by the log's origin; its key is the log's key."""

    days: DayKeys
    signer: Signer
    seen: Seen
    cosigned: Seen
    """The file with the latest checkpoint that witnesses have cosigned."""

    @classmethod
    def of(cls, settings: LedgerSettings, node: str) -> Custody:
        """The keys are made where there are none yet. Raises LedgerError where they cannot be used."""
        ring, seed = KeyRing(load_key(settings.key_file)), load_key(settings.signing_key())
        return cls(
            DayKeys(settings.day_keys(), ring),
            Signer(settings.log_origin(node), seed),
            Seen(settings.seen()),
            Seen(settings.cosigned()),
        )


def own_key(settings: LedgerSettings, node: str) -> VerifierKey:
    """By which the log's checkpoints are verified. Raises LedgerError where there is no signing key here."""
    return Signer(settings.log_origin(node), read_key(settings.signing_key())).key
