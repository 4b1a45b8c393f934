"""The connection against the real Asterisk, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from idtone.ari_app import connection as module
from idtone.ari_app import events
from idtone.ari_app.connection import AriConnection, connect, takes_requests_over_websocket
from idtone.errors import AriRefused, AriUnavailable

from ..lab.asterisk import LOOPBACK, free_ports
from ..lab.lab import until

PASSWORD = "p:ä ß&?#"  # noqa: S105 — of no Asterisk; what an address would have to escape


@asynccontextmanager
async def listening(connection: AriConnection) -> AsyncIterator[list[events.Event]]:
    """Read the events, as the application does: over the WebSocket no answer comes otherwise."""
    told: list[events.Event] = []

    async def listen() -> None:
        async for event in connection.events():
            told.append(event)

    task = asyncio.create_task(listen())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait({task})


# -- the versions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "takes"),
    [
        ("18.26.1", False),
        ("20.13.0", False),
        ("20.14.0", True),
        ("20.15.2", True),
        ("21.8.0", False),
        ("21.9.0", True),
        ("22.3.0", False),
        ("22.4.0", True),
        ("22.10.1+dfsg+~cs6", True),
        ("1:22.2.0~dfsg+~cs6.15", False),
        ("23.0.0", True),
        ("23.0.0-rc1", True),
        ("certified-20.7-cert6", False),
        ("certified/18.9-cert13", False),
        ("GIT-master-0c5d8b3", False),
        ("22", False),
        ("", False),
    ],
)
def test_which_versions_take_requests_over_the_websocket(version, takes):
    assert takes_requests_over_websocket(version) is takes


# -- the real Asterisk ------------------------------------------------------------------------------------------------


@pytest.fixture
def pbx(asterisk, beside):
    """The shared Asterisk, without the service: two connections would take the application from each other."""
    beside.away()
    return asterisk


async def test_a_wrong_password_is_refused(pbx):
    with pytest.raises(AriRefused) as error:
        async with connect(pbx.ari_url, "idtone", "wrong"):
            pass
    assert error.value.status == 401
    assert "wrong" not in str(error.value)


async def test_an_address_where_no_program_listens(pbx):
    (port,) = free_ports(1)
    with pytest.raises(AriUnavailable, match=f"http://{LOOPBACK}:{port}/ari"):
        async with connect(f"http://{LOOPBACK}:{port}/ari", "idtone", pbx.ari_password):
            pass


async def test_an_http_server_that_is_not_ari(pbx):
    with pytest.raises(AriRefused) as error:
        async with connect(pbx.ari_url.replace("/ari", "/other"), "idtone", pbx.ari_password):
            pass
    assert error.value.status == 404


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        ("auto", "requests over the WebSocket"),
        ("websocket", "requests over the WebSocket"),
        ("http", "requests over HTTP"),
    ],
)
async def test_each_transport_asks_and_is_refused(pbx, transport, words):
    async with connect(pbx.ari_url, "idtone", pbx.ari_password, transport) as connection:
        assert connection.transport == words
        async with listening(connection):
            info = await connection.request("GET", "asterisk/info", only="system")
            assert info["system"]["version"] == connection.version
            assert await asyncio.gather(*(connection.request("GET", "channels") for _ in range(20))) == [[]] * 20
            with pytest.raises(AriRefused) as error:
                await connection.request("POST", "channels/none/continue", extension="a&b=c")
            assert error.value.status == 404


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """The types of all messages from the WebSocket."""
    types: list[str] = []
    monkeypatch.setattr(module, "read", lambda text: types.append(json.loads(text)["type"]) or events.read(text))
    return types


async def test_the_filter_keeps_other_events_away(pbx, told, monkeypatch):
    """A channel enters the application, with the filter and, as a control, without it."""

    async def traffic() -> set[str]:
        told.clear()
        async with connect(pbx.ari_url, "idtone", pbx.ari_password) as connection, listening(connection):
            await asyncio.to_thread(pbx.command, "channel originate Local/s@idtone-called application Wait 5")
            await until(lambda: "StasisStart" in told, "the call")
            await asyncio.to_thread(pbx.command, "channel request hangup all")
            await until(lambda: not pbx.channels(), "both channels of the call to be gone")
            await connection.request("GET", "channels")  # all earlier events have come when this is answered
        return set(told)

    assert {"StasisStart"} <= await traffic() <= events.EVENTS
    monkeypatch.setattr(module, "EVENTS", ())
    assert {"ChannelVarset", "StasisEnd"} & await traffic(), "without the filter other events must come"


async def test_calls_outside_the_application_cost_no_event(pbx, told, monkeypatch):
    """Not even an event that the filter would drop."""
    monkeypatch.setattr(module, "EVENTS", ())
    async with connect(pbx.ari_url, "idtone", pbx.ari_password) as connection, listening(connection):
        await asyncio.to_thread(pbx.command, "channel originate Local/s@idtone-fallback application Wait 0.1")
        await until(lambda: not pbx.channels(), "the call to be over")
        assert await connection.request("GET", "channels") == []
    assert set(told) <= {"RESTResponse"}


async def test_after_leaving_a_connection_gets_no_events_but_can_send_requests(pbx, told):
    async with connect(pbx.ari_url, "idtone", pbx.ari_password) as connection:
        async with listening(connection):
            assert not await connection.abandoned()
            await connection.leave()
        assert await connection.abandoned()
        told.clear()
        assert await connection.request("GET", "channels") == []
        assert connection.transport == "requests over HTTP"
    assert not told


async def test_a_replaced_connection_is_told_and_can_still_send_requests(pbx):
    async with connect(pbx.ari_url, "idtone", pbx.ari_password) as first, listening(first) as events_of_first:
        async with connect(pbx.ari_url, "idtone", pbx.ari_password):
            await until(lambda: events_of_first == [events.Replaced()], "the event")
            assert await first.request("GET", "channels") == []
            assert not await first.abandoned(), "the second connection has the application"
        await until(first.abandoned, "Asterisk to notice")


# -- servers that misbehave -------------------------------------------------------------------------------------------

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


class Server:
    """Answers like Asterisk until the WebSocket is open; the test controls what it sends."""

    def __init__(self, talk: Talk, version: str = "22.4.0") -> None:
        self.talk = talk
        self.version = version
        self.requests: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if request.path == "/ari/asterisk/info":
            return web.json_response({"system": {"version": self.version}})
        if request.path == "/ari/events":
            socket = web.WebSocketResponse(autoping=False)
            await socket.prepare(request)
            await self.talk(socket)
            return socket
        return web.Response(status=204)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AriConnection]:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        async with (
            TestServer(application, host=LOOPBACK) as server,
            connect(str(server.make_url("/ari")), "idtone", PASSWORD) as connection,
        ):
            yield connection


async def until_closed(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)


def response(message: dict[str, Any], **changes: Any) -> str:
    answer = {"type": "RESTResponse", "request_id": message["request_id"], "status_code": 204, "reason_phrase": "OK"}
    return json.dumps(answer | changes)


async def ended_with(connection: AriConnection, *requests: Awaitable[Any]) -> list[BaseException]:
    """The exceptions with which the events and the simultaneous requests ended."""

    async def listen() -> None:
        async for _ in connection.events():
            pass

    async with asyncio.timeout(5):
        endings = await asyncio.gather(listen(), *requests, return_exceptions=True)
    return [ending for ending in endings if isinstance(ending, BaseException)]


async def test_the_password_is_in_a_header_and_never_in_the_url():
    server = Server(until_closed)
    async with server.connected() as connection:
        assert connection.version == "22.4.0"
    assert {request.path for request in server.requests} == {
        "/ari/asterisk/info", "/ari/events", "/ari/applications/idtone/eventFilter"
    }  # fmt: skip
    for request in server.requests:
        kind, _, credentials = request.headers["Authorization"].partition(" ")
        assert (kind, base64.b64decode(credentials).decode()) == ("Basic", f"idtone:{PASSWORD}")
        assert "idtone:" not in str(request.url)
        assert not {"api_key", "password"} & set(request.query)


async def test_malformed_messages_between_answers_have_no_effect():
    async def talk(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            asked = json.loads(message.data)
            await socket.send_str("{")
            await socket.send_str('"text"')
            await socket.send_str('{"type": "StasisStart", "channel": 7}')
            await socket.send_str('{"type": "RESTResponse"}')
            await socket.send_bytes(b"\x00\xff")
            await socket.send_str(response(asked, request_id="nobody's"))
            await socket.send_str(response(asked, status_code=200, message_body='{"number": 1}'))
            await socket.send_str(response(asked, status_code=500))  # a second answer has no effect

    async with Server(talk).connected() as connection, listening(connection) as told:
        for _ in range(3):
            assert await connection.request("GET", "channels") == {"number": 1}
        await until(lambda: len(told) == 12, "the malformed events")
    assert {event.type for event in told} == {"unknown", "StasisStart", "RESTResponse"}


async def test_an_error_status_over_the_websocket_is_an_error():
    async def talk(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            await socket.send_str(response(json.loads(message.data), status_code=409, reason_phrase="Conflict"))

    async with Server(talk).connected() as connection, listening(connection):
        with pytest.raises(AriRefused, match="409 'Conflict' to POST channels/c/continue") as error:
            await connection.request("POST", "channels/c/continue", context="x")
    assert (error.value.status, error.value.reason) == (409, "Conflict")


async def test_an_answer_that_is_not_json_is_not_from_asterisk():
    async def talk(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            await socket.send_str(response(json.loads(message.data), status_code=200, message_body="<html>"))

    async with Server(talk).connected() as connection, listening(connection):
        with pytest.raises(AriUnavailable, match="GET channels"):
            await connection.request("GET", "channels")


async def test_a_server_that_closes_ends_every_waiting_request():
    async def talk(socket: web.WebSocketResponse) -> None:
        for _ in range(3):
            await socket.receive()
        await socket.close(code=1001)

    async with Server(talk).connected() as connection:
        ended = await ended_with(connection, *(connection.request("GET", f"channels/{n}") for n in range(3)))
        assert [type(ending) for ending in ended] == [AriUnavailable] * 4
        assert "1001" in str(ended[0])
        with pytest.raises(AriUnavailable, match="closed"):
            await connection.request("GET", "channels")


async def test_a_server_that_dies_ends_every_waiting_request():
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        (asked,) = (request for request in server.requests if request.path == "/ari/events")
        assert asked.transport
        asked.transport.abort()  # as if the process were killed

    server = Server(talk)
    async with server.connected() as connection:
        ended = await ended_with(connection, connection.request("GET", "channels"))
        assert [type(ending) for ending in ended] == [AriUnavailable] * 2


async def test_a_server_that_never_answers_a_request(monkeypatch):
    monkeypatch.setattr(module, "REQUEST_TIMEOUT_S", 0.1)
    async with Server(until_closed).connected() as connection, listening(connection):
        with pytest.raises(AriUnavailable, match="did not answer GET channels in time"):
            await connection.request("GET", "channels")
        assert not connection._waiting


async def test_a_server_that_stops_answering_pings(monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.2)
    frozen = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        await frozen.wait()

    async with Server(talk).connected() as connection:
        ended = await ended_with(connection, connection.request("GET", "channels"))
        assert [type(ending) for ending in ended] == [AriUnavailable] * 2
        frozen.set()


async def test_an_older_version_gets_requests_over_http():
    server = Server(until_closed, "20.13.0")
    async with server.connected() as connection, listening(connection):
        assert connection.transport == "requests over HTTP"
        assert await connection.request("POST", "channels/c/continue", context="x", priority=2) is None
    asked = server.requests[-1]
    assert (asked.method, asked.path, dict(asked.query)) == (
        "POST", "/ari/channels/c/continue", {"context": "x", "priority": "2"},
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"<html>it works</html>", b"[]", b'{"system": null}', b"{}", b"\xff\xfe", b""])
async def test_a_web_server_that_is_not_asterisk(body):
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/html", charset="utf-8")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application, host=LOOPBACK) as server:
        with pytest.raises(AriUnavailable):
            async with connect(str(server.make_url("/ari")), "idtone", PASSWORD):
                pass


async def test_a_connection_that_was_never_opened():
    connection = AriConnection(None, "http://x")
    with pytest.raises(AriUnavailable, match="never opened"):
        await anext(connection.events())
