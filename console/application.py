"""The console as an aiohttp application: it admits each request, and gives it to its page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from idtone.authority.desk.reports.report_routes import add_report_routes
from idtone.errors import IdtoneError
from idtone.logs import in_words, unexpected
from idtone.translation import Message, speak

from . import static_files
from .access.cookies import LANGUAGE, SESSION
from .access.sign_in import PATH as SIGN_IN
from .console import Console
from .language import language_of
from .page import Method, Page, Visit
from .security import HEADERS, PLAIN, SCRIPTED, is_from_here

FORM_LIMIT = 256 * 1024
"""Bytes of a form without files."""

_log = logging.getLogger(__name__)
Served = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(console: Console) -> web.Application:
    made = web.Application(client_max_size=FORM_LIMIT, middlewares=[_protected])
    made.router.add_get(static_files.PATH, static_files.serve)
    for page in console.pages:
        made.router.add_route(page.method, page.path, _served(console, page))
    if console.desk is not None:
        add_report_routes(made, console.desk)
    made.router.add_route("*", "/{path:.*}", _served(console, Page("", _not_found, None)))
    return made


@web.middleware
async def _protected(request: web.Request, handler: Served) -> web.StreamResponse:
    """Add the headers that protect a page. A page that streams adds them itself, by `protect`."""
    answer = await handler(request)
    if not answer.prepared:
        protect(answer, SCRIPTED)
    return answer


def protect(answer: web.StreamResponse, policy: str) -> None:
    for name, value in (HEADERS | {"Content-Security-Policy": policy}).items():
        answer.headers.setdefault(name, value)


def _served(console: Console, page: Page) -> Served:
    async def serve(request: web.Request) -> web.StreamResponse:
        chosen = request.query.get("lang", "") or LANGUAGE.of(request)
        language = language_of(chosen, request.headers.get("Accept-Language", ""))
        speak(language)
        visit = Visit(request, console, page, language)
        try:
            return await _admitted(visit)
        except IdtoneError as error:
            _log.error("%s: %s", page.path, error)
            return _problem(visit, HTTPStatus.SERVICE_UNAVAILABLE, error)
        except web.HTTPException as error:
            return _problem(visit, HTTPStatus(error.status), Message("This request cannot be answered."))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            _log.error("%s: %s", page.path, in_words(error), exc_info=unexpected(error))
            return _problem(visit, HTTPStatus.INTERNAL_SERVER_ERROR, Message("The console failed; its log says why."))

    return serve


async def _admitted(visit: Visit) -> web.StreamResponse:
    """The page, if the visitor may see it. Raises IdtoneError."""
    page, request, console = visit.page, visit.request, visit.console
    is_form = page.method is Method.POST
    if is_form and not is_from_here(request.headers, request.host):
        return _problem(visit, HTTPStatus.FORBIDDEN, Message("The form was sent from another site."))
    if page.right is not None:
        given = await _identify(visit)
        if visit.user is None:
            return visit.redirect(SIGN_IN) if _has_sign_in(console) else _unknown(visit)
        if not visit.may(page.right):
            return _problem(visit, HTTPStatus.FORBIDDEN, Message("Your role does not allow this."))
    else:
        given = None
    if is_form and not page.uploads:
        visit.fields = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        if visit.session is not None and not visit.session.sent(visit.field("form_token")):
            return _problem(visit, HTTPStatus.FORBIDDEN, Message("The form is out of date. Open the page again."))
    answer = await page.handler(visit)
    if page.right is None and not answer.prepared and page.path != SIGN_IN:
        protect(answer, PLAIN)
    if given and not answer.prepared:
        SESSION.give(answer, given)
    return answer


async def _identify(visit: Visit) -> str | None:
    """Find the visitor's session and user. Returns the token of a session that began now."""
    console, request = visit.console, visit.request
    session, given = console.sessions.find(SESSION.of(request)), None
    said = console.sign_in.name_in(request)
    if said is not None and (session is None or session.name != said):
        if await visit.in_thread(console.users.get, said) is None:
            return None
        given, session = console.sessions.begin(said)
    if session is None:
        return None
    user = await visit.in_thread(console.users.get, session.name)
    if user is None:
        console.sessions.end(session)
        return None
    visit.session, visit.user = session, user
    return given


def _has_sign_in(console: Console) -> bool:
    return any(page.path == SIGN_IN for page in console.sign_in.pages)


def _unknown(visit: Visit) -> web.Response:
    return _problem(visit, HTTPStatus.FORBIDDEN, Message("You are not among the users of this console."))


def _problem(visit: Visit, status: HTTPStatus, problem: object) -> web.Response:
    return visit.render("problem.html", status, problem=str(problem))


async def _not_found(visit: Visit) -> web.StreamResponse:
    return _problem(visit, HTTPStatus.NOT_FOUND, Message("There is no such page."))
