"""HTTP routes of the public application form, which is enabled by `applications` in `authority.yaml`.

The form is protected by limits on sizes, on the time for a request body (`core.http.connection_limits`), and on forms
per hour, overall and per network, with a reserve for new networks. In addition, only a few forms are read at a time.
"""

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.http.request_limits import RequestLimits
from idtone.core.http.visitor_network import network_of
from idtone.core.in_thread import in_thread

from ...authority.number_sheet import sheet_entries
from ...authority.pledge_store import check_pdf
from ...authority.typed_dates import in_japan
from ..desk_guard import visitor_of
from ..document_desk import DocumentDesk
from ..field_problem import FieldProblem
from ..public_form import TRAP, FormError, PublicPages, association_of, read_form, read_texts
from ..reports.rate_limit import RateLimit
from .application_page import (
    CORRECT_PATH,
    FORM_PATH,
    STATUS_PATH,
    corrected_page,
    form_page,
    problem_page,
    receipt_page,
    state_page,
    status_page,
)
from .submission import Submission, SubmittedForm, submitted_form
from .submissions import Submissions, TooManyWaitError

FILES: Final = {"pledge": 10_000_000, "sheet": 1_000_000}
"""Maximum file size in bytes for each field."""
LONG: Final = {"numbers": 2 * FILES["sheet"]}
"""Maximum size of long text fields in bytes. A correction lists all numbers from the uploaded table, one per line."""
_THREADS: Final = 2
_AT_A_TIME, _AT_A_TIME_OF_NETWORK = 8, 2
"""Maximum number of forms read at a time, overall and per network, because each may hold its files in memory."""
_REFUSED: Final = 10
"""Multiplier for the separate hourly limit on forms with errors, from all visitors combined."""

_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Tones = list[tuple[str, str]]


def add_application_routes(application: web.Application, desk: DocumentDesk, public: PublicPages) -> None:
    """Add the application form's routes to the desk if the form is enabled.

    Raises DocumentError if `authority.yaml` has faults.
    """
    terms = desk.workspace.terms().applications
    if not terms.online:
        return
    kept = Submissions(desk.folder, desk.ledger)
    sent, questions = (RateLimit(terms.hourly, terms.hourly_each) for _ in range(2))
    refused = RateLimit(terms.hourly * _REFUSED, terms.hourly_each * 3 // 2)
    limits, threads = RequestLimits(), ThreadPoolExecutor(_THREADS, "applications")

    async def end(_: web.Application) -> None:
        threads.shutdown(wait=False, cancel_futures=True)

    def about() -> tuple[Tones, str]:
        """Read the sounds for the form and the name of the responsible body."""
        responsible = terms.responsible or association_of(desk.folder)
        return [(each.id, each.title or each.id) for each in desk.registry().tones], responsible

    async def form(request: web.Request) -> web.StreamResponse:
        return public.html(form_page({}, *await in_thread(threads, about), terms.keep))

    async def send(request: web.Request) -> web.StreamResponse:
        """Receive a new application or a correction."""
        is_correction = request.path == CORRECT_PATH
        tones, responsible = await in_thread(threads, about)
        values: dict[str, str] = {}

        def again(
            problem: str | None, status: HTTPStatus, wrong: Mapping[str, FieldProblem] = MappingProxyType({})
        ) -> web.Response:
            receipt = (values.get("receipt", ""), values.get("secret", "")) if is_correction else None
            return public.html(form_page(values, tones, responsible, terms.keep, problem, wrong, receipt), status)

        try:
            files = await read_form(request, values, FILES, LONG)
            if values.get(TRAP):
                return public.html(problem_page("failed"))
            enter = partial(_enter, kept, values, files, tones, terms.waiting, is_correction)
            made, secret = await in_thread(threads, enter)
        except FormError as error:
            sent.give_back(visitor_of(request))
            if not refused.admits(visitor_of(request), time.monotonic()):
                return public.html(problem_page("busy"), HTTPStatus.TOO_MANY_REQUESTS)
            return again(error.problem, error.status, error.wrong)
        except TooManyWaitError:
            return again("full", HTTPStatus.SERVICE_UNAVAILABLE)
        except UsageError:
            return again("over", HTTPStatus.CONFLICT)
        return public.html(corrected_page(made.id) if is_correction else receipt_page(made.id, secret))

    async def status_form(request: web.Request) -> web.StreamResponse:
        return public.html(status_page())

    async def status(request: web.Request) -> web.StreamResponse:
        number, secret = await read_texts(request, "receipt", "secret")
        found = await in_thread(threads, kept.by_secret, number, secret)
        if found is None:
            return public.html(status_page("receipt"))
        tones, _ = await in_thread(threads, about)
        return public.html(state_page(found, secret, tones))

    def limited(handler: Handler, rate: RateLimit | None = None, takes_files: bool = False) -> Handler:
        """Wrap a handler so that it rejects visitors over the limit and shows an error page if the desk fails."""

        async def served(request: web.Request) -> web.StreamResponse:
            visitor = visitor_of(request)
            at_a_time = (("all", _AT_A_TIME), (network_of(visitor), _AT_A_TIME_OF_NETWORK)) if takes_files else ()
            with limits.under_way(*at_a_time) as has_room:
                if not has_room or (rate and not rate.admits(visitor, time.monotonic())):
                    return public.html(problem_page("busy"), HTTPStatus.TOO_MANY_REQUESTS)
                try:
                    return await handler(request)
                except IdtoneError as error:
                    _log.error("applications cannot be taken: %s", error)
                    return public.html(problem_page("failed"), HTTPStatus.SERVICE_UNAVAILABLE)

        return served

    application.router.add_get(FORM_PATH, limited(form))
    for path in (FORM_PATH, CORRECT_PATH):
        application.router.add_post(path, limited(send, sent, takes_files=True))
    application.router.add_get(STATUS_PATH, limited(status_form))
    application.router.add_post(STATUS_PATH, limited(status, questions))
    application.on_cleanup.append(end)


def _enter(
    kept: Submissions,
    values: Mapping[str, str],
    files: Mapping[str, bytes],
    tones: Tones,
    most: int,
    is_correction: bool,
) -> tuple[Submission, str]:
    now, before = datetime.now(UTC), None
    if is_correction:
        before = kept.by_secret(values.get("receipt", ""), values.get("secret", ""))
        if before is None:
            raise FormError("receipt")
    handed = _handed(values, files, tones, now, needs_pledge=before is None)
    pdf = files.get("pledge")
    if before is not None:
        sha256 = before.pledge if pdf is None else hashlib.sha256(pdf).hexdigest()
        return kept.correct(before, handed, pdf, sha256, now), ""
    assert pdf is not None
    return kept.enter(handed, pdf, hashlib.sha256(pdf).hexdigest(), most, now)


def _handed(
    values: Mapping[str, str], files: Mapping[str, bytes], tones: Tones, now: datetime, *, needs_pledge: bool
) -> SubmittedForm:
    wrong: dict[str, FieldProblem] = {}
    entries: list[str] = []
    if "sheet" in files:
        try:
            entries = sheet_entries(files["sheet"], "")
        except UsageError:
            wrong["sheet"] = FieldProblem("sheet")
            entries = [""]  # something was asked for
    if needs_pledge or "pledge" in files:
        try:
            check_pdf(files.get("pledge", b""))
        except UsageError:
            wrong["pledge"] = FieldProblem("pledge")
    handed, others = submitted_form(values, entries, [id_ for id_, _ in tones], in_japan(now).date())
    wrong |= others
    if handed is None or wrong:
        raise FormError(None, wrong=wrong)
    return handed
