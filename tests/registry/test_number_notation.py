"""The three notations of numbers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.errors import NumberError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse_japanese
from idtone.registry.number_notation import ENTRY_LIMIT, read_single, read_span

SPANS = {
    (81312345678, 81312345678): [
        "0312345678", "03-1234-5678", "(03) 1234-5678", "+81 3 1234 5678", " 0312345678 ", "０３−１２３４−５６７８",
    ],
    (815012345678, 815012345678): ["05012345678"],
    (81120123456, 81120123456): ["0120123456"],
    (818001234567, 818001234567): ["08001234567"],
    (81312345600, 81312345699): [
        "+81312345600-+81312345699", "0312345600-0312345699", "0312345600 - 0312345699", "03-1234-5600-03-1234-5699",
        "+81-3-1234-5600-+81-3-1234-5699", "０３１２３４５６００－０３１２３４５６９９",
    ],
    (81312345600, 81312345600): ["0312345600-0312345600"],
    (81612345000, 81612345999): ["0612345*", "06-1234-5*", "+81612345*", "０６１２３４５＊"],
    (81612345670, 81612345679): ["061234567*"],
    (815012345000, 815012345999): ["05012345*"],
    (818001230000, 818001239999): ["0800123*"],
    (81312000000, 81312999999): ["0312*"],  # exactly the limit
}  # fmt: skip


def test_what_an_entry_covers():
    read = {text: read_span(text) for texts in SPANS.values() for text in texts}
    assert read == {text: NumberSpan(*span) for span, texts in SPANS.items() for text in texts}
    assert len(read["0312*"]) == ENTRY_LIMIT
    assert not any(str(span.first) in repr(span) for span in read.values()), "a repr shows no number"
    with pytest.raises(NumberError, match=r"covers 1,000,001 numbers, but an entry may cover 1,000,000 at most"):
        read_span("0312000000-0313000000")


INVALID = {
    "not a telephone number": [
        "", "tokyo", "0398765432x", "sip:0398765432@example.com", "0" * 61, "-" * 1_000_000, "0312345678\n0312345679",
    ],
    "emergency number": ["110", "119", "184-118"],
    "not a Japanese": ["+12125551234", "09012345", "001234567", "0101000000", "+81101000000"],
    "needs 10 digits": ["031234567", "03123456789"],
    "needs 11 digits": ["0501234567"],
    "not a prefix": [
        "0101000*", "*", "*0398", "0312*45", "0698765**", "698765*", "00123*", "+1212555*", "0698765*-0698766*", "0*",
    ],
    "ends before it starts": ["+81312345699-+81312345600"],
    "ends of different length": ["+81312345600-+815012345678"],
    "does not end in a complete": ["+81312345600-99", "0312345600-", "0312345600-0312345650-0312345699"],
    "as many digits as a number": ["0612345678*", "06123456789*"],
    "covers 100,000,000": ["06*", "050*"],
}  # fmt: skip


def test_invalid_entries():
    for problem, texts in INVALID.items():
        for text in texts:
            with pytest.raises(NumberError, match=problem) as caught:
                read_span(text)
            digits = "".join(character for character in text if character.isdigit())
            assert len(digits) < 6 or digits not in str(caught.value), text


@given(st.from_regex(r"(\+81|0)[0-9]{6,12}", fullmatch=True))
@settings(max_examples=60, deadline=None)
def test_the_fast_path_agrees_with_the_full_parser(text):
    try:
        expected = int(parse_japanese(text).e164[1:])
    except NumberError:
        with pytest.raises(NumberError):
            read_single(text)
    else:
        assert read_single(text) == expected


@given(st.text(alphabet="0123456789+-*() ", max_size=40) | st.text(max_size=30))
@settings(max_examples=60, deadline=None)
def test_reading_gives_a_span_or_a_number_error(text):
    try:
        span = read_span(text)
    except NumberError:
        return
    assert 1 <= len(span) <= ENTRY_LIMIT
    assert str(span.first).startswith("81")
