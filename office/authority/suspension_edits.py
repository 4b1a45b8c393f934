"""Edits `suspensions.yaml`, and checks for acts that a suspension forbids.

The editing functions change `text`; `document` is its parsed form. Impossible edits raise UsageError.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from idtone.core.errors import UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse_japanese
from idtone.registry.model import SuspensionEntry, SuspensionKind, SuspensionsDocument
from idtone.registry.number_notation import read_span, span_notation
from idtone.registry.suspended_numbers import scope_of, stops

from .yaml_text import Tree, YamlText


@dataclass(frozen=True, slots=True)
class NewSuspension:
    """New suspension requested by the police or another body. `scope` is a span of numbers or a member id."""

    scope: NumberSpan | str
    reference: str
    since: datetime
    until: datetime | None = None
    authority: str | None = None
    kind: SuspensionKind = SuspensionKind.STOP


def insert_suspension(text: YamlText, document: SuspensionsDocument, request: NewSuspension, issued: datetime) -> None:
    """Add a suspension (番号停止), replacing an ended suspension of the same scope."""
    at = _suspension(document, request.scope, request.kind)
    if at is not None:
        until = document.suspensions[at].until
        if until is None or until > issued:
            raise UsageError(
                "{what} is already suspended; `idtone-office history show` says since when",
                what=scope_text(request.scope),
            )
        text.remove(("suspensions", at))
    item: dict[str, Tree] = {}
    if isinstance(request.scope, str):
        item["member"] = request.scope
    else:
        item["number" if len(request.scope) == 1 else "numbers"] = span_notation(request.scope)
    if request.kind is not SuspensionKind.STOP:
        item["kind"] = request.kind.value
    item["since"] = request.since
    if request.until is not None:
        item["until"] = request.until
    item["reference"] = request.reference
    if request.authority is not None:
        item["authority"] = request.authority
    text.append(("suspensions",), [item])
    text.replace(("issued",), issued)


def delete_suspension(
    text: YamlText,
    document: SuspensionsDocument,
    scope: NumberSpan | str,
    issued: datetime,
    kind: SuspensionKind = SuspensionKind.STOP,
) -> None:
    """End a suspension, or cut numbers out of a suspended range.

    The rest of the range stays suspended as one or two entries with the same terms. Raises UsageError if any of the
    numbers is not suspended.
    """
    at = _suspension(document, scope, kind)
    if at is not None:
        text.remove(("suspensions", at))
    elif isinstance(scope, NumberSpan) and kind is SuspensionKind.STOP:
        _cut_out(text, document, scope, issued)
    else:
        raise _not_suspended(scope)
    text.replace(("issued",), issued)


def _cut_out(text: YamlText, document: SuspensionsDocument, gone: NumberSpan, now: datetime) -> None:
    left, cut, pieces = [gone], list[int](), list[Tree]()
    for n, entry in enumerate(document.suspensions):
        span = scope_of(entry)
        is_over = entry.until is not None and entry.until <= now
        if is_over or not isinstance(span, NumberSpan) or not span.overlaps(gone):
            continue
        cut.append(n)
        pieces += [_item(entry, piece) for piece in span.without(gone)]
        left = [rest for each in left for rest in each.without(span)]
    if not cut:
        raise _not_suspended(gone)
    if left:
        raise UsageError(
            "not all of {what} is suspended: {missing} is not; enter what is to be lifted",
            what=scope_text(gone),
            missing=scope_text(left[0]),
        )
    text.remove_items(("suspensions",), cut)
    text.append(("suspensions",), pieces)


def _item(entry: SuspensionEntry, span: NumberSpan) -> Tree:
    item: dict[str, Tree] = {"number" if len(span) == 1 else "numbers": span_notation(span), "since": entry.since}
    if entry.until is not None:
        item["until"] = entry.until
    item["reference"] = entry.reference
    if entry.authority is not None:
        item["authority"] = entry.authority
    return item


def _not_suspended(scope: NumberSpan | str) -> UsageError:
    return UsageError(
        "{what} is not suspended by itself; look at suspensions.yaml, also for a suspension of its member",
        what=scope_text(scope),
    )


def remaining_suspensions(
    document: SuspensionsDocument, scope: NumberSpan | str, members: Collection[str], now: datetime
) -> list[str]:
    """References of other suspensions that still cover part of the lifted scope."""
    return [
        entry.reference
        for entry in stops(document.suspensions)
        if entry.in_force(now) and _is_over(scope_of(entry), scope, members)
    ]


def _is_over(stop: NumberSpan | str | None, scope: NumberSpan | str, members: Collection[str]) -> bool:
    if isinstance(stop, NumberSpan) and isinstance(scope, NumberSpan):
        return stop.overlaps(scope)
    return isinstance(stop, str) and stop in members


def refuse_suspended(suspensions: SuspensionsDocument, member: str, entries: Iterable[str], now: datetime) -> None:
    """Raise UsageError if the member may not receive new numbers or any of the numbers is suspended."""
    spans = [read_span(entry) for entry in entries]
    in_force = [entry for entry in suspensions.suspensions if entry.in_force(now)]
    for entry in in_force:
        scope = scope_of(entry)
        if scope == member and spans and entry.kind is SuspensionKind.NO_NEW_NUMBERS:
            raise UsageError(
                "member {member} gets no new numbers (reference {reference}); "
                "`idtone-office member allow-numbers` ends that",
                member=member,
                reference=entry.reference,
            )
        for span in spans:
            if isinstance(scope, NumberSpan) and scope.overlaps(span):
                raise UsageError(
                    "{what} is suspended in part or whole (reference {reference}); it cannot be assigned before "
                    "the suspension is lifted",
                    what=scope_text(span),
                    reference=entry.reference,
                )


def _suspension(document: SuspensionsDocument, scope: NumberSpan | str, kind: SuspensionKind) -> int | None:
    entries = enumerate(document.suspensions)
    return next((n for n, entry in entries if entry.kind is kind and scope_of(entry) == scope), None)


def scope_text(scope: NumberSpan | str) -> str:
    """Member id, or the numbers reduced to their last four digits."""
    if isinstance(scope, str):
        return scope
    first, last = (str(parse_japanese(f"+{end}")) for end in (scope.first, scope.last))
    return first if first == last else f"{first} – {last}"
