"""Creates the office's papers from files in the authority's folder."""

from datetime import date, datetime, timedelta

from idtone.core.errors import UsageError
from idtone.core.number_spans import NumberSpan
from idtone.core.paper.content import Paper
from idtone.core.terminal.prompts import checked_line
from idtone.core.terminal.spreadsheet_csv import csv_text
from idtone.core.translation import Message
from idtone.registry.model import LicenceEntry, Member, RegistryDocument, SuspensionKind, day_begins
from idtone.registry.number_notation import read_span
from idtone.registry.parsers import parse_registry, parse_suspensions
from idtone.registry.suspended_numbers import scope_of
from idtone.registry.trust import tuf_roles

from ..authority.change_registry import registry_of
from ..authority.history import HistoryEntry
from ..authority.signed_history import history_with_signatures
from ..authority.typed_dates import in_japan
from ..authority.workspace import Workspace
from ..desk.document_desk import DocumentDesk
from ..desk.reports.report_desk import ReportDesk
from ..desk.reports.report_store import FILE as REPORTS
from ..desk.reports.report_store import CountedBy
from .letters import Letter, Sender, certificate, letter
from .period_account import TOTAL, AccountTable, PeriodAccount, period_account


def account_from_desk(desk: DocumentDesk, since: date, through: date, now: datetime) -> PeriodAccount:
    """Create the account for a period from the published registry and the desk's reports.

    Raises UsageError if the period has not begun or nothing is published, or another IdtoneError if a file is damaged.
    """
    if since > through or since > in_japan(now).date():
        raise UsageError("the period has not begun, or ends before it begins")
    workspace = desk.workspace
    published = _published(workspace)
    if published is None:
        raise UsageError("nothing is published yet, so there is no account")
    history, unsigned = list[HistoryEntry](), list[HistoryEntry]()
    for entry, signature in history_with_signatures(workspace, None):
        (unsigned if signature is None else history).append(entry)
    reports = {}
    if (desk.folder / REPORTS).exists():
        found = ReportDesk(desk).statistics(
            CountedBy.RESULT, day_begins(since), day_begins(through + timedelta(days=1))
        )
        reports = {**found.counts, TOTAL: found.total}
    return period_account(published, history, unsigned, reports, since, through, now)


def table_csv(table: AccountTable) -> bytes:
    """Format a table as CSV, starting with a byte order mark so that Excel recognises UTF-8."""
    return ("\ufeff" + csv_text(table.columns, table.rows)).encode()


def office_sender(person: str, number: str) -> Sender:
    """Check a signer's typed name and a document's number. Raises UsageError."""
    return Sender(
        checked_line(person, Message("Signed for it by")), checked_line(number, Message("Number")) if number else ""
    )


def licence_paper(workspace: Workspace, member: str, licence: str, by: Sender, now: datetime) -> Paper:
    """Create a licence's certificate.

    Raises IdtoneError, including when the licence is not valid or not published in its current form.
    """
    edited = _licence(registry_of(workspace), member, licence)
    if edited is None:
        raise UsageError("member {member} has no licence {licence!r}", member=member, licence=licence)
    published = _published(workspace)
    found = _licence(published, member, licence) if published else None
    if published is None or found is None or found[1] != edited[1]:
        raise UsageError("the licence is not published as it stands; publish it first")
    return certificate(published, *found, member in workspace.stopped_members(now), by, now)


def _licence(document: RegistryDocument, member: str, licence: str) -> tuple[Member, LicenceEntry] | None:
    return next(
        (
            (each, entry)
            for each in document.members
            if each.id == member
            for entry in each.licences
            if entry.id == licence
        ),
        None,
    )


def letter_paper(workspace: Workspace, which: Letter, member: str, by: Sender, now: datetime) -> Paper:
    """Create a letter to a member. Raises IdtoneError, including when the letter would have nothing to report."""
    document = registry_of(workspace)
    found = next((each for each in document.members if each.id == member), None)
    if found is None:
        raise UsageError("the registry has no member {member!r}", member=member)
    if which is Letter.STOPPED and not _is_stopped(workspace, found, now):
        raise UsageError("no published suspension is in force for a number of this member")
    return letter(which, document, found, by, now)


def _is_stopped(workspace: Workspace, member: Member, now: datetime) -> bool:
    octets = workspace.repository.file_octets(tuf_roles.SUSPENSIONS)
    if octets is None:
        return False
    spans = [*map(read_span, member.numbers)]
    found = parse_suspensions(octets.decode("utf-8-sig"), tuf_roles.SUSPENSIONS_FILE).suspensions
    scopes = [scope_of(each) for each in found if each.kind is SuspensionKind.STOP and each.in_force(now)]
    return any(
        scope == member.id or (isinstance(scope, NumberSpan) and any(scope.overlaps(span) for span in spans))
        for scope in scopes
    )


def _published(workspace: Workspace) -> RegistryDocument | None:
    octets = workspace.repository.file_octets(tuf_roles.REGISTRY)
    return None if octets is None else parse_registry(octets.decode("utf-8-sig"), tuf_roles.REGISTRY_FILE)
