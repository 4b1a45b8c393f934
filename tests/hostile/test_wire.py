"""An Asterisk on the wire that is broken or means harm: the service lives, and serves the next call."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from idtone.ari_app import connection
from idtone.ari_app.connection import connect
from idtone.ari_app.runner import ApplicationRunner
from idtone.errors import AriError, AriUnavailable
from idtone.tones.making.sounds import Sound, ensure_sounds
from idtone.tones.profile_library import load_library

from ..ari_app.fakes import Notebook
from ..lab.lab import until
from .applications import application
from .server import EVENTS, FILTER, INFO, HostileServer, after, answer, forever, obediently, plainly

PASSWORD = "a-secret-of-no-asterisk"  # noqa: S105
MEBIBYTE = 2**20
CALLER, CALL = "1795.0", "1795.0-1"
STASIS_START = json.dumps(json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))["events"][0])
CHANNELS = json.dumps([{"id": CALLER, "dialplan": {"app_name": "Dial", "app_data": ""}}])
RESUMED = {
    "context": "idtone-forward", "extension": "v:123456789987:PLAY:licence-valid:::sample::22", "priority": "1"
}  # fmt: skip

Harm = Callable[[web.WebSocketResponse], Awaitable[None]]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> dict[str, Sound]:
    return ensure_sounds(tmp_path_factory.mktemp("sounds"), load_library().values(), ["sln"])


def resident_mib() -> float:
    """This process's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / MEBIBYTE


@dataclass
class Asterisk:
    """Does harm on its first WebSocket, and on the next, or after the harm where that left it open, places a call."""

    harm: Harm
    connections: int = 0
    verdicts: list[dict[str, str]] = field(default_factory=list)
    wider_mib: float = 0.0

    async def talk(self, socket: web.WebSocketResponse) -> None:
        self.connections += 1
        if self.connections == 1:
            before_mib = resident_mib()
            try:
                await self.harm(socket)
            finally:
                self.wider_mib = resident_mib() - before_mib
        if not socket.closed:
            await self._place_call(socket)

    async def _place_call(self, socket: web.WebSocketResponse) -> None:
        await socket.send_str(STASIS_START)
        async for message in socket:
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                asked = json.loads(message.data)
                listing = {"status_code": 200, "message_body": CHANNELS} if asked["uri"] == "channels" else {}
                await socket.send_str(answer(asked, **listing))
                if asked["uri"] == f"channels/{CALLER}/continue":
                    self.verdicts.append({each["name"]: each["value"] for each in asked["query_strings"]})


@asynccontextmanager
async def serving(url: str, sounds: dict[str, Sound], notebook: Notebook) -> AsyncIterator[None]:
    """The service; nothing may escape from it, into its log as a traceback or into the loop."""
    escaped: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    stop = asyncio.Event()
    runner = ApplicationRunner(application(sounds, notebook), lambda: connect(url, "idtone", PASSWORD))
    running = asyncio.create_task(runner.run(stop))
    try:
        yield
        assert not running.done(), "the service ended"
    finally:
        stop.set()
        async with asyncio.timeout(3):
            await running
    assert not escaped


async def raw(socket: web.WebSocketResponse, data: bytes) -> None:
    """Octets beneath the WebSocket."""
    transport = socket._req.transport if socket._req else None
    if transport is None or transport.is_closing():
        raise ConnectionError
    transport.write(data)
    await asyncio.sleep(0)


def frame(first: int, payload: bytes, claimed: int | None = None) -> bytes:
    """One frame from a server: its first octet, and a length that need not be true."""
    return bytes([first, 127]) + struct.pack(">Q", len(payload) if claimed is None else claimed) + payload


async def flooded(socket: web.WebSocketResponse, chunk: bytes, times: int) -> None:
    for _ in range(times):
        await raw(socket, chunk)
        await asyncio.sleep(0.001)


def says(*frames: str) -> Harm:
    async def harm(socket: web.WebSocketResponse) -> None:
        for each in frames:
            await socket.send_str(each)

    return harm


def sends(data: bytes) -> Harm:
    async def harm(socket: web.WebSocketResponse) -> None:
        await raw(socket, data)
        await asyncio.sleep(0.05)
        socket._req.transport.abort()

    return harm


def claims_much(first: int) -> Harm:
    async def harm(socket: web.WebSocketResponse) -> None:
        await raw(socket, frame(first, b"", claimed=2**62))
        await flooded(socket, b"[" * MEBIBYTE, 96)

    return harm


async def endless_fragments(socket: web.WebSocketResponse) -> None:
    await raw(socket, frame(0x01, b"["))
    await flooded(socket, frame(0x00, b"[" * MEBIBYTE), 96)


async def empty_fragments(socket: web.WebSocketResponse) -> None:
    await raw(socket, frame(0x01, b"["))
    await flooded(socket, frame(0x00, b"") * 10_000, 20)
    await raw(socket, frame(0x80, b""))


async def pings_without_end(socket: web.WebSocketResponse) -> None:
    """And none of the answers is read."""
    await flooded(socket, frame(0x89, b"p" * 125) * 200, 100)


async def many_events(socket: web.WebSocketResponse) -> None:
    """More than a busy PBX tells in a minute."""
    destroyed = json.dumps({"type": "ChannelDestroyed", "channel": {"id": "1.1"}, "cause": 16, "filling": "x" * 400})
    for _ in range(4000):
        await socket.send_str(destroyed)


async def closes_in_the_middle(socket: web.WebSocketResponse) -> None:
    await socket.receive()
    await socket.close(code=1011, message=b"\xff\n2026-11-01 INFO ready")


async def half_a_message(socket: web.WebSocketResponse) -> None:
    await raw(socket, frame(0x81, STASIS_START.encode())[:-20])
    socket._req.transport.abort()


def answers(*changes: dict[str, Any]) -> Harm:
    """To the first request, one after the other."""

    async def harm(socket: web.WebSocketResponse) -> None:
        asked = json.loads((await socket.receive()).data)
        for change in changes:
            await socket.send_str(answer(asked, **change))

    return harm


def deflated(text: str) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(text.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]


HARM: dict[str, Harm] = {
    "no JSON": says("", "{", "nul", '{"type": "StasisStart"', "\x00", "\ufeff{}", "[1, 2", "NaN", '"\\ud800"', "7"),
    "deep JSON": says("[" * 100_000, '{"type":' * 100_000, '{"type": "StasisStart", "args": ' + "[" * 100_000),
    "numbers without end": says("9" * 100_000, '{"type": "ChannelDestroyed", "cause": ' + "9" * 100_000 + "}"),
    "no text for a type": says('{"type": []}', '{"type": {}}', '{"type": null}', '{"type": 7}', '{"type": "é\\ud800"}'),
    "ids that are no keys": says(
        *(
            json.dumps({"type": kind, "channel": {"id": []}, "args": ["decide"], "request_id": [], "status_code": 200})
            for kind in sorted(connection.EVENTS)
        )
    ),
    "bogus frames in binary": sends(frame(0x82, b"\x00\xff" * 1000) + frame(0x82, STASIS_START.encode())),
    "no UTF-8": sends(frame(0x81, b"\xff\xfe\xc3")),
    "an oversized message": claims_much(0x81),
    "an oversized binary message": claims_much(0x82),
    "an oversized ping": sends(frame(0x89, b"x" * 4000)),
    "fragments without end": endless_fragments,
    "fragments of nothing": empty_fragments,
    "a continuation of nothing": sends(frame(0x80, b"x")),
    "an unknown opcode": sends(frame(0x83, b"x")),
    "reserved bits": sends(frame(0xB1, b"x")),
    "compressed though nobody agreed": sends(frame(0xC1, deflated("[" * 50 * MEBIBYTE))),
    "HTTP where frames belong": sends(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n"),
    "nothing that is anything": sends(bytes(range(256)) * 200),
    "pings without end": pings_without_end,
    "events without end": many_events,
    "a close in the middle": closes_in_the_middle,
    "half a message": half_a_message,
    "a close with a code of nobody": sends(frame(0x88, struct.pack(">H", 7) + b"x")),
    "answers to nobody": says(*(answer({"method": "GET", "uri": "", "request_id": n}) for n in ("0", "999", "-1", ""))),
    "two answers": answers({}, {}, {"status_code": 500}),
    "an answer that is none, then one": answers({"status_code": "200"}, {"status_code": None}, {"request_id": 1}, {}),
    "an answer without JSON": answers({"message_body": "<html>"}),
    "an answer without a text": answers({"message_body": {"a": 1}}, {}),
    "an answer that is deep": answers({"message_body": "[" * 100_000}),
    "an answer of numbers without end": answers({"message_body": "9" * 100_000}),
    "an error for an answer": answers({"status_code": 500, "reason_phrase": "\r\n2026 INFO ready: Asterisk"}),
    "an answer with no status of HTTP": answers({"status_code": -1}),
}
"""What the first connection suffers."""


@pytest.mark.parametrize("harm", [pytest.param(harm, id=name) for name, harm in HARM.items()])
async def test_the_next_call_is_served(sounds, monkeypatch, caplog, harm):
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_S", 1.0)
    caplog.set_level(logging.INFO)
    asterisk, notebook = Asterisk(harm), Notebook()
    async with HostileServer(asterisk.talk).running() as server, serving(server.url, sounds, notebook):
        await until(lambda: asterisk.verdicts, "the verdict", 10)
    assert asterisk.verdicts[0] == RESUMED
    assert notebook.kinds() == ["decided"]
    assert notebook.steps[0].call_id == CALL
    assert asterisk.wider_mib < 64
    assert not [record.getMessage() for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if "\n" in record.getMessage() or "\r" in record.getMessage()]
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("silent_on", ["the WebSocket", "requests"])
async def test_an_asterisk_that_never_answers_is_left(sounds, monkeypatch, silent_on):
    """Frozen, it answers no ping; or it goes on answering these, and nothing else."""
    monkeypatch.setattr(connection, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_S", 0.5)

    async def pongs(socket: web.WebSocketResponse) -> None:
        for _ in range(10):
            message = await socket.receive()
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)

    asterisk = Asterisk(forever if silent_on == "the WebSocket" else pongs)
    async with HostileServer(asterisk.talk).running() as server, serving(server.url, sounds, Notebook()):
        await until(lambda: asterisk.verdicts, "the verdict", 10)
    assert asterisk.verdicts[0] == RESUMED


BOMB = gzip.compress(gzip.compress(b"[" * 200 * MEBIBYTE, 9), 1)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(200):
        await response.write(b"[" * MEBIBYTE)
    return response


ANSWERS = {
    "an error page": plainly(status=500, text="<html>\r\nno\r\n</html>", content_type="text/html"),
    "a page of something else": plainly(text="<html>", content_type="text/html"),
    "another version's form": plainly(text='{"system": []}'),
    "a version that is none": plainly(text='{"system": {"version": {"a": 1}}}'),
    "a version with a line break": plainly(text='{"system": {"version": "22.4.0\\n2026-11-01 ERROR x"}}'),
    "a version without end": plainly(text='{"system": {"version": "%s.4.0"}}' % ("9" * 5000)),
    "deep JSON": plainly(text="[" * 100_000),
    "no UTF-8": plainly(body=b'{"system": {"version": "\xff"}}', content_type="application/json", charset="utf-8"),
    "a charset of nobody": plainly(body=b"{}", headers={"Content-Type": "application/json; charset=x-nobody"}),
    "a bomb": plainly(body=gzip.decompress(BOMB), headers={"Content-Encoding": "gzip"}),
    "what never ends": endless,
    "a reason with much in it": plainly(status=404, reason="x" * 4000),
}
"""For any of the requests that go over HTTP."""


@pytest.mark.parametrize("path", [INFO, FILTER, EVENTS])
@pytest.mark.parametrize("bad", ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_over_http_that_is_not_asterisks_is_one_error(path, bad):
    """Of ours, in one line, without the password; and cheap."""
    before_mib = resident_mib()
    async with HostileServer(obediently, {path: bad}).running() as server:
        try:
            async with asyncio.timeout(5), connect(server.url, "idtone", PASSWORD) as opened:
                assert path == FILTER  # whose answer does not matter, as long as it is one
                assert opened.version == "22.4.0"
        except AriError as error:
            text = str(error)
            assert "\n" not in text
            assert PASSWORD not in text
            assert len(text) < 6000
    assert resident_mib() - before_mib < 64


@pytest.mark.parametrize("path", [INFO, FILTER, EVENTS])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["elsewhere", "here"])
async def test_a_redirection_is_not_followed(path, status, where):
    async with HostileServer(obediently).running() as elsewhere, HostileServer(obediently).running() as server:
        target = elsewhere if where == "elsewhere" else server
        server.answers[path] = plainly(status=status, headers={"Location": f"{target.url}/trap"})
        with pytest.raises(AriUnavailable, match="redirects"):
            async with connect(server.url, "idtone", PASSWORD):
                pass
    assert not elsewhere.requests
    assert "/ari/trap" not in server.paths()


async def test_a_channel_list_of_a_big_pbx_is_no_oversized_message():
    """20 000 channels, with what Asterisk says of each."""
    channel = {"id": "1795564585.21", "name": "PJSIP/trunk-0000a1b2", "state": "Up", "protocol_id": "x" * 40,
               "caller": {"name": "", "number": "0312345678"}, "connected": {"name": "", "number": "0312345678"},
               "accountcode": "", "creationtime": "2026-11-25T00:29:06.334+0000", "language": "en",
               "dialplan": {"context": "from-lab", "exten": "0312340000", "priority": 9, "app_name": "Dial",
                            "app_data": "PJSIP/0312340000@trunk,60,gU(idtone-called^0312345678^^x^3)"}}  # fmt: skip
    channels = json.dumps([channel] * 20_000)

    async def talk(socket: web.WebSocketResponse) -> None:
        asked = json.loads((await socket.receive()).data)
        await after(socket, answer(asked, status_code=200, message_body=channels))

    async with HostileServer(talk).running() as server, connect(server.url, "idtone", PASSWORD) as opened:
        listening = asyncio.ensure_future(anext(opened.events()))
        assert len(await opened.request("GET", "channels")) == 20_000
        listening.cancel()
        await asyncio.wait({listening})
