from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.errors import LedgerError
from idtone.ledger.tokens import KEY_BYTES, MaskedNumber, Tokens
from idtone.numbers import MALFORMED, WITHHELD, Number, NumberKind, parse

KEY = bytes(range(KEY_BYTES))


def test_a_token_is_the_head_of_the_keyed_digest_of_the_e164_number() -> None:
    masked = Tokens(KEY).mask(parse("03-1234-5678"))
    expected = hmac.new(KEY, b"+81312345678", hashlib.sha256).hexdigest()[:32]
    assert masked == MaskedNumber(NumberKind.FIXED, expected, "5678")


def test_every_form_of_a_number_has_the_same_token_and_another_key_another() -> None:
    tokens = Tokens(KEY)
    assert tokens.mask(parse("0312345678")) == tokens.mask(parse("+81 3 1234 5678"))
    assert tokens.mask(parse("0312345678")).token != tokens.mask(parse("0312345679")).token
    assert tokens.mask(parse("0312345678")).token != Tokens(bytes(KEY_BYTES)).mask(parse("0312345678")).token


@pytest.mark.parametrize(
    ("number", "masked", "text"),
    [
        (WITHHELD, MaskedNumber(NumberKind.WITHHELD), "withheld"),
        (MALFORMED, MaskedNumber(NumberKind.MALFORMED), "malformed"),
        (parse("119"), MaskedNumber(NumberKind.EMERGENCY, None, "119"), "119"),
    ],
)
def test_what_is_nobodys_number_has_no_token(number: Number, masked: MaskedNumber, text: str) -> None:
    assert Tokens(KEY).mask(number) == masked
    assert str(masked) == text


@settings(max_examples=50)
@given(st.from_regex(r"\+81[1-9][0-9]{8,9}", fullmatch=True))
def test_no_more_of_a_number_than_its_last_four_digits_shows(e164: str) -> None:
    masked = Tokens(KEY).mask(Number(NumberKind.FIXED, e164))
    assert str(masked) == f"…{e164[-4:]}"
    assert e164[-5:] not in repr(masked).replace(masked.token or "", "")


@pytest.mark.parametrize("size", [0, KEY_BYTES - 1, KEY_BYTES + 1])
def test_a_key_of_the_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(LedgerError, match=f"has {size} bytes instead of 32"):
        Tokens(bytes(size))
