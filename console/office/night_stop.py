"""Night stops, which two officers enter, check and sign on smartphones at home.

The police receive a paper that confirms the stop.
"""

import hashlib
import hmac
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, TrustError, UsageError
from idtone.core.persons import acting_person
from idtone.core.terminal.prompts import number_of
from idtone.core.translation import Message, template
from idtone.office.authority.edition_rules import check_edition, describe_edition
from idtone.office.authority.enter_suspensions import SuspensionTerms
from idtone.office.authority.history import Action
from idtone.office.authority.night_keys import WrongPassphraseError, edition_digest, has_night_key, sign_at_night
from idtone.office.authority.stopped_number_holders import holder_names as held
from idtone.office.authority.typed_dates import in_japan
from idtone.office.papers.stop_paper import StopProgress, stop_paper
from idtone.registry.model import SuspensionEntry
from idtone.registry.trust import tuf_roles

from ..access.attempts import Attempt, Attempts
from ..access.password_proof import OFTEN
from ..access.rights import Right
from ..form_errors import FormField, labels_of
from ..page import Method, Page, Section, Visit
from ..stop_states import StopState
from ..time_formats import with_zone
from .common_parts import attribution_of, do_act, files_of, not_found_page
from .office_files import OfficeFiles
from .office_stops import OfficeStop, OfficeStops
from .suspensions import APPROVAL, TERMS, span_of_entry

PATH: Final = "/office/night"
NIGHT_SIGNATURES: Final = web.AppKey("night_signatures", Attempts)
"""Failed passphrases by user, for keys kept at the office."""
SHOWN: Final = 10
"""Maximum number of stops on the page, which shows the newest."""
_log = logging.getLogger(__name__)
_KEY: Final = secrets.token_bytes(32)


@dataclass(frozen=True)
class _Waiting:
    """The package that is waiting for duty keys to sign it.

    It contains the package's digest, its changes with full numbers, and the missing signatures.
    """

    digest: str
    changes: list[str]
    missing: list[Message]
    problem: IdtoneError | None = None
    """Why the package can no longer be published and need not be signed."""


async def night(
    visit: Visit, status: HTTPStatus = HTTPStatus.OK, problem: IdtoneError | None = None
) -> web.StreamResponse:
    files, me, now = files_of(visit), acting_person(), datetime.now(UTC)
    requests = await visit.in_thread(files.requests.waiting_requests)
    try:
        is_kept = await visit.in_thread(has_night_key, files.folder, me.name)
    except TrustError as error:  # the stop can still be entered, and signed elsewhere
        is_kept, problem = False, problem or error
    stops = await visit.in_thread(_stops, files, now)
    return visit.render(
        "office_night.html",
        status,
        problem=problem,
        held=held,
        is_kept=is_kept,
        is_copied=await visit.in_thread(files.workspace.is_copy_current),
        requests=[(each, me.is_another_than(each.by)) for each in requests if each.action is Action.SUSPEND_NUMBER],
        package=await visit.in_thread(_waiting, files, now),
        is_unprepared=await visit.in_thread(_is_unprepared, files),
        stops=[(each, span_of_entry(each.entry), _id(each.entry)) for each in stops[-SHOWN:][::-1]],
        now_typed=in_japan(now).strftime("%Y-%m-%dT%H:%M"),
    )


def _waiting(files: OfficeFiles, now: datetime) -> _Waiting | None:
    try:
        edition = files.duty_package.edition()
        if edition is None:
            return None
        files.duty_package.check_current(edition, now)
        check_edition(edition, now)
        return _Waiting(
            edition_digest(edition), list(describe_edition(edition, is_whole=True)), list(edition.missing())
        )
    except IdtoneError as error:
        return _Waiting("", [], [], error)


def _is_unprepared(files: OfficeFiles) -> bool:
    """True if an approved suspension is neither published nor in the package."""
    octets = files.workspace.file_octets(tuf_roles.SUSPENSIONS_FILE)
    if hashlib.sha256(octets).hexdigest() == files.workspace.repository.file_sha256(tuf_roles.SUSPENSIONS):
        return False
    try:
        edition = files.duty_package.edition()
    except TrustError:  # the page reports that the package is damaged
        return True
    return edition is None or edition.targets.get(tuf_roles.SUSPENSIONS_FILE) != octets


def _stops(files: OfficeFiles, now: datetime) -> list[OfficeStop[SuspensionEntry]]:
    stops = OfficeStops(files.history(), files.published_at, files.published_stops(), files.signed_stops())
    return stops.suspensions(files.suspensions().suspensions, files.confirmations(), now)


async def request(visit: Visit) -> web.StreamResponse:
    """Enter a police order. A second officer must enter it again (`approve`)."""
    files = files_of(visit)

    def act() -> None:
        attribution = attribution_of(visit)
        terms = SuspensionTerms.parse(
            visit.field("reference"),
            with_zone(visit.field("requested")),
            None,
            None,
            visit.field("authority") or None,
            attribution.at,
            labels_of(TERMS),
        )
        files.requests.enter(Action.SUSPEND_NUMBER, visit.field("entered"), terms, attribution)

    fields = {"entered": FormField(template("Number"), lambda text, _: number_of(text)), **TERMS}
    return await do_act(visit, act, night, PATH, fields)


async def approve(visit: Visit) -> web.StreamResponse:
    """Approve an order by entering it again, and prepare a package for two signatures.

    Another officer must have entered the order first. If no package can be prepared, the order stays approved and the
    page says so.
    """
    files = files_of(visit)

    def act() -> None:
        files.requests.approve(visit.field("request"), visit.field("entered"), attribution_of(visit))
        try:
            files.duty_package.prepare(datetime.now(UTC))
        except IdtoneError as error:
            _log.warning("a stop is approved, and not in a package: %s", error)

    return await do_act(visit, act, night, PATH, APPROVAL)


async def prepare(visit: Visit) -> web.StreamResponse:
    package = files_of(visit).duty_package
    return await do_act(visit, lambda: package.prepare(datetime.now(UTC)), night, PATH)


async def discard(visit: Visit) -> web.StreamResponse:
    return await do_act(visit, files_of(visit).duty_package.discard, night, PATH)


async def sign(visit: Visit) -> web.StreamResponse:
    """Sign the displayed package with the user's own key. The second signature publishes it.

    Wrong passphrases are limited in the same way as wrong passwords.
    """
    files, name, sign_ins = files_of(visit), acting_person().name, visit.console.sign_ins
    attempt, attempts = Attempt(name, ""), visit.request.app[NIGHT_SIGNATURES]
    if not attempts.begins(attempt):
        sign_ins.failed(name, visit.address, "too many passphrases of a key")
        return await night(visit, HTTPStatus.TOO_MANY_REQUESTS, UsageError(OFTEN))
    passphrase = (visit.entered or {}).get("passphrase", "")
    try:
        await visit.in_thread(sign_at_night, files.workspace, name, visit.field("shown"), passphrase, datetime.now(UTC))
    except WrongPassphraseError as error:
        sign_ins.failed(name, visit.address, "the passphrase of a key")
        return await night(visit, HTTPStatus.BAD_REQUEST, error)
    except IdtoneError as error:
        attempts.withdrawn(attempt)
        return await night(visit, HTTPStatus.BAD_REQUEST, error)
    attempts.succeeded(attempt)
    return visit.redirect(f"{PATH}?done=1")


async def paper(visit: Visit) -> web.StreamResponse:
    """Send the paper for the police, showing the stop's current state."""
    files, now, wanted = files_of(visit), datetime.now(UTC), visit.part("stop")
    found = next((each for each in await visit.in_thread(_stops, files, now) if _id(each.entry) == wanted), None)
    if found is None:
        return not_found_page(visit, Message("There is no such stop."))

    def printed() -> bytes:
        from idtone.core.paper.pdf import as_pdf  # takes time and memory that other pages do not need

        return as_pdf(stop_paper(_progress(files, found), now))

    headers = {"Content-Disposition": 'attachment; filename="stop.pdf"'}
    return web.Response(body=await visit.in_thread(printed), content_type="application/pdf", headers=headers)


def _id(entry: SuspensionEntry) -> str:
    """Id that identifies an entry in an address without revealing the number.

    The reference cannot serve as the id, because entries may share it. The id changes when the console restarts.
    """
    return hmac.digest(_KEY, entry.model_dump_json().encode(), hashlib.sha256).hex()


def _progress(files: OfficeFiles, stop: OfficeStop[SuspensionEntry]) -> StopProgress:
    reached, line = {each.state: each for each in stop.stages}, stop.began
    published, in_force = (reached.get(state) for state in (StopState.PUBLISHED, StopState.IN_FORCE))
    nodes = [each for each in files.confirmations() if each.reference == stop.entry.reference and not each.is_lifted]
    return StopProgress(
        files.registered().document.registry.association,
        stop.entry.reference,
        span_of_entry(stop.entry) or "",
        line.requested if line else None,
        line.at if line else None,
        tuple(filter(None, (line.entered_by, line.by))) if line else (),
        published is not None,
        published.since if published else None,
        in_force.count if in_force else 0,
        len(nodes),
        in_force.since if in_force else None,
        stop.entry.until,
        StopState.END_APPROVED in reached,
        stop.ended.at if stop.ended else None,
    )


PAGES = (
    Page(PATH, night, Right.OFFICE, title=template("Night stop"), section=Section.OFFICE),
    Page(PATH + "/request", request, Right.OFFICE, Method.POST),
    Page(PATH + "/approve", approve, Right.OFFICE, Method.POST, by_second=True),
    Page(PATH + "/prepare", prepare, Right.OFFICE, Method.POST),
    Page(PATH + "/discard", discard, Right.OFFICE, Method.POST),
    Page(PATH + "/sign", sign, Right.OFFICE, Method.POST),
    Page(PATH + "/paper/{stop}", paper, Right.OFFICE),
)
