"""The office's start page with today's tasks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from idtone.core.calls import LicenceStatus
from idtone.core.translation import Message, template
from idtone.office.authority.compliance_duties import is_due_soon, is_overdue, read_duties
from idtone.office.authority.history import ApplicationStatus
from idtone.office.authority.typed_dates import in_japan
from idtone.office.desk.applicants.submission import SubmissionState
from idtone.office.desk.reports.call_traceback import Stage
from idtone.office.papers.letters import SOON
from idtone.registry.expiries import CERTIFICATION_SOON
from idtone.registry.model import day_begins

from ..access.rights import Right
from ..page import Page, Section, Visit
from .common_parts import files_of
from .office_files import OfficeFiles
from .wholesale_chains import is_checked

PATH: Final = "/office/today"


@dataclass(frozen=True, slots=True)
class OpenTask:
    """Open tasks of one kind: their number and their page's address. `is_late` is True if they are overdue."""

    count: int
    what: Message
    path: str
    is_late: bool = False


async def first_page(visit: Visit) -> web.StreamResponse:
    files, now = files_of(visit), datetime.now(UTC)
    waiting = await visit.in_thread(lambda: list(waiting_in(files, now)))
    registered = await visit.in_thread(files.registered)
    return visit.render("office.html", waiting=waiting, registry=registered.document.registry, now=now)


def waiting_in(files: OfficeFiles, now: datetime) -> Iterator[OpenTask]:
    """Yield the open tasks, late ones first. Raises IdtoneError."""
    yield from sorted(_all(files, now), key=lambda each: not each.is_late)


def _all(files: OfficeFiles, now: datetime) -> Iterator[OpenTask]:
    handed = sum(each.state is SubmissionState.WAITING for each in files.submissions())
    yield from _some(handed, Message("Applications handed in by applicants"), "/office/applications")
    status = Counter(status for _, status in files.applications())
    for count, what in (
        (
            status[ApplicationStatus.RECEIVED] + status[ApplicationStatus.CHANGED],
            Message("Applications to be examined"),
        ),
        (status[ApplicationStatus.PASSED], Message("Applications to be granted")),
    ):
        yield from _some(count, what, "/office/applications")
    yield from _some(
        len(files.requests.waiting_requests()), Message("Suspensions to be approved"), "/office/suspensions"
    )
    missing = {(each.member, each.node) for each in files.confirmations() if each.is_missing}
    yield from _some(len(missing), Message("Nodes that have not confirmed all suspensions"), "/office/suspensions")
    desk = files.reports()
    if desk:
        late = desk.store.overdue(now)
        yield from _some(len(late), Message("Overdue answers to reports"), "/office/reports/overdue", is_late=True)
        at_office = len(desk.store.listed(Stage.OFFICE))
        yield from _some(at_office, Message("Reports to be closed"), "/office/reports?stage=office")
    yield from _terms(files, now)
    yield from _duties(files, now)
    unchecked = sum(not is_checked(each) for each in files.registered().document.chains)
    yield from _some(unchecked, Message("Wholesale chains with a reseller to be checked"), "/office/chains?unchecked=1")
    yield from _some(len(files.differences()), Message("Changes to be published"), "/office/publication")
    if files.is_published():
        due = [until for _, _, until, is_due in files.workspace.role_states(now) if is_due]
        path = "/office/publication"
        yield from _some(len(due), Message("Signatures to be renewed"), path, is_late=any(each <= now for each in due))


def _terms(files: OfficeFiles, now: datetime) -> Iterator[OpenTask]:
    """Yield tasks for licences, pledges and certifications that end soon or have ended."""
    members = files.registered().document.members
    licences = [
        licence.valid.until
        for member in members
        for licence in member.licences
        if licence.status is not LicenceStatus.REVOKED
    ]
    pledges = [day_begins(each.pledge.until) for each in members if each.pledge and each.pledge.until]
    yield from _certifications(files, now)
    for ends, over, soon in (
        (licences, Message("Licences that have expired"), Message("Licences that expire within 60 days")),
        (pledges, Message("Pledges that have expired"), Message("Pledges that expire within 60 days")),
    ):
        yield from _some(sum(end <= now for end in ends), over, "/office/members?ending=1", is_late=True)
        yield from _some(sum(now < end <= now + SOON for end in ends), soon, "/office/members?ending=1")


def _duties(files: OfficeFiles, now: datetime) -> Iterator[OpenTask]:
    found, today, path = read_duties(files.folder), in_japan(now).date(), "/office/duties"
    yield from _some(
        sum(is_overdue(each, today) for each in found), Message("Duties that are overdue"), path, is_late=True
    )
    yield from _some(
        sum(is_due_soon(each, today) for each in found), Message("Duties that are due within 14 days"), path
    )


def _certifications(files: OfficeFiles, now: datetime) -> Iterator[OpenTask]:
    """Yield tasks for member and link certifications that end soon or have ended.

    Each registry entry counts once, with its earliest end.
    """
    document, path = files.registered().document, "/office/members?ending=1"
    links = {(link.reseller, link.certification) for chain in document.chains for link in chain.links}
    recorded = [each.certification for each in document.members] + [certification for _, certification in links]
    ends = [certification.lapses for certification in recorded if certification]
    over = sum(end <= now for end in ends)
    yield from _some(over, Message("Certifications that have lapsed, or are to be checked"), path, is_late=True)
    soon = sum(now < end <= now + CERTIFICATION_SOON for end in ends)
    yield from _some(soon, Message("Certifications that lapse, or are to be checked, within 30 days"), path)


def _some(count: int, what: Message, path: str, is_late: bool = False) -> Iterator[OpenTask]:
    if count:
        yield OpenTask(count, what, path, is_late)


async def enter(visit: Visit) -> web.StreamResponse:
    return visit.redirect(PATH)


PAGES = (
    Page("/office", enter, Right.OFFICE),
    Page(PATH, first_page, Right.OFFICE, title=template("Today"), section=Section.OFFICE),
)
