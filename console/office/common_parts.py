"""Helpers for the office's pages: the folder's files, the acting user and reason, and responses to acts."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.persons import acting_person
from idtone.core.terminal.prompts import checked_line, entries_of
from idtone.core.translation import Message, template
from idtone.office.authority.change_registry import Attribution
from idtone.office.authority.suspension_edits import scope_text
from idtone.office.authority.typed_dates import parse_moment
from idtone.office.authority.workspace import Workspace
from idtone.registry.model import Member
from idtone.registry.number_notation import read_span

from ..form_errors import Fields, FormField, at_its_field, errors_of
from ..page import Visit
from ..time_formats import with_zone
from ..uploads import Upload, receive_upload
from .office_files import OfficeFiles

WHY: Final[Fields] = {"why": FormField(template("Reason"))}

Shown = Callable[[Visit, HTTPStatus, IdtoneError | None], Awaitable[web.StreamResponse]]
"""Function that shows a form's page again with the errors."""
Change = Callable[[Workspace, Mapping[str, str], Attribution], object]
"""Function that changes the office's folder according to a form's fields. Raises IdtoneError."""


def files_of(visit: Visit) -> OfficeFiles:
    files = visit.console.office_files
    assert files is not None, "these pages are for the association's folder"
    return files


def attribution_of(visit: Visit) -> Attribution:
    """The acting user and the reason from the form. Raises UsageError."""
    return Attribution(str(acting_person()), checked_line(visit.field("why"), Message("Reason")), datetime.now(UTC))


async def do_act(
    visit: Visit, act: Callable[[], object], show: Shown, path: str, fields: Fields | None = None
) -> web.StreamResponse:
    """Run a form's act and redirect to `path`.

    If a field is invalid or the act fails, show the page again with the errors.
    """
    try:
        errors_of(fields or {}, visit.fields or {}).check()
        await visit.in_thread(act)
    except IdtoneError as error:
        return await show(visit, HTTPStatus.BAD_REQUEST, at_its_field(error, fields or {}))
    return visit.redirect(f"{path}?done=1")


async def do_act_on_file(
    visit: Visit,
    limit: int,
    act: Callable[[Upload], str],
    show: Shown,
    fields: Fields | None = None,
    needs: Message | None = None,
) -> web.StreamResponse:
    """Run the act of a form with a file of at most `limit` bytes and redirect to the path that `act` returns.

    `needs` is the error text if no file was chosen, or None if the file is optional. Errors are shown as in `do_act`.
    """
    try:
        async with receive_upload(visit, limit) as upload:
            errors = errors_of(fields or {}, upload.fields)
            if needs and not upload.size:
                errors.note("file", UsageError(needs))
            errors.check()
            path = await visit.in_thread(act, upload)
    except IdtoneError as error:
        return await show(visit, HTTPStatus.BAD_REQUEST, at_its_field(error, fields or {}))
    return visit.redirect(f"{path}?done=1")


def read_entries(text: str, label: str) -> list[str]:
    """The entries in a field with one number or range per line. Raises UsageError."""
    return entries_of(text.splitlines())


def japanese_moment(text: str, label: str) -> datetime:
    """The moment entered in a date and time field, in Japan time. Raises UsageError."""
    return parse_moment(with_zone(text), label)


def member_choices(visit: Visit, members: Iterable[Member]) -> list[tuple[str, str]]:
    """Options of a member field as pairs of member id and displayed text."""
    return [(each.id, f"{getattr(each.name, visit.language)} {each.id}") for each in members]


async def do_change(
    visit: Visit,
    changes: Mapping[str, Change],
    show: Shown,
    path: str,
    fields: Mapping[str, Fields] | None = None,
) -> web.StreamResponse:
    """Run the act named by the `change` part of the address, as in `do_act`.

    `fields` maps each act to the fields of its form.
    """
    name = visit.part("change")
    files, do = files_of(visit), changes.get(name)
    if do is None:
        return not_found_page(visit, Message("There is no such page."))

    def act() -> None:
        do(
            files.workspace,
            {field: value.strip() for field, value in (visit.fields or {}).items()},
            attribution_of(visit),
        )

    return await do_act(visit, act, show, path, (fields or {}).get(name))


def not_found_page(visit: Visit, what: Message | IdtoneError) -> web.Response:
    """A page saying that `what` does not exist."""
    return visit.render("problem.html", HTTPStatus.NOT_FOUND, problem=what)


def spans_of(entries: Iterable[str]) -> list[str]:
    """Short forms of number entries, with the last four digits of both ends and the count of numbers."""
    return [span_text(read_span(entry)) for entry in entries]


def span_text(span: NumberSpan) -> str:
    return scope_text(span) if len(span) == 1 else f"{scope_text(span)} ({len(span):,})"
