"""Telephone numbers as records show them: no more than what may be shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from idtone.numbers import Number, NumberKind


@dataclass(frozen=True, slots=True)
class MaskedNumber:
    """A number fit to be shown.

    `token` is lower-case hexadecimal, or None where there is no number or it is an emergency number,
    which belongs to nobody; `last4` holds that one whole. Without the ledger's key `last4` is empty.
    """

    kind: NumberKind
    token: str | None = None
    last4: str = ""

    def __str__(self) -> str:
        return f"…{self.last4}" if self.token and self.last4 else self.last4 or self.kind.value


def masked(number: Number, token: str | None) -> MaskedNumber:
    """As the holder of the key sees it."""
    return MaskedNumber(number.kind, token, number.last4)
