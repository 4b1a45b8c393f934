"""Masked telephone numbers, as records show them. Pure."""

from dataclasses import dataclass

from idtone.core.numbers import Number, NumberKind


@dataclass(frozen=True, slots=True)
class MaskedNumber:
    """A number that may be shown. `token` is in lower-case hexadecimal digits, and None without a number. An emergency
    number has no token, and `last4` contains it in full. Without the ledger's key `last4` is empty.
    """

    kind: NumberKind
    token: str | None = None
    last4: str = ""

    def __str__(self) -> str:
        return f"…{self.last4}" if self.token and self.last4 else self.last4 or self.kind.value


def mask_number(number: Number, token: str | None) -> MaskedNumber:
    """The number in the form for a person who has the key."""
    return MaskedNumber(number.kind, token, number.last4)
