"""The desk's HTTP server. `POST /documents` receives a signed document and responds with JSON."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from idtone.core.errors import IdtoneError, TrustError
from idtone.core.http.connection_limits import IDLE_S, MOST, ConnectionLimits
from idtone.core.in_thread import in_thread
from idtone.ledger.disclosure.disclosure_request import DisclosureRules
from idtone.ledger.disclosure.record_act import record_queued_acts
from idtone.registry.correspondence.desk_client import PATH

from .applicants.application_routes import add_application_routes
from .applicants.retention import erase_submissions_in_time
from .desk_guard import guarding
from .document_desk import DocumentDesk
from .public_form import PublicPages
from .reports.report_page import FORM_PATH, STATUS_PATH
from .reports.report_routes import add_report_routes
from .reports.retention import erase_reports_in_time

LINKS: Final = (
    (FORM_PATH, "通話を申告する", "Report a call"),
    (STATUS_PATH, "申告の経過", "The state of a report"),
)
"""Links at the top of the public forms."""
DOCUMENT_LIMIT: Final = 256 * 1024
"""Maximum size of a document in bytes."""
CLOSE_WITHIN_S: Final = 2.0
HTTP_PORT: Final = 80
"""Default port, which clients omit from `Host`."""
THREADS: Final = 2
"""Number of threads that process documents.

Documents wait for acts to be recorded, so they must not occupy the threads that record them.
"""

_log = logging.getLogger(__name__)


async def attend(
    desk: DocumentDesk,
    host: str,
    port: int,
    ready: Callable[[int], object],
    over: asyncio.Event,
    names: Sequence[str] = (),
) -> None:
    """Run the desk until `over` is set.

    `ready` receives the port. `names` are the host names under which a proxy serves the desk. Raises OSError if the
    address cannot be used, or LedgerError if the ledger cannot be opened.
    """
    connections = ConnectionLimits()
    with desk.ledger.open() as (url, writer), bound_socket(host, port) as listening:
        port = listening.getsockname()[1]
        runner = web.AppRunner(application(desk, guarding(connections, _hosts(host, port, names))))
        await runner.setup()
        # Commands that run at the same time leave their acts in a folder.
        background = [
            asyncio.create_task(record_queued_acts(url, writer, DisclosureRules())),
            asyncio.create_task(erase_reports_in_time(desk)),
            asyncio.create_task(erase_submissions_in_time(desk)),
        ]
        try:
            made = connections.guarded(partial(_protocol, runner))
            server = await asyncio.get_running_loop().create_server(made, sock=listening, backlog=MOST)
            ready(port)
            await over.wait()
            server.close()
        finally:
            for task in background:
                task.cancel()
            await runner.cleanup()


@contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Open a listening socket for a `with` block. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.create_server(address[:2], family=family) as listening:
        yield listening


def _hosts(host: str, port: int, names: Sequence[str]) -> frozenset[str] | None:
    """Accepted values of the header `Host`; None accepts all values.

    None is returned if the desk listens on all addresses and no name is known.
    """
    if _is_any(host):
        return frozenset(each.lower() for each in names) or None
    own = f"[{host}]" if ":" in host else host
    here = {f"{each}:{port}" for each in (own, "localhost")} | ({own, "localhost"} if port == HTTP_PORT else set())
    return frozenset(each.lower() for each in (*here, *names))


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host


def _protocol(runner: web.AppRunner) -> web.RequestHandler:
    assert runner.server is not None
    return web.RequestHandler(
        runner.server,
        loop=asyncio.get_running_loop(),
        access_log=None,  # type: ignore[arg-type]  # as AppRunner gives it
        keepalive_timeout=IDLE_S,
        lingering_time=CLOSE_WITHIN_S,
    )


def application(desk: DocumentDesk, *guards: Middleware) -> web.Application:
    """Create the desk's web application, with the guards as middleware."""
    threads = ThreadPoolExecutor(THREADS, "documents")

    async def documents(request: web.Request) -> web.Response:
        octets = await request.read()
        try:
            answer = await in_thread(threads, desk.accept, octets, datetime.now(UTC))
        except TrustError as error:
            _log.warning("refused: %s", error)
            return _json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        except IdtoneError as error:
            _log.error("not accepted: %s", error)
            return _json({"error": "the desk cannot accept documents now"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json(answer, HTTPStatus.OK)

    async def end(_: web.Application) -> None:
        threads.shutdown(wait=False, cancel_futures=True)

    made = web.Application(client_max_size=DOCUMENT_LIMIT, middlewares=guards)
    made.router.add_post(PATH, documents)
    public = PublicPages.of(desk.folder, LINKS)
    add_report_routes(made, desk, public)
    add_application_routes(made, desk, public)
    made.on_cleanup.append(end)
    return made


def _json(content: Mapping[str, Any], status: HTTPStatus) -> web.Response:
    return web.json_response(dict(content), status=status)
