"""How the registry writes numbers: one number, a range, or a prefix. Each is a span of integers.

0312345678                     one number, in any usual form (03-1234-5678, +81 3 1234 5678)
+81312345600-+81312345699      a range, both ends included
0612345*                       every number of that length which begins so
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from idtone.errors import NumberError
from idtone.numbers import parse_japanese

SPAN_LIMIT: Final = 10_000_000
"""Numbers in one entry. The largest block of a real plan is an area's ten million."""

_LONG_PREFIXES: Final = ("020", "050", "060", "070", "080", "090", "0800")
"""What begins so has eleven digits in national form; everything else ten (電気通信番号計画)."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Numbers from `first` to `last`, both included, as the integers of their E.164 digits."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


def read_span(text: str) -> Span:
    """Raises NumberError with problem and remedy, without the number."""
    if text.rstrip().endswith("*"):
        span = _prefix(text.strip()[:-1])
    elif (ends := _ends(text)) is not None:
        span = Span(_integer(ends[0]), _integer(ends[1]))
    else:
        number = _integer(text)
        return Span(number, number)
    if span.last < span.first:
        raise NumberError("the range ends before it begins. Write the lower number first")
    if len(str(span.first)) != len(str(span.last)):
        raise NumberError("the two ends of the range differ in length. Write two numbers of one block")
    if len(span) > SPAN_LIMIT:
        raise NumberError(f"the entry covers more than {SPAN_LIMIT} numbers. Name the blocks that were allotted")
    return span


def _ends(text: str) -> tuple[str, str] | None:
    """The two numbers of a range: the hyphen in the middle, where both halves are alike in shape."""
    parts = text.split("-")
    if len(parts) % 2 or len(parts) < 2:
        return None
    middle = len(parts) // 2
    first, last = "-".join(parts[:middle]), "-".join(parts[middle:])
    return (first, last) if min(_digits(first), _digits(last)) >= 9 else None


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def _prefix(text: str) -> Span:
    body = "".join(character for character in text if character.isdigit())
    national = "0" + body[2:] if text.lstrip().startswith("+81") else body
    if not national.startswith("0") or len(national) < 4 or set(text) - set("+0123456789 -()"):
        raise NumberError("the prefix is none. Write the national form with at least four digits, like 0312*")
    length = 11 if national.startswith(_LONG_PREFIXES) else 10
    missing = length - len(national)
    if missing < 1:
        raise NumberError("nothing is left for the * to stand for. Write the number without it")
    first = int("81" + national[1:] + "0" * missing)
    return Span(first, first + 10**missing - 1)


def _integer(text: str) -> int:
    return int(parse_japanese(text).e164[1:])
