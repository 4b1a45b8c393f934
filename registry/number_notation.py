"""The three notations of telephone numbers in a registry.

    single   "0312345678"                     one number; hyphens, spaces and +81 are allowed
    range    "+81312345600-+81312345699"      two complete numbers of one length with '-' between
    prefix   "0612345*"                       every number with this beginning

The hyphen of a range is unambiguous. The first digits of a Japanese number give its length (ten digits with the 0;
eleven for 020, 050, 060, 070, 080, 0800 and 090), so at most one hyphen has complete numbers on both sides. The first
digits of a prefix give the length of its numbers in the same way: "0612345*" covers the thousand ten-digit numbers
from 0612345000, "05012345*" the thousand eleven-digit numbers from 05012345000.
"""

import re
from typing import Final

from idtone.core.errors import NumberError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import LONG_AREA, ascii_form, national_length, parse_japanese
from idtone.core.translation import Message

ENTRY_LIMIT: Final = 1_000_000
"""Maximum number of numbers in one entry: a hundred allotments of ten thousand numbers each. A larger entry ("06*": all
Osaka) is a mistake that would cover other carriers' customers.
"""

_CANONICAL: Final = re.compile(  # 010 is the international prefix
    rf"(?:\+81|0)((?!10)(?:{LONG_AREA}[0-9]{{8}}|(?!{LONG_AREA})[1-9][0-9]{{8}}))"
)
_PREFIX: Final = re.compile(r"(?:\+81|0)((?!10)[1-9][0-9]*)\*")
_WRITABLE: Final = re.compile(r"[0-9 +().*-]{1,60}")
_SEPARATORS: Final = re.compile(r"[ ().-]+")


def read_single(text: str) -> int:
    """Parse a complete Japanese number into the integer of its E.164 digits.

    Raises NumberError with a reason and a remedy but without the number.
    """
    return _usual(text) or int(parse_japanese(text).e164[1:])


def _usual(text: str) -> int | None:
    """Parse a single number in the most common notation; None for any other text.

    This is a fast path: the full parser would take half a minute for a million numbers.
    """
    canonical = _CANONICAL.fullmatch(text)
    return int(f"81{canonical[1]}") if canonical else None


def read_span(text: str) -> NumberSpan:
    """Parse an entry of numbers. Raises NumberError with a reason and a remedy but without the number."""
    if usual := _usual(text):
        return NumberSpan(usual, usual)
    normal = ascii_form(text)
    if not _WRITABLE.fullmatch(normal):
        raise NumberError(
            Message("this is not a telephone number"),
            Message("write it like 0312345678, +81312345600-+81312345699 or 0612345*"),
        )
    span = _prefix(normal) if "*" in normal else _range(normal)
    if span is None:
        number = read_single(normal)
        return NumberSpan(number, number)
    if len(span) > ENTRY_LIMIT:
        raise NumberError(
            Message(
                "this covers {count:,} numbers, but an entry may cover {most:,} at most",
                count=len(span),
                most=ENTRY_LIMIT,
            ),
            Message("write the ranges that the member really holds"),
        )
    return span


def read_either(number: str | None, numbers: str | None) -> NumberSpan | None:
    """Parse an entry's numbers from whichever of the two keys is set; None if neither is. Raises NumberError."""
    if number is not None:
        single = read_single(number)
        return NumberSpan(single, single)
    return None if numbers is None else read_span(numbers)


def span_notation(span: NumberSpan) -> str:
    """Notation of an entry that covers exactly the span."""
    first, last = (f"0{str(end)[2:]}" for end in (span.first, span.last))
    return first if len(span) == 1 else f"{first}-{last}"


def masked(span: NumberSpan) -> str:
    """Last four digits of both ends of a span, with the count of its numbers."""
    ends = [str(parse_japanese(f"+{end}")) for end in (span.first, span.last)]
    return (
        ends[0]
        if len(span) == 1
        else Message("{first} to {last} ({count})", first=ends[0], last=ends[1], count=counted(len(span)))
    )


def counted(numbers: int) -> str:
    return Message("{count:,} number" if numbers == 1 else "{count:,} numbers", count=numbers)


def _prefix(text: str) -> NumberSpan:
    prefix = _PREFIX.fullmatch(_SEPARATORS.sub("", text))
    if prefix is None:
        raise NumberError(
            Message("this is not a prefix of Japanese numbers"),
            Message("write its digits and one '*' at the end: 0612345*"),
        )
    national = f"0{prefix[1]}"
    length = national_length(national)
    missing = length - len(national)
    if missing < 1:
        raise NumberError(
            Message("this prefix has as many digits as a number ({length})", length=length),
            Message("remove the '*' or some digits"),
        )
    first = int(f"81{prefix[1]}") * 10**missing
    return NumberSpan(first, first + 10**missing - 1)


def _range(text: str) -> NumberSpan | None:
    """Parse a range; None if the text is not two numbers with a hyphen between them."""
    for hyphen in re.finditer("-", text):
        left, right = text[: hyphen.start()].strip(), text[hyphen.end() :].strip()
        if not _complete(left):
            continue
        if not _complete(right):
            raise NumberError(
                Message("this range does not end in a complete Japanese number"), Message("write both ends in full")
            )
        span = NumberSpan(read_single(left), read_single(right))
        if len(str(span.first)) != len(str(span.last)):
            raise NumberError(
                Message("this range has ends of different length"), Message("write two numbers of the same kind")
            )
        if span.last < span.first:
            raise NumberError(Message("this range ends before it starts"), Message("swap its ends"))
        return span
    return None


def _complete(text: str) -> bool:
    try:
        read_single(text)
    except NumberError:
        return False
    return True
