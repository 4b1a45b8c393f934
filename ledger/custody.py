"""What the ledger's writer has beside the database: the keys of the days, the key that signs, and what was signed
last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from idtone.errors import LedgerError, ProofError
from idtone.settings import LedgerSettings

from .continuity import Continuity
from .day_keys import DayKeys
from .key_file import load_key, read_key
from .private_files import replace_private
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
        replace_private(self.path, str(note).encode())


@dataclass(frozen=True)
class Custody:
    """`signer` signs by the log's origin; its key is the log's key."""

    days: DayKeys
    signer: Signer
    seen: Seen
    cosigned: Seen
    """The file with the latest checkpoint that witnesses have cosigned."""
    continuity: Continuity

    def go_on(self, checkpoint: Note | None, ledger: Path, file: Path) -> Custody:
        """That of the tree that follows this one, of which `checkpoint` was signed last. Raises OSError."""
        self.continuity.add(checkpoint, ledger, file)
        return replace(self, signer=self.signer.named(self.continuity.origin))

    def renewed(self) -> Custody:
        """With what another process may have gone on to since this was read. Raises LedgerError."""
        self.continuity.read_again()
        return replace(self, signer=self.signer.named(self.continuity.origin))

    def signer_of(self, origin: str | None) -> Signer:
        """By the name of that tree, where it is one of ours; else by that of the present one."""
        return self.signer.named(origin) if origin in self.continuity.origins else self.signer

    @classmethod
    def of(cls, settings: LedgerSettings, node: str) -> Custody:
        """The keys are made where there are none yet. Raises LedgerError where they cannot be used."""
        ring, seed = KeyRing(load_key(settings.key_file)), load_key(settings.signing_key())
        continuity = continuity_of(settings, node)
        return cls(
            DayKeys(settings.day_keys(), ring),
            Signer(continuity.origin, seed),
            Seen(settings.seen()),
            Seen(settings.cosigned()),
            continuity,
        )


def continuity_of(settings: LedgerSettings, node: str) -> Continuity:
    """Raises LedgerError where it cannot be read."""
    return Continuity(settings.continued(), settings.log_origin(node))


def own_key(settings: LedgerSettings, node: str, origin: str | None = None) -> VerifierKey:
    """By which the log's checkpoints are verified; that of an earlier tree of ours, where `origin` is its name.

    Raises LedgerError where there is no signing key here.
    """
    continuity = continuity_of(settings, node)
    name = origin if origin in continuity.origins else continuity.origin
    return Signer(name, read_key(settings.signing_key())).key
