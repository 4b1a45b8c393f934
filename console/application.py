"""The console's aiohttp application, which checks each request and calls its page's handler."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Middleware

from idtone.core.errors import IdtoneError
from idtone.core.http.connection_limits import ConnectionLimits
from idtone.core.http.request_limits import (
    AT_A_TIME_OF_ADDRESS,
    AT_A_TIME_OF_SESSION,
    OF_ADDRESS,
    OF_SESSION,
    WITHOUT_SESSION,
    WITHOUT_SESSION_OF_NETWORK,
)
from idtone.core.http.visitor_network import network_of
from idtone.core.log_output import in_words, unexpected
from idtone.core.log_throttle import LogThrottle
from idtone.core.persons import set_console_user
from idtone.core.settings.console import SignInBy
from idtone.core.text_cleaning import clean_text
from idtone.core.translation import Message, speak, translated
from idtone.office.desk.applicants.application_routes import add_application_routes
from idtone.office.desk.public_form import PublicPages
from idtone.office.desk.reports.report_page import FORM_PATH as REPORT
from idtone.office.desk.reports.report_routes import add_report_routes

from . import static_files
from .access.cookies import LANGUAGE, SESSION, WANTED
from .access.own_account import PATH as ACCOUNT
from .access.rights import Right
from .access.sign_in_method import PATH as SIGN_IN
from .access.sign_in_method import SIGN_IN_METHOD, SignInMethod
from .access.visitor_sessions import signed_in
from .console import CONSOLE, Console
from .language import language_of
from .own_address import FORWARDED, own_page
from .page import ALL_PAGES, Method, Page, Visit
from .public.operator_list import PATH as OPERATORS
from .public.packs import PATH as PACK
from .security import HEADERS, PLAIN, SCRIPTED, is_from_here
from .templates import TEMPLATES, Templates
from .threads import TooManySearchesError
from .turns import party_of

PUBLIC_LINKS: Final = (
    (OPERATORS, "事業者リスト", "Licensed operators"),
    (REPORT, "通話を申告する", "Report a call"),
    (PACK, "パックの検証", "Verify a pack"),
)
"""Links from the header of templates/public.html, for forms that show both languages."""
FORM_LIMIT: Final = 256 * 1024
"""Maximum size in bytes of a form without files."""

CROWD: Final = 64
"""Number of open requests above which refusals are delayed. Event streams count too."""
LATE: Final = frozenset({403, 404, 413, 429})
"""HTTP statuses of the refusals to delay while more than `CROWD` requests are open."""
LATE_S: Final = 1.0
"""Delay of a refusal, in seconds. Waiting costs the server nothing and delays the sender's next request."""
LATE_REFUSALS: Final = 160
"""Maximum number of refusals that are delayed at the same time.

Others are sent immediately, so that connections remain available for users.
"""

_log = logging.getLogger(__name__)
CONNECTIONS: Final = web.AppKey("connections", ConnectionLimits)
REFUSED: Final = web.AppKey("refused", LogThrottle)
UNKNOWN: Final = "an unknown address"
TOO_MANY: Final = "There are too many requests. Try again in some seconds."
Served = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(console: Console, sign_in: SignInMethod, pages: Sequence[Page]) -> web.Application:
    made = web.Application(client_max_size=FORM_LIMIT, middlewares=[_guarded(console), _protected])
    made[CONSOLE], made[SIGN_IN_METHOD], made[ALL_PAGES], made[TEMPLATES] = console, sign_in, [*pages], Templates()
    made[CONNECTIONS], made[REFUSED] = ConnectionLimits(), LogThrottle(_log, "requests are refused")
    made.router.add_get(static_files.PATH, static_files.serve)
    for page in pages:
        made.router.add_route(page.method, page.path, _served(console, page))
    if console.office_files:
        desk, public = console.office_files.desk, PublicPages.of(console.office_files.folder, PUBLIC_LINKS)
        add_report_routes(made, desk, public)
        add_application_routes(made, desk, public)
    made.router.add_route("*", "/{path:.*}", _served(console, Page("", _not_found, None)))
    return made


def _guarded(console: Console) -> Middleware:
    """Refuse requests for another host and requests above the limits before doing any other work."""

    @web.middleware
    async def guard(request: web.Request, handler: Served) -> web.StreamResponse:
        connections, refused = request.app[CONNECTIONS], request.app[REFUSED]
        with connections.answering(request):
            if request.headers.getall("Host", ()) != [request.host] or request.host.lower() not in (
                console.own_address.hosts
            ):
                refused.warning(f"they name another host, from {_address(console, request) or UNKNOWN}")
                return _plain(HTTPStatus.MISDIRECTED_REQUEST, "The console does not have this address.")
            if request.method not in ("GET", "POST"):
                return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "The console knows GET and POST.", Allow="GET, POST")
            address = _address(console, request)
            key = f"address {network_of(address)}"
            at_a_time = [(key, AT_A_TIME_OF_ADDRESS)] if address else []
            user = console.sessions.user_of(SESSION.value_in(request))
            if user is None:
                of_network = [(f"without a session, {key}", WITHOUT_SESSION_OF_NETWORK)] if address else []
                at_a_time += [*of_network, ("without a session", WITHOUT_SESSION)]
            with console.limits.under_way(*at_a_time) as has_room:
                if has_room and (not address or console.limits.admits(key, OF_ADDRESS)):
                    party = party_of(user, address)
                    with console.threads.requests.one(party):
                        answer = await console.threads.loop.stepwise(party, handler(request))
                else:
                    refused.warning(f"there are too many, from {address or UNKNOWN}")
                    answer = _plain(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY, **{"Retry-After": "5"})
            if answer.status in LATE and not answer.prepared and connections.answering_now > CROWD:
                with console.limits.under_way(("late refusals", LATE_REFUSALS)) as has_room:
                    if has_room:
                        await asyncio.sleep(LATE_S)
            return answer

    return guard


def _address(console: Console, request: web.Request) -> str:
    return console.own_address.from_where(request.remote, request.headers.getall(FORWARDED, ()))


def _plain(status: HTTPStatus, text: str, **headers: str) -> web.Response:
    """A plain-text response for programs and attackers, which need no page."""
    answer = web.Response(text=f"{text}\n", status=status, headers=headers)
    protect(answer, PLAIN)
    return answer


@web.middleware
async def _protected(request: web.Request, handler: Served) -> web.StreamResponse:
    """Add the security headers to responses. Streaming pages add them themselves with `protect`."""
    answer = await handler(request)
    if not answer.prepared:
        protect(answer, SCRIPTED)
    return answer


def protect(answer: web.StreamResponse, policy: str) -> None:
    for name, value in (HEADERS | {"Content-Security-Policy": policy}).items():
        answer.headers.setdefault(name, value)


def _served(console: Console, page: Page) -> Served:
    async def serve(request: web.Request) -> web.StreamResponse:
        chosen = request.query.get("lang", "") or LANGUAGE.value_in(request)
        language = language_of(chosen, request.headers.get("Accept-Language", ""))
        speak(language)
        set_console_user(None)  # a connection serves several requests
        visit = Visit(request, console, page, language, _address(console, request))
        try:
            return await _admitted(visit)
        except TooManySearchesError as error:
            request.app[REFUSED].warning(f"{visit.party} searches too much, from {visit.address or UNKNOWN}")
            return _plain(HTTPStatus.TOO_MANY_REQUESTS, translated(str(error)), **{"Retry-After": "5"})
        except IdtoneError as error:
            _log.error("%s: %s", page.path, error)
            return _problem(visit, HTTPStatus.SERVICE_UNAVAILABLE, error)
        except web.HTTPException as error:
            return _problem(visit, HTTPStatus(error.status), Message("This request cannot be answered."))
        except ConnectionError:  # the visitor has left, or the page aborts in the middle of its response
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        except TimeoutError:
            raise
        except Exception as error:
            _log.error("%s: %s", page.path, in_words(error), exc_info=unexpected(error))
            return _problem(visit, HTTPStatus.INTERNAL_SERVER_ERROR, Message("The console failed; its log says why."))

    return serve


async def _admitted(visit: Visit) -> web.StreamResponse:
    """The requested page if the visitor may see it; otherwise, a refusal or a redirect. Raises IdtoneError."""
    page, console = visit.page, visit.console
    if page.method is Method.POST and not is_from_here(visit.request.headers, console.own_address.origins):
        _log.warning("%s: a form from another site, from %s", page.path, visit.address or UNKNOWN)
        return _problem(visit, HTTPStatus.FORBIDDEN, Message("The form was sent from another site."))
    if page.right is None:
        answer = await _answered(visit)
        if not answer.prepared and not page.path.startswith(SIGN_IN):
            protect(answer, PLAIN)
        return answer
    given = await _identify(visit)
    set_console_user(visit.user.name if visit.user else None)
    answer = await _answered_to_user(visit, page.right)
    if given and not answer.prepared and SESSION.name not in answer.cookies:
        SESSION.set_on(answer, given)
    return answer


async def _answered_to_user(visit: Visit, right: Right) -> web.StreamResponse:
    if visit.session is None:
        is_by_proxy = visit.console.settings.console.sign_in is SignInBy.PROXY
        return _unknown(visit) if is_by_proxy else _to_sign_in(visit)
    limits, session = visit.console.limits, visit.session
    with limits.under_way((f"requests {session.id}", AT_A_TIME_OF_SESSION)) as has_room:
        if has_room and limits.admits(f"session {session.id}", OF_SESSION):
            return await _answered_if_allowed(visit, right)
    visit.request.app[REFUSED].warning(f"a session sends too many: {session.name}, from {visit.address or UNKNOWN}")
    wait = translated("Too many requests. Wait some seconds.")
    return _plain(HTTPStatus.TOO_MANY_REQUESTS, wait, **{"Retry-After": "5"})


async def _answered_if_allowed(visit: Visit, right: Right) -> web.StreamResponse:
    if not visit.may(right):
        name = visit.session.name if visit.session else ""
        _log.warning("%s: %s may not, from %s", visit.page.path, name, visit.address or UNKNOWN)
        return _problem(visit, HTTPStatus.FORBIDDEN, Message("Your role does not allow this."))
    if visit.has_to_choose and not visit.page.while_new:
        return visit.redirect(ACCOUNT)
    answer = await _answered(visit)
    if visit.page.by_second and answer.status == HTTPStatus.SEE_OTHER and visit.user and visit.user.administered:
        visit.console.sign_ins.second_approval(visit.user.name, visit.user.administered)
    return answer


async def _answered(visit: Visit) -> web.StreamResponse:
    if visit.page.method is Method.POST and not visit.page.uploads:
        posted = await visit.request.post()
        visit.entered = {name: value for name, value in posted.items() if isinstance(value, str)}
        visit.fields = {name: clean_text(value) for name, value in visit.entered.items()}
        if visit.session is not None and not visit.session.has_form_token(visit.field("form_token")):
            _log.warning(
                "%s: a form without the token of its session: %s, from %s",
                visit.page.path,
                visit.session.name,
                visit.address or UNKNOWN,
            )
            return _problem(visit, HTTPStatus.FORBIDDEN, Message("The form is out of date. Open the page again."))
    answer = await visit.page.handler(visit)
    if visit.page.method is Method.POST:
        visit.console.waits.look_again()  # after the handler, so that its result is included
    return answer


async def _identify(visit: Visit) -> str | None:
    """Find the visitor's session and user. Returns the token if a session has just begun."""
    console, request = visit.console, visit.request
    session, given = console.sessions.find(SESSION.value_in(request)), None
    said = request.app[SIGN_IN_METHOD].name_in(request)
    if said is not None and (session is None or session.name != said):
        if await console.user(said) is None:
            console.sign_ins.failed(None, visit.address)
            return None
        given = signed_in(visit, said)
        session = console.sessions.find(given)
    if session is None:
        return None
    user = await console.user(session.name)
    if user is None or not session.belongs_to(user.password):
        console.sessions.end(session)
        return None
    visit.session, visit.user = session, user
    return given


def _to_sign_in(visit: Visit) -> web.Response:
    """Redirect to the sign-in page.

    After sign-in, the browser returns to the requested page, unless the request was for a resource loaded by a page.
    """
    answer = visit.redirect(SIGN_IN)
    if "text/html" in visit.request.headers.get("Accept", "") and (wanted := own_page(visit.here)):
        WANTED.set_on(answer, quote(wanted, safe=""))
    return answer


def _unknown(visit: Visit) -> web.Response:
    return _problem(visit, HTTPStatus.FORBIDDEN, Message("You are not among the users of this console."))


def _problem(visit: Visit, status: HTTPStatus, problem: object) -> web.Response:
    return visit.render("problem.html", status, problem=str(problem))


async def _not_found(visit: Visit) -> web.StreamResponse:
    return _problem(visit, HTTPStatus.NOT_FOUND, Message("There is no such page."))
