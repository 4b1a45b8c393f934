"""Edits `never-originates.yaml`, the list of numbers that never originate calls.

Each function changes `text`; `document` is its parsed form. Impossible edits raise UsageError.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idtone.core.errors import UsageError
from idtone.core.number_spans import NumberSpan
from idtone.registry.model import NeverOriginatesDocument
from idtone.registry.never_originating import span_of
from idtone.registry.number_notation import span_notation

from .suspension_edits import scope_text
from .yaml_text import Tree, YamlText

FIRST: Final = """\
# Numbers that never originate calls: police stations, banks' inbound lines, government. A call that presents one is
# refused. Two persons enter them: `idtone-office never-originating add`.
# 発信に使われない番号(警察署、銀行の受付専用番号、官公庁など)。これらの番号を表示する通話は拒否します。
# `idtone-office never-originating add` で、2 人で登録します。
issued: 1970-01-01T00:00:00+09:00
never_originates: []
"""
"""Initial content of `never-originates.yaml`, without entries."""


@dataclass(frozen=True, slots=True)
class NeverOriginatesRequest:
    """Request from a holder to list its numbers as never originating calls.

    `reference` identifies the request document.
    """

    span: NumberSpan
    holder: str
    reference: str
    since: datetime
    until: datetime | None = None
    why: str | None = None


def insert_span(
    text: YamlText, document: NeverOriginatesDocument, request: NeverOriginatesRequest, issued: datetime
) -> None:
    """Add numbers that never originate calls, replacing an ended entry for the same numbers."""
    at = _entry(document, request.span)
    if at is not None:
        until = document.never_originates[at].until
        if until is None or until > issued:
            raise UsageError("{what} is entered already; look at the list", what=scope_text(request.span))
        text.remove(("never_originates", at))
    item: dict[str, Tree] = {"number" if len(request.span) == 1 else "numbers": span_notation(request.span)}
    item |= {"holder": request.holder, "reference": request.reference}
    if request.why is not None:
        item["why"] = request.why
    item["since"] = request.since
    if request.until is not None:
        item["until"] = request.until
    text.append(("never_originates",), [item])
    text.replace(("issued",), issued)


def delete_span(text: YamlText, document: NeverOriginatesDocument, span: NumberSpan, issued: datetime) -> None:
    """Remove the entry for exactly these numbers, so that they may originate calls again."""
    at = _entry(document, span)
    if at is None:
        raise UsageError("{what} is not entered; enter exactly the numbers of one entry", what=scope_text(span))
    text.remove(("never_originates", at))
    text.replace(("issued",), issued)


def _entry(document: NeverOriginatesDocument, span: NumberSpan) -> int | None:
    return next((n for n, entry in enumerate(document.never_originates) if span_of(entry) == span), None)
