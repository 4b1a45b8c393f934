"""Work of the report desk: entering reports, asking members, and receiving their answers.

The office's ledger records each act.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from idtone.core.errors import TrustError, UsageError
from idtone.core.numbers import parse
from idtone.core.translation import Message
from idtone.member.reports.report import ReportedCall, ReportedService, Reporter
from idtone.member.reports.report_documents import (
    REPORT,
    Answer,
    AnswerResult,
    Fetch,
    Request,
    Requests,
    SealedReport,
    read_content,
    report_id_of,
    time_span,
)
from idtone.member.reports.sealed_box import Purpose, open_box, public_key, seal
from idtone.registry.correspondence.signed_document import SignedDocument

from ..document_desk import Accepted, DocumentDesk
from ..recorded_changes import RecordedChanges
from .call_traceback import Finding, Next, ReportResult, Stage, first_request, next_request
from .desk_key import DeskKey, officer_public
from .number_holder import Basis, Holder, holder_of
from .report_settings import ReportSettings, read_report_settings
from .report_store import CountedBy, KeptReport, KeptRequest, ReportStore, WaitingRequest
from .small_counts import PublishableCounts, without_small_counts

FETCHED_AT_ONCE: Final = 200
"""Maximum number of requests in one answer to a member. The member gets more requests after answering these."""
COUNTED_FOR: Final = timedelta(days=365)
"""Default period for statistics, ending now."""
_ID_BYTES: Final = 8
_UNKNOWN: Final = Message("no open request of this id for this member")
"""Error for both unknown requests and other members' requests, so that members cannot tell the two apart."""
_ANSWERED: Final = Message("this request was answered or withdrawn already")


class ReportDesk:
    """The report desk in an authority's folder. All threads may use the same object."""

    def __init__(self, desk: DocumentDesk) -> None:
        """Open the report desk and finish any change that another process left unfinished. Raises IdtoneError."""
        self._desk = desk
        self.store = ReportStore(desk.folder)
        self._changes = RecordedChanges(self.store.opened, desk.ledger)
        if self.store.exists:
            self._changes.finish()
        self.key = DeskKey.of(desk.folder)
        self.settings: ReportSettings = read_report_settings(desk.folder)

    def keys(self) -> Mapping[str, str | None]:
        """Public keys for encrypting a report, in Base64. The officer's key may be None."""
        officer = officer_public(self._desk.folder)
        return {"desk": _text(self.key.public), "officer": _text(officer) if officer else None}

    # -- reports ---------------------------------------------------------------------------------------------------

    def enter(self, sealed: SealedReport, via: str, now: datetime) -> str:
        """Enter a sealed report, ask the holder of its number and return the report's id. Raises IdtoneError.

        A report that was already entered changes nothing, even if it is sealed again.
        """
        with self._desk.ledger.locked():
            known = self.store.by_receipt(sealed.receipt)
            if known and self._is_same(known, sealed):
                return known.id
            if known:
                raise TrustError("another report has this receipt; send the report again with a new one")
            matter = self.matter(sealed)
            if isinstance(matter, ReportedCall) and matter.at > now:
                raise TrustError("the call of the report is in the future")
            report_id, token = report_id_of(sealed.receipt), ""
            holder, step = Holder(None, Basis.NO_NUMBER), Next(finding=Finding.NO_NUMBER)
            if isinstance(matter, ReportedCall):
                token, holder = self.key.token(parse(matter.number)), self._holder(matter)
                step = first_request(holder.members)
            request = self._request(report_id, 1, step, now)
            kept = KeptReport(report_id, now, via, holder, step.stage, step.finding, None, None, None, sealed)
            self._changes.make(
                self.store.added(kept, token, request),
                "report-entered",
                report_id,
                via=via,
                holder=holder.member,
                basis=holder.basis,
                others=",".join(holder.others) or None,
                stage=step.stage,
                reporter=sealed.reporter is not None,
                sha256=hashlib.sha256(sealed.report.encode()).hexdigest(),
                **_asked(request),
            )
            return report_id

    def _is_same(self, known: KeptReport, sealed: SealedReport) -> bool:
        """True if both contain the same report.

        The sender derives the receipt from the complete report. A matching receipt is therefore enough proof for an
        erased report, and for the reporter's box, which the desk cannot open.
        """
        if known.sealed == sealed or known.is_forgotten:
            return True
        facts = [(self.matter(each), each.reporter is None, each.disclose) for each in (known.sealed, sealed)]
        return facts[0] == facts[1]

    def _holder(self, call: ReportedCall) -> Holder:
        return holder_of(self._desk.workspace, parse(call.number), call.at, time_span(call.at, call.within_minutes))

    def matter(self, sealed: SealedReport) -> ReportedCall | ReportedService:
        """Open a sealed report. Raises TrustError if it was changed or is not sealed for this desk."""
        content = self._content(sealed)
        return read_content(ReportedService, content) if "service" in content else read_content(ReportedCall, content)

    def call(self, sealed: SealedReport) -> ReportedCall:
        """Open a sealed report about a call. Raises TrustError, including for a report about a service."""
        return read_content(ReportedCall, self._content(sealed))

    def _content(self, sealed: SealedReport) -> dict[str, Any]:
        return open_box(sealed.report, self.key.private, Purpose.REPORT, sealed.receipt)

    def named(self, report_id: str) -> KeptReport:
        """Find the report with this id. Raises UsageError if it does not exist."""
        found = self.store.report(report_id)
        if found is None:
            raise UsageError("no report {report_id!r}; `idtone-office report list` lists them", report_id=report_id)
        return found

    def searched(self, purpose: str) -> None:
        """Record that the office is about to search for reports about a number. Raises LedgerError.

        The number's token is not recorded, because the ledger erases nothing and the token would reveal the number to
        anyone with the desk's key.
        """
        self._desk.ledger.record("reports-searched", "number", why=purpose)

    def shown(self, report_id: str) -> None:
        """Record that the office is about to read a report. Raises LedgerError."""
        self._desk.ledger.record("report-shown", report_id)

    def forget(self, before: datetime) -> int:
        """Erase the content and reporters of reports closed before a time, and return how many were erased.

        Raises LedgerError without erasing anything.
        """
        with self._desk.ledger.locked():
            doomed = self.store.closed_before(before)
            if doomed:
                self._desk.ledger.record("reports-forgotten", before.isoformat(), reports=len(doomed))
                self._desk.documents.forget(REPORT, doomed)
                self.store.forget(doomed)
            return len(doomed)

    def statistics(self, by: CountedBy, since: datetime, until: datetime) -> PublishableCounts:
        """Count reports received from `since` until before `until`, with small counts hidden for publication."""
        return without_small_counts(self.store.counted(by, since, until), self.settings.statistics.least)

    def close(self, report_id: str, result: ReportResult, why: str, now: datetime) -> None:
        """Close a report and withdraw its open request.

        The reason is not recorded in the ledger, because it may name people and the ledger erases nothing. Raises
        UsageError if the report is already closed or cannot have this result, or LedgerError if the act cannot be
        recorded.
        """
        with self._desk.ledger.locked():
            report = self.named(report_id)
            if report.stage is Stage.CLOSED:
                raise UsageError("report {report_id} is closed already", report_id=report_id)
            if result not in report.results:
                raise UsageError(
                    "report {report_id} cannot be closed as {result}; the possible results are {results}",
                    report_id=report_id,
                    result=result.value,
                    results=", ".join(each.value for each in report.results),
                )
            closed = self.store.closed(report_id, result, why, now)
            self._changes.make(closed, "report-closed", report_id, result=result)

    def reveal(self, report_id: str, key: X25519PrivateKey, why: str) -> Reporter:
        """Decrypt the name of a reporter who has consented to be named. Only the consent in the sealed box counts.

        Raises UsageError without consent, TrustError if the key is wrong, or LedgerError if the act cannot be recorded.
        """
        report = self.named(report_id)
        if report.sealed.reporter is None:
            raise UsageError("report {report_id} names no reporter", report_id=report_id)
        content = open_box(report.sealed.reporter, key, Purpose.REPORTER, report.sealed.receipt)
        reporter = read_content(Reporter, content)
        if not reporter.disclose:
            raise UsageError(
                "the reporter of {report_id} has not consented to be named; nothing is revealed", report_id=report_id
            )
        self._desk.ledger.record("reporter-revealed", report_id, why=why)
        return reporter

    # -- requests --------------------------------------------------------------------------------------------------

    def fetch(self, document: SignedDocument, now: datetime) -> Accepted:
        """Give a member its open requests, sealed for the key in its document. Raises TrustError."""
        fetch = read_content(Fetch, document.content)
        key = public_key(fetch.to)
        waiting = self.store.waiting(document.member, fetch.request, FETCHED_AT_ONCE)
        content = Requests(
            requests=tuple(self._as_asked(each) for each in waiting), waiting=self.store.count_waiting(document.member)
        )
        box = seal(content.model_dump(mode="json"), key, Purpose.REQUESTS, fetch.to)
        self.store.fetched([each.request.id for each in waiting], now)
        return Accepted(document.member, {"requests": box})

    def _as_asked(self, waiting: WaitingRequest) -> Request:
        """Request limited to the part of its report that the member may see."""
        call, request = self.call(waiting.sealed), waiting.request
        return Request(
            id=request.id,
            number=call.number,
            at=call.at,
            within_minutes=call.within_minutes,
            asked=request.asked,
            due=request.due,
            downstream=waiting.downstream,
            reminders=request.reminders,
        )

    def answer(self, document: SignedDocument, now: datetime) -> Accepted:
        """Accept a member's answer, then ask the next member or end the chain. Raises TrustError."""
        content = read_content(Answer, document.content)
        with self._desk.ledger.locked():
            request = self.store.request(content.request)
            if request is None or request.member != document.member:
                raise TrustError(_UNKNOWN)
            accepted = Accepted(request.report, {"request": request.id, "result": content.result})
            if request.document == document.id:
                return accepted
            if request.answered:
                raise TrustError(_ANSWERED)
            if content.upstream and content.upstream not in {each.id for each in self._desk.registry().members}:
                raise TrustError(
                    "{member} is no member's id in the registry; correct `upstream`", member=content.upstream
                )
            asked = [each.member for each in self.store.requests_of(request.report)]
            holders = self._holders(request.report) if content.result is AnswerResult.NOT_OURS else ()
            following = next_request(asked, content.result, content.upstream, self.settings.traceback.members, holders)
            further = self._request(request.report, request.hop + 1, following, now)
            answered = replace(
                request,
                answered=now,
                document=document.id,
                result=content.result,
                upstream=content.upstream,
                pack=content.pack,
                found=content.found.model_dump_json(),
            )
            was_open = self._changes.make(
                self.store.answered(answered, following, further),
                "report-answered",
                request.report,
                request=request.id,
                member=document.member,
                result=content.result,
                document=document.id,
                stage=following.stage,
                finding=following.finding,
                **_asked(further, "next_"),
            )
            if not was_open:
                raise TrustError(_ANSWERED)
            return accepted

    def _holders(self, report_id: str) -> Sequence[str]:
        report = self.named(report_id)
        return self._holder(self.call(report.sealed)).members if report.holder.basis is Basis.CHANGED else ()

    def remind(self, request: KeptRequest) -> None:
        """Remind a member to answer a request. The member sees the reminder when it fetches its requests.

        Nothing happens if the member has answered or was reminded in the meantime. Raises LedgerError.
        """
        with self._desk.ledger.locked():
            if self.store.request(request.id) == request:
                self._changes.make(
                    self.store.reminded(request),
                    "report-reminded",
                    request.report,
                    request=request.id,
                    member=request.member,
                    reminders=request.reminders + 1,
                )

    def _request(self, report_id: str, hop: int, step: Next, now: datetime) -> KeptRequest | None:
        if step.member is None:
            return None
        due = now + self.settings.traceback.answer_within
        return KeptRequest(f"Q-{secrets.token_hex(_ID_BYTES)}", report_id, hop, step.member, now, due)


def report_rule(desk: DocumentDesk, document: SignedDocument, now: datetime) -> Accepted:
    """Desk rule that accepts a member's report. Raises TrustError."""
    report_id = ReportDesk(desk).enter(read_content(SealedReport, document.content), document.member, now)
    return Accepted(report_id, {"report": report_id})


def fetch_rule(desk: DocumentDesk, document: SignedDocument, now: datetime) -> Accepted:
    """Desk rule that accepts a member's document for fetching its requests."""
    return ReportDesk(desk).fetch(document, now)


def answer_rule(desk: DocumentDesk, document: SignedDocument, now: datetime) -> Accepted:
    """Desk rule that accepts a member's answer to a request."""
    return ReportDesk(desk).answer(document, now)


def _asked(request: KeptRequest | None, prefix: str = "") -> dict[str, Any]:
    if request is None:
        return {}
    return {f"{prefix}request": request.id, f"{prefix}member": request.member, f"{prefix}due": request.due.isoformat()}


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
