"""Portings (番号ポータビリティ), in which one member transfers numbers to another at a given time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.terminal.prompts import entries_of
from idtone.core.translation import Message, template
from idtone.office.authority.change_registry import Attribution, registry_of
from idtone.office.authority.number_portings import port_number, remove_porting
from idtone.office.authority.typed_dates import parse_moment
from idtone.office.authority.workspace import Workspace
from idtone.registry.model import PortingEntry, RegistryDocument

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text
from ..page import Method, Page, Section, Visit
from ..time_formats import format_to_minute
from .common_parts import WHY, Change, do_change, files_of, member_choices, read_entries, spans_of

PATH: Final = "/office/portings"
FIELDS: Final[Mapping[str, Fields]] = {
    "port": {
        "numbers": FormField(template("Number, range or prefix"), read_entries),
        "giver": FormField(template("From: the member that holds the numbers"), any_text),
        "taker": FormField(template("To: the member that gets them"), any_text),
        "at": FormField(template("First day with the new member"), parse_moment),
        **WHY,
    },
    "end": {"porting": FormField(template("Porting"), any_text), **WHY},
}


@dataclass(frozen=True, slots=True)
class ShownPorting:
    """A porting as a table row.

    Forms send its `name`, which contains no full number. If the list has changed since the form was shown, the name
    matches nothing.
    """

    name: str
    numbers: str
    entry: PortingEntry
    is_over: bool


async def portings(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    registered = await visit.in_thread(files_of(visit).registered)
    rows = shown_portings(registered.document, datetime.now(UTC))
    return visit.render(
        "office_portings.html",
        status,
        problem=problem,
        rows=rows,
        choices=[
            (each.name, f"{each.numbers}: {each.entry.giver} → {each.entry.taker}, {format_to_minute(each.entry.at)}")
            for each in rows
        ],
        members=member_choices(visit, registered.members.values()),
    )


def shown_portings(document: RegistryDocument, now: datetime) -> list[ShownPorting]:
    """Portings as table rows, earliest first."""
    found = [
        ShownPorting(
            f"{place} {entry.giver} {entry.taker} {entry.at.isoformat()} {words}", words, entry, entry.at <= now
        )
        for place, entry in enumerate(document.portings)
        for words in spans_of([entry.numbers])
    ]
    return sorted(found, key=lambda each: each.entry.at)


def _port(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    at = parse_moment(fields.get("at", ""), Message("First day with the new member"))
    numbers = entries_of(fields.get("numbers", "").splitlines())
    port_number(workspace, fields.get("giver", ""), fields.get("taker", ""), numbers, at, attribution)


def _end(workspace: Workspace, fields: Mapping[str, str], attribution: Attribution) -> None:
    chosen = next(
        (each for each in shown_portings(registry_of(workspace), attribution.at) if each.name == fields.get("porting")),
        None,
    )
    if chosen is None:
        raise UsageError("choose the porting again: the list has changed since you read it")
    remove_porting(workspace, [chosen.entry.numbers], attribution)


CHANGES: Final[Mapping[str, Change]] = {"port": _port, "end": _end}


async def change(visit: Visit) -> web.StreamResponse:
    return await do_change(visit, CHANGES, portings, PATH, FIELDS)


PAGES = (
    Page(PATH, portings, Right.OFFICE, title=template("Portings"), section=Section.OFFICE),
    Page(PATH + "/{change}", change, Right.OFFICE, Method.POST),
)
