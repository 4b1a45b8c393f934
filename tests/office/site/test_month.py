"""The public figures of a month, from the members' signed figures, reports and stops."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from idtone.core.errors import UsageError
from idtone.core.signed_notes import Signer
from idtone.member.reports.report import Report
from idtone.member.reports.report_documents import sealed_report
from idtone.office.authority.history import Action, HistoryEntry
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.document_kinds import RULES
from idtone.office.desk.reports.report_desk import ReportDesk
from idtone.office.desk.reports.report_store import PAGE
from idtone.office.site.month_figures import figures_of_month, newest
from idtone.registry.parsers import parse_suspensions
from lab.member.evaluation.sample_figures import LOG, NODE, YEAR, content_of, document_of, head_of, write_criteria
from lab.registry.examples import GOOD, with_keys

OTHER = Signer("m-0002/pbx-9", b"9" * 32)
REPORTED = datetime(2025, 10, 5, 3, tzinfo=UTC)
DAY = timedelta(hours=24)
SUSPENSIONS = f"""\
issued: 2025-11-20T00:00:00+09:00
suspensions:
  - {{number: "0312345678", since: {(REPORTED + DAY).isoformat()}, reference: R-1}}
  - {{number: "0312345679", since: {(REPORTED + 2 * DAY).isoformat()}, reference: R-2}}
  - {{number: "0312345681", since: 2025-09-30T23:59:59+09:00, reference: R-4}}
"""


def line(action: Action, reference: str, at: datetime) -> HistoryEntry:
    return HistoryEntry(at=at, action=action, by="a", subject=reference, why="w")


HISTORY = [
    line(Action.SUSPEND_NUMBER, "R-4", datetime(2025, 9, 30, 14, 59, 59, tzinfo=UTC)),
    line(Action.SUSPEND_NUMBER, "R-1", REPORTED + DAY),
    line(Action.SUSPEND_RANGE, "R-3", REPORTED + DAY),
    line(Action.SUSPEND_NUMBER, "R-2", REPORTED + 2 * DAY),
    line(Action.LIFT, "suspensions.yaml", REPORTED + 3 * DAY),  # of R-3, which is not in the file any more
    line(Action.SUSPEND_NUMBER, "R-5", datetime(2025, 10, 31, 15, tzinfo=UTC)),
]


@pytest.fixture
def desk(tmp_path):
    folder = tmp_path / "authority"
    folder.mkdir()
    text = with_keys(GOOD.partition("suspensions:")[0], m1=[NODE.key], m2=[OTHER.key])
    (folder / "registry.yaml").write_text(text)
    (folder / "reports.yaml").write_text("statistics: {least: 2}\n")
    write_criteria(folder)
    one = DocumentDesk(folder, RULES)
    with one.ledger.open():
        yield one


def report(desk: DocumentDesk, number: str, receipt: str, at: datetime) -> None:
    reports = ReportDesk(desk)
    made = Report.model_validate({"number": number, "at": at, "what": "x"})
    reports.enter(sealed_report(made, receipt, reports.key.public, None), PAGE, at)


def test_a_month_counts_each_node_once_and_each_stop_from_its_first_report(desk):
    other_log = Signer(LOG.key.name, b"9" * 32)
    first, again = document_of(content_of(YEAR, 1000)), document_of(content_of(YEAR, 2000))
    other = document_of(content_of(YEAR, 1000, head_of(YEAR, 26_000, log=other_log)), OTHER, "m-0002")
    for document in (first, again, other):
        desk.accept(document, datetime.now(UTC))
    report(desk, "0312345678", "ABCDE-FGHJK-MNPQR-STVWX", REPORTED)
    report(desk, "0312345678", "ABCDE-FGHJK-MNPQR-STVWY", REPORTED + timedelta(hours=9))
    report(desk, "0312345679", "ABCDE-FGHJK-MNPQR-STVWZ", REPORTED)
    stops = parse_suspensions(SUSPENSIONS, "suspensions.yaml")
    with pytest.raises(UsageError, match="is not over yet"):
        figures_of_month(desk, "2025-10", HISTORY, stops, b"s", datetime(2025, 10, 31, 14, 59, 59, tzinfo=UTC))
    assert newest(desk.folder) is None
    octets = figures_of_month(desk, "2025-10", HISTORY, stops, b"s", datetime(2025, 10, 31, 15, tzinfo=UTC))
    told = json.loads(octets)
    assert (told["members"], told["stops"], told["median_hours_report_to_stop"]) == (2, 3, 36.0)
    assert told["documents_sha256"] == sorted(hashlib.sha256(each).hexdigest() for each in (again, other))
    report(desk, "0312345681", "ABCDE-FGHJK-MNPQR-STVWW", REPORTED)
    assert figures_of_month(desk, "2025-10", HISTORY, stops, b"t", datetime.now(UTC)) == octets, "a month is made once"
    assert newest(desk.folder) == octets


@pytest.mark.parametrize("month", ["2025-13", "202510", "2025-1", "x"])
def test_a_month_is_written_in_one_way(desk, month):
    with pytest.raises(UsageError, match="write it like 2026-11"):
        figures_of_month(desk, month, [], parse_suspensions(SUSPENSIONS, "suspensions.yaml"), b"s", datetime.now(UTC))
