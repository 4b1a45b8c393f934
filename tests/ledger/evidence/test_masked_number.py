from __future__ import annotations

import pytest

from idtone.ledger.evidence.masked_number import MaskedNumber, masked
from idtone.numbers import MALFORMED, WITHHELD, Number, NumberKind, parse


@pytest.mark.parametrize(
    ("number", "token", "shown", "text"),
    [
        (parse("0312345678"), "ab", MaskedNumber(NumberKind.FIXED, "ab", "5678"), "…5678"),
        (WITHHELD, None, MaskedNumber(NumberKind.WITHHELD), "withheld"),
        (MALFORMED, None, MaskedNumber(NumberKind.MALFORMED), "malformed"),
        (parse("119"), None, MaskedNumber(NumberKind.EMERGENCY, None, "119"), "119"),
    ],
)
def test_no_more_of_a_number_than_its_last_four_digits_shows(
    number: Number, token: str | None, shown: MaskedNumber, text: str
) -> None:
    assert masked(number, token) == shown
    assert str(shown) == text


def test_without_the_key_its_kind_shows() -> None:
    assert str(MaskedNumber(NumberKind.FIXED, "ab")) == "fixed"
