"""Describes an edition's phone numbers, in full or counted by area code.

A key holder reads the numbers and the counts before signing. Other texts show only the last four digits of a number.
Blocks of numbers end in …0000 and …9999, so the last four digits cannot distinguish Osaka from Tokyo.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import phonenumbers

from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import COUNTRY_CODE
from idtone.core.translation import Message, joined
from idtone.registry.differences import changed_numbers
from idtone.registry.model import NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from idtone.registry.never_originating import span_of
from idtone.registry.number_notation import counted, read_span
from idtone.registry.suspended_numbers import scope_of


def whole_span(span: NumberSpan) -> str:
    """Format a span of numbers in full, such as `03-1234-5600 to 03-1234-5699 (100 numbers)`."""
    if len(span) == 1:
        return _national(span.first)
    return Message(
        "{first} to {last} ({count})", first=_national(span.first), last=_national(span.last), count=counted(len(span))
    )


def area_code_of(span: NumberSpan) -> str:
    """Area code (市外局番) of a span of numbers, or their prefix if they belong to no area.

    For a span that covers several area codes, returns the first and the last.
    """
    codes = (_national(end).partition("-")[0] for end in (span.first, span.last))
    return " – ".join(dict.fromkeys(codes))


def counts_by_area_code(spans: Iterable[NumberSpan]) -> str:
    """Count the numbers in each area code, as in `03: 10,000 numbers, 06: 20 numbers`."""
    count: Counter[str] = Counter()
    for span in spans:
        count[area_code_of(span)] += len(span)
    return joined(", ", (Message("{area}: {count}", area=area, count=counted(count[area])) for area in sorted(count)))


def describe_changed_numbers(old: Any, new: Any) -> Iterator[Message]:
    """Count the numbers that were added and removed between two versions of a document, by area code."""
    gone, come = _changed(old, new)
    if isinstance(new, RegistryDocument):
        titles = Message("numbers released, by area code"), Message("numbers assigned, by area code")
    elif isinstance(new, SuspensionsDocument):
        titles = Message("suspensions lifted, by area code"), Message("numbers suspended, by area code")
    else:
        titles = Message("may originate again, by area code"), Message("never originate, by area code")
    for title, spans in zip(titles, (gone, come), strict=True):
        if spans:
            yield Message("{title}: {areas}", title=title, areas=counts_by_area_code(spans))


def _changed(old: Any, new: Any) -> tuple[list[NumberSpan], list[NumberSpan]]:
    if not isinstance(new, RegistryDocument):
        return changed_numbers(_spans(old), _spans(new))
    before, after = ({member.id: member.numbers for member in each.members} for each in (old, new))
    gone: list[NumberSpan] = []
    come: list[NumberSpan] = []
    for member in dict.fromkeys([*before, *after]):
        was, now = before.get(member, ()), after.get(member, ())
        if was != now:
            less, more = changed_numbers(map(read_span, was), map(read_span, now))
            gone, come = gone + less, come + more
    return gone, come


def _spans(document: SuspensionsDocument | NeverOriginatesDocument) -> list[NumberSpan]:
    if isinstance(document, NeverOriginatesDocument):
        return [span_of(entry) for entry in document.never_originates]
    scopes = (scope_of(entry) for entry in document.suspensions)
    return [scope for scope in scopes if isinstance(scope, NumberSpan)]


def _national(number: int) -> str:
    national = phonenumbers.PhoneNumber(COUNTRY_CODE, int(str(number)[len(str(COUNTRY_CODE)) :]))
    return phonenumbers.format_number(national, phonenumbers.PhoneNumberFormat.NATIONAL)
