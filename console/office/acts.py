"""What the office's pages share: the folder, who acts and why, and what follows an act."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import acting
from idtone.core.terminal.asking import line
from idtone.core.translation import Message
from idtone.office.authority.change_registry import Attribution
from idtone.office.authority.suspension_edits import said
from idtone.registry.number_notation import read_span

from ..page import Visit
from .office_files import OfficeFiles

Shown = Callable[[Visit, HTTPStatus, IdtoneError | None], Awaitable[web.StreamResponse]]
"""Renders the page of a form, with what was wrong with it."""


def files_of(visit: Visit) -> OfficeFiles:
    files = visit.console.office_files
    assert files is not None, "these pages are for the association's folder"
    return files


def attributed(visit: Visit) -> Attribution:
    """The user who acts, with the reason that the form gives. Raises UsageError."""
    return Attribution(str(acting()), line(visit.field("why"), Message("Reason")), datetime.now(UTC))


async def acted(visit: Visit, act: Callable[[], object], show: Shown, path: str) -> web.StreamResponse:
    """Do what a form asks for, and lead to `path`; if it is refused, show the page again with the reason."""
    try:
        await visit.in_thread(act)
    except IdtoneError as error:
        return await show(visit, HTTPStatus.BAD_REQUEST, error)
    return visit.redirect(f"{path}?done=1")


def absent(visit: Visit, what: Message) -> web.Response:
    return visit.render("problem.html", HTTPStatus.NOT_FOUND, problem=what)


def spans_of(entries: Iterable[str]) -> list[str]:
    """Entries of numbers in short: the last four digits of both ends, and how many numbers they are."""
    return [span_text(read_span(entry)) for entry in entries]


def span_text(span: NumberSpan) -> str:
    return said(span) if len(span) == 1 else f"{said(span)} ({len(span):,})"
