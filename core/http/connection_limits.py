"""Limits how many connections a server has and how long slow clients may take.

aiohttp serves each connection with a separate protocol object. `ConnectionLimits` wraps these objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

MOST: Final = 512
"""Maximum number of simultaneous connections. One more replaces the connection that has waited longest without a
request, or is refused if none is waiting.
"""
HEAD_WITHIN_S: Final = 10.0
"""Time limit for a new connection to send its first request, excluding the body."""
IDLE_S: Final = 30.0
"""Time limit for a connection that was used before to send its next request."""
BODY_EVERY_S: Final = 10.0
BODY_AT_LEAST: Final = 40_000
"""Minimum number of body bytes in each `BODY_EVERY_S`. Slower connections are cut."""
BODY_WITHIN_S: Final = 300.0
"""Time limit for a whole body, after which the connection is cut. 50 MB arrive in time at 1.4 Mbit/s."""
TAKES_WITHIN_S: Final = 30.0
"""Time after which a client that reads none of its response is cut off."""
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\nRetry-After: 5\r\n"
    b"Content-Length: 48\r\n\r\nThere are too many visitors at this very moment."
)


class ConnectionLimits:
    """Limits on all of a server's connections."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._by_inner: dict[asyncio.BaseProtocol, _Connection] = {}
        self._waiting: dict[_Connection, None] = {}
        """Connections without a request, longest wait first."""

    def guarded(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Wrap a protocol factory so that the limits apply to each new connection."""
        return lambda: _Connection(self, make())

    def __len__(self) -> int:
        return len(self._by_inner)

    @property
    def answering_now(self) -> int:
        """Number of connections on which a request is being answered."""
        return len(self._by_inner) - len(self._waiting)

    @contextmanager
    def answering(self, request: web.Request) -> Iterator[None]:
        """Mark a connection as busy during the block, so that it is not cut off as idle.

        The time limits for the request body still apply.
        """
        connection = self._by_inner.get(request.protocol)
        if connection is None:  # its client has left
            yield
            return
        self._waiting.pop(connection, None)
        connection.watch_body(request)
        try:
            yield
        finally:
            if request.protocol in self._by_inner:
                self._waiting[connection] = None
                connection.wait(IDLE_S)

    def admits(self, connection: _Connection) -> bool:
        if len(self._by_inner) >= self._most:
            if not self._waiting:
                return False
            oldest = next(iter(self._waiting))
            self.leaves(oldest)
            oldest.cut()
        self._by_inner[connection.inner] = connection
        self._waiting[connection] = None
        return True

    def leaves(self, connection: _Connection) -> None:
        self._by_inner.pop(connection.inner, None)
        self._waiting.pop(connection, None)


class _Connection(asyncio.Protocol):
    """A connection that passes all events on to `inner` and enforces the time limits."""

    def __init__(self, all_of_them: ConnectionLimits, inner: asyncio.Protocol) -> None:
        self._all = all_of_them
        self.inner = inner
        self._transport: asyncio.Transport | None = None
        self._admitted = False
        self._octets = 0
        """Octets received since the watch began."""
        self._body_until_s = 0.0
        self._deadline: asyncio.TimerHandle | None = None
        self._takes: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._admitted = self._all.admits(self)
        if not self._admitted:
            transport.write(_FULL)
            transport.close()
            return
        self.inner.connection_made(transport)
        self.wait(HEAD_WITHIN_S)

    def data_received(self, data: bytes) -> None:
        self._octets += len(data)
        if self._admitted:
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self._admitted else None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._deadline, self._takes):
            if timer:
                timer.cancel()
        self._all.leaves(self)
        if self._admitted:
            self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._takes = asyncio.get_running_loop().call_later(TAKES_WITHIN_S, self.cut)
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        if self._takes:
            self._takes.cancel()
        self.inner.resume_writing()

    def wait(self, within_s: float) -> None:
        """Cut the connection unless a request arrives within `within_s` seconds."""
        self._set(within_s, self.cut)

    def watch_body(self, request: web.Request) -> None:
        """Start the time limits for a request body. A request without a body has no limit."""
        if self._deadline:
            self._deadline.cancel()
        self._body_until_s = asyncio.get_running_loop().time() + BODY_WITHIN_S
        self._go_on(request)

    def _go_on(self, request: web.Request) -> None:
        if request.can_read_body:
            self._octets = 0
            self._set(BODY_EVERY_S, lambda: self._look(request))

    def _look(self, request: web.Request) -> None:
        assert self._transport is not None
        if request.content.is_eof():
            return
        is_slow = self._transport.is_reading() and self._octets < BODY_AT_LEAST
        if is_slow or asyncio.get_running_loop().time() >= self._body_until_s:
            self.cut()
        else:  # the part came, or the page has not taken the previous one yet
            self._go_on(request)

    def _set(self, within_s: float, act: Callable[[], None]) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(within_s, act)

    def cut(self) -> None:
        assert self._transport is not None
        self._transport.abort()
