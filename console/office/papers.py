"""The office's papers: accounts of a period, annual reports, certificates and letters."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.paper.content import Paper
from idtone.core.translation import Message, template
from idtone.office.authority.typed_dates import in_japan, parse_day
from idtone.office.papers.letters import LETTER_WORDS, Letter, Sender
from idtone.office.papers.period_account import PeriodAccount, account_paper, fiscal_year_days
from idtone.office.papers.workspace_papers import (
    account_from_desk,
    letter_paper,
    licence_paper,
    office_sender,
    table_csv,
)

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, at_its_field, errors_of, one_of
from ..page import Method, Page, Section, Visit
from .common_parts import files_of, member_choices, not_found_page

PATH: Final = "/office/papers"
_SENDER: Final[Fields] = {
    "person": FormField(template("Signed for it by")),
    "number": FormField(template("Number of the document"), is_required=False),
}
_CERTIFICATE: Final[Fields] = {"licence": FormField(template("Licence"), any_text), **_SENDER}
_LETTER: Final[Fields] = {
    "member": FormField(template("Member"), any_text),
    "which": FormField(template("Why the association writes"), one_of(LETTER_WORDS)),
    **_SENDER,
}
_YEARS: Final = 5
"""Number of fiscal years that the page offers."""


async def papers(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show the papers, with the account for the period in the address."""
    files, today = files_of(visit), in_japan(datetime.now(UTC)).date()
    account = None
    if visit.query("since"):
        try:
            account = await visit.in_thread(_account, visit)
        except IdtoneError as error:
            status, problem = HTTPStatus.BAD_REQUEST, error
    this = today.year - (today.month < 4)
    members = (await visit.in_thread(files.registered)).members.values()
    return visit.render(
        "office_papers.html",
        status,
        problem=problem,
        account=account,
        letters=LETTER_WORDS,
        members=member_choices(visit, members),
        licences=[
            (f"{each.id} {licence.id}", f"{words} {licence.id}")
            for each, (_, words) in zip(members, member_choices(visit, members), strict=True)
            for licence in each.licences
        ],
        today=today.isoformat(),
        since=visit.query("since") or date(today.year, 1, 1).isoformat(),
        through=visit.query("through") or today.isoformat(),
        years=[*range(this, this - _YEARS, -1)],
    )


def _account(visit: Visit) -> PeriodAccount:
    since, through = (
        parse_day(visit.query(name), Message(words))
        for name, words in (("since", template("First day")), ("through", template("Last day")))
    )
    return account_from_desk(files_of(visit).desk, since, through, datetime.now(UTC))


async def account(visit: Visit) -> web.StreamResponse:
    """Send a single table of the account as CSV, or the whole account as PDF."""
    name = visit.part("file")
    try:
        made = await visit.in_thread(_account, visit)
    except IdtoneError as error:
        return not_found_page(visit, Message("{error}", error=error))
    if name == "account.pdf":
        is_annual = (made.since, made.through) == fiscal_year_days(made.since.year)
        return await pdf(visit, lambda: account_paper(made, is_annual), f"account-{made.since}-{made.through}")
    table = made.table(name.removesuffix(".csv"))
    if table is None:
        return not_found_page(visit, Message("There is no such page."))
    headers = {"Content-Disposition": f'attachment; filename="{made.since}-{made.through}-{table.name}.csv"'}
    return web.Response(body=table_csv(table), content_type="text/csv", charset="utf-8", headers=headers)


async def print_certificate(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def made() -> Paper:
        member, _, licence = visit.field("licence").partition(" ")
        return licence_paper(workspace, member, licence, _sender(visit), datetime.now(UTC))

    return await _printed(visit, made, "certificate", _CERTIFICATE)


async def print_letter(visit: Visit) -> web.StreamResponse:
    workspace = files_of(visit).workspace

    def made() -> Paper:
        which = Letter(visit.field("which"))
        return letter_paper(workspace, which, visit.field("member"), _sender(visit), datetime.now(UTC))

    return await _printed(visit, made, "letter", _LETTER)


def _sender(visit: Visit) -> Sender:
    return office_sender(visit.field("person"), visit.field("number"))


async def _printed(visit: Visit, made: Callable[[], Paper], name: str, fields: Fields) -> web.StreamResponse:
    try:
        errors_of(fields, visit.fields or {}).check()
        return await pdf(visit, made, name)
    except IdtoneError as error:
        return await papers(visit, HTTPStatus.BAD_REQUEST, at_its_field(error, fields))


async def pdf(visit: Visit, made: Callable[[], Paper], name: str) -> web.StreamResponse:
    """Send the paper that `made` returns as a PDF. Raises IdtoneError."""

    def printed() -> bytes:
        from idtone.core.paper.pdf import as_pdf  # takes time and memory that other pages do not need

        return as_pdf(made())

    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
    return web.Response(body=await visit.in_thread(printed), content_type="application/pdf", headers=headers)


PAGES = (
    Page(PATH, papers, Right.OFFICE, title=template("Papers and accounts"), section=Section.OFFICE),
    Page(PATH + "/certificate", print_certificate, Right.OFFICE, Method.POST),
    Page(PATH + "/letter", print_letter, Right.OFFICE, Method.POST),
    Page(PATH + "/{file}", account, Right.OFFICE),
)
