"""The proof that a log signed two histories, which consists of two contradictory heads.

A third party needs only the file (`format` 1) and the log's key. If the heads have the same size, their roots differ.
Otherwise, the consistency proof (RFC 6962, section 2.1.2) leads from `root` to the second head. `root` is the second
tree's root at the first head's size, and it differs from the first head's root.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from idtone.core.errors import ProofError
from idtone.core.signed_notes import NOTE_LIMIT, Note, VerifierKey, decode_base64

from ..tree.checkpoints import Checkpoint, verified_checkpoint
from ..tree.merkle import check_consistency

FORMAT: Final = 1
LIMIT: Final = 4 * NOTE_LIMIT
"""Maximum number of octets in the file, which contains two JSON-escaped notes and a proof."""
_HASHES_LIMIT: Final = 128


@dataclass(frozen=True, slots=True)
class SplitView:
    """Two signed log heads that contradict each other.

    `first` has at most as many leaves as `second`. `root` is the second tree's root at the first head's size.
    """

    first: Note
    second: Note
    root: bytes
    proof: tuple[bytes, ...] = ()
    places: Sequence[str] = ()
    """Where each head was seen. This proves nothing."""

    @property
    def size(self) -> int:
        """The number of leaves at which the two histories differ."""
        return Checkpoint.parse(self.first.text).size

    def check(self, log: VerifierKey) -> None:
        """Raise ProofError unless the heads prove that `log` signed two histories."""
        first, second = verified_checkpoint(self.first, log), verified_checkpoint(self.second, log)
        if first.size > second.size:
            raise ProofError("the first head has more leaves than the second")
        check_consistency(first.size, self.root, second.size, second.root, self.proof)
        if self.root == first.root:
            raise ProofError("the heads are of one history")

    def __bytes__(self) -> bytes:
        members = {
            "format": FORMAT,
            "first": str(self.first),
            "second": str(self.second),
            "root": base64.b64encode(self.root).decode(),
            "proof": [base64.b64encode(each).decode() for each in self.proof],
            "places": list(self.places),
        }
        return json.dumps(members, ensure_ascii=False, indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, octets: bytes) -> SplitView:
        """Parse the proof of a split view from a file.

        Raises ProofError.
        """
        odd = ProofError("this is no proof of a split view")
        try:
            members: dict[str, Any] = json.loads(octets)
            first, second = (Note.parse(members[name].encode()) for name in ("first", "second"))
            root, *proof = (decode_base64(each) for each in (members["root"], *members["proof"][:_HASHES_LIMIT]))
            places = tuple(map(str, members["places"]))
            is_known = members["format"] == FORMAT
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise odd from error
        hashes = [each for each in proof if each is not None]
        if not is_known or root is None or len(hashes) != len(proof):
            raise odd
        return cls(first, second, root, tuple(hashes), places)
