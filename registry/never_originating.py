"""Numbers that never originate as look-ups, and their binary form, as `compiled_registry` has the registry. Pure.

Only the numbers and their times are kept: a hundred thousand entries take a few megabytes. Holders and references stay
in the file.
"""

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from mmap import mmap
from typing import Final

from idtone.core.calls import Period
from idtone.core.errors import TrustError
from idtone.core.number_spans import NumberSpan, disjoint

from .compiled_registry import moment_of, opened_spans, sealed_spans, text_of, utc
from .model import NeverOriginatesEntry
from .number_notation import read_either
from .spans import Spans, spans_of

_MAGIC: Final = b"idtone numbers that never originate 3\n"
"""Raise the number when the format changes, or the size of a block in `spans`."""
NO_BLOCKS: Final = frozenset[str]()


def span_of(entry: NeverOriginatesEntry) -> NumberSpan:
    """The numbers of an entry that has passed `validation_rules`. Raises NumberError."""
    span = read_either(entry.number, entry.numbers)
    assert span is not None, "the rules say so"
    return span


@dataclass(frozen=True, slots=True)
class NeverOriginating:
    """The numbers of one edition."""

    spans: Spans
    periods: tuple[tuple[Period, ...], ...]
    """By the holders of `spans`: many entries share their times."""
    entries: int
    """How many the file has."""
    issued: datetime | None = None
    """When the file was issued; None in an unsigned registry, which has no such file."""
    blocks: frozenset[str] = field(init=False, repr=False, compare=False)
    """Those that have an entry: E.164 numbers without their last three digits."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", frozenset(f"+{block}" for block in self.spans.touched_blocks()))

    def of(self, number: int) -> Sequence[Period]:
        """When the number never originates, past, current and future."""
        at = self.spans.holder(number)
        return () if at is None else self.periods[at]

    def placed(self) -> Iterator[tuple[NumberSpan, Period]]:
        """All of them, ascending by first number."""
        spans = self.spans
        for first, last, at in zip(spans.firsts, spans.lasts, spans.holders, strict=True):
            for period in self.periods[at]:
                yield NumberSpan(first, last), period


def compiled_never_originating(
    entries: Sequence[NeverOriginatesEntry], issued: datetime | None = None
) -> NeverOriginating:
    """The compiled list. The entries must have passed `validation_rules`; an unreadable number raises NumberError."""
    read = ((span_of(entry), Period(utc(entry.since), entry.until and utc(entry.until))) for entry in entries)
    firsts, lasts, holders = array("q"), array("q"), array("q")
    known: dict[tuple[Period, ...], int] = {}
    for span, periods in disjoint(sorted(read, key=lambda placed: placed[0].first)):
        at = known.setdefault(tuple(dict.fromkeys(periods)), len(known))
        if holders and holders[-1] == at and span.first == lasts[-1] + 1:
            lasts[-1] = span.last
        else:
            firsts.append(span.first)
            lasts.append(span.last)
            holders.append(at)
    return NeverOriginating(spans_of(firsts, lasts, holders), tuple(known), len(entries), issued and utc(issued))


def pack(numbers: NeverOriginating) -> bytes:
    """The octets that `unpack` reads on a machine with the same byte order."""
    head = {"entries": numbers.entries, "issued": text_of(numbers.issued)}
    periods = ([[text_of(each.since), text_of(each.until)] for each in some] for some in numbers.periods)
    return sealed_spans(_MAGIC, head, periods, numbers.spans)


def unpack(octets: bytes | mmap) -> NeverOriginating:
    """The list that `pack` has packed. Raises TrustError if `octets` are not from `pack`."""
    try:
        head, lines, spans = opened_spans(_MAGIC, octets)
        periods = tuple(tuple(Period(*map(moment_of, each)) for each in json.loads(line)) for line in lines)
        return NeverOriginating(spans, periods, head["entries"], moment_of(head["issued"]))
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise TrustError("this is no compiled registry") from error
