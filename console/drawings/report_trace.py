"""A report's trace as a column of boxes: the report, each member that received a request, and the result."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idtone.core.translation import Message, template
from idtone.member.reports.report_documents import AnswerResult
from idtone.office.desk.reports.call_traceback import Finding, ReportResult
from idtone.office.desk.reports.report_store import WITHDRAWN, KeptReport, KeptRequest

WIDTH: Final = 400
BOX: Final = 74
GAP: Final = 26
MARGIN: Final = 1
ANSWERS: Final = {
    AnswerResult.CUSTOMER_HELD: template("its customer made the call"),
    AnswerResult.NOT_OURS: template("not from its network"),
    AnswerResult.UPSTREAM: template("it came from another member"),
    WITHDRAWN: template("withdrawn"),
}
FINDINGS: Final = {
    Finding.CUSTOMER_HELD: template("A member knows the customer who made the call."),
    Finding.NOT_OURS: template("The last member says that the call did not come from it."),
    Finding.LOOP: template("A member named one that was asked already."),
    Finding.TOO_LONG: template("The chain is longer than the desk follows."),
    Finding.NO_HOLDER: template("No member held the number."),
    Finding.NO_NUMBER: template("No member is asked: the report names no number."),
}
RESULTS: Final = {
    ReportResult.TRACED: template("traced"),
    ReportResult.OPEN: template("not traced"),
    ReportResult.UNFOUNDED: template("unfounded"),
    ReportResult.EXAMINED: template("examined"),
}


@dataclass(frozen=True, slots=True)
class Hop:
    """A box, with its upper edge, its text and the CSS class for its color."""

    top: int
    title: str
    words: str
    at: datetime | None
    colour: str


@dataclass(frozen=True, slots=True)
class Trace:
    width: int
    height: int
    box: int
    gap: int
    hops: tuple[Hop, ...]


def trace_of(kept: KeptReport, requests: Sequence[KeptRequest], now: datetime) -> Trace:
    rows: list[tuple[str, str, datetime | None, str]] = [(Message("Report {id}", id=kept.id), "", kept.received, "")]
    for each in requests:
        if each.answered:
            words: str = Message(ANSWERS.get(each.result or "", "{result}"), result=each.result)
            colour = "good" if each.result == AnswerResult.CUSTOMER_HELD else ""
            rows.append((each.member, words, each.answered, colour))
        elif each.due < now:
            rows.append((each.member, Message("overdue"), each.due, "bad"))
        else:
            rows.append((each.member, Message("is asked; answer due"), each.due, "warning"))
    if kept.result:
        rows.append((Message("Closed"), Message(RESULTS[kept.result]), kept.closed, "good"))
    elif kept.finding:
        rows.append((Message("The office closes it"), Message(FINDINGS[kept.finding]), None, "warning"))
    hops = tuple(Hop(MARGIN + n * (BOX + GAP), *row) for n, row in enumerate(rows))
    return Trace(WIDTH, len(rows) * (BOX + GAP) - GAP + 2 * MARGIN, BOX, GAP, hops)
