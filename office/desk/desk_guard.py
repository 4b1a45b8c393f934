"""Desk middleware that rejects foreign host names, other HTTP methods and excessive requests."""

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from idtone.core.http.connection_limits import ConnectionLimits
from idtone.core.http.request_limits import Rate, RequestLimits
from idtone.core.http.visitor_network import network_of
from idtone.core.log_throttle import LogThrottle

OF_NETWORK: Final = Rate(20, 200)
AT_A_TIME: Final = 256
"""Maximum number of requests in progress. Half of the connections stay free for new visitors."""
AT_A_TIME_OF_NETWORK: Final = 32

_log = logging.getLogger(__name__)
_HEADERS: Final = {"Cache-Control": "no-store", "Server": "idtone", "X-Content-Type-Options": "nosniff"}
Served = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarding(
    connections: ConnectionLimits, hosts: Collection[str] | None, methods: Sequence[str] = ("GET", "POST")
) -> Middleware:
    """Create the middleware.

    `hosts` holds the accepted values of the header `Host` in lower case, with ports. None accepts every host.
    """
    refused, limits = LogThrottle(_log, "requests are refused"), RequestLimits()

    @web.middleware
    async def guard(request: web.Request, handler: Served) -> web.StreamResponse:
        with connections.answering(request):
            answer = await _answered(request, handler)
            for name, value in _HEADERS.items():
                answer.headers.setdefault(name, value)
            return answer

    async def _answered(request: web.Request, handler: Served) -> web.StreamResponse:
        if hosts is not None and not _is_named(request, hosts):
            refused.warning("they name another host; if it is this one, name it with --name")
            return _plain(HTTPStatus.MISDIRECTED_REQUEST, "The desk does not have this address.")
        if request.method not in methods:
            known = ", ".join(methods)
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, f"This host knows {known}.", Allow=known)
        network = network_of(visitor_of(request))
        with limits.under_way(("all", AT_A_TIME), (network, AT_A_TIME_OF_NETWORK)) as has_room:
            if has_room and limits.admits(network, OF_NETWORK):
                try:
                    return await handler(request)
                except web.HTTPException as error:
                    return _plain(HTTPStatus(error.status), HTTPStatus(error.status).phrase)
        refused.warning("there are too many")
        return _plain(HTTPStatus.TOO_MANY_REQUESTS, "There are too many requests.", **{"Retry-After": "5"})

    return guard


def visitor_of(request: web.Request) -> str:
    """Visitor's IP address.

    If the request comes from this machine or through a Unix socket, the last address in `X-Forwarded-For` is used.
    """
    peer = request.remote or ""
    try:
        is_proxy = not peer or ipaddress.ip_address(peer).is_loopback
    except ValueError:
        is_proxy = False
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return named if is_proxy and named else peer


def _is_named(request: web.Request, hosts: Collection[str]) -> bool:
    return request.headers.getall("Host", ()) == [request.host] and request.host.lower() in hosts


def _plain(status: HTTPStatus, text: str, **headers: str) -> web.Response:
    return web.Response(text=f"{text}\n", status=status, headers=headers)
