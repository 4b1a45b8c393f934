"""Builds the console from the settings and serves it on its socket."""

import asyncio
import grp
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from idtone.core.errors import IdtoneError, UsageError
from idtone.core.http.connection_limits import IDLE_S, MOST
from idtone.core.responsive_loop import freeze_garbage, freeze_garbage_again
from idtone.core.settings.console import ConsoleSettings, SignInBy
from idtone.core.settings.settings import Settings
from idtone.service.local_sockets import listening_socket

from . import pending_tasks_page, search, signed_in_pages
from .access import own_account
from .access.attempts import Attempts
from .access.by_password import ByPassword
from .access.by_proxy import ByProxy
from .access.sign_in_method import SignInMethod
from .access.users import User
from .administration import user_acts, users_and_sessions
from .application import CONNECTIONS, REFUSED, application, protect
from .console import CONSOLE, Console
from .decision_plots import EVERY_S, decision_plots
from .decisions_by_minute import DecisionsByMinute
from .doctor_runs import DoctorRuns
from .evaluation_run import EvaluationRun
from .fleet_live import FLEET, FleetLive
from .ledger_verification import Verification
from .office import new_evaluation, night_stop, page_list
from .operator import (
    alerts,
    brake_holds,
    call,
    calls,
    evidence,
    evidence_exports,
    evidence_statistics,
    expiry_calendar,
    health,
    licences,
    live_page,
    nodes,
    saved_searches,
    sounds,
    stop_acts,
    stop_progress,
    suspensions,
)
from .own_address import OwnAddress
from .pack_cache import PackCache
from .page import Page
from .pending_tasks_mail import WaitingMails
from .prometheus_alerts import PrometheusAlerts
from .public import operator_list, packs
from .security import PLAIN
from .shared_reads import Shared
from .upload_room import UploadRoom
from .uploads import UPLOAD_ROOM

CLOSE_WITHIN_S: Final = 2.0
READ_AHEAD_EVERY_S: Final = 2.0
LOOK_EVERY_S: Final = 60.0
"""Interval between advance reads on operator nodes, in seconds.

These reads only determine when signatures expire. Pages read everything else themselves.
"""
PAGES: Final[tuple[Page, ...]] = (
    *signed_in_pages.PAGES,
    *search.PAGES,
    *pending_tasks_page.PAGES,
    *live_page.PAGES,
    *calls.PAGES,
    *saved_searches.PAGES,
    *call.PAGES,
    *evidence.PAGES,
    *evidence_statistics.PAGES,
    *evidence_exports.PAGES,
    *users_and_sessions.PAGES,
)
"""Pages in every console, in addition to the sign-in. Pages with a title appear in the menu in this order."""
STATE_PAGES: Final[tuple[Page, ...]] = (
    *expiry_calendar.PAGES,
    *suspensions.PAGES,
    *stop_acts.PAGES,
    *stop_progress.PAGES,
    *brake_holds.PAGES,
    *sounds.PAGES,
    *health.PAGES,
    *alerts.PAGES,
)
"""Pages about a node, with its registry, sounds and machine."""
OFFICE_PAGES: Final[tuple[Page, ...]] = (*page_list.PAGES, *operator_list.PAGES)
"""Pages for the association's office, and the public list of operators."""


def make_application(settings: Settings) -> web.Application:
    """Build the console's application. Raises IdtoneError if the settings are invalid."""
    settings.console.check()
    sign_in, console = _sign_in(settings), Console(settings)
    pages = (
        *sign_in.pages,
        *own_account.pages(sign_in.proof),
        *PAGES,
        *user_acts.pages(has_passwords=sign_in.proof is not None),
        *licences.PAGES,
        *STATE_PAGES,
        *nodes.pages(settings.ledger),
        *packs.pages(is_office=console.office_files is not None),
        *(OFFICE_PAGES if console.office_files else ()),
    )
    made = application(console, sign_in, pages)
    made[own_account.MAILS] = WaitingMails(settings.console.users, settings.node, console.own_address.public)
    made[live_page.PLOTS] = Shared(partial(decision_plots, DecisionsByMinute(console.reader)), EVERY_S)
    made[health.DOCTOR] = DoctorRuns(settings)
    made[evidence.VERIFICATION] = Verification(settings)
    made[evidence_statistics.STATISTICS] = {}
    made[evidence_exports.PACK_CACHE] = PackCache()
    made[new_evaluation.EVALUATION] = EvaluationRun()
    made[night_stop.NIGHT_SIGNATURES] = Attempts()
    made[FLEET] = FleetLive(settings.ledger)
    made[UPLOAD_ROOM] = UploadRoom()
    if settings.console.prometheus:
        made[alerts.PROMETHEUS] = PrometheusAlerts(settings.console.prometheus)
    return made


def _sign_in(settings: Settings) -> SignInMethod:
    if settings.console.sign_in is SignInBy.PASSWORD:
        return ByPassword()
    if settings.console.sign_in is SignInBy.PROXY:
        return ByProxy(settings.console.proxy_header)
    from .access.by_openid import ByOpenId  # its libraries are an extra

    return ByOpenId(settings.console, OwnAddress.of(settings.console).public)


async def attend(app: web.Application, ready: Callable[[str], object], over: asyncio.Event) -> None:
    """Serve the console until `over` is set.

    `ready` receives the address. Raises OSError or UsageError if the socket cannot be used.
    """
    console = app[CONSOLE]
    console.threads.processes.begin()
    runner = web.AppRunner(app, shutdown_timeout=CLOSE_WITHIN_S)
    async with console.live.asked():
        await runner.setup()
        guarded = app[CONNECTIONS].guarded(partial(_protocol, runner))
        try:
            with _bound(console.settings.console) as (bound, address):
                server = await asyncio.get_running_loop().create_server(guarded, sock=bound, backlog=MOST)
                ready(address)
                tasks = _read_ahead(console), _look_for_what_waits(console, app[own_account.MAILS])
                beside = [*map(asyncio.create_task, tasks)]
                await over.wait()
                for task in beside:
                    task.cancel()
                server.close()
        finally:
            app[evidence.VERIFICATION].work.cancel()
            for each in app[evidence_statistics.STATISTICS].values():
                each.work.cancel()
            app[new_evaluation.EVALUATION].work.cancel()
            app[REFUSED].flush()
            await runner.cleanup()
            app[FLEET].close()
            console.threads.close()


class _Protocol(web.RequestHandler):
    """aiohttp's protocol, which also adds our security headers to responses to invalid HTTP requests."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        answer = super().handle_error(request, status, exc, message)
        protect(answer, PLAIN)
        return answer


def _protocol(runner: web.AppRunner) -> web.RequestHandler:
    """The handler of a new connection."""
    assert runner.server is not None
    return _Protocol(
        runner.server,
        loop=asyncio.get_running_loop(),
        access_log=None,  # type: ignore[arg-type]  # as AppRunner gives it
        keepalive_timeout=IDLE_S,
        lingering_time=CLOSE_WITHIN_S,
    )


@contextmanager
def _bound(settings: ConsoleSettings) -> Iterator[tuple[socket.socket, str]]:
    """Open the socket for browsers or a proxy and yield it with its address. Raises OSError, UsageError."""
    where = settings.socket()
    if isinstance(where, Path):
        if where.exists() and not where.is_socket():
            raise UsageError("console.listen: {path} exists and is not a socket; set another path", path=where)
        try:
            with listening_socket(where, socket.SOCK_STREAM, _group(settings.group), MOST) as bound:
                yield bound, f"unix:{where}"
        except PermissionError as error:
            raise UsageError(
                "console.listen: {path}: {reason}; its folder must be writable, and the console's user must be "
                "a member of console.group",
                path=where,
                reason=error.strerror,
            ) from error
        return
    with socket.create_server(where, family=socket.AF_INET6 if ":" in where[0] else socket.AF_INET) as bound:
        host = f"[{where[0]}]" if ":" in where[0] else where[0]
        yield bound, f"http://{host}:{bound.getsockname()[1]}/"


def _group(name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise UsageError("console.group: there is no group {group}", group=name) from error


async def _look_for_what_waits(console: Console, mails: WaitingMails) -> None:
    await console.waits.follow(
        lambda: pending_tasks_page.find_tasks(console, datetime.now(UTC)),
        lambda: bool(console.sessions.all() or _mailed(console)),
        lambda: mails.tell(_mailed(console), console.waits.of),
    )


def _mailed(console: Console) -> Sequence[User]:
    """Users who receive emails about pending tasks, or none if the users file cannot be read."""
    try:
        return [each for each in console.users.all() if each.mail]
    except IdtoneError:  # a page shows the error
        return ()


async def _read_ahead(console: Console) -> None:
    await console.read_ahead()
    spared = console.registry.read_at  # None for a large registry, which takes longer to read than the first wait
    freeze_garbage()
    while True:
        await asyncio.sleep(LOOK_EVERY_S if console.office_files is None else READ_AHEAD_EVERY_S)
        await console.read_ahead()
        if console.registry.read_at != spared:
            spared = console.registry.read_at
            freeze_garbage_again()
