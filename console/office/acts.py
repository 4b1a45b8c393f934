"""What the office's pages share: the folder, who acts and why, and what follows an act."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import acting
from idtone.core.terminal.prompts import entries_of, line
from idtone.core.translation import Message, template
from idtone.office.authority.change_registry import Attribution
from idtone.office.authority.moments import moment
from idtone.office.authority.suspension_edits import said
from idtone.office.authority.workspace import Workspace
from idtone.registry.model import Member
from idtone.registry.number_notation import read_span

from ..form_errors import Fields, FormField, at_its_field, errors_of
from ..japan_time import with_zone
from ..page import Visit
from ..uploads import Upload, received
from .parsed_folder import OfficeFiles

WHY: Final[Fields] = {"why": FormField(template("Reason"))}

Shown = Callable[[Visit, HTTPStatus, IdtoneError | None], Awaitable[web.StreamResponse]]
"""Renders the page of a form, with what was wrong with it."""
Change = Callable[[Workspace, Mapping[str, str], Attribution], object]
"""An act in the office's folder by the fields of its form. Raises IdtoneError."""


def files_of(visit: Visit) -> OfficeFiles:
    files = visit.console.office_files
    assert files is not None, "these pages are for the association's folder"
    return files


def attributed(visit: Visit) -> Attribution:
    """The user who acts, with the reason that the form gives. Raises UsageError."""
    return Attribution(str(acting()), line(visit.field("why"), Message("Reason")), datetime.now(UTC))


async def acted(
    visit: Visit, act: Callable[[], object], show: Shown, path: str, fields: Fields | None = None
) -> web.StreamResponse:
    """Do what a form asks for, and lead to `path`; if its fields or the act refuse it, show the page again with what is
    wrong.
    """
    try:
        errors_of(fields or {}, visit.fields or {}).check()
        await visit.in_thread(act)
    except IdtoneError as error:
        return await show(visit, HTTPStatus.BAD_REQUEST, at_its_field(error, fields or {}))
    return visit.redirect(f"{path}?done=1")


async def acted_on_file(
    visit: Visit,
    limit: int,
    act: Callable[[Upload], str],
    show: Shown,
    fields: Fields | None = None,
    needs: Message | None = None,
) -> web.StreamResponse:
    """The same as `acted`, for a form with a file of at most `limit` octets: `act` returns the path. With `needs`,
    which says what to choose, the form needs its file.
    """
    try:
        async with received(visit, limit) as upload:
            errors = errors_of(fields or {}, upload.fields)
            if needs and not upload.size:
                errors.note("file", UsageError(needs))
            errors.check()
            path = await visit.in_thread(act, upload)
    except IdtoneError as error:
        return await show(visit, HTTPStatus.BAD_REQUEST, at_its_field(error, fields or {}))
    return visit.redirect(f"{path}?done=1")


def entries(text: str, label: str) -> list[str]:
    """The numbers of a field with one entry a line. Raises UsageError."""
    return entries_of(text.splitlines())


def japanese_moment(text: str, label: str) -> datetime:
    """What a field for a day and a time sends. Raises UsageError."""
    return moment(with_zone(text), label)


def member_choices(visit: Visit, members: Iterable[Member]) -> list[tuple[str, str]]:
    """The choices of a field for a member: the ids, and what a person reads."""
    return [(each.id, f"{getattr(each.name, visit.language)} {each.id}") for each in members]


async def changed(
    visit: Visit,
    changes: Mapping[str, Change],
    show: Shown,
    path: str,
    fields: Mapping[str, Fields] | None = None,
) -> web.StreamResponse:
    """Do the act that the part `change` of the address names, as `acted` does it with the fields of that name."""
    name = visit.part("change")
    files, do = files_of(visit), changes.get(name)
    if do is None:
        return absent(visit, Message("There is no such page."))

    def act() -> None:
        do(files.workspace, {field: value.strip() for field, value in (visit.fields or {}).items()}, attributed(visit))

    return await acted(visit, act, show, path, (fields or {}).get(name))


def absent(visit: Visit, what: Message | IdtoneError) -> web.Response:
    """The page of what is not there."""
    return visit.render("problem.html", HTTPStatus.NOT_FOUND, problem=what)


def spans_of(entries: Iterable[str]) -> list[str]:
    """Entries of numbers in short: the last four digits of both ends, and how many numbers they are."""
    return [span_text(read_span(entry)) for entry in entries]


def span_text(span: NumberSpan) -> str:
    return said(span) if len(span) == 1 else f"{said(span)} ({len(span):,})"
