"""The report desk's pages: reports with deadlines, single reports with their traces, reminders, and closing reports."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.numbers import parse
from idtone.core.terminal.prompts import any_number_of, checked_line
from idtone.core.translation import Message, template
from idtone.member.reports.report import ReportedCall, ReportedService
from idtone.office.authority.typed_dates import parse_moment
from idtone.office.desk.reports.call_traceback import ReportResult, Stage
from idtone.office.desk.reports.report_desk import ReportDesk
from idtone.office.desk.reports.report_store import KeptReport, KeptRequest, ReportOrder
from idtone.office.desk.reports.take_report import TAKEN_WORDS

from ..access.rights import Right
from ..drawings.report_trace import ANSWERS, trace_of
from ..form_errors import Fields, FormField, errors_of, one_of
from ..listing import ListRequest, list_request, listing, listing_of_cut
from ..number_search_limit import TOO_MANY_NUMBERS, admits_number_search
from ..page import Method, Page, Section, Visit
from .act_words import BASIS_WORDS
from .common_parts import WHY, do_act, files_of, not_found_page

PATH: Final = "/office/reports"
SHOWN: Final = 100
_SEARCH: Final[Fields] = {
    "number": FormField(template("Number"), lambda text, _: any_number_of(text)),
    "purpose": FormField(template("Purpose")),
}
RESULT_WORDS: Final = {
    ReportResult.TRACED: template("traced: the member whose customer made the call is known"),
    ReportResult.OPEN: template("open: the origin could not be found"),
    ReportResult.UNFOUNDED: template("unfounded: no such call, or nothing wrong with it"),
    ReportResult.EXAMINED: template("examined: the office knows what is true of it"),
}


async def reports(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    """Show all reports, those waiting for one party, or those about a number.

    The number arrives in a form, together with the purpose.
    """
    desk = await visit.in_thread(files_of(visit).reports)
    stage, token = next((each for each in Stage if each == visit.query("stage")), None), None
    if visit.page.path == PATH and visit.page.method is Method.POST:
        if not admits_number_search(visit):
            desk, status, problem = None, HTTPStatus.TOO_MANY_REQUESTS, UsageError(TOO_MANY_NUMBERS)
        elif desk:
            try:
                errors_of(_SEARCH, visit.fields or {}).check()
                token = await visit.in_thread(_searched, desk, visit.field("number"), visit.field("purpose"))
            except UsageError as error:
                desk, status, problem = None, HTTPStatus.BAD_REQUEST, error
    asked = list_request(visit, {each.value: each for each in ReportOrder}, size=SHOWN)
    listed, total, asked = await visit.in_thread(_page, desk, stage, token, asked) if desk else ([], 0, asked)
    late = await visit.in_thread(desk.store.overdue, datetime.now(UTC)) if desk else []
    rows = await visit.in_thread(lambda: [(each, subject_of(desk, each)) for each in listed] if desk else [])
    return visit.render(
        "office_reports.html",
        status,
        list=listing_of_cut(visit, rows, total, asked),
        stage=stage,
        problem=problem,
        late={each.report: each for each in late[::-1]},
        is_by_number=token is not None,
    )


def _page(
    desk: ReportDesk, stage: Stage | None, token: str | None, asked: ListRequest
) -> tuple[list[KeptReport], int, ListRequest]:
    """The rows, the total count, and the request adjusted to an existing page."""
    total = desk.store.count(stage, token)
    asked = asked.within(total)
    order = ReportOrder(asked.column) if asked.column else None
    return desk.store.page(stage, token, order, not asked.falls, asked.first, asked.size), total, asked


def _searched(desk: ReportDesk, number: str, purpose: str) -> str:
    """Record the search in the office's ledger and return the number's token.

    Raises UsageError, or LedgerError if the search cannot be recorded.
    """
    token = desk.key.token(any_number_of(number))
    desk.searched(checked_line(purpose, Message("Purpose")))
    return token


def subject_of(desk: ReportDesk, kept: KeptReport) -> str | None:
    """The masked number, the operator or the service that the report is about, or None if it was erased."""
    if kept.is_forgotten:
        return None
    matter = desk.matter(kept.sealed)
    return matter.service if isinstance(matter, ReportedService) else str(parse(matter.number))


OVERDUE: Final[Mapping[str, Callable[[KeptRequest], object]]] = {
    "report": lambda each: each.report,
    "member": lambda each: each.member,
    "due": lambda each: each.due,
    "fetched": lambda each: each.fetched,
    "reminders": lambda each: each.reminders,
}


async def overdue(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    desk, now = await visit.in_thread(files_of(visit).reports), datetime.now(UTC)
    late = await visit.in_thread(desk.store.overdue, now) if desk else []
    return visit.render("office_overdue.html", status, list=listing(visit, late, OVERDUE), problem=problem)


async def remind(visit: Visit) -> web.StreamResponse:
    """Remind one member, or all members whose answers are overdue."""
    files, wanted = files_of(visit), visit.field("request")

    def act() -> None:
        desk = files.reports()
        late = desk.store.overdue(datetime.now(UTC)) if desk else []
        chosen = [each for each in late if wanted in ("", each.id)]
        if not chosen or desk is None:
            raise UsageError("this request is not overdue any more")
        for each in chosen:
            desk.remind(each)

    return await do_act(visit, act, overdue, PATH + "/overdue")


async def report(
    visit: Visit,
    status: HTTPStatus = HTTPStatus.OK,
    problem: IdtoneError | None = None,
    matter: ReportedCall | ReportedService | None = None,
) -> web.StreamResponse:
    """Show a report with its number masked. `matter` is its full content, if the visitor opened it."""
    desk = await visit.in_thread(files_of(visit).reports)
    kept = await visit.in_thread(desk.store.report, visit.part("report")) if desk else None
    if desk is None or kept is None:
        return not_found_page(visit, Message("There is no such report."))
    requests = await visit.in_thread(desk.store.requests_of, kept.id)
    now = datetime.now(UTC)
    return visit.render(
        "office_report.html",
        status,
        answers=ANSWERS,
        bases=BASIS_WORDS,
        ways=TAKEN_WORDS,
        kept=kept,
        requests=requests,
        problem=problem,
        matter=matter,
        now=now,
        results=[(each, RESULT_WORDS[each]) for each in kept.results],
        subject=await visit.in_thread(subject_of, desk, kept),
        trace=trace_of(kept, requests, now),
    )


async def open_report(visit: Visit) -> web.StreamResponse:
    """Show the full number and the reporter's words after recording this in the office's ledger."""
    files, wanted = files_of(visit), visit.part("report")

    def opened() -> ReportedCall | ReportedService:
        desk = files.reports()
        kept = desk.store.report(wanted) if desk else None
        if desk is None or kept is None:
            raise UsageError("There is no such report.")
        if kept.is_forgotten:
            raise UsageError("what {report_id} said was erased; `reports` shows what is left", report_id=wanted)
        matter = desk.matter(kept.sealed)
        desk.shown(wanted)
        return matter

    try:
        matter = await visit.in_thread(opened)
    except IdtoneError as error:
        return await report(visit, HTTPStatus.BAD_REQUEST, error)
    return await report(visit, matter=matter)


async def close(visit: Visit) -> web.StreamResponse:
    files, wanted = files_of(visit), visit.part("report")

    def act() -> None:
        desk, why = files.reports(), checked_line(visit.field("why"), Message("Reason"))
        if desk is None:
            raise UsageError("There is no such report.")
        desk.close(wanted, ReportResult(visit.field("result")), why, datetime.now(UTC))

    fields = {"result": FormField(template("Result"), one_of(set(ReportResult))), **WHY}
    return await do_act(visit, act, report, f"{PATH}/{wanted}", fields)


async def forget(visit: Visit) -> web.StreamResponse:
    """Erase the contents and reporters of old reports, as `idtone-office report forget` does."""
    files = files_of(visit)

    def act() -> None:
        before, desk = parse_moment(visit.field("before"), Message("Closed before")), files.reports()
        if desk is None or desk.forget(before) == 0:
            raise UsageError("no report that can be erased was closed before then")

    return await do_act(visit, act, reports, PATH, {"before": FormField(template("Closed before"), parse_moment)})


PAGES = (
    Page(PATH, reports, Right.OFFICE, title=template("Reports"), section=Section.OFFICE),
    Page(PATH, reports, Right.OFFICE, Method.POST),
    Page(PATH + "/forget", forget, Right.OFFICE, Method.POST),
    Page(PATH + "/overdue", overdue, Right.OFFICE),
    Page(PATH + "/overdue", remind, Right.OFFICE, Method.POST),
    Page(PATH + "/{report}", report, Right.OFFICE),
    Page(PATH + "/{report}/open", open_report, Right.OFFICE, Method.POST),
    Page(PATH + "/{report}/close", close, Right.OFFICE, Method.POST),
)
