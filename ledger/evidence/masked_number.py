"""Masked telephone numbers in call records."""

from dataclasses import dataclass

from idtone.core.numbers import Number, NumberKind


@dataclass(frozen=True, slots=True)
class MaskedNumber:
    """A telephone number reduced to its kind, its token and its last four digits.

    `token` is in lower-case hexadecimal digits, or None if there is no number. An emergency number has no token, and
    `last4` contains it in full. `last4` is empty if the ledger's key is not available.
    """

    kind: NumberKind
    token: str | None = None
    last4: str = ""

    def __str__(self) -> str:
        return f"…{self.last4}" if self.token and self.last4 else self.last4 or self.kind.value


def mask_number(number: Number, token: str | None) -> MaskedNumber:
    """Mask a telephone number, keeping its last four digits."""
    return MaskedNumber(number.kind, token, number.last4)
