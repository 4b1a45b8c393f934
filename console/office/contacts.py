"""Members' contacts in the public list: corporate number, notification, website and email address."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.terminal.spreadsheet_csv import csv_text
from idtone.core.translation import template
from idtone.office.authority.change_registry import record_particulars
from idtone.office.authority.member_contacts import COLUMNS, contact_rows

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text
from ..listing import listing
from ..page import Method, Page, Section, Visit
from .common_parts import WHY, attribution_of, do_act, files_of, member_choices

PATH: Final = "/office/contacts"
_RECORD: Final[Fields] = {"member": FormField(template("Member"), any_text), **WHY}
Row = Sequence[str]
SORTS: Final[Mapping[str, Callable[[Row], object]]] = {
    "member": lambda each: each[1],
    "corporate": lambda each: each[3] or None,
    "mail": lambda each: each[6] or None,
}


async def contacts(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show the contacts of all members, or only of those with missing entries."""
    registered, lacking = await visit.in_thread(files_of(visit).registered), bool(visit.query("lacking"))
    rows = [each for each in contact_rows(registered.members.values()) if not lacking or not all(each)]
    listed = listing(visit, rows, SORTS)
    return visit.render(
        "office_contacts.html",
        status,
        problem=problem,
        list=listed,
        rows=listed.rows,
        lacking=lacking,
        members=member_choices(visit, registered.members.values()),
    )


async def record(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace
    return await do_act(
        visit,
        lambda: record_particulars(workspace, visit.field("member"), visit.fields or {}, attribution_of(visit)),
        contacts,
        PATH,
        _RECORD,
    )


async def as_csv(visit: Visit) -> web.StreamResponse:
    members = (await visit.in_thread(files_of(visit).registered)).members
    headers = {"Content-Disposition": 'attachment; filename="contacts.csv"'}
    text = "\ufeff" + csv_text(COLUMNS, contact_rows(members.values()))
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


PAGES = (
    Page(PATH, contacts, Right.OFFICE, title=template("Contacts of members"), section=Section.OFFICE),
    Page(PATH + "/record", record, Right.OFFICE, Method.POST),
    Page(PATH + "/list.csv", as_csv, Right.OFFICE),
)
