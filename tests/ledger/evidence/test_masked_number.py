from __future__ import annotations

from idtone.ledger.evidence.masked_number import MaskedNumber, masked
from idtone.numbers import MALFORMED, WITHHELD, NumberKind, parse


def test_no_more_of_a_number_than_its_last_four_digits_shows():
    for number, token, shown, text in (
        (parse("0312345678"), "ab", MaskedNumber(NumberKind.FIXED, "ab", "5678"), "…5678"),
        (WITHHELD, None, MaskedNumber(NumberKind.WITHHELD), "withheld"),
        (MALFORMED, None, MaskedNumber(NumberKind.MALFORMED), "malformed"),
        (parse("119"), None, MaskedNumber(NumberKind.EMERGENCY, None, "119"), "119"),
    ):
        assert masked(number, token) == shown
        assert str(shown) == text
    assert str(MaskedNumber(NumberKind.FIXED, "ab")) == "fixed"  # without the key
