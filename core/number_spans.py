"""Intervals of telephone numbers and the digit patterns that cover them.

The pattern `81312345xxx` covers a thousand numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, TypeVar

OPEN_DIGITS: Final = 6
"""Maximum number of digits that a pattern leaves open. Seven patterns therefore cover each number."""
_OPEN: Final = "x" * OPEN_DIGITS

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class NumberSpan:
    """An interval of telephone numbers, both ends included, as integers of E.164 digits (81312345678)."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def without(self, gone: NumberSpan) -> list[NumberSpan]:
        """Subtract another span. The result has at most two spans."""
        if gone.last < self.first or self.last < gone.first:
            return [self]
        sides = ((self.first, gone.first - 1), (gone.last + 1, self.last))
        return [NumberSpan(first, last) for first, last in sides if first <= last]

    def overlaps(self, other: NumberSpan) -> bool:
        return self.first <= other.last and other.first <= self.last

    def __repr__(self) -> str:
        return f"<NumberSpan of {len(self)}>"


def disjoint(placed: Iterable[tuple[NumberSpan, Item]]) -> Iterator[tuple[NumberSpan, tuple[Item, ...]]]:
    """Split overlapping spans into disjoint spans, each with the items of all spans that cover it.

    `placed` must be sorted by first number. The result is ascending, and items keep the order of `placed`.
    """
    over: list[tuple[int, int, Item]] = []  # a heap of last number, place and item
    at = 0

    def items() -> tuple[Item, ...]:
        return tuple(item for _, _, item in sorted(over, key=lambda each: each[1]))

    def up_to(limit: int | None) -> Iterator[tuple[NumberSpan, tuple[Item, ...]]]:
        nonlocal at
        while over and (limit is None or over[0][0] < limit):
            last = over[0][0]
            yield NumberSpan(at, last), items()
            at = last + 1
            while over and over[0][0] == last:
                heappop(over)
        if over and limit is not None and at < limit:
            yield NumberSpan(at, limit - 1), items()

    for place, (span, item) in enumerate(placed):
        yield from up_to(span.first)
        at = span.first
        heappush(over, (span.last, place, item))
    yield from up_to(None)


def patterns(span: NumberSpan) -> Iterator[str]:
    """The smallest set of patterns that cover exactly the span, in ascending order."""
    first = span.first
    while first <= span.last:
        count = 0
        while count < OPEN_DIGITS and not first % (wider := 10 ** (count + 1)) and first + wider - 1 <= span.last:
            count += 1
        yield _pattern(str(first), count)
        first += 10**count


def patterns_of(digits: str) -> list[str]:
    """All patterns that match a number, starting with the most specific. `digits` are its E.164 digits."""
    return [_pattern(digits, count) for count in range(OPEN_DIGITS + 1)]


def _pattern(digits: str, count: int) -> str:
    return digits[: max(0, len(digits) - count)] + _OPEN[:count]
