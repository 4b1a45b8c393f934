"""The keys of a ledger and the files beside it: day keys, signing key, latest checkpoints, and the list of trees."""

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
    """The keys of one ledger. `signer` signs with the log's origin as its name; its key is the log's key."""

    days: DayKeys
    signer: NoteSigner
    seen: CheckpointFile
    """The file of the last signed checkpoint."""
    cosigned: CheckpointFile
    """The file of the last cosigned checkpoint."""
    successor_trees: SuccessorTrees
    keys: LogKeys | None = None
    """The keys of all trees; None if `signer` has the only one."""

    @property
    def step_key(self) -> StepKey:
        """The key for the MACs of the steps of the current tree."""
        return self.days.ledger_key.step_key(self.signer.key.name)

    def for_next_tree(
        self, checkpoint: Note | None, ledger: Path, file: Path, key: NextKey | None = None, unsigned: str = ""
    ) -> KeyRing:
        """The key ring of the next tree, with `key` if its key is new. `checkpoint` is the last signed checkpoint.
        `unsigned` is the text of the checkpoint of the whole tree, if its end is not signed yet. Raises OSError and
        LedgerError.
        """
        self.successor_trees.add(checkpoint, ledger, file, key=key, unsigned=unsigned)
        return replace(self, signer=self._signer(self.successor_trees.origin))

    def reloaded(self) -> KeyRing:
        """The key ring with the tree that another process may have begun in the meantime. Raises LedgerError."""
        self.successor_trees.reload()
        return replace(self, signer=self._signer(self.successor_trees.origin))

    def signer_of(self, origin: str | None) -> NoteSigner:
        """The signer of the tree with this name; for an unknown name, the signer of the current tree. Raises
        LedgerError.
        """
        return self._signer(origin) if origin in self.successor_trees.origins else self.signer

    def _signer(self, origin: str) -> NoteSigner:
        return self.keys.signer(origin) if self.keys else self.signer.named(origin)

    def with_new_attempts(self) -> KeyRing:
        """A key ring that tries the tokens of earlier trees again, including one that was away. Close it after use."""
        return replace(self, keys=self.keys.with_new_attempts()) if self.keys else self

    def close(self) -> None:
        """Release the tokens. The next signature opens them again."""
        if self.keys:
            self.keys.close()
        elif isinstance(self.signer, TokenSigner):
            self.signer.close()

    @classmethod
    def of(cls, settings: LedgerSettings, node: str) -> KeyRing:
        """The key ring of a ledger. Missing keys are made. Raises LedgerError if the keys cannot be used."""
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
    """The trees of a ledger that continue its first one. Raises LedgerError if their file cannot be read."""
    return SuccessorTrees(settings.successors_file(), settings.log_origin(node))


def own_key(settings: LedgerSettings, node: str, origin: str | None = None) -> VerifierKey:
    """The key that verifies this node's checkpoints; if `origin` names an earlier tree of this node, that tree's key.

    Raises LedgerError if there is no signing key here.
    """
    successor_trees = successor_trees_of(settings, node)
    name = origin if origin in successor_trees.origins else successor_trees.origin
    return LogKeys(settings, successor_trees).verifier(name or successor_trees.origin)


def require_keys(settings: LedgerSettings, node: str) -> None:
    """Raise LedgerError if a key of the current tree is missing. A command that only reads must not make one."""
    read_key(settings.key_file)
    LogKeys(settings, successor_trees_of(settings, node)).require()


def cosigned_note(settings: LedgerSettings, node: str, origin: str | None) -> Note | None:
    """The last checkpoint, cosigned by witnesses, of the tree with this name; None if there is none here.

    Raises LedgerError if it cannot be used.
    """
    file = cosigned_file(settings)
    if not any(os.access(path, os.R_OK) for path in (file.path, file.of_tree(origin or ""))):
        return None
    latest = file.latest(own_key(settings, node, origin))
    return latest[0] if latest else None
