"""Telephone numbers as the ledger holds them: recognisable to the holder of the key, readable to nobody.

The same number gives the same token under one key, so that an investigator who has a number can find
its calls; without the key the token says nothing. Pure; the key comes from `key_file`.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from idtone.errors import LedgerError
from idtone.numbers import Number, NumberKind

KEY_BYTES: Final = 32
TOKEN_BYTES: Final = 16
"""128 bits of HMAC-SHA-256: no two of a country's numbers meet by chance."""


@dataclass(frozen=True, slots=True)
class MaskedNumber:
    """A number fit to be written down.

    `token` is lower-case hexadecimal, or None where there is no number or it is an emergency number,
    which belongs to nobody; `last4` holds that one whole.
    """

    kind: NumberKind
    token: str | None = None
    last4: str = ""

    def __str__(self) -> str:
        return f"…{self.last4}" if self.token else self.last4 or self.kind.value


class Tokens:
    """Masks numbers with one key of `KEY_BYTES` bytes."""

    def __init__(self, key: bytes) -> None:
        """Raises LedgerError where the key has the wrong size."""
        if len(key) != KEY_BYTES:
            raise LedgerError(f"the ledger's key has {len(key)} bytes instead of {KEY_BYTES}; restore it from a backup")
        self._key = key

    def mask(self, number: Number) -> MaskedNumber:
        if not number.known:
            return MaskedNumber(number.kind)
        if number.kind is NumberKind.EMERGENCY:
            return MaskedNumber(number.kind, last4=number.e164)
        digest = hmac.digest(self._key, number.e164.encode(), hashlib.sha256)
        return MaskedNumber(number.kind, digest[:TOKEN_BYTES].hex(), number.last4)
