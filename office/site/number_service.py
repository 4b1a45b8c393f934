"""Service for the public site's number page, which evaluates blinded elements without learning the numbers.

`POST /numbers/evaluate` accepts `{"blinded": BASE64}` and responds with `{"evaluated": BASE64, "proof": BASE64}`. The
service needs only the numbers' key. `Limits` restrict enumeration: an address learns at most `hourly_each` × 24 numbers
per day. In a browser, only pages from the site and its mirrors may send requests, because another page could use up its
visitor's limit.
"""

import asyncio
import base64
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from idtone.core.errors import TrustError
from idtone.core.http.connection_limits import MOST, ConnectionLimits
from idtone.member.customers.refused.oprf import VOPRF, KeyPair
from idtone.member.customers.refused.refusal_check import octets_of

from ..desk.desk_guard import guarding, visitor_of
from ..desk.desk_server import bound_socket
from ..desk.reports.rate_limit import RateLimit

PATH: Final = "/numbers/evaluate"
HEALTH_PATH: Final = "/numbers/health"
_BODY_LIMIT: Final = 512
"""Maximum size of a request in bytes."""
_INDEX: Final = "index.html"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_MEDIA: Final = {
    ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".json": "application/json",
    ".svg": "image/svg+xml", ".wav": "audio/wav", ".txt": "text/plain", ".csv": "text/csv", ".conf": "text/plain",
}  # fmt: skip

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum number of evaluations per hour, for all visitors combined and per address.

    For IPv6, the second limit applies to a customer's network.
    """

    hourly: int = 3600
    hourly_each: int = 6


def site_headers(desk: str, service: str) -> dict[str, str]:
    """HTTP headers for every page of the site.

    `desk` is the origin of the report desk, and `service` is the origin of a separate number service. Both may be
    empty.
    """
    policy = (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {desk}; connect-src 'self' {service}"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": "geolocation=(), camera=(), microphone=(self)",
    }


def application(
    keys: KeyPair,
    limits: Limits,
    folder: Path | None = None,
    desk: str = "",
    service: str = "",
    origins: Collection[str] = (),
) -> web.Application:
    """Create the web application with the number service and, if `folder` is given, the static site.

    `origins` are the origins of the site and its mirrors. `desk` and `service` are as in `site_headers`.
    """
    rate = RateLimit(limits.hourly, limits.hourly_each)
    made = web.Application(client_max_size=_BODY_LIMIT)
    headers = site_headers(desk, service)

    async def evaluate(request: web.Request) -> web.Response:
        origin = request.headers.get("Origin", "")
        if origin and origin not in origins and urlsplit(origin).netloc != request.host:
            return _json({"error": "this page may not ask"}, HTTPStatus.FORBIDDEN)
        readable = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin else {}
        visitor = visitor_of(request)
        if not rate.admits(visitor, time.monotonic()):
            return _json({"error": "too many numbers for one hour"}, HTTPStatus.TOO_MANY_REQUESTS, readable)
        try:
            content = json.loads(await request.read())
            element = octets_of(content.get("blinded") if isinstance(content, dict) else None)
            evaluated = VOPRF.evaluate(keys.secret, [element])
        except (ValueError, RecursionError, TrustError):
            rate.give_back(visitor)
            return _json({"error": "this is not a blinded number"}, HTTPStatus.BAD_REQUEST, readable)
        except web.HTTPRequestEntityTooLarge:
            rate.give_back(visitor)
            raise
        proof = VOPRF.prove(keys, [element], evaluated)
        answer = {
            name: base64.b64encode(each).decode() for name, each in (("evaluated", evaluated[0]), ("proof", proof))
        }
        return _json(answer, HTTPStatus.OK, readable)

    async def health(_: web.Request) -> web.Response:
        return _json({"public": base64.b64encode(keys.public).decode()}, HTTPStatus.OK)

    async def file(request: web.Request) -> web.StreamResponse:
        assert folder is not None
        path = await asyncio.to_thread(_file, folder, request.match_info["path"])
        if path is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text="There is no such page.\n", headers=headers)
        media = _MEDIA.get(path.suffix, "application/octet-stream")
        kept = "public, max-age=31536000, immutable" if path.suffix == ".bin" else "no-cache"
        # The files of a badge on an operator's page are the same for all, and name no visitor.
        open_to_all = {"Access-Control-Allow-Origin": "*"} if path.suffix in (".json", ".js") else {}
        return web.FileResponse(
            path, headers={**headers, "Content-Type": _with_charset(media), "Cache-Control": kept, **open_to_all}
        )

    made.router.add_post(PATH, evaluate)
    made.router.add_get(HEALTH_PATH, health)
    if folder is not None:
        made.router.add_get("/{path:.*}", file)
    return made


async def serve(
    served: web.Application, host: str, port: int, ready: Callable[[int], object], over: asyncio.Event
) -> None:
    """Serve the application until `over` is set. `ready` receives the port.

    Raises OSError if the address cannot be used.
    """
    connections = ConnectionLimits()
    served.middlewares.append(guarding(connections, None, ("GET", "HEAD", "POST")))
    with bound_socket(host, port) as listening:
        runner = web.AppRunner(served, access_log=None)  # a log of requests would say who asked, and when
        await runner.setup()
        try:
            assert runner.server is not None
            loop = asyncio.get_running_loop()
            handler = partial(web.RequestHandler, runner.server, loop=loop, access_log=None)  # type: ignore[arg-type]
            made = connections.guarded(handler)
            server = await loop.create_server(made, sock=listening, backlog=MOST)
            ready(listening.getsockname()[1])
            await over.wait()
            server.close()
        finally:
            await runner.cleanup()


def _file(folder: Path, name: str) -> Path | None:
    try:
        path = (folder / name).resolve()
        if path.is_dir():
            path /= _INDEX
        return path if path.is_file() and path.is_relative_to(folder.resolve()) else None
    except (ValueError, OSError):  # a name that no file can have
        return None


def _with_charset(media: str) -> str:
    return f"{media}; charset=utf-8" if media.startswith("text/") or media == "application/json" else media


def _json(content: dict[str, str], status: HTTPStatus, more: Mapping[str, str] = {}) -> web.Response:
    return web.json_response(content, status=status, headers={**_HEADERS, **more})
