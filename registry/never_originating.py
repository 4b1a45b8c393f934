"""Looks up numbers that never originate calls and defines their binary file format.

Only the numbers and their periods are kept, so a hundred thousand entries take a few megabytes. Holders and references
stay in the YAML file.
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

from .compiled_registry import moment_of, packed_spans, text_of, unpacked_spans, utc
from .holder_spans import HolderSpans, spans_of
from .model import NeverOriginatesEntry
from .number_notation import read_either

_MAGIC: Final = b"idtone numbers that never originate 3\n"
"""The format's name. Increment its number when the format or the block size in `holder_spans` changes."""
NO_BLOCKS: Final = frozenset[str]()


def span_of(entry: NeverOriginatesEntry) -> NumberSpan:
    """Span of an entry that has passed `validation_rules`. Raises NumberError."""
    span = read_either(entry.number, entry.numbers)
    assert span is not None, "the rules say so"
    return span


@dataclass(frozen=True, slots=True)
class NeverOriginating:
    """Numbers that never originate calls, from one edition of the list."""

    spans: HolderSpans
    periods: tuple[tuple[Period, ...], ...]
    """Periods by holder in `spans`. Many entries share their periods."""
    entries: int
    """Number of entries in the file."""
    issued: datetime | None = None
    """When the file was issued; None in an unsigned registry, which has no such file."""
    blocks: frozenset[str] = field(init=False, repr=False, compare=False)
    """Blocks with an entry, as E.164 numbers without their last three digits."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", frozenset(f"+{block}" for block in self.spans.touched_blocks()))

    def of(self, number: int) -> Sequence[Period]:
        """All past, current and future periods in which the number is declared never to originate calls."""
        at = self.spans.holder(number)
        return () if at is None else self.periods[at]

    def placed(self) -> Iterator[tuple[NumberSpan, Period]]:
        """All number ranges with their periods, in ascending order."""
        spans = self.spans
        for first, last, at in zip(spans.firsts, spans.lasts, spans.holders, strict=True):
            for period in self.periods[at]:
                yield NumberSpan(first, last), period


def compiled_never_originating(
    entries: Sequence[NeverOriginatesEntry], issued: datetime | None = None
) -> NeverOriginating:
    """Compile entries that have passed `validation_rules`. An unreadable number raises NumberError."""
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
    """Encode the list for `unpack` on a machine with the same byte order."""
    head = {"entries": numbers.entries, "issued": text_of(numbers.issued)}
    periods = ([[text_of(each.since), text_of(each.until)] for each in some] for some in numbers.periods)
    return packed_spans(_MAGIC, head, periods, numbers.spans)


def unpack(octets: bytes | mmap) -> NeverOriginating:
    """Decode a list from `pack`. Raises TrustError for any other bytes."""
    try:
        head, lines, spans = unpacked_spans(_MAGIC, octets)
        periods = tuple(tuple(Period(*map(moment_of, each)) for each in json.loads(line)) for line in lines)
        return NeverOriginating(spans, periods, head["entries"], moment_of(head["issued"]))
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise TrustError("this is no compiled registry") from error
