"""The ARI connection to the real Asterisk, and to servers that misbehave."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, web

from idtone.ari_app import connection as module
from idtone.ari_app import events
from idtone.ari_app.connection import AriConnection, connect
from idtone.core.errors import AriRefused, AriUnavailable
from lab.asterisk import LOOPBACK, Asterisk, free_ports
from lab.hostile.hostile_server import (
    APPLICATION,
    CHANNEL,
    EVENTS,
    FILTER,
    INFO,
    PASSWORD,
    HostileServer,
    answer_always,
    answer_like_asterisk,
    encode_answer,
    fixed_response,
    hang_forever,
    requests,
)
from lab.lab import wait_until
from lab.site import BARE


@asynccontextmanager
async def listening(connection: AriConnection) -> AsyncIterator[list[events.Event]]:
    """Context in which the events are read, as the application reads them. Otherwise no answer would come over the
    WebSocket.
    """
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


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Asterisk]:
    """An Asterisk without a service and without other channels."""
    with Asterisk(installation, tmp_path_factory.mktemp("pbx"), site=BARE) as running:
        yield running


async def test_a_connection_that_cannot_be_opened(pbx):
    (port,) = free_ports(1)
    for url, password, error in (
        (pbx.ari_url, "wrong", 401),
        (pbx.ari_url.replace("/ari", "/other"), pbx.ari_password, 404),
        (f"http://{LOOPBACK}:{port}/ari", pbx.ari_password, None),
    ):
        with pytest.raises(AriRefused if error else AriUnavailable) as found:
            async with connect(url, "idtone", password):
                pass
        assert getattr(found.value, "status", None) == error
        assert error or url in str(found.value)
        assert password not in str(found.value)


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """Types of all messages from the WebSocket."""
    types: list[str] = []
    monkeypatch.setattr(module, "read", lambda text: types.append(json.loads(text)["type"]) or events.read(text))
    return types


async def test_the_filter_keeps_other_events_away_and_calls_outside_the_application_cost_none(pbx, told, monkeypatch):
    """A channel enters the application with the filter and, for comparison, without it."""

    async def traffic(context: str) -> set[str]:
        told.clear()
        async with connect(pbx.ari_url, "idtone", pbx.ari_password) as connection, listening(connection):
            await asyncio.to_thread(pbx.command, f"channel originate Local/s@{context} application Wait 0.2")
            if context == "idtone-called":
                await wait_until(lambda: "StasisStart" in told, "the call")
                await asyncio.to_thread(pbx.command, "channel request hangup all")
            await wait_until(lambda: not pbx.channels(), "both channels of the call to be gone")
            with pytest.raises(AriRefused):  # all earlier events have come when this is answered
                await connection.request("DELETE", "channels/none")
        return set(told)

    assert {"StasisStart"} <= await traffic("idtone-called") <= events.EVENTS
    monkeypatch.setattr(module, "EVENTS", ())
    assert {"ChannelVarset", "StasisEnd"} & await traffic("idtone-called"), "without it other events must come"
    assert await traffic("idtone-fallback") <= {"RESTResponse"}, "not even an event that the filter would drop"


async def test_a_replaced_connection_is_told_and_can_still_send_requests(pbx):
    async with connect(pbx.ari_url, "idtone", pbx.ari_password) as first, listening(first) as events_of_first:
        async with connect(pbx.ari_url, "idtone", pbx.ari_password):
            await wait_until(lambda: events_of_first == [events.Replaced()], "the event")
            assert await first.waiting() == frozenset(), "the second connection has the application"
            with pytest.raises(AriRefused, match="404"):
                await first.request("DELETE", "channels/none")

        async def let_go() -> bool:
            return await first.waiting() is None

        await wait_until(let_go, "Asterisk to notice")


@pytest.mark.parametrize("times", [1, 3])
async def test_an_application_that_a_closing_connection_takes_away_is_taken_again(times):
    """Asterisk 22.10.1 drops the application when one connection closes while another one opens."""
    refusals = iter([fixed_response(status=404, reason="Not Found")] * times)

    async def filtered(request: web.Request) -> web.StreamResponse:
        return await next(refusals, fixed_response(status=204))(request)

    server = HostileServer(answer_like_asterisk, {FILTER: filtered})
    if times < 3:
        async with server.connected() as connection, listening(connection):
            await connection.request("POST", "channels/c/continue")
            assert server.listeners == 1
    else:
        with pytest.raises(AriRefused, match="404"):
            async with server.connected():
                pass
    paths = [request.path for request in server.requests]
    assert paths.count(EVENTS) == paths.count(FILTER) == min(times + 1, 3)


async def ended_with(connection: AriConnection, *requests: Awaitable[Any]) -> list[BaseException]:
    """The exceptions with which the events and the simultaneous requests ended."""

    async def listen() -> None:
        async for _ in connection.events():
            pass

    async with asyncio.timeout(60):
        endings = await asyncio.gather(listen(), *requests, return_exceptions=True)
    return [ending for ending in endings if isinstance(ending, BaseException)]


async def test_the_password_is_in_a_header_and_never_in_the_url():
    server = HostileServer(answer_like_asterisk)
    async with server.connected() as connection:
        assert connection.version == "22.4.0"
    assert {request.path for request in server.requests} == {INFO, EVENTS, FILTER}
    for request in server.requests:
        kind, _, credentials = request.headers["Authorization"].partition(" ")
        assert (kind, base64.b64decode(credentials).decode()) == ("Basic", f"idtone:{PASSWORD}")
        assert "idtone:" not in str(request.url)
        assert not {"api_key", "password"} & set(request.query)


async def test_an_error_status_over_the_websocket_is_an_error():
    talk = answer_always(status_code=409, reason_phrase="Conflict")
    async with HostileServer(talk).connected() as connection, listening(connection):
        with pytest.raises(AriRefused, match="409 'Conflict' to POST channels/c/continue") as error:
            await connection.request("POST", "channels/c/continue", context="x")
    assert (error.value.status, error.value.reason) == (409, "Conflict")


@pytest.mark.parametrize("body", ["<html>", "[" * 100_000, "9" * 100_000], ids=["HTML", "deep", "a long number"])
async def test_an_answer_that_is_not_json_is_not_from_asterisk(body):
    server = HostileServer(answer_always(status_code=200, message_body=body))
    async with server.connected() as connection, listening(connection):
        with pytest.raises(AriUnavailable, match="POST channels/c/continue"):
            await connection.request("POST", "channels/c/continue")


async def test_a_server_that_closes_dies_or_freezes_ends_every_waiting_request(monkeypatch):
    async def closes(socket: web.WebSocketResponse) -> None:
        for _ in range(3):
            await socket.receive()
        await socket.close(code=1001)

    async def dies(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        (asked,) = (request for request in server.requests if request.path == EVENTS)
        assert asked.transport
        asked.transport.abort()  # as if the process were killed

    for talk in (closes, dies, hang_forever):
        monkeypatch.setattr(module, "HEARTBEAT_S", 0.2 if talk is hang_forever else 60)
        server = HostileServer(talk)
        async with server.connected() as connection:
            ended = await ended_with(connection, *(connection.request("DELETE", f"channels/{n}") for n in range(3)))
            assert [type(ending) for ending in ended] == [AriUnavailable] * 4, talk
            assert "1001" in str(ended[0]) or talk is not closes
            with pytest.raises(AriUnavailable, match="closed"):
                await connection.request("DELETE", "channels/3")


async def test_a_good_connection_outlasts_an_event_loop_that_stands_still(pbx, monkeypatch):
    """Each time, the answer to a ping has arrived but was not read yet."""
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.2)
    real, pings = ClientWebSocketResponse.ping, 0

    async def ping(socket: ClientWebSocketResponse) -> None:
        nonlocal pings
        await real(socket)
        pings += 1
        asyncio.get_running_loop().call_soon(time.sleep, 0.3)

    monkeypatch.setattr(ClientWebSocketResponse, "ping", ping)
    async with connect(pbx.ari_url, "idtone", pbx.ari_password) as connection, listening(connection):
        await wait_until(lambda: pings >= 3, "some pings")
        with pytest.raises(AriRefused):  # the connection still works
            await connection.request("DELETE", "channels/none")


async def test_a_server_that_does_not_say_whether_it_has_let_the_application_go():
    server = HostileServer(answer_like_asterisk, {APPLICATION: fixed_response(status=500)})
    async with server.connected() as connection:
        await connection.leave()
        with pytest.raises(AriRefused):
            await connection.waiting()


async def test_what_a_caller_can_lengthen_never_comes_over_the_websocket():
    """Asterisk builds a WebSocket message on a thread's stack, so a long message crashes Asterisk."""
    answers = {
        "/ari/applications/idtone": fixed_response(text=json.dumps({"channel_ids": ["1795.1"]})),
        "/ari/channels/1795.1": fixed_response(text=json.dumps({"id": "1795.1", "dialplan": {}, "x": "x" * 2**21})),
    }
    asked_over_socket: list[str] = []

    async def talk(socket: web.WebSocketResponse) -> None:
        async for asked in requests(socket):
            asked_over_socket.append(asked["uri"])
            await socket.send_str(encode_answer(asked))

    async with HostileServer(talk, answers).connected() as connection, listening(connection):
        assert connection.transport == "requests over the WebSocket"
        assert await connection.waiting() == {"1795.1"}
        assert await connection.channel("1795.1") == events.Channel("1795.1", None)
        await connection.request("POST", "channels/1795.1/continue")
    assert asked_over_socket == ["channels/1795.1/continue"]


@pytest.mark.parametrize("words", [fixed_response(), fixed_response(status=500)], ids=["nothing", "an error"])
async def test_a_channel_that_asterisk_cannot_describe_exists(words):
    """One octet that is not UTF-8 in the caller's texts is enough to hide a channel."""
    async with HostileServer(answer_like_asterisk, {CHANNEL: words}).connected() as connection:
        assert await connection.channel("1795.1") == events.Channel("1795.1", None)


async def test_an_older_version_gets_requests_over_http():
    server = HostileServer(answer_like_asterisk, version="20.13.0")
    async with server.connected() as connection, listening(connection):
        assert connection.transport == "requests over HTTP"
        await connection.request("POST", "channels/c/continue", context="x", priority=2)
    asked = server.requests[-1]
    assert (asked.method, asked.path, dict(asked.query)) == (
        "POST",
        "/ari/channels/c/continue",
        {"context": "x", "priority": "2"},
    )


async def test_a_connection_that_was_never_opened():
    connection = AriConnection(None, "http://x")
    with pytest.raises(AriUnavailable, match="never opened"):
        await anext(connection.events())
