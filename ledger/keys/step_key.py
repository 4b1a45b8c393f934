"""Message authentication codes (MACs) for the ledger's steps (docs/adr/0025).

Only a process with the ledger's key can compute them. Each MAC depends on the previous MAC, so a step is valid only in
its original position, after all earlier steps.
"""

import hashlib
from typing import Final

from ..evidence.leaves import StoredStep

MAC_BYTES: Final = 16


class StepKey:
    """Computes MACs for the steps in one tree.

    `secret` has at most 64 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def mac(self, before: bytes, step: StoredStep, leaf: int | None) -> bytes:
        """MAC over a step and the leaf that it closed, if any.

        `before` is the previous step's MAC, and is empty for the first step. Keyed BLAKE2b (RFC 7693) takes half the
        time of HMAC-SHA-256.
        """
        number, node, call_id, kind, at, details = step
        # No value that idtone writes has a newline, so no two steps have the same content.
        content = f"{number}\n{leaf}\n{at}\n{kind}\n{node}\n{call_id}\n{details}"
        return hashlib.blake2b(before + content.encode(), digest_size=MAC_BYTES, key=self._secret).digest()

    def line_mac(self, line: bytes) -> str:
        """MAC for a line in a file next to the ledger, in hexadecimal digits."""
        return hashlib.blake2b(line, digest_size=MAC_BYTES, key=self._secret).hexdigest()
