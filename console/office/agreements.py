"""Members' agreements other than the pledge: to use the standard form, and to take the course and its test."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.terminal.prompts import checked_line
from idtone.core.terminal.spreadsheet_csv import csv_text
from idtone.core.translation import Message, joined, template
from idtone.office.authority.agreements import AGREEMENT_WORDS, accept_agreement, end_acceptance, read_acceptances
from idtone.office.authority.typed_dates import in_japan, parse_day

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, labels_of, one_of
from ..page import Method, Page, Section, Visit
from .common_parts import WHY, do_act, files_of, member_choices

PATH: Final = "/office/agreements"
SHOWN: Final = 50
"""Maximum number of members listed as having no agreement."""
_COLUMNS: Final = ("member", "agreement", "version", "since", "through", "document")
_RECORD: Final[Fields] = {
    "member": FormField(template("Member"), any_text),
    "agreement": FormField(template("Agreement"), one_of(AGREEMENT_WORDS)),
    "version": FormField(template("Version")),
    "since": FormField(template("First day"), parse_day),
    "document": FormField(template("By which document")),
}
_END: Final[Fields] = {
    "which": FormField(template("Agreement"), any_text),
    "through": FormField(template("Last day"), parse_day),
    **WHY,
}


async def agreements(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show all agreements, or those of one kind."""
    files, kind = files_of(visit), visit.query("kind")
    found = await visit.in_thread(read_acceptances, files.folder)
    members = (await visit.in_thread(files.registered)).members
    in_force = {(each.member, each.agreement) for each in found if not each.through}
    lacking = {what: [member for member in members if (member, what) not in in_force] for what in AGREEMENT_WORDS}
    return visit.render(
        "office_agreements.html",
        status,
        problem=problem,
        words=AGREEMENT_WORDS,
        members=member_choices(visit, members.values()),
        ends=[
            (
                f"{each.member} {each.agreement}",
                joined("", (f"{each.member}: ", Message(AGREEMENT_WORDS[each.agreement]), f", {each.version}")),
            )
            for each in found
            if not each.through
        ],
        kind=kind,
        rows=[each for each in found if kind in ("", each.agreement)][::-1],
        lacking=lacking,
        shown=SHOWN,
        today=in_japan(datetime.now(UTC)).date().isoformat(),
    )


async def record(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def act() -> None:
        accept_agreement(
            workspace,
            visit.field("member"),
            visit.field("agreement"),
            visit.field("version"),
            visit.field("since"),
            visit.field("document"),
            datetime.now(UTC),
            labels_of(_RECORD),
        )

    return await do_act(visit, act, agreements, PATH, _RECORD)


async def end(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def act() -> None:
        member, _, agreement = visit.field("which").partition(" ")
        why = checked_line(visit.field("why"), Message("Reason"))
        end_acceptance(
            workspace,
            member,
            agreement,
            visit.field("through"),
            why,
            datetime.now(UTC),
            labels_of(_END),
        )

    return await do_act(visit, act, agreements, PATH, _END)


async def as_csv(visit: Visit) -> web.StreamResponse:
    found = await visit.in_thread(read_acceptances, files_of(visit).folder)
    text = csv_text(_COLUMNS, [[getattr(each, name) for name in _COLUMNS] for each in found])
    headers = {"Content-Disposition": 'attachment; filename="agreements.csv"'}
    return web.Response(text="\ufeff" + text, content_type="text/csv", charset="utf-8", headers=headers)


PAGES = (
    Page(PATH, agreements, Right.OFFICE, title=template("Agreements of members"), section=Section.OFFICE),
    Page(PATH + "/record", record, Right.OFFICE, Method.POST),
    Page(PATH + "/end", end, Right.OFFICE, Method.POST),
    Page(PATH + "/list.csv", as_csv, Right.OFFICE),
)
