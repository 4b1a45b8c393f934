"""HTTP routes of the report desk: the public forms, report status and the desk's public keys."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import ValidationError

from idtone.core.errors import IdtoneError
from idtone.core.in_thread import in_thread
from idtone.core.japan_time import JAPAN
from idtone.core.text_cleaning import forbidden_character
from idtone.member.reports.report import Report, ServiceReport
from idtone.member.reports.report_documents import KEYS_PATH, new_receipt, receipt_digest, sealed_report
from idtone.member.reports.sealed_box import public_key

from ..desk_guard import visitor_of
from ..document_desk import DocumentDesk
from ..field_problem import FieldProblem
from ..public_form import TRAP, FormError, PublicPages, read_form, read_texts
from .rate_limit import RateLimit
from .report_desk import ReportDesk
from .report_page import (
    FIELDS,
    FORM_PATH,
    SERVICE_PATH,
    STATUS_PATH,
    form_page,
    problem_page,
    receipt_page,
    status_page,
)
from .report_settings import read_report_settings, responsible_body
from .report_store import PAGE

_THREADS: Final = 4
_REFUSED: Final = 10
"""Multiplier for the separate hourly limit on rejected forms, from all visitors combined.

Correcting a field therefore costs nothing, and many invalid forms do not block a valid one.
"""
_log = logging.getLogger(__name__)
AnyReport = TypeVar("AnyReport", Report, ServiceReport)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_report_routes(application: web.Application, desk: DocumentDesk, public: PublicPages) -> None:
    """Add the report desk's routes to the desk's application. Raises DocumentError if the settings have faults."""
    rules = read_report_settings(desk.folder)
    limits = rules.page
    reports, questions = (RateLimit(limits.hourly, limits.hourly_each) for _ in range(2))
    refused = RateLimit(limits.hourly * _REFUSED, limits.hourly_each * 3 // 2)
    threads = ThreadPoolExecutor(_THREADS, "reports")
    responsible: list[str] = []  # filled once it has been read

    async def end(_: web.Application) -> None:
        threads.shutdown(wait=False, cancel_futures=True)

    async def keys(request: web.Request) -> web.StreamResponse:
        return web.json_response(await in_thread(threads, _keys, desk))

    async def shown() -> tuple[bool, str]:
        """True if the form asks for the reporter's identity, and the responsible body that it names."""
        officer = (await in_thread(threads, _keys, desk))["officer"]
        if not responsible:
            responsible.append(await in_thread(threads, responsible_body, desk.folder, rules))
        return officer is not None, responsible[0]

    async def form(request: web.Request) -> web.StreamResponse:
        return public.html(form_page({}, *await shown(), about_service=request.path == SERVICE_PATH))

    async def report(request: web.Request) -> web.StreamResponse:
        form_of = await shown()
        about_service = request.path == SERVICE_PATH
        values: dict[str, str] = {}

        def again(problem: str | None, wrong: Mapping[str, FieldProblem] = MappingProxyType({})) -> str:
            return form_page(values, *form_of, problem, wrong, about_service=about_service)

        try:
            await read_form(request, values)
            receipt = new_receipt()
            if not values.get(TRAP):
                made = _service_report(values) if about_service else _report(values, datetime.now(UTC))
                await in_thread(threads, _enter, desk, made, receipt)
        except FormError as error:
            reports.give_back(visitor_of(request))
            if not refused.admits(visitor_of(request), time.monotonic()):
                return public.html(problem_page("busy"), HTTPStatus.TOO_MANY_REQUESTS)
            return public.html(again(error.problem, error.wrong), error.status)
        except IdtoneError as error:
            reports.give_back(visitor_of(request))
            _log.error("a report was not accepted: %s", error)
            return public.html(again("failed"), HTTPStatus.SERVICE_UNAVAILABLE)
        return public.html(receipt_page(receipt))

    async def status_form(request: web.Request) -> web.StreamResponse:
        return public.html(status_page())

    async def status(request: web.Request) -> web.StreamResponse:
        [receipt] = await read_texts(request, "receipt")
        digest = receipt_digest(receipt)
        found = await in_thread(threads, lambda: ReportDesk(desk).store.by_receipt(digest))
        return public.html(status_page(found, unknown=found is None))

    def limited(handler: Handler, rate: RateLimit | None = None) -> Handler:
        """Wrap a handler so that it rejects visitors over the limit and shows an error page if the desk fails."""

        async def served(request: web.Request) -> web.StreamResponse:
            if rate and not rate.admits(visitor_of(request), time.monotonic()):
                return public.html(problem_page("busy"), HTTPStatus.TOO_MANY_REQUESTS)
            try:
                return await handler(request)
            except IdtoneError as error:
                _log.error("the report desk cannot answer: %s", error)
                return public.html(problem_page("failed"), HTTPStatus.SERVICE_UNAVAILABLE)

        return served

    application.router.add_get(KEYS_PATH, limited(keys))
    for path in (FORM_PATH, SERVICE_PATH):
        application.router.add_get(path, limited(form))
        application.router.add_post(path, limited(report, reports))
    application.router.add_get(STATUS_PATH, limited(status_form))
    application.router.add_post(STATUS_PATH, limited(status, questions))
    application.on_cleanup.append(end)


def _keys(desk: DocumentDesk) -> Mapping[str, str | None]:
    return ReportDesk(desk).keys()


def _enter(desk: DocumentDesk, report: Report | ServiceReport, receipt: str) -> None:
    reports = ReportDesk(desk)
    officer = reports.keys()["officer"]
    sealed = sealed_report(report, receipt, reports.key.public, public_key(officer) if officer else None)
    reports.enter(sealed, PAGE, datetime.now(UTC))


def _report(values: Mapping[str, str], now: datetime) -> Report:
    wrong = _wrong_texts(values)
    try:
        at = datetime.fromisoformat(f"{values.get('date', '')}T{values.get('time', '')}").replace(tzinfo=JAPAN)
    except ValueError:
        at = None
    if at is None or at > now:
        for name in [name for name in ("date", "time") if not values.get(name)] or ["date"]:
            wrong.setdefault(name, FieldProblem("at"))
    content = {
        "number": values.get("number", ""),
        "at": (at or now).isoformat(),
        "within_minutes": values.get("within_minutes", ""),
        "what": values.get("what", ""),
        "reporter": _reporter(values),
    }
    return _valid(Report, content, wrong)


def _service_report(values: Mapping[str, str]) -> ServiceReport:
    content = {"service": values.get("service", ""), "what": values.get("what", ""), "reporter": _reporter(values)}
    return _valid(ServiceReport, content, _wrong_texts(values))


def _wrong_texts(values: Mapping[str, str]) -> dict[str, FieldProblem]:
    wrong = {
        name: FieldProblem("character", character)
        for name in FIELDS
        if (character := forbidden_character(values.get(name, "").replace("\n", "")))
    }
    given = [name for name in ("name", "contact") if values.get(name)]
    if len(given) == 1:
        wrong.setdefault("contact" if given == ["name"] else "name", FieldProblem("reporter"))
    return wrong


def _reporter(values: Mapping[str, str]) -> Mapping[str, Any] | None:
    name, contact = values.get("name"), values.get("contact")
    return {"name": name, "contact": contact, "disclose": bool(values.get("disclose"))} if name and contact else None


def _valid(model: type[AnyReport], content: Mapping[str, Any], wrong: dict[str, FieldProblem]) -> AnyReport:
    try:
        made = model.model_validate(content)
    except ValidationError as error:
        for each in error.errors(include_input=False, include_context=False, include_url=False):
            field, *inner = each["loc"]
            name = {"at": "date", "reporter": inner[0] if inner else field}.get(str(field), field)
            wrong.setdefault(str(name), FieldProblem(str(field)))
        made = None
    if made is None or wrong:
        raise FormError(None, wrong=wrong)  # without the model's error, which would show what was written
    return made
