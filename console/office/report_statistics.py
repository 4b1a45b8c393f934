"""Report counts for publication, with small counts hidden."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from idtone.core.errors import UsageError
from idtone.core.translation import Message, template, translated
from idtone.office.authority.typed_dates import parse_end, parse_moment
from idtone.office.desk.reports.report_desk import COUNTED_FOR
from idtone.office.desk.reports.report_settings import read_report_settings
from idtone.office.desk.reports.report_store import CountedBy
from idtone.office.desk.reports.small_counts import PublishableCounts

from ..access.rights import Right
from ..downloads import download_csv
from ..drawings.report_trace import FINDINGS, RESULTS
from ..page import Page, Visit
from .act_details import STAGES
from .common_parts import files_of
from .reports import PATH as REPORTS

PATH: Final = f"{REPORTS}/statistics"
BY: Final = {
    CountedBy.MONTH: template("Month"),
    CountedBy.RESULT: template("Result"),
    CountedBy.FINDING: template("How the chain ended"),
}
WORDS: Final = {str(code): words for of in (RESULTS, FINDINGS, STAGES) for code, words in of.items()}
"""Display texts for the counted groups. Months are shown unchanged."""


async def report_statistics(visit: Visit) -> web.StreamResponse:
    by, status, problem = _by(visit), HTTPStatus.OK, None
    try:
        counted = await visit.in_thread(_counted, visit, by)
    except UsageError as error:
        counted, status, problem = PublishableCounts({}, 0), HTTPStatus.BAD_REQUEST, error
    rules = await visit.in_thread(read_report_settings, files_of(visit).folder)
    return visit.render(
        "office_report_statistics.html",
        status,
        counted=counted,
        by=by,
        kinds=BY,
        words=WORDS,
        problem=problem,
        start=visit.query("since"),
        until=visit.query("until"),
        least=rules.statistics.least,
    )


async def as_csv(visit: Visit) -> web.StreamResponse:
    """Send the page's counts as CSV, with hidden counts as empty fields."""
    by = _by(visit)
    try:
        counted = await visit.in_thread(_counted, visit, by)
    except UsageError as error:
        return visit.render("problem.html", HTTPStatus.BAD_REQUEST, problem=str(error))
    rows: list[tuple[Any, ...]] = [(name, "" if count is None else count) for name, count in counted.counts.items()]
    rows.append((translated("total"), "" if counted.total is None else counted.total))
    return download_csv(f"reports-by-{by}.csv", (by, "reports"), rows)


def _by(visit: Visit) -> CountedBy:
    return next((each for each in CountedBy if each == visit.query("by")), CountedBy.MONTH)


def _counted(visit: Visit, by: CountedBy) -> PublishableCounts:
    """Counts for the period in the address, or for a year if it names none. Raises UsageError."""
    now, desk = datetime.now(UTC), files_of(visit).reports()
    start, until = visit.query("since"), visit.query("until")
    begins = parse_moment(start, Message("First day")) if start else now - COUNTED_FOR
    ends = parse_end(until, Message("Last day")) if until else now + timedelta(seconds=1)
    return desk.statistics(by, begins, ends) if desk else PublishableCounts({}, 0)


PAGES = (
    Page(PATH, report_statistics, Right.OFFICE),
    Page(PATH + ".csv", as_csv, Right.OFFICE),
)
