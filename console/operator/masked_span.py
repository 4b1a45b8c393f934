"""Telephone numbers from the registry, masked except for their last four digits."""

from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse_japanese
from idtone.core.translation import Message
from idtone.registry.number_notation import read_span


def masked_span(entry: str | NumberSpan) -> str:
    """The masked text of a number or range. `entry` is a registry entry or its span."""
    span = read_span(entry) if isinstance(entry, str) else entry
    first, last = (str(parse_japanese(f"+{end}")) for end in (span.first, span.last))
    if len(span) == 1:
        return first
    return Message("{first} to {last} ({count:,} numbers)", first=first, last=last, count=len(span))
