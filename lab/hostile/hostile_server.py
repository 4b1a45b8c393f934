"""An HTTP server in place of Asterisk's, for behaviour that a real Asterisk never shows on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from idtone.ari_app.connection import AriConnection, connect
from lab.asterisk import LOOPBACK

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[web.WebSocketResponse], Awaitable[None]]

PASSWORD: Final = "p:ä ß&?#"  # noqa: S105 — of no real Asterisk; an address would have to escape it
INFO: Final = "/ari/asterisk/info"
EVENTS: Final = "/ari/events"
FILTER: Final = "/ari/applications/idtone/eventFilter"
APPLICATION: Final = "/ari/applications/idtone"
"""Application, which exists as long as a WebSocket is open."""
CHANNEL: Final = "/ari/channels/1795.1"


def fixed_response(**response: Any) -> Answer:
    """A handler that always returns this response."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(**response)

    return answer


@dataclass
class HostileServer:
    """A server that answers as Asterisk does, except for the paths in `answers`. `talk` handles the WebSocket."""

    talk: Talk
    answers: dict[str, Answer] = field(default_factory=dict)
    version: str = "22.4.0"
    requests: list[web.Request] = field(default_factory=list)
    url: str = ""
    listeners: int = 0
    """Number of open WebSockets."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if own := self.answers.get(request.path):
            return await own(request)
        if request.path == INFO:
            return web.json_response({"system": {"version": self.version}})
        if request.path == EVENTS:
            socket = web.WebSocketResponse(autoping=False)
            await socket.prepare(request)
            self.listeners += 1
            try:
                await self.talk(socket)
            except ConnectionError:
                pass  # the other side closed the connection
            finally:
                self.listeners -= 1
            return socket
        if request.path == APPLICATION and self.listeners:
            return web.json_response({"name": "idtone", "channel_ids": []})
        if request.method == "GET":
            return web.Response(status=404)
        return web.Response(status=204)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[HostileServer]:
        application = web.Application(client_max_size=2**26)
        application.router.add_route("*", "/{path:.*}", self._answer)
        async with TestServer(application, host=LOOPBACK) as server:
            self.url = str(server.make_url("/ari"))
            yield self

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AriConnection]:
        async with self.running(), connect(self.url, "idtone", PASSWORD) as connection:
            yield connection


async def requests(socket: web.WebSocketResponse) -> AsyncIterator[dict[str, Any]]:
    """Yield the requests over the WebSocket. Answers pings meanwhile."""
    async for message in socket:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is WSMsgType.TEXT:
            yield json.loads(message.data)


async def answer_like_asterisk(socket: web.WebSocketResponse) -> None:
    """Answer every request as Asterisk does."""
    async for asked in requests(socket):
        await socket.send_str(encode_answer(asked))


def answer_always(**changes: Any) -> Talk:
    """A WebSocket handler that applies the same `changes` to Asterisk's answer to each request."""

    async def talk(socket: web.WebSocketResponse) -> None:
        async for asked in requests(socket):
            await socket.send_str(encode_answer(asked, **changes))

    return talk


def encode_answer(asked: dict[str, Any], **changes: Any) -> str:
    """Asterisk's answer to a request over the WebSocket, as JSON. `changes` replaces fields."""
    said = {
        "type": "RESTResponse",
        "request_id": asked["request_id"],
        "status_code": 204,
        "reason_phrase": "No Content",
        "message_body": "",
    }
    return json.dumps(said | changes)


async def hang_forever(_: web.WebSocketResponse) -> None:
    """Keep the WebSocket open, without reading or sending."""
    await asyncio.Event().wait()
