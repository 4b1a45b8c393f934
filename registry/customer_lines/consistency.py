"""Consistency rules for the entries of a table of customer lines.

At any time, each number and each line belongs to one customer. Otherwise, one customer could present another's numbers.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from idtone.core.number_spans import NumberSpan, disjoint
from idtone.core.translation import Message
from idtone.core.yaml_documents import ValidationFault

from .lines_document import Entry, LinesDocument, Period, entry_of, number_fault

Placed = tuple[int, int, int]
"""First number, last number and item of a span."""


class EntryFault(NamedTuple):
    """A fault in an entry of the table.

    `entry` is the position of the entry, `field` is one of its keys, and `position` is an index into that key's list.
    """

    entry: int
    field: str
    position: int | None
    problem: str
    remedy: str


def pieces(placed: Sequence[Placed]) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Split spans into disjoint spans, each with the items of all spans that cover it.

    The input must be sorted by first number. Equivalent to `number_spans.disjoint` but fast if few spans overlap.
    """
    at, count = 0, len(placed)
    while at < count:
        first, last, item = placed[at]
        end = at + 1
        while end < count and placed[end][0] <= last:
            last = max(last, placed[end][1])
            end += 1
        if end == at + 1:
            yield first, last, (item,)
        else:
            for span, items in disjoint((NumberSpan(first, last), item) for first, last, item in placed[at:end]):
                yield span.first, span.last, items
        at = end


def document_faults(document: LinesDocument) -> Iterator[ValidationFault]:
    """Faults in a table, beyond those in individual values."""
    unread = False
    for at, read in enumerate(document.lines):
        for position, text in enumerate(read.numbers):
            if error := number_fault(text):
                unread = True
                yield ValidationFault(("lines", at, "numbers", position), error.problem, error.remedy)
    if unread:
        return
    for fault in entry_faults([entry_of(read) for read in document.lines]):
        place = (fault.field,) if fault.position is None else (fault.field, fault.position)
        yield ValidationFault(("lines", fault.entry, *place), fault.problem, fault.remedy)


def entry_faults(entries: Sequence[Entry]) -> Iterator[EntryFault]:
    for at, entry in enumerate(entries):
        if entry.period[0] >= entry.period[1]:
            yield EntryFault(at, "until", None, Message("is not after `from`"), Message("Correct the days"))
        if not entry.names_lines and entry.customer is None:
            yield EntryFault(
                at,
                "endpoints",
                None,
                Message("is missing, and so are `accounts` and `customer`"),
                Message("Write the endpoints or account codes that may present the numbers"),
            )
        if not entry.spans and entry.customer is None:
            yield EntryFault(at, "numbers", None, Message("is missing"), Message("Write numbers, or a customer"))
    yield from _numbers_of_two(entries)
    for field in ("endpoints", "accounts"):
        yield from _lines_of_two(entries, field)


def _numbers_of_two(entries: Sequence[Entry]) -> Iterator[EntryFault]:
    """Faults for numbers that belong to two customers at the same time."""
    placed = sorted(
        (span.first, span.last, at)
        for at, entry in enumerate(entries)
        if entry.customer is not None
        for span in entry.spans
    )
    seen = set()
    for first, _, items in pieces(placed):
        if len(items) == 1:
            continue
        for at in _against(entries, items):
            position = next((n for n, span in enumerate(entries[at].spans) if span.first <= first <= span.last), None)
            if (at, position) not in seen:
                seen.add((at, position))
                yield EntryFault(
                    at,
                    "numbers",
                    position,
                    Message("is a number of another customer too, at the same time"),
                    Message("Remove it from one of the two, or write from and until"),
                )


def _against(entries: Sequence[Entry], items: Iterable[int]) -> Iterator[int]:
    """Entries that belong to a different customer than an earlier entry for the same time."""
    before: dict[str, list[Period]] = {}
    for at in sorted(set(items)):
        entry = entries[at]
        if entry.customer is None:
            continue
        if any(
            _meet(period, entry.period)
            for customer, periods in before.items()
            if customer != entry.customer
            for period in periods
        ):
            yield at
        mine = before.setdefault(entry.customer, [])
        if entry.period not in mine:
            mine.append(entry.period)


def _meet(one: Period, other: Period) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _lines_of_two(entries: Sequence[Entry], field: str) -> Iterator[EntryFault]:
    """Faults for lines that belong to two customers at the same time.

    `field` is `endpoints` or `accounts`.
    """
    names = attrgetter(field)
    of_name: dict[str, list[int]] = defaultdict(list)
    for at, entry in enumerate(entries):
        for name in names(entry):
            of_name[name].append(at)
    for name, items in of_name.items():
        if len(items) > 1:
            for at in _against(entries, items):
                yield EntryFault(
                    at,
                    field,
                    names(entries[at]).index(name),
                    Message("is a line of another customer too, at the same time"),
                    Message("Give the lines of two customers different names, or account codes"),
                )
