"""Telephone numbers as records show them: masked. Pure."""

from dataclasses import dataclass

from idtone.core.numbers import Number, NumberKind


@dataclass(frozen=True, slots=True)
class MaskedNumber:
    """A number that may be shown.

    `token` is lower-case hexadecimal; None if there is no number, or for an emergency number, which `last4` holds
    whole. Without the ledger's key `last4` is empty.
    """

    kind: NumberKind
    token: str | None = None
    last4: str = ""

    def __str__(self) -> str:
        return f"…{self.last4}" if self.token and self.last4 else self.last4 or self.kind.value


def masked(number: Number, token: str | None) -> MaskedNumber:
    """The number as a person with the key sees it."""
    return MaskedNumber(number.kind, token, number.last4)
