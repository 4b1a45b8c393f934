"""Reports made by telephone, by letter or in person, which the office enters before giving the reporter the receipt."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError
from idtone.core.terminal.prompts import any_number_of
from idtone.core.translation import template
from idtone.member.reports.report_documents import new_receipt
from idtone.office.authority.typed_dates import in_japan, parse_day
from idtone.office.desk.reports.report_desk import ReportDesk
from idtone.office.desk.reports.report_page import WITHIN
from idtone.office.desk.reports.take_report import TAKEN_WORDS, TakenBy, take_report

from ..access.rights import Right
from ..form_errors import Fields, FormField, any_text, errors_of, one_of
from ..page import Method, Page, Visit
from .common_parts import files_of
from .reports import PATH as REPORTS

PATH: Final = f"{REPORTS}/new"


async def new_report(
    visit: Visit,
    status: HTTPStatus = HTTPStatus.OK,
    problem: IdtoneError | None = None,
    id_: str = "",
    receipt: str = "",
) -> web.StreamResponse:
    """Show the form, or the receipt of the report just entered. No other page shows the receipt.

    Each form has its own receipt, so submitting it twice enters the report only once.
    """
    now = in_japan(datetime.now(UTC))
    within = {minutes: ja if visit.language == "ja" else en for minutes, (ja, en) in WITHIN.items()}
    return visit.render(
        "office_new_report.html",
        status,
        problem=problem,
        ways=TAKEN_WORDS,
        within=within,
        today=now.date().isoformat(),
        id=id_,
        receipt=receipt,
        new_receipt=new_receipt(),
    )


async def enter(visit: Visit) -> web.StreamResponse:
    files = files_of(visit)

    def act() -> tuple[str, str]:
        errors_of(_fields(visit), visit.fields or {}).check()
        by = TakenBy(visit.field("by"))
        return take_report(ReportDesk(files.desk), visit.fields or {}, by, datetime.now(UTC), visit.field("receipt"))

    try:
        id_, receipt = await visit.in_thread(act)
    except IdtoneError as error:
        return await new_report(visit, HTTPStatus.BAD_REQUEST, error)
    return await new_report(visit, id_=id_, receipt=receipt)


def _fields(visit: Visit) -> Fields:
    """The form's fields. Those about a call are required unless an operator or service is named."""
    is_call = not visit.field("service")
    return {
        "by": FormField(template("How it came"), one_of(set(TakenBy))),
        "number": FormField(
            template("The number that called or was shown"), lambda text, _: any_number_of(text), is_required=is_call
        ),
        "date": FormField(template("Day of the call"), parse_day, is_required=is_call),
        "time": FormField(template("Time, in Japan"), any_text, is_required=is_call),
        "what": FormField(template("What happened"), any_text),
    }


PAGES = (
    Page(PATH, new_report, Right.OFFICE),
    Page(PATH, enter, Right.OFFICE, Method.POST),
)
