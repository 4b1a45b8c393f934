"""A leaf's inclusion proof as a separate file (C2SP tlog-proof v1)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from idtone.core.errors import ProofError
from idtone.core.signed_notes import Note, VerifierKey, decode_base64

from .checkpoints import Checkpoint, parse_size, verified_checkpoint
from .merkle import HASH_BYTES, leaf_hash, root_by_inclusion

HEADER: Final = "c2sp.org/tlog-proof@v1"
HASHES_LIMIT: Final = 63
"""Maximum number of levels in a tree."""


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The proof that a signed tree contains the leaf at `index`, counted from 0.

    `hashes` lead from the leaf's sibling to a child of the root. `extra` is for applications and proves nothing.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    extra: bytes = b""

    def __str__(self) -> str:
        lines = [HEADER]
        if self.extra:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(each).decode() for each in self.hashes]
        return "\n".join(lines) + f"\n\n{self.checkpoint}"

    @classmethod
    def parse(cls, octets: bytes) -> InclusionProof:
        """Parse an inclusion proof from its file.

        Raises ProofError if the file is not a proof.
        """
        above, empty, checkpoint = octets.partition(b"\n\n")
        try:
            lines = above.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise ProofError("the proof is not text") from error
        if not empty or lines[0] != HEADER:
            raise ProofError("this is not a proof: its first line is not {header}", header=HEADER)
        lines = lines[1:]
        extra = b""
        if lines and lines[0].startswith("extra "):
            octets_of_extra = decode_base64(lines.pop(0).removeprefix("extra "))
            if octets_of_extra is None:
                raise ProofError("line 2 of the proof, extra, is not base64")
            extra = octets_of_extra
        if not lines or not lines[0].startswith("index "):
            raise ProofError("the proof does not say of which leaf it is: index N")
        index = parse_size(lines[0].removeprefix("index "))
        return cls(index, parse_hashes(lines[1:]), Note.parse(checkpoint), extra)

    def check(self, leaf: bytes, log: VerifierKey) -> Checkpoint:
        """Verify that the tree contains `leaf`, and return the tree's checkpoint.

        Raises ProofError if `log` has not signed the checkpoint, or if the tree does not contain the leaf.
        """
        checkpoint = verified_checkpoint(self.checkpoint, log)
        if root_by_inclusion(self.index, checkpoint.size, leaf_hash(leaf), self.hashes) != checkpoint.root:
            raise ProofError("the record is not leaf {index} of this tree", index=self.index)
        return checkpoint


def parse_hashes(lines: list[str]) -> tuple[bytes, ...]:
    """Parse base64 hashes, one per line.

    Raises ProofError for anything else, and for more than `HASHES_LIMIT` lines.
    """
    if len(lines) > HASHES_LIMIT:
        raise ProofError("a proof has at most {hashes_limit} hashes", hashes_limit=HASHES_LIMIT)
    hashes = [decode_base64(line) for line in lines]
    if any(each is None or len(each) != HASH_BYTES for each in hashes):
        raise ProofError("each hash of a proof is {hash_bytes} bytes in base64", hash_bytes=HASH_BYTES)
    return tuple(each for each in hashes if each)
