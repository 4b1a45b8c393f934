"""The association's folder, parsed for the pages. Parts are parsed again only after their files have changed."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import IdtoneError
from idtone.core.number_spans import NumberSpan
from idtone.member.evaluation.criteria import Criteria
from idtone.member.evaluation.evaluation_verification import FOLDER as EVALUATION
from idtone.member.evaluation.result import Result
from idtone.office.authority import operator_list
from idtone.office.authority.change_registry import (
    accepted_applications,
    never_originates_of,
    registry_of,
    suspensions_of,
)
from idtone.office.authority.history import ApplicationStatus, HistoryEntry
from idtone.office.authority.prepared_package import PackageState, PreparedPackage
from idtone.office.authority.signed_history import HistorySignature, history_with_signatures
from idtone.office.authority.suspension_requests import SuspensionRequests
from idtone.office.authority.workspace import APPLICATIONS, HISTORY
from idtone.office.desk.applicants.submission import Submission
from idtone.office.desk.applicants.submissions import FOLDER as SUBMISSIONS
from idtone.office.desk.applicants.submissions import Submissions
from idtone.office.desk.document_desk import DocumentDesk
from idtone.office.desk.document_store import FILE as DOCUMENTS
from idtone.office.desk.office_ledger import FOLDER as LEDGER
from idtone.office.desk.office_ledger import OfficeAct, OfficeLedger
from idtone.office.desk.reports.report_desk import ReportDesk
from idtone.office.desk.reports.report_store import FILE as REPORTS
from idtone.office.desk.suspension_confirmations import Confirmation, confirmations
from idtone.office.evaluation.results import kept_results
from idtone.registry.member_application import MemberApplication
from idtone.registry.model import Member, NeverOriginatesDocument, RegistryDocument, SuspensionsDocument
from idtone.registry.number_notation import read_span
from idtone.registry.parsers import parse_never_originates, parse_suspensions
from idtone.registry.registry_report import MemberReport, member_report, number_count
from idtone.registry.trust import tuf_roles

from ..cached_files import CachedFiles
from ..public.published_files import PublishedFiles


@dataclass(frozen=True, slots=True)
class Registered:
    """Content of registry.yaml, with members and number ranges by member id."""

    document: RegistryDocument
    members: Mapping[str, Member]
    spans: Mapping[str, Sequence[NumberSpan]]
    numbers: Mapping[str, int]
    """Count of telephone numbers by member id."""

    def concerned(self, number: int) -> set[str]:
        """Ids of the members that hold a number or belong to its wholesale chain."""
        found = {member for member, spans in self.spans.items() if any(number in span for span in spans)}
        for chain in self.document.chains:
            if number in read_span(chain.numbers):
                found |= {member for link in chain.links for member in (link.wholesaler, link.reseller)}
        return found

    def report(self, member: Member, now: datetime) -> MemberReport:
        """Result of `member_report`, without counting the numbers again."""
        told = member_report(member.model_copy(update={"numbers": ()}), now)
        return {**told, "entries": len(member.numbers), "numbers": self.numbers[member.id]}


@dataclass(frozen=True, slots=True)
class Stops:
    """Suspensions and never-originating numbers in one edition."""

    suspensions: SuspensionsDocument
    never_originates: NeverOriginatesDocument | None
    """The edition's never-originating numbers, or None if it has no such list."""
    at: datetime
    """When the edition was written."""


ENDS_SHOWN: Final = timedelta(days=30)
"""How long the suspensions page shows a suspension after its end was approved."""
OperatorList = Mapping[str, Mapping[str, Any]]
"""Entries in the public list by member id."""
HistoryLine = tuple[HistoryEntry, HistorySignature | None]


class OfficeFiles:
    """The folder's parsed files.

    All methods block, so pages call them with `visit.in_thread`, and raise IdtoneError if a file is damaged.
    """

    def __init__(self, desk: DocumentDesk) -> None:
        self.desk = desk
        self.folder = desk.folder
        self.workspace = desk.workspace
        self.association = ""
        """The association's name, or an empty string before the registry is read."""
        self.requests = SuspensionRequests(desk.workspace)
        self.package = PreparedPackage(desk.workspace)
        self.duty_package = PreparedPackage(desk.workspace, by_duty_keys_alone=True)
        registry, suspensions, never = (self.folder / name for name in tuf_roles.DELEGATED.values())
        refusals = self.folder / tuf_roles.REFUSALS_FILE
        timestamp = self.workspace.repository.folder / tuf_roles.METADATA / "timestamp.json"
        history = self.folder / HISTORY
        self._registry = CachedFiles(lambda: [registry], self._read_registry)
        self._suspensions = CachedFiles(lambda: [suspensions], lambda: suspensions_of(self.workspace))
        self._never_originates = CachedFiles(lambda: [never, history], lambda: never_originates_of(self.workspace))
        self._applications = CachedFiles(
            lambda: [self.folder / APPLICATIONS, history], lambda: accepted_applications(self.workspace)
        )
        self._submissions = CachedFiles(
            lambda: sorted((self.folder / SUBMISSIONS).glob("W-*.json")), lambda: Submissions(self.folder).all()
        )
        self._history = CachedFiles(lambda: [history, timestamp], lambda: history_with_signatures(self.workspace, None))
        self._acts = CachedFiles(self._ledger_files, lambda: OfficeLedger(self.folder).acts())
        self._confirmations = CachedFiles(
            lambda: [self.folder / DOCUMENTS, timestamp, registry], self._read_confirmations
        )
        self._evaluations = CachedFiles(
            lambda: [self.folder / EVALUATION], lambda: [(each, list(of)) for each, of in kept_results(self.workspace)]
        )
        self._differences = CachedFiles(
            lambda: [registry, suspensions, never, refusals, timestamp], lambda: list(self.workspace.differences())
        )
        self._lists = CachedFiles(lambda: [registry, suspensions, timestamp], self._read_lists)
        self._published = CachedFiles(
            lambda: [timestamp, self.folder / EVALUATION], lambda: PublishedFiles.read(self.folder)
        )
        self._signed_until = CachedFiles(lambda: [timestamp], self._read_signed_until)
        self.waiting, self.waiting_duty = map(_state_of, (self.package, self.duty_package))
        packages = self.duty_package.folder, self.package.folder
        prepared = [path for folder in packages for path in (folder, folder / "after" / tuf_roles.METADATA)]
        self._signed_stops = CachedFiles(lambda: prepared, self._read_signed_stops)
        self._published_stops = CachedFiles(lambda: [timestamp], self._read_published_stops)

    def registered(self) -> Registered:
        """The folder's registry, which may contain unpublished changes."""
        return self._registry.get()

    def suspensions(self) -> SuspensionsDocument:
        return self._suspensions.get()

    def never_originates(self) -> NeverOriginatesDocument | None:
        """The never-originating numbers, or None if there is no such list."""
        return self._never_originates.get()

    def applications(self) -> Sequence[tuple[MemberApplication, ApplicationStatus]]:
        """Applications with their states, by date of receipt."""
        return self._applications.get()

    def submissions(self) -> Sequence[Submission]:
        """Applicants' submissions, earliest first."""
        return self._submissions.get()

    def history(self) -> Sequence[HistoryLine]:
        """History lines with their signatures, in chronological order."""
        return self._history.get()

    def acts(self) -> Sequence[OfficeAct]:
        """The office's acts, in the order they were recorded."""
        return self._acts.get()

    def confirmations(self) -> Sequence[Confirmation]:
        """Each node's confirmations of each published stop. Empty before the first publication.

        Includes ended stops whose end is unconfirmed or was confirmed recently.
        """
        return self._confirmations.get()

    def evaluations(self) -> Sequence[tuple[Criteria, list[Result]]]:
        """Evaluations with their criteria, earliest period first."""
        return self._evaluations.get()

    def differences(self) -> Sequence[str]:
        """Descriptions of the unpublished changes."""
        return self._differences.get()

    def operator_lists(self) -> tuple[OperatorList, OperatorList]:
        """The public list as the next publication would create it and as it is published now."""
        return self._lists.get()

    def published(self) -> PublishedFiles:
        """The published files for the association's website."""
        return self._published.get()

    def published_stops(self) -> Stops | None:
        """The published stops, or None before the first publication."""
        return self._published_stops.get()

    def signed_stops(self) -> Stops | None:
        """The stops in a fully signed but unpublished package, or None if there is no such package."""
        return self._signed_stops.get()

    def published_at(self, role: str, version: int) -> datetime | None:
        """Time at which this version of the role's metadata was written, or None if the folder does not contain it."""
        return _written(self.workspace.repository.folder / tuf_roles.METADATA / f"{version}.{role}.json")

    def read_ahead(self) -> None:
        """Read changed files now, so that the next visitor need not wait."""
        for read in (
            self._signed_until.get,
            self.registered,
            self.suspensions,
            self.applications,
            self.differences,
            self.confirmations,
        ):
            with contextlib.suppress(IdtoneError):  # the page that needs the file shows the error
                read()

    @property
    def signed_until(self) -> datetime | None:
        """Time at which the first published signature expires, or None before the first publication.

        This property does not block, because it returns the value last read by `read_ahead`.
        """
        return self._signed_until.last

    def is_published(self) -> bool:
        return self.workspace.repository.file_sha256(tuf_roles.REGISTRY) is not None

    def reports(self) -> ReportDesk | None:
        """The report desk, or None before the first report."""
        return ReportDesk(self.desk) if (self.folder / REPORTS).exists() else None

    def _read_registry(self) -> Registered:
        document = registry_of(self.workspace)
        self.association = document.registry.association
        members = {member.id: member for member in document.members}
        spans = {each.id: [*map(read_span, each.numbers)] for each in document.members}
        return Registered(document, members, spans, {each.id: number_count(each) for each in document.members})

    def _read_lists(self) -> tuple[OperatorList, OperatorList]:
        published = self.workspace.repository.operator_list() if self.is_published() else None
        coming = operator_list.operator_list_json(self.registered().document, self.suspensions())
        return _by_member(coming), {} if published is None else _by_member(published)

    def _read_signed_until(self) -> datetime | None:
        if not self.is_published():
            return None
        ends: list[datetime] = [
            each.signed.expires for each in self.workspace.repository.all_current_metadata().values()
        ]
        return min(ends)

    def _read_confirmations(self) -> list[Confirmation]:
        lately = datetime.now(UTC) - ENDS_SHOWN
        return list(confirmations(self.desk, ended_since=lately)) if self.is_published() else []

    def _read_published_stops(self) -> Stops | None:
        repository = self.workspace.repository
        if not self.is_published():
            return None
        files = {file: repository.file_octets(role) for role, file in tuf_roles.DELEGATED.items()}
        return _stops(files, _written(repository.folder / tuf_roles.METADATA / "timestamp.json"))

    def _read_signed_stops(self) -> Stops | None:
        for package in (self.duty_package, self.package):
            edition = package.edition()
            if edition is not None and next(edition.missing(), None) is None:
                written = package.folder / "after" / tuf_roles.METADATA / f"{tuf_roles.SUSPENSIONS}.json"
                return _stops(edition.targets, _written(written))
        return None

    def _ledger_files(self) -> Iterable[Path]:
        return sorted((self.folder / LEDGER).glob("ledger.sqlite3*"))


def _state_of(package: PreparedPackage) -> CachedFiles[PackageState | None]:
    return CachedFiles(lambda: [package.folder, package.folder / "after" / tuf_roles.METADATA], package.state)


def _by_member(octets: bytes) -> OperatorList:
    return {each["member"]: each for each in json.loads(octets)["operators"]}


def _stops(files: Mapping[str, bytes | None], at: datetime | None) -> Stops | None:
    suspensions, never = (files.get(file) for file in (tuf_roles.SUSPENSIONS_FILE, tuf_roles.NEVER_ORIGINATES_FILE))
    if suspensions is None or at is None:
        return None
    return Stops(
        parse_suspensions(suspensions.decode("utf-8-sig"), tuf_roles.SUSPENSIONS_FILE),
        parse_never_originates(never.decode("utf-8-sig"), tuf_roles.NEVER_ORIGINATES_FILE) if never else None,
        at,
    )


def _written(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
