"""A broken or malicious Asterisk at the other end of the connection: the service survives, and serves the next call."""

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
from idtone.ari_app.application import AriApplication
from idtone.ari_app.connection import connect
from idtone.ari_app.runner import ApplicationRunner
from idtone.core.errors import AriError, AriUnavailable
from idtone.tones.making.sound_files import Sound
from lab.ari_app.memory_call_control import call_control, no_journal
from lab.call_control.memory_evidence import MemoryEvidence
from lab.hostile.hostile_server import (
    APPLICATION,
    CHANNEL,
    EVENTS,
    FILTER,
    INFO,
    PASSWORD,
    HostileServer,
    answer_like_asterisk,
    encode_answer,
    fixed_response,
    hang_forever,
    requests,
)
from lab.lab import wait_until
from lab.repository import ROOT

MEBIBYTE = 2**20
MUCH = 80
"""MiB that an attacker sends at a time. The service's memory must grow by less."""
CHEAP_MIB = 64
CALLER, CALL = "1795758888.0", "1795758888.0-1"
STASIS_START = json.dumps(json.loads((ROOT / "lab" / "hostile" / "recorded.json").read_text("utf-8"))["events"][0])
RESUMED = {"context": "idtone-forward", "extension": "v:123456789987:PLAY:licence-valid:::sample::22", "priority": "1"}

Harm = Callable[[web.WebSocketResponse], Awaitable[None]]


def resident_mib() -> float:
    """Resident memory of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / MEBIBYTE


@dataclass
class Asterisk:
    """An Asterisk that sends malicious messages on its first WebSocket. Then it places a call: on the same WebSocket if
    that is still open, otherwise on the next one.
    """

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
        async for asked in requests(socket):
            await socket.send_str(encode_answer(asked))
            if asked["uri"] == f"channels/{CALLER}/continue":
                self.verdicts.append({each["name"]: each["value"] for each in asked["query_strings"]})


@asynccontextmanager
async def serving(url: str, sounds: dict[str, Sound], evidence: MemoryEvidence) -> AsyncIterator[None]:
    """Context with the service. No exception may reach the event loop, and no traceback the log."""
    escaped: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
    stop = asyncio.Event()
    application = AriApplication(call_control(sounds, evidence), no_journal)
    running = asyncio.create_task(ApplicationRunner(application, lambda: connect(url, "idtone", PASSWORD)).run(stop))
    try:
        yield
        assert not running.done(), "the service ended"
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await running
    assert not escaped


async def raw(socket: web.WebSocketResponse, data: bytes) -> None:
    """Send raw octets below the WebSocket layer."""
    transport = socket._req.transport if socket._req else None
    if transport is None or transport.is_closing():
        raise ConnectionError
    transport.write(data)
    await asyncio.sleep(0)


def frame(first: int, payload: bytes, claimed: int | None = None) -> bytes:
    """A server's frame: its first octet, the claimed length, which may be false, and the payload."""
    return bytes([first, 127]) + struct.pack(">Q", len(payload) if claimed is None else claimed) + payload


def says(*texts: str) -> Harm:
    async def harm(socket: web.WebSocketResponse) -> None:
        for text in texts:
            await socket.send_str(text)

    return harm


def sends(data: bytes) -> Harm:
    async def harm(socket: web.WebSocketResponse) -> None:
        await raw(socket, data)
        await asyncio.sleep(0.05)
        socket._req.transport.abort()

    return harm


def floods(first: bytes, chunk: bytes) -> Harm:
    async def harm(socket: web.WebSocketResponse) -> None:
        await raw(socket, first)
        for _ in range(MUCH):
            await raw(socket, chunk)
            await asyncio.sleep(0.001)

    return harm


async def closes_in_the_middle(socket: web.WebSocketResponse) -> None:
    await socket.receive()
    await socket.close(code=1011, message=b"\xff\n2026-11-01 INFO ready")


def answers(*changes: dict[str, Any]) -> Harm:
    """Malicious answers, one after the other, to the first request, which is a call's verdict."""

    async def harm(socket: web.WebSocketResponse) -> None:
        await socket.send_str(STASIS_START)
        asked = await anext(requests(socket))
        for change in changes:
            await socket.send_str(encode_answer(asked, **change))

    return harm


def deflated(text: str) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(text.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]


IDS = {"channel": {"id": []}, "args": ["decide"], "request_id": [], "status_code": 200}
DESTROYED = json.dumps({"type": "ChannelDestroyed", "channel": {"id": "1.1"}, "cause": 16, "filling": "x" * 400})
HARM: dict[str, Harm] = {
    "no JSON": says("", "{", '{"type": "StasisStart"', "\x00", "\ufeff{}", "[1, 2", "NaN", '"\\ud800"', "7"),
    "deep JSON": says("[" * 100_000, '{"type":' * 100_000, '{"type": "StasisStart", "args": ' + "[" * 100_000),
    "numbers without end": says("9" * 100_000, '{"type": "ChannelDestroyed", "cause": ' + "9" * 100_000 + "}"),
    "no text for a type": says('{"type": []}', '{"type": {}}', '{"type": null}', '{"type": 7}', '{"type": "é\\ud800"}'),
    "ids that are no keys": says(*(json.dumps({"type": kind} | IDS) for kind in sorted(connection.EVENTS))),
    "bogus frames in binary": sends(frame(0x82, b"\x00\xff" * 1000) + frame(0x82, STASIS_START.encode())),
    "no UTF-8": sends(frame(0x81, b"\xff\xfe\xc3")),
    "an oversized message": floods(frame(0x81, b"", claimed=2**62), b"[" * MEBIBYTE),
    "fragments without end": floods(frame(0x01, b"["), frame(0x00, b"[" * MEBIBYTE)),
    "compressed though nobody agreed": sends(frame(0xC1, deflated("[" * MUCH * MEBIBYTE))),
    "nothing that is anything": sends(bytes(range(256)) * 200),
    "events without end": says(*[DESTROYED] * 4000),
    "a close in the middle": closes_in_the_middle,
    "half a message": sends(frame(0x81, STASIS_START.encode())[:-20]),
    "an answer that is none, then one": answers({"status_code": "200"}, {"status_code": None}, {"request_id": 1}, {}),
    "answers to nobody, and two": answers({"request_id": "nobody's"}, {}, {"status_code": 500}),
    "an error for an answer": answers({"status_code": 500, "reason_phrase": "\r\n2026 INFO ready: Asterisk"}),
    "an answer with no status of HTTP": answers({"status_code": -1}),
}
"""Malicious acts on the first connection."""


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
async def test_the_next_call_is_served(sounds, monkeypatch, caplog, harm):
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_S", 1.0)
    caplog.set_level(logging.INFO)
    asterisk, evidence = Asterisk(harm), MemoryEvidence()
    async with HostileServer(asterisk.talk).running() as server, serving(server.url, sounds, evidence):
        await wait_until(lambda: asterisk.verdicts, "the verdict")
    assert asterisk.verdicts[0] == RESUMED
    assert [(step.kind, step.call_id) for step in evidence.steps] == [("decided", CALL)]
    assert asterisk.wider_mib < CHEAP_MIB
    assert not [record.getMessage() for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if "\n" in record.getMessage() or "\r" in record.getMessage()]
    assert PASSWORD not in caplog.text


async def only_pongs(socket: web.WebSocketResponse) -> None:
    for _ in range(10):
        message = await socket.receive()
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)


@pytest.mark.parametrize("silent", [hang_forever, only_pongs])
async def test_an_asterisk_that_never_answers_is_left(sounds, monkeypatch, silent):
    """A frozen Asterisk answers no ping; another one answers pings, but no request."""
    monkeypatch.setattr(connection, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_S", 0.5)
    asterisk = Asterisk(silent)
    async with HostileServer(asterisk.talk).running() as server, serving(server.url, sounds, MemoryEvidence()):
        await wait_until(lambda: asterisk.verdicts, "the verdict")
    assert asterisk.verdicts[0] == RESUMED


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(MUCH):
        await response.write(b"[" * MEBIBYTE)
    return response


NOT_FOUND = "a reason with much in it"
ANSWERS = {
    "an error page": fixed_response(status=500, text="<html>\r\nno\r\n</html>", content_type="text/html"),
    "a page of something else": fixed_response(text="<html>", content_type="text/html"),
    "nothing": fixed_response(),
    "no object": fixed_response(text="[]"),
    "another version's form": fixed_response(text='{"system": []}'),
    "a version that is none": fixed_response(text='{"system": {"version": {"a": 1}}}'),
    "a version with a line break": fixed_response(text='{"system": {"version": "22.4.0\\n2026-11-01 ERROR x"}}'),
    "a version without end": fixed_response(text='{"system": {"version": "%s.4.0"}}' % ("9" * 5000)),
    "deep JSON": fixed_response(text="[" * 100_000),
    "no UTF-8": fixed_response(
        body=b'{"system": {"version": "\xff"}}', content_type="application/json", charset="utf-8"
    ),
    "a charset of nobody": fixed_response(body=b"{}", headers={"Content-Type": "application/json; charset=x-nobody"}),
    "a bomb": fixed_response(body=gzip.compress(b"[" * MUCH * MEBIBYTE, 1), headers={"Content-Encoding": "gzip"}),
    "what never ends": endless,
    NOT_FOUND: fixed_response(status=404, reason="x" * 4000),
}
"""Malicious answers to any request over HTTP."""
WORDLESS = (ANSWERS["an error page"], ANSWERS["nothing"])


@pytest.mark.parametrize("bad", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_over_http_that_is_not_asterisks_is_one_error(bad):
    """The error is the project's own: one line, without the password, and cheap."""
    before_mib = resident_mib()
    for path in (INFO, FILTER, EVENTS, APPLICATION, CHANNEL):
        try:
            async with asyncio.timeout(60), HostileServer(answer_like_asterisk, {path: bad}).connected() as opened:
                assert path not in (INFO, EVENTS)
                assert opened.version == "22.4.0"
                await opened.waiting()
                await opened.channel("1795.1")
                # Any answer will do to the filter; an error page and nothing are answers about a channel.
                assert path == FILTER or bad is ANSWERS[NOT_FOUND] or (path == CHANNEL and bad in WORDLESS)
        except AriError as error:
            text = str(error)
            assert "\n" not in text, path
            assert PASSWORD not in text
            assert len(text) < 6000
            assert bad is not endless or path == EVENTS or "longer than any of Asterisk's" in text
    assert resident_mib() - before_mib < CHEAP_MIB


async def test_a_redirection_is_not_followed():
    async with (
        HostileServer(answer_like_asterisk).running() as elsewhere,
        HostileServer(answer_like_asterisk).running() as server,
    ):
        for path in (INFO, FILTER, EVENTS):
            for status in (301, 302, 303, 307, 308):
                for target in (elsewhere, server):
                    server.answers = {path: fixed_response(status=status, headers={"Location": f"{target.url}/trap"})}
                    with pytest.raises(AriUnavailable, match="redirects"):
                        async with connect(server.url, "idtone", PASSWORD):
                            pass
    assert not elsewhere.requests
    assert "/ari/trap" not in {request.path for request in server.requests}
