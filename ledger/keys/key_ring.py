"""All of a ledger's keys: day keys, log signing keys, and the list of its trees."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import Note, NoteSigner, VerifierKey

from .checkpoint_file import CheckpointFile, cosigned_file
from .day_keys import DayKeys
from .hardware_token_signer import TokenSigner
from .key_file import load_key, read_key
from .log_keys import LogKeys
from .sealing import LedgerKey
from .step_key import StepKey
from .successor_trees import NextKey, SuccessorTrees


@dataclass(frozen=True)
class KeyRing:
    """All of a ledger's keys, with its day keys, its trees' signing keys, and their last checkpoints.

    `signer` signs with the log's key, under the log's origin.
    """

    days: DayKeys
    signer: NoteSigner
    seen: CheckpointFile
    """The file with the last signed checkpoint."""
    cosigned: CheckpointFile
    """The file with the last cosigned checkpoint."""
    successor_trees: SuccessorTrees
    keys: LogKeys | None = None
    """The keys of all trees; None if `signer` has the only key."""

    @property
    def step_key(self) -> StepKey:
        """The key for MACs on the current tree's steps."""
        return self.days.ledger_key.step_key(self.signer.key.name)

    def for_next_tree(
        self, checkpoint: Note | None, ledger: Path, file: Path, key: NextKey | None = None, unsigned: str = ""
    ) -> KeyRing:
        """Record the ledger's next tree, and return the key ring with that tree's signer.

        `key` is the next tree's key, if it is new. `checkpoint` is the last signed checkpoint. `unsigned` is the text
        of the whole tree's checkpoint if the tree's end is not signed yet. Raises OSError and LedgerError.
        """
        self.successor_trees.add(checkpoint, ledger, file, key=key, unsigned=unsigned)
        return replace(self, signer=self._signer(self.successor_trees.origin))

    def reloaded(self) -> KeyRing:
        """Return the key ring after reading the list of trees again.

        Another process may have begun a new tree. Raises LedgerError.
        """
        self.successor_trees.reload()
        return replace(self, signer=self._signer(self.successor_trees.origin))

    def signer_of(self, origin: str | None) -> NoteSigner:
        """The signer for the tree `origin`, or for the current tree if the name is unknown.

        Raises LedgerError.
        """
        return self._signer(origin) if origin in self.successor_trees.origins else self.signer

    def _signer(self, origin: str) -> NoteSigner:
        return self.keys.signer(origin) if self.keys else self.signer.named(origin)

    def with_new_attempts(self) -> KeyRing:
        """Return a key ring that tries earlier trees' tokens again, including those that were unavailable.

        Close the key ring after use.
        """
        return replace(self, keys=self.keys.with_new_attempts()) if self.keys else self

    def close(self) -> None:
        """End the signing processes of the tokens.

        The next signature starts them again.
        """
        if self.keys:
            self.keys.close()
        elif isinstance(self.signer, TokenSigner):
            self.signer.close()

    @classmethod
    def of(cls, settings: LedgerSettings, node: str) -> KeyRing:
        """Open a ledger's keys, and create any that are missing.

        Raises LedgerError if the keys cannot be used.
        """
        ledger_key = LedgerKey(load_key(settings.key_file))
        successor_trees = successor_trees_of(settings, node)
        keys = LogKeys(settings, successor_trees)
        return cls(
            DayKeys(settings.day_keys(), ledger_key),
            keys.signer(successor_trees.origin),
            CheckpointFile(settings.checkpoint_file()),
            cosigned_file(settings),
            successor_trees,
            keys,
        )


def successor_trees_of(settings: LedgerSettings, node: str) -> SuccessorTrees:
    """The trees that followed a ledger's first tree.

    Raises LedgerError if their file cannot be read.
    """
    return SuccessorTrees(settings.successors_file(), settings.log_origin(node))


def own_key(settings: LedgerSettings, node: str, origin: str | None = None) -> VerifierKey:
    """The public key that verifies this node's checkpoints.

    If `origin` names an earlier tree of the node, that tree's key is returned. Raises LedgerError if this machine has
    no signing key.
    """
    successor_trees = successor_trees_of(settings, node)
    name = origin if origin in successor_trees.origins else successor_trees.origin
    return LogKeys(settings, successor_trees).verifier(name or successor_trees.origin)


def require_keys(settings: LedgerSettings, node: str) -> None:
    """Raise LedgerError if any of the current tree's keys is missing.

    Use this in commands that only read and must not create keys.
    """
    read_key(settings.key_file)
    LogKeys(settings, successor_trees_of(settings, node)).require()


def cosigned_note(settings: LedgerSettings, node: str, origin: str | None) -> Note | None:
    """Last checkpoint of the tree `origin` that witnesses cosigned; None if this machine has none.

    Raises LedgerError if the checkpoint file cannot be used.
    """
    file = cosigned_file(settings)
    if not any(os.access(path, os.R_OK) for path in (file.path, file.of_tree(origin or ""))):
        return None
    latest = file.latest(own_key(settings, node, origin))
    return latest[0] if latest else None
