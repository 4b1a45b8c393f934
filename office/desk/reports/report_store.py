"""Stores reports and requests to members in an SQLite file in the authority's folder.

Reports are in sealed boxes, and reports about a number are found by its token. Each call opens the file, so any thread
or process may use the store.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import TrustError
from idtone.ledger.keys.private_files import make_private
from idtone.member.reports.report_documents import SealedReport

from ..recorded_changes import SCHEMA as INTENDED
from ..recorded_changes import Statement
from .call_traceback import CALL_RESULTS, SERVICE_RESULTS, Finding, Next, ReportResult, Stage
from .number_holder import Basis, Holder

FILE: Final = "reports.sqlite3"
PAGE: Final = "page"
"""Value used instead of a member id for reports from the public page."""
WITHDRAWN: Final = "withdrawn"
"""Value used instead of a member's result if the office closed the report before the member answered."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS reports (
    id TEXT PRIMARY KEY,
    receipt TEXT NOT NULL UNIQUE,
    token TEXT NOT NULL,
    received INTEGER NOT NULL,
    via TEXT NOT NULL,
    holder TEXT,
    basis TEXT NOT NULL,
    stage TEXT NOT NULL,
    finding TEXT,
    result TEXT,
    why TEXT,
    closed INTEGER,
    report TEXT NOT NULL,
    reporter TEXT,
    disclose INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS by_receipt_time ON reports (received);
CREATE INDEX IF NOT EXISTS by_stage ON reports (stage, received);
CREATE INDEX IF NOT EXISTS by_token ON reports (token, received);
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY,
    report TEXT NOT NULL REFERENCES reports (id),
    hop INTEGER NOT NULL,
    member TEXT NOT NULL,
    asked INTEGER NOT NULL,
    due INTEGER NOT NULL,
    fetched INTEGER,
    reminders INTEGER NOT NULL DEFAULT 0,
    answered INTEGER,
    document TEXT,
    result TEXT,
    upstream TEXT,
    pack TEXT,
    found TEXT,
    UNIQUE (report, hop)
) STRICT;
CREATE INDEX IF NOT EXISTS unanswered ON requests (member, due) WHERE answered IS NULL;
CREATE INDEX IF NOT EXISTS waiting ON requests (due) WHERE answered IS NULL;
"""


class ReportOrder(StrEnum):
    """Columns by which reports can be sorted."""

    ID = "id"
    RECEIVED = "received"
    HOLDER = "holder"
    STAGE = "stage"


class CountedBy(StrEnum):
    """Properties by which reports can be counted."""

    MONTH = "month"
    """Month of receipt, in Japan."""
    RESULT = "result"
    """Result of the report, or the stage of an open report."""
    FINDING = "finding"
    """Finding that ended the chain of asked members, or the stage if the chain has not ended."""


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A stored report.

    `via` is the id of the member that sent the report, or `PAGE`. `sealed` contains the sealed boxes and the receipt's
    digest.
    """

    id: str
    received: datetime
    via: str
    holder: Holder
    stage: Stage
    finding: Finding | None
    result: ReportResult | None
    why: str | None
    closed: datetime | None
    sealed: SealedReport

    @property
    def names_number(self) -> bool:
        """True if the report is about a call rather than an operator or a service."""
        return self.holder.basis is not Basis.NO_NUMBER

    @property
    def results(self) -> tuple[ReportResult, ...]:
        """Results with which the office can close the report."""
        return CALL_RESULTS if self.names_number else SERVICE_RESULTS

    @property
    def is_forgotten(self) -> bool:
        """True if the report's content was erased."""
        return not self.sealed.report


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request to a member about a report.

    `hop` is its position among the report's requests, from 1. `found` is the member's answer as JSON.
    """

    id: str
    report: str
    hop: int
    member: str
    asked: datetime
    due: datetime
    fetched: datetime | None = None
    reminders: int = 0
    answered: datetime | None = None
    document: str | None = None
    result: str | None = None
    upstream: str | None = None
    pack: str | None = None
    found: str | None = None


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """A request waiting for a member's answer, with its report but without the reporter.

    `downstream` is the member that named this member as upstream; None for the first request.
    """

    request: KeptRequest
    sealed: SealedReport
    downstream: str | None


def _where(stage: Stage | None, token: str | None) -> tuple[str, list[str]]:
    given = [("stage = ?", stage), ("token = ?", token)]
    where = [(clause, str(value)) for clause, value in given if value is not None]
    return " AND ".join(clause for clause, _ in where) or "TRUE", [value for _, value in where]


class ReportStore:
    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    # -- reports ---------------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """True if a report has been stored."""
        return self._path.exists()

    def added(self, report: KeptReport, token: str, request: KeptRequest | None) -> list[Statement]:
        """SQL statements that store a report with its first request."""
        row = (
            report.id, report.sealed.receipt, token, _micros(report.received), report.via, report.holder.member,
            report.holder.basis, report.stage, report.finding, None, None, None, report.sealed.report,
            report.sealed.reporter, report.sealed.disclose,
        )  # fmt: skip
        entered = f"INSERT OR IGNORE INTO reports VALUES ({', '.join('?' * len(row))})"  # noqa: S608  marks alone
        return [(entered, row), *([(_ASK, _row(request))] if request else [])]

    def report(self, report_id: str) -> KeptReport | None:
        return next(iter(self.reports("id = ?", report_id)), None)

    def by_receipt(self, digest: str) -> KeptReport | None:
        return next(iter(self.reports("receipt = ?", digest)), None)

    def listed(self, stage: Stage | None = None, token: str | None = None, limit: int = -1) -> list[KeptReport]:
        """The newest `limit` reports, in order of receipt."""
        return self.page(stage, token, limit=limit)[::-1]

    def page(
        self,
        stage: Stage | None = None,
        token: str | None = None,
        order: ReportOrder | None = None,
        rises: bool = False,
        first: int = 0,
        limit: int = -1,
    ) -> list[KeptReport]:
        """Read at most `limit` reports starting at the index `first`, newest first or in the given order."""
        clauses, values = _where(stage, token)
        by = f"{order.value} {'ASC' if rises else 'DESC'}, " if order else ""
        return self.reports(f"{clauses} ORDER BY {by}received DESC, id LIMIT ? OFFSET ?", *values, limit, first)

    def count(self, stage: Stage | None = None, token: str | None = None) -> int:
        clauses, values = _where(stage, token)
        with self.opened() as database:
            [[count]] = database.execute(f"SELECT count(*) FROM reports WHERE {clauses}", values).fetchall()  # noqa: S608  our own
        return int(count)

    def reports(self, where: str, *values: str | int) -> list[KeptReport]:
        with self.opened() as database:
            rows = database.execute(f"SELECT * FROM reports WHERE {where}", values).fetchall()  # noqa: S608  our own
        return [_report(row) for row in rows]

    def closed(self, report_id: str, result: ReportResult, why: str, at: datetime) -> list[Statement]:
        """SQL statements that close a report and withdraw its open request."""
        return [
            (
                "UPDATE reports SET stage = ?, result = ?, why = ?, closed = ? WHERE id = ? AND closed IS NULL",
                (Stage.CLOSED, result, why, _micros(at), report_id),
            ),
            (
                "UPDATE requests SET answered = ?, result = ? WHERE report = ? AND answered IS NULL",
                (_micros(at), WITHDRAWN, report_id),
            ),
        ]

    def closed_before(self, moment: datetime) -> list[str]:
        """Ids of reports that were closed before a time and not yet erased."""
        query = "SELECT id FROM reports WHERE stage = ? AND closed < ? AND report <> '' ORDER BY closed"
        with self.opened() as database:
            return [row["id"] for row in database.execute(query, (Stage.CLOSED, _micros(moment)))]

    def forget(self, report_ids: list[str]) -> None:
        """Erase reports' content, reporters and closing reasons, keeping results, requests and answers."""
        with self.opened() as database:
            database.execute("PRAGMA secure_delete = ON")
            database.executemany(
                "UPDATE reports SET report = '', reporter = NULL, token = '', why = NULL WHERE id = ?",
                [(each,) for each in report_ids],
            )

    def counted(self, by: CountedBy, since: datetime, until: datetime) -> dict[str, int]:
        """Number of reports received from `since` until before `until`, by group."""
        column = {
            CountedBy.MONTH: "strftime('%Y-%m', received / 1000000 + 9 * 3600, 'unixepoch')",
            CountedBy.RESULT: "coalesce(result, stage)",
            CountedBy.FINDING: "coalesce(finding, stage)",
        }[by]
        query = f"SELECT {column}, count(*) FROM reports WHERE received >= ? AND received < ? GROUP BY 1 ORDER BY 1"  # noqa: S608
        with self.opened() as database:
            return dict(database.execute(query, (_micros(since), _micros(until))).fetchall())

    # -- requests --------------------------------------------------------------------------------------------------

    def request(self, request_id: str) -> KeptRequest | None:
        return next(iter(self._requests("id = ?", request_id)), None)

    def requests_of(self, report_id: str) -> list[KeptRequest]:
        """A report's requests, in the order that members were asked."""
        return self._requests("report = ? ORDER BY hop", report_id)

    def waiting(self, member: str, request_id: str | None, limit: int) -> list[WaitingRequest]:
        """Read at most `limit` requests that a member must answer, most urgent first.

        With a `request_id`, reads only that request.
        """
        one, values = ("requests.id = ? AND ", [request_id]) if request_id else ("", [])
        query = (
            "SELECT requests.*, receipt, reports.report AS box, earlier.member AS downstream FROM requests "  # noqa: S608
            "JOIN reports ON reports.id = requests.report LEFT JOIN requests AS earlier "
            "ON earlier.report = requests.report AND earlier.hop = requests.hop - 1 "
            "AND earlier.upstream = requests.member "
            f"WHERE {one}requests.member = ? AND requests.answered IS NULL ORDER BY requests.due, requests.id LIMIT ?"
        )
        with self.opened() as database:
            rows = database.execute(query, (*values, member, limit)).fetchall()
        return [
            WaitingRequest(_request(row), SealedReport(receipt=row["receipt"], report=row["box"]), row["downstream"])
            for row in rows
        ]

    def count_waiting(self, member: str) -> int:
        with self.opened() as database:
            query = "SELECT count(*) FROM requests WHERE member = ? AND answered IS NULL"
            return int(database.execute(query, (member,)).fetchone()[0])

    def in_time(self, since: datetime, until: datetime) -> dict[str, tuple[int, int]]:
        """Numbers of requests answered in time and of all requests due from `since` until before `until`, by member.

        Withdrawn requests do not count.
        """
        if not self.exists:
            return {}
        query = (
            "SELECT member, count(*) FILTER (WHERE answered <= due), count(*) FROM requests "
            "WHERE due >= ? AND due < ? AND result IS NOT ? GROUP BY member"
        )
        with self.opened() as database:
            rows = database.execute(query, (_micros(since), _micros(until), WITHDRAWN)).fetchall()
        return {member: (good, asked) for member, good, asked in rows}

    def overdue(self, now: datetime) -> list[KeptRequest]:
        return self._requests("answered IS NULL AND due < ? ORDER BY due, id", _micros(now))

    def fetched(self, request_ids: list[str], now: datetime) -> None:
        """Record that a member has fetched these requests."""
        with self.opened() as database:
            database.executemany(
                "UPDATE requests SET fetched = coalesce(fetched, ?) WHERE id = ?",
                [(_micros(now), each) for each in request_ids],
            )

    def reminded(self, request: KeptRequest) -> list[Statement]:
        """SQL statements that count another reminder for a request."""
        return [("UPDATE requests SET reminders = ? WHERE id = ?", (request.reminders + 1, request.id))]

    def answered(self, answered: KeptRequest, following: Next, request: KeptRequest | None) -> list[Statement]:
        """SQL statements that store an answer and its consequence if the request is still waiting.

        The last statement changes a row only in that case.
        """
        assert answered.answered
        waits = "EXISTS (SELECT 1 FROM requests WHERE id = ? AND answered IS NULL)"
        asked = f"INSERT INTO requests ({_ASKED}) SELECT ?, ?, ?, ?, ?, ? WHERE {waits}"
        return [
            (
                f"UPDATE reports SET stage = ?, finding = ? WHERE id = ? AND {waits}",  # noqa: S608  our own
                (following.stage, following.finding, answered.report, answered.id),
            ),
            *([(asked, (*_row(request), answered.id))] if request else []),
            (
                "UPDATE requests SET answered = ?, document = ?, result = ?, upstream = ?, pack = ?, found = ? "
                "WHERE id = ? AND answered IS NULL",
                (
                    _micros(answered.answered), answered.document, answered.result, answered.upstream, answered.pack,
                    answered.found, answered.id,
                ),
            ),
        ]  # fmt: skip

    def _requests(self, where: str, *values: str | int) -> list[KeptRequest]:
        with self.opened() as database:
            rows = database.execute(f"SELECT * FROM requests WHERE {where}", values).fetchall()  # noqa: S608  our own
        return [_request(row) for row in rows]

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one transaction in a `with` block. Raises TrustError."""
        try:
            make_private(self._path)
            with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
                database.row_factory = sqlite3.Row
                if not database.execute("PRAGMA table_list('intended')").fetchall():
                    database.executescript(_SCHEMA + INTENDED)
                database.execute("PRAGMA synchronous = FULL")
                yield database
        except (sqlite3.Error, OSError) as error:
            raise TrustError(
                "{path}: cannot be used: {reason}; check the disk", path=self._path, reason=error
            ) from error


_ASKED: Final = "id, report, hop, member, asked, due"
_ASK: Final = f"INSERT OR IGNORE INTO requests ({_ASKED}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608  our own


def _row(request: KeptRequest) -> tuple[str | int, ...]:
    return request.id, request.report, request.hop, request.member, _micros(request.asked), _micros(request.due)


def _report(row: sqlite3.Row) -> KeptReport:
    return KeptReport(
        id=row["id"],
        received=datetime.fromtimestamp(row["received"] / 1e6, UTC),
        via=row["via"],
        holder=Holder(row["holder"], Basis(row["basis"])),
        stage=Stage(row["stage"]),
        finding=Finding(row["finding"]) if row["finding"] else None,
        result=ReportResult(row["result"]) if row["result"] else None,
        why=row["why"],
        closed=_moment(row["closed"]),
        sealed=SealedReport(
            receipt=row["receipt"], report=row["report"], reporter=row["reporter"], disclose=bool(row["disclose"])
        ),
    )


def _request(row: sqlite3.Row) -> KeptRequest:
    times = {"asked", "due", "fetched", "answered"}
    names = [each.name for each in fields(KeptRequest)]
    values: dict[str, Any] = {name: _moment(row[name]) if name in times else row[name] for name in names}
    return KeptRequest(**values)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def _moment(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value / 1e6, UTC)
