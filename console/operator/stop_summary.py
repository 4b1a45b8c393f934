"""The summary shown before a stop is ordered, with the numbers' holders and current suspensions."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse_japanese
from idtone.office.authority.stopped_number_holders import NumberHolder
from idtone.registry.customer_lines.lines_document import Entry
from idtone.registry.model import SuspensionEntry, SuspensionKind
from idtone.registry.number_notation import read_span, span_notation
from idtone.registry.suspended_numbers import scope_of
from idtone.registry.suspensions.own_suspension import OwnSuspension

from ..registry_in_use import ReadRegistry

SHOWN: Final = 50
"""Maximum number of numbers and ranges listed in the summary."""


@dataclass(frozen=True, slots=True)
class StopSummary:
    """Summary of a stop that is about to be ordered.

    `holders` is None if the registry cannot be read, and `customers` is None if there is no readable table of customer
    lines. If `is_bare` is True, neither was looked up.
    """

    numbers: Sequence[str]
    """Unmasked numbers and ranges, as typed in or requested for a customer."""
    count: int
    holders: Sequence[NumberHolder] | None
    customers: Sequence[str] | None
    in_registry: Sequence[SuspensionEntry]
    by_node: Sequence[OwnSuspension]
    is_bare: bool = False

    @property
    def more(self) -> int:
        """Number of numbers and ranges that are not listed."""
        return max(0, len(self.numbers) - SHOWN)

    def digest(self, key: str) -> str:
        """Digest of the summary, keyed with the session's secret `key`.

        The order must contain this digest, so that it covers exactly what the person saw.
        """
        shown = [
            *self.numbers,
            None if self.holders is None else [str(each) for each in self.holders],
            self.customers,
            [each.reference for each in self.in_registry],
            [each.id for each in self.by_node],
        ]
        return hashlib.blake2b(json.dumps(shown).encode(), key=key.encode()[:64], digest_size=16).hexdigest()


def bare_summary(spans: Sequence[NumberSpan]) -> StopSummary:
    """A summary of only the numbers, without holders or suspensions."""
    return StopSummary([span_notation(each) for each in spans], sum(map(len, spans)), None, None, (), (), is_bare=True)


def stop_summary(
    spans: Sequence[NumberSpan],
    read: ReadRegistry | None,
    lines: Iterable[Entry] | None,
    own: Iterable[OwnSuspension],
    now: datetime,
    language: str,
) -> StopSummary:
    holders = _holders(spans, read, now, language) if read else None
    return StopSummary(
        [span_notation(each) for each in spans],
        sum(map(len, spans)),
        holders,
        None if lines is None else _customers(spans, lines, now),
        [each for each in read.document.suspensions if _stops(each, spans, holders or (), now)] if read else [],
        [each for each in own if each.is_live and any(_meets(spans, NumberSpan(*one)) for one in each.numbers)],
    )


def _holders(spans: Sequence[NumberSpan], read: ReadRegistry, now: datetime, language: str) -> list[NumberHolder]:
    if len(spans) == 1 and len(spans[0]) == 1:
        holding = read.index.holding(parse_japanese(f"+{spans[0].first}"), now)
        held = dict.fromkeys(holding.members if holding else (), 1)
    else:
        held = {}
        for member in read.document.members:
            entries = [read_span(each) for each in member.numbers]
            if count := sum(_common(span, each) for span in spans for each in entries if span.overlaps(each)):
                held[member.id] = count
    return [NumberHolder(member, read.names[member][language], count) for member, count in held.items()]


def _common(one: NumberSpan, other: NumberSpan) -> int:
    return min(one.last, other.last) - max(one.first, other.first) + 1


def _customers(spans: Sequence[NumberSpan], lines: Iterable[Entry], now: datetime) -> list[str]:
    now_s = now.timestamp()
    found = (
        each.customer
        for each in lines
        if each.customer and each.period[0] <= now_s < each.period[1] and any(_meets(spans, one) for one in each.spans)
    )
    return sorted(set(found))


def _stops(entry: SuspensionEntry, spans: Sequence[NumberSpan], holders: Iterable[NumberHolder], now: datetime) -> bool:
    """True if the suspension blocks calls from any of the numbers, now or later."""
    if entry.kind is not SuspensionKind.STOP or (entry.until is not None and entry.until <= now):
        return False
    scope = scope_of(entry)
    if isinstance(scope, NumberSpan):
        return _meets(spans, scope)
    return any(each.member == scope for each in holders)


def _meets(spans: Iterable[NumberSpan], other: NumberSpan) -> bool:
    return any(each.overlaps(other) for each in spans)
