"""Reading telephone numbers."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from idtone.core.errors import NumberError
from idtone.core.numbers import (
    MALFORMED,
    WITHHELD,
    Number,
    NumberKind,
    ascii_form,
    national_length,
    parse,
    parse_japanese,
    parse_or_none,
)
from lab.spellings import (
    DASHES,
    EMERGENCIES,
    LOOKING_ALIKE,
    MARKS,
    NO_NUMBERS,
    OF_OTHERS,
    OF_SUSPENDED,
    SUSPENDED,
    UNREADABLE,
    full_width,
)

TOKYO = "+81312345678"


FORMS = {
    Number(NumberKind.FIXED, TOKYO): [
        "0312345678", "03-1234-5678", "03 1234 5678", "03(1234)5678", "(03)1234-5678", "03.1234.5678",
        " 0312345678\n", "０３１２３４５６７８", "０３−１２３４−５６７８", "０３ー１２３４ー５６７８",
        "（０３）１２３４‐５６７８", "+81312345678", "+81 3 1234 5678", "+81-3-1234-5678", "+81(0)312345678",
        "＋８１３１２３４５６７８", "81312345678", "010 81 3 1234 5678", "sip:0312345678@pbx.example.com",
        "sip:+81312345678@pbx.example.com;user=phone", "sips:+81312345678@pbx.example.com",
        "SIP:0312345678@192.0.2.1:5060", "tel:+81-3-1234-5678", "tel:0312345678;phone-context=+81",
        "0312345678@pbx.example.com", "1840312345678", "1860312345678", "184-03-1234-5678",
        "sip:1860312345678@pbx.example.com", "<sip:0312345678@h>", "0081312345678", "03\u200b1234\u202e5678",
    ],
    Number(NumberKind.FIXED, "+81612345678"): ["0612345678"],
    Number(NumberKind.FIXED, "+81112514567"): ["011-251-4567"],
    Number(NumberKind.IP_050, "+815012345678"): ["05012345678"],
    Number(NumberKind.FREE_0120, "+81120123456"): ["0120123456"],
    Number(NumberKind.FREE_0120, "+818001234567"): ["0800-123-4567"],
    Number(NumberKind.MOBILE, "+819012345678"): ["09012345678"],
    Number(NumberKind.MOBILE, "+818012345678"): ["08012345678"],
    Number(NumberKind.MOBILE, "+817012345678"): ["07012345678"],
    Number(NumberKind.MOBILE, "+816012345678"): ["06012345678"],
    Number(NumberKind.OTHER, "+81570012345"): ["0570012345"],
    Number(NumberKind.OTHER, "+12125551234"): ["+12125551234", "010-1-212-555-1234", "184-010-1-212-555-1234"],
    Number(NumberKind.OTHER, "+2101234567"): ["+2101234567", "010-210-1234567"],  # no country has this code
    WITHHELD: [
        "", " ", "anonymous", "Anonymous", "ANONYMOUS", "unavailable", "restricted", "private", "unknown", "P", "O",
        "C", "S", "p", "sip:anonymous@anonymous.invalid", "sip:@example.com", "Ｐ",
    ],
    MALFORMED: [
        "abc", "+", "++81312345678", "0", "1", "0312345", "+8103", "0312345678x5", "0312345678,1", "#31#0312345678",
        "*67", "0312345678\r\nX-Evil: 1", "03\x001", "0312345678 (office)", "18403123456", "122-03-1234-5678",
    ],
}  # fmt: skip


@pytest.mark.parametrize("number", FORMS)
def test_every_usual_form_is_the_same_number(number):
    assert {text: parse(text) for text in FORMS[number]} == dict.fromkeys(FORMS[number], number)


def test_full_width_characters_are_ascii_and_ascii_stays_as_it_is():
    printable = "".join(map(chr, range(0x21, 0x7F)))
    assert ascii_form(full_width(printable)) == ascii_form(printable) == printable


def test_only_separators_and_marks_may_stand_between_the_digits_of_a_number():
    characters = map(chr, (*range(0x3100), *range(0xFE00, 0x10000)))
    found = {character for character in characters if parse(f"0312{character}345678") == parse(TOKYO)}
    assert found == {*" ().\t\n\v\f\r\u00a0\u3000（）．", *DASHES, *MARKS}


def test_an_emergency_number_is_known_in_every_spelling_and_nothing_else_is_one():
    read = {text: parse(text) for text in EMERGENCIES}
    assert read == {text: Number(NumberKind.EMERGENCY, digits) for text, digits in EMERGENCIES.items()}
    assert {str(number) for number in read.values()} == {"emergency"}
    assert [text for text in LOOKING_ALIKE if parse(text).kind is NumberKind.EMERGENCY] == []


def test_the_digits_of_a_text_that_cannot_be_read_may_be_a_number():
    assert parse_or_none("0312345678x") == parse_or_none("tel 03-1234-5678@pbx5") == parse(TOKYO)
    assert [parse_or_none(text) for text in (TOKYO, "x5", "")] == [None, None, None]


def test_a_suspended_number_is_known_in_every_spelling_and_no_other_is_taken_for_it():
    """An ambiguous text counts as no number, and never as another number."""
    suspended = parse(SUSPENDED)
    assert len(OF_SUSPENDED) >= 500
    assert len(EMERGENCIES) >= 500
    assert [text for text in OF_SUSPENDED if parse(text) != suspended] == []
    assert [
        text for text in OF_OTHERS if not parse(text).known or suspended in (parse(text), parse_or_none(text))
    ] == []
    assert [text for text in UNREADABLE if parse(text) != MALFORMED] == []
    assert {parse_or_none(text) for text in UNREADABLE} <= {None, suspended}
    kinds = {NumberKind.MALFORMED, NumberKind.WITHHELD, NumberKind.EMERGENCY}
    assert [text for text in NO_NUMBERS if parse(text).kind not in kinds] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("110", "emergency number"),
        ("184119", "emergency number"),
        ("", "not a Japanese"),
        ("anonymous", "not a Japanese"),
        ("abc", "not a Japanese"),
        ("+12125551234", "not a Japanese"),
        ("+81101234567", "not a Japanese"),
        ("09012345", "not a Japanese"),
        ("031234567", "needs 10 digits"),
        ("03123456789", "needs 10 digits"),
        ("0501234567", "needs 11 digits"),
        ("0200123456", "needs 11 digits"),
        ("03123456789012", "needs 10 digits"),
    ],
)
def test_only_complete_japanese_numbers_are_accepted(text, reason):
    with pytest.raises(NumberError, match=reason) as caught:
        parse_japanese(text)
    assert not text or text not in str(caught.value)


def test_a_complete_japanese_number():
    assert parse_japanese("03-1234-5678") == Number(NumberKind.FIXED, TOKYO)
    assert parse_japanese("080-1234-5678").kind is NumberKind.MOBILE


def test_the_length_of_a_national_number():
    ten, eleven = ("03", "011", "0120", "0570", "049"), ("0800", "050", "090", "020")
    lengths = {beginning: national_length(beginning) for beginning in (*ten, *eleven)}
    assert lengths == dict.fromkeys(ten, 10) | dict.fromkeys(eleven, 11)


def test_a_number_shows_only_its_last_four_digits():
    number = parse("0312345678")
    assert (str(number), repr(number), f"{number}") == ("…5678", "<Number fixed …5678>", "…5678")
    assert (number.last4, number.known) == ("5678", True)
    assert (str(WITHHELD), str(MALFORMED), WITHHELD.known, MALFORMED.known) == ("withheld", "malformed", False, False)
    assert parse_or_none("x") is parse_or_none(SUSPENDED) is None


texts = (
    st.text(max_size=40)
    | st.text(alphabet="0123456789+-() .@;sip:tel", max_size=40)
    | st.from_regex(r"(sip:|tel:)?(184|186)?(\+81|0|010)?[0-9]{0,18}(@h)?", fullmatch=True)
)


def test_the_cache_is_bounded():
    """Any caller can send new numbers for ever."""
    assert parse.cache_info().maxsize


@given(texts)
@example("0" * 300)
@example("+" + "9" * 100_000)
@settings(max_examples=200, deadline=None)
def test_reading_never_fails_and_shows_no_more_than_four_digits(text):
    number = parse(text)
    if number.kind is NumberKind.EMERGENCY:
        assert number.e164 in {"110", "118", "119"}
    elif number.known:
        assert re.fullmatch(r"\+[0-9]{3,}", number.e164)
        shown = str(number) + repr(number).removeprefix(f"<Number {number.kind} ")
        assert all(run in number.e164[-4:] for run in re.findall("[0-9]+", shown))
    else:
        assert number in {WITHHELD, MALFORMED}
    if number.kind in {NumberKind.FIXED, NumberKind.MOBILE, NumberKind.IP_050}:
        assert parse(number.e164) == parse(f"0{number.e164[3:]}") == number, "read again"
