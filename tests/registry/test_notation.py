"""The three notations of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.errors import NumberError
from idtone.numbers import parse_japanese
from idtone.registry.notation import ENTRY_LIMIT, NumberSpan, read_single, read_span


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("0312345678", 81312345678, 81312345678),
        ("03-1234-5678", 81312345678, 81312345678),
        ("(03) 1234-5678", 81312345678, 81312345678),
        ("+81 3 1234 5678", 81312345678, 81312345678),
        (" 0312345678 ", 81312345678, 81312345678),
        ("０３−１２３４−５６７８", 81312345678, 81312345678),
        ("05012345678", 815012345678, 815012345678),
        ("0120123456", 81120123456, 81120123456),
        ("08001234567", 818001234567, 818001234567),
        ("+81312345600-+81312345699", 81312345600, 81312345699),
        ("0312345600-0312345699", 81312345600, 81312345699),
        ("0312345600 - 0312345699", 81312345600, 81312345699),
        ("03-1234-5600-03-1234-5699", 81312345600, 81312345699),
        ("+81-3-1234-5600-+81-3-1234-5699", 81312345600, 81312345699),
        ("０３１２３４５６００－０３１２３４５６９９", 81312345600, 81312345699),
        ("0312345600-0312345600", 81312345600, 81312345600),
        ("0612345*", 81612345000, 81612345999),
        ("06-1234-5*", 81612345000, 81612345999),
        ("+81612345*", 81612345000, 81612345999),
        ("０６１２３４５＊", 81612345000, 81612345999),
        ("061234567*", 81612345670, 81612345679),
        ("05012345*", 815012345000, 815012345999),
        ("0800123*", 818001230000, 818001239999),
        ("0312*", 81312000000, 81312999999),  # exactly the limit
    ],
)
def test_what_an_entry_covers(text, first, last):
    assert read_span(text) == NumberSpan(first, last)


def test_the_largest_entry():
    assert len(read_span("0312*")) == ENTRY_LIMIT
    with pytest.raises(NumberError, match=r"covers 1,000,001 numbers, but an entry may cover 1,000,000 at most"):
        read_span("0312000000-0313000000")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a telephone number"),
        ("tokyo", "not a telephone number"),
        ("0398765432x", "not a telephone number"),
        ("sip:0398765432@example.com", "not a telephone number"),
        ("0" * 61, "not a telephone number"),
        ("-" * 1_000_000, "not a telephone number"),
        ("0312345678\n0312345679", "not a telephone number"),
        ("110", "emergency number"),
        ("119", "emergency number"),
        ("184-118", "emergency number"),
        ("+12125551234", "not a Japanese"),
        ("031234567", "needs 10 digits"),
        ("03123456789", "needs 10 digits"),
        ("0501234567", "needs 11 digits"),
        ("09012345", "not a Japanese"),
        ("001234567", "not a Japanese"),
        ("0101000000", "not a Japanese"),
        ("+81101000000", "not a Japanese"),
        ("0101000*", "not a prefix"),
        ("+81312345699-+81312345600", "ends before it starts"),
        ("+81312345600-+815012345678", "ends of different length"),
        ("+81312345600-99", "does not end in a complete"),
        ("0312345600-", "does not end in a complete"),
        ("0312345600-0312345650-0312345699", "does not end in a complete"),
        ("*", "not a prefix"),
        ("*0398", "not a prefix"),
        ("0312*45", "not a prefix"),
        ("0698765**", "not a prefix"),
        ("698765*", "not a prefix"),
        ("00123*", "not a prefix"),
        ("+1212555*", "not a prefix"),
        ("0698765*-0698766*", "not a prefix"),
        ("0612345678*", "as many digits as a number"),
        ("06123456789*", "as many digits as a number"),
        ("06*", "covers 100,000,000"),
        ("0*", "not a prefix"),
        ("050*", "covers 100,000,000"),
    ],
)
def test_invalid_entries(text, problem):
    with pytest.raises(NumberError) as caught:
        read_span(text)
    assert problem in str(caught.value)
    digits = "".join(character for character in text if character.isdigit())
    assert len(digits) < 6 or digits not in str(caught.value)


@given(st.from_regex(r"(\+81|0)[0-9]{6,12}", fullmatch=True))
@settings(max_examples=300)
def test_the_fast_path_agrees_with_the_full_parser(text):
    try:
        expected = int(parse_japanese(text).e164[1:])
    except NumberError:
        with pytest.raises(NumberError):
            read_single(text)
    else:
        assert read_single(text) == expected


@given(st.text(alphabet="0123456789+-*() ", max_size=40) | st.text(max_size=30))
@settings(max_examples=300)
def test_reading_gives_a_span_or_a_number_error(text):
    try:
        span = read_span(text)
    except NumberError:
        return
    assert 1 <= len(span) <= ENTRY_LIMIT
    assert str(span.first).startswith("81")
    assert str(span.first) not in repr(span)
