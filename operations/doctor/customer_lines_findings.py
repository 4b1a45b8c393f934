"""The doctor's checks of the table of customers' lines. Their findings never show telephone numbers."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Final

from idtone.call_control.fallback_lines import LINES_LIMIT, is_complete, lines_text
from idtone.core.errors import DocumentError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import Number, NumberKind
from idtone.core.translation import Message
from idtone.registry.customer_lines.index import Totals
from idtone.registry.customer_lines.lines_document import Entry, masked_name
from idtone.registry.index import RegistryIndex

from .findings import Finding, bad, good, unknown, warning

CHECK: Final = Message("idtone lines check, and correct what it names")
_SHOWN: Final = 10
_LOOKED: Final = 1_000
"""Maximum number of lookups in the registry per entry, in addition to that of its last number."""


def not_set() -> Finding:
    return warning(
        "lines",
        Message("customers' numbers are not checked: any line can present any number"),
        Message(
            "Write a table of the customers' lines (docs/how-to/lines.md); in idtone.yaml: `lines: {{source: FILE}}`"
        ),
    )


def faulty(error: DocumentError) -> Finding:
    """Explain that the table of customers' lines is faulty.

    The finding shows only where the first fault is, because a fault's text may quote the file.
    """
    first = error.faults[0]
    place = f"{first.file}:{first.line}" if first.line else first.file
    return bad(
        "lines",
        Message(
            "{place}: {field} {problem} ({count} faults); the last good table stays in use",
            place=place,
            field=first.field,
            problem=first.problem,
            count=len(error.faults),
        ),
        CHECK,
    )


def readable(totals: Totals) -> Finding:
    found = Message(
        "{customers:,} customers, {lines:,} lines, {numbers:,} numbers",
        customers=totals.customers,
        lines=totals.lines,
        numbers=totals.numbers,
    )
    if totals.unchecked:
        return warning(
            "lines",
            Message("{found}; {count:,} entries do not say who checked them", found=found, count=totals.unchecked),
            Message("Check that the customers may present these numbers, and write `checked` into their entries"),
        )
    return good("lines", found)


def number_holders(entries: Iterable[Entry], registry: RegistryIndex, member: str | None, now: datetime) -> Finding:
    """Check that the node's member holds the numbers in the table of lines.

    The member with the given id should hold all of them. At most a thousand numbers per entry are checked.
    """
    topic = "lines-members"
    if member is None:
        return warning(
            topic,
            Message("this node's member is not known"),
            Message("In idtone.yaml: `association: {{member: ID}}`, as the registry has it"),
        )
    missing = 0
    for span in chain.from_iterable(entry.spans for entry in entries):
        for number in _some(span):
            holding = registry.holding(Number(NumberKind.OTHER, f"+{number}"), now)
            missing += holding is None or member not in holding.members
    if missing:
        return warning(
            topic,
            Message("{member} does not hold {count:,} of their numbers", member=member, count=missing),
            Message("Compare the table with `idtone registry show --number`; remove numbers of other members"),
        )
    return good(topic, Message("{member} holds all of them", member=member))


def fallback_table(text: str | None, trouble: str, path: Path) -> Finding:
    """Check that Asterisk has a complete table of lines for use during fallback.

    `text` is the content, or None if the file is missing or unreadable. `trouble` says why the file cannot be read.
    """
    topic = "lines-fallback"
    if trouble:
        return unknown(
            topic,
            Message("{path}: {trouble}", path=path, trouble=trouble),
            Message("Run this as the user that `idtone serve` runs as"),
        )
    if text is None:
        return bad(topic, Message("{path} is missing", path=path), Message("systemctl restart idtone, which writes it"))
    if text == lines_text(None):
        return bad(
            topic,
            Message(
                "{path} has no numbers: the service has read no table, or it has more than {most:,} entries",
                path=path,
                most=LINES_LIMIT,
            ),
            Message("Join the numbers to ranges, or keep the service running: without it outgoing calls are refused"),
        )
    if not is_complete(text):
        return bad(
            topic,
            Message("{path} is damaged", path=path),
            Message("Remove it; then systemctl restart idtone, which writes it"),
        )
    return good(topic, Message("Asterisk has the table in {path}", path=path))


def _some(span: NumberSpan) -> Iterable[int]:
    return sorted({*range(span.first, min(span.last, span.first + _LOOKED) + 1), span.last})


def endpoints(present: Collection[str], knows: Callable[[str], bool], trunks: Collection[str]) -> Finding:
    """Check that each PJSIP endpoint is a trunk or belongs to a customer's line.

    `trunks` are the trunks in the settings, which are not customers' lines.
    """
    topic = "lines-endpoints"
    without = sorted(name for name in present if name not in trunks and not knows(name))
    if not without:
        return good(
            topic, Message("each of the {count:,} PJSIP endpoints has a line, or is a trunk", count=len(present))
        )
    names = ", ".join(masked_name(name) for name in without[:_SHOWN])
    more = len(without) - _SHOWN
    return warning(
        topic,
        Message("{names} and {more:,} more", names=names, more=more) if more > 0 else names,
        Message("Enter them in the table of lines, unless they are trunks or make no outgoing calls"),
    )
