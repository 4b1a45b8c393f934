"""The keys of a ledger, and the files beside its database: day keys, signing key, latest checkpoints, its trees."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from idtone.core.settings.settings import LedgerSettings
from idtone.core.signed_notes import Note, NoteSigner, VerifierKey

from .checkpoint_file import CheckpointFile, cosigned_file
from .continued_trees import ContinuedTrees, NextKey
from .day_keys import DayKeys
from .hardware_token_signer import TokenSigner
from .key_file import load_key, read_key
from .log_keys import LogKeys
from .sealing import LedgerKey
from .step_key import StepKey


@dataclass(frozen=True)
class KeyRing:
    """`signer` signs with the log's origin as its name; its key is the log's key."""

    days: DayKeys
    signer: NoteSigner
    seen: CheckpointFile
    """What was signed last."""
    cosigned: CheckpointFile
    """What witnesses have cosigned last."""
    continued_trees: ContinuedTrees
    keys: LogKeys | None = None
    """The keys of all trees; None: `signer` has the only one."""

    @property
    def step_key(self) -> StepKey:
        """Makes the MACs of the steps of the present tree."""
        return self.days.ledger_key.step_key(self.signer.key.name)

    def go_on(
        self, checkpoint: Note | None, ledger: Path, file: Path, key: NextKey | None = None, unsigned: str = ""
    ) -> KeyRing:
        """The key ring of the tree that follows this one, with its key if that is a new one. `checkpoint` was signed
        last; `unsigned` is the text of that of the whole tree, if its end is not signed yet. Raises OSError,
        LedgerError.
        """
        self.continued_trees.add(checkpoint, ledger, file, key=key, unsigned=unsigned)
        return replace(self, signer=self._signer(self.continued_trees.origin))

    def renewed(self) -> KeyRing:
        """The key ring with the tree that another process may have begun meanwhile. Raises LedgerError."""
        self.continued_trees.read_again()
        return replace(self, signer=self._signer(self.continued_trees.origin))

    def signer_of(self, origin: str | None) -> NoteSigner:
        """The signer of the tree with this name if it is one of ours; else that of the present tree. Raises
        LedgerError.
        """
        return self._signer(origin) if origin in self.continued_trees.origins else self.signer

    def _signer(self, origin: str) -> NoteSigner:
        return self.keys.signer(origin) if self.keys else self.signer.named(origin)

    def asked_anew(self) -> KeyRing:
        """The key ring whose tokens of earlier trees are asked again although one was away. Close it."""
        return replace(self, keys=self.keys.asked_anew()) if self.keys else self

    def close(self) -> None:
        """Let go of the tokens; the next signature opens them again."""
        if self.keys:
            self.keys.close()
        elif isinstance(self.signer, TokenSigner):
            self.signer.close()

    @classmethod
    def of(cls, settings: LedgerSettings, node: str) -> KeyRing:
        """The key ring of a ledger; missing keys are made. Raises LedgerError if the keys cannot be used."""
        ledger_key = LedgerKey(load_key(settings.key_file))
        continued_trees = continued_trees_of(settings, node)
        keys = LogKeys(settings, continued_trees)
        return cls(
            DayKeys(settings.day_keys(), ledger_key),
            keys.signer(continued_trees.origin),
            CheckpointFile(settings.seen()),
            cosigned_file(settings),
            continued_trees,
            keys,
        )


def continued_trees_of(settings: LedgerSettings, node: str) -> ContinuedTrees:
    """The trees of a ledger that continue its first one. Raises LedgerError if their file cannot be read."""
    return ContinuedTrees(settings.continued(), settings.log_origin(node))


def own_key(settings: LedgerSettings, node: str, origin: str | None = None) -> VerifierKey:
    """The key that verifies this node's checkpoints; if `origin` names an earlier tree of ours, that tree's key.

    Raises LedgerError if there is no signing key here.
    """
    continued_trees = continued_trees_of(settings, node)
    name = origin if origin in continued_trees.origins else continued_trees.origin
    return LogKeys(settings, continued_trees).verifier(name or continued_trees.origin)


def need_keys(settings: LedgerSettings, node: str) -> None:
    """Raises LedgerError if a key of the present tree is missing: a command that only reads makes none."""
    read_key(settings.key_file)
    LogKeys(settings, continued_trees_of(settings, node)).need()


def cosigned_note(settings: LedgerSettings, node: str, origin: str | None) -> Note | None:
    """The last checkpoint of the tree by this name that witnesses have cosigned; None if there is none here.

    Raises LedgerError if it cannot be used.
    """
    file = cosigned_file(settings)
    if not any(os.access(path, os.R_OK) for path in (file.path, file.of_tree(origin or ""))):
        return None
    latest = file.latest(own_key(settings, node, origin))
    return latest[0] if latest else None
