"""Tree heads in the text format that is signed (C2SP tlog-checkpoint v1)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final

from idtone.core.errors import ProofError
from idtone.core.signed_notes import Note, VerifierKey, decode_base64
from idtone.core.translation import Message

from .merkle import HASH_BYTES

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


def parse_size(text: str) -> int:
    """Parse a tree's number of leaves, which consists of ASCII digits without leading zeros.

    Raises ProofError for any other text.
    """
    if not _SIZE.fullmatch(text):
        raise ProofError("a size is a decimal number without leading zeroes")
    return int(text)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a Merkle tree, with its name (`origin`), number of leaves and root hash.

    `extensions` are additional lines, of which idtone writes none.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the fields. Raises ProofError if the text could be parsed as a different checkpoint."""
        if any(not line or "\n" in line for line in (self.origin, *self.extensions)):
            raise ProofError("the lines of a checkpoint are neither empty nor broken")

    @property
    def text(self) -> str:
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Parse the text of a checkpoint.

        Raises ProofError if the text is not a checkpoint.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1]:
            raise ProofError("a checkpoint has three lines: origin, size, root")
        origin, size, encoded, *extensions = lines[:-1]
        root = decode_base64(encoded)
        if root is None or len(root) != HASH_BYTES:
            raise ProofError("the root of a checkpoint is {hash_bytes} bytes in base64", hash_bytes=HASH_BYTES)
        return cls(origin, parse_size(size), root, tuple(extensions))


class RenamedError(ProofError):
    """The tree was signed under a name other than the one in the settings.

    `remedy` tells the operator how the tree can be signed again.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


_NODES_OWN: Final = re.compile(r"(.+)/idtone(\.[0-9]+)?")


def check_name(signed: str, name: str) -> None:
    """Raise RenamedError if the signed origin differs from the name in the settings."""
    if signed == name:
        return
    match = _NODES_OWN.fullmatch(signed)
    setting = f"node: {match[1]}" if match else f"ledger: {{origin: {signed}}}"
    raise RenamedError(
        Message(
            "it was signed as {signed}, and these settings name it {name}: the node's name, or ledger.origin, was "
            "changed",
            signed=signed,
            name=name,
        ),
        Message("write `{setting}` into the settings, as before, then: systemctl reload idtone", setting=setting),
    )


def verified_checkpoint(note: Note, log: VerifierKey) -> Checkpoint:
    """The checkpoint in a signed note.

    Raises ProofError if `log` has not signed the note or if the checkpoint belongs to another log.
    """
    if not note.signed_by([log]):
        raise ProofError("the checkpoint is not signed by the key of {log}", log=log.name)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != log.name:
        raise ProofError("the checkpoint is of {origin!r}, not of {log}", origin=checkpoint.origin, log=log.name)
    return checkpoint
