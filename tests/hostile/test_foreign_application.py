"""Another ARI application has set a variable on the channel before the hook: Asterisk blocks FILE() in its thread then.

The lines of the journal arrive all the same, by a channel of their own, and no call waits for them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import aiohttp
import pytest

from ..calls.hearing import assert_heard_then_connected
from ..conftest import LAB_REGISTRY
from ..lab.asterisk import LAB_DIALPLAN, Asterisk
from ..lab.called import IncomingCall
from ..lab.lab import CALLED_NUMBER, CALLER_NUMBER, LICENSED, SUSPENDED, Forwarding, Lab, Placed, lab, until
from ..lab.service import Service

THROUGH = """
    ; Calls that go through the other application before they come to the hook.
    [from-lab](+)
    exten = _foreig[n].,1,Set(__LAB_CALL=${PJSIP_HEADER(read,X-Lab-Call)})
     same = n,Stasis(foreign)
     same = n,Set(GLOBAL(ROOT_${LAB_CALL})=<${STAT(e,/)}>)
     same = n,Goto(${EXTEN:7},1)
"""
DIALPLAN = f"#include idtone.conf\n{dedent(LAB_DIALPLAN)}{dedent(THROUGH)}"
DELAY_MS = 20
"""By how much an emergency call may come later if FILE() is blocked."""
TIMED = 7


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Asterisk]:
    with Asterisk(installation, tmp_path_factory.mktemp("foreign"), {"extensions.conf": DIALPLAN}) as running:
        yield running


@pytest.fixture(scope="module")
def serving(pbx) -> Iterator[Service]:
    with Service(pbx, LAB_REGISTRY) as running:
        yield running


@pytest.fixture
def service(serving) -> Iterator[Service]:
    """It runs; a test may stop it. Afterwards no number is in a log."""
    if serving.process is None:
        serving.start()
    yield serving
    assert_no_number_is_logged(serving)


def assert_no_number_is_logged(service: Service) -> None:
    for number in (LICENSED, SUSPENDED, CALLED_NUMBER, CALLER_NUMBER):
        for log in (service.log(), service.asterisk.log(), (service.asterisk.scratch / "console").read_text()):
            assert number[1:] not in log


class Foreign:
    """An application that sets a variable on each channel, as long as it `sets`, and lets it go on."""

    def __init__(self, session: aiohttp.ClientSession, url: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._url = url
        self._socket = socket
        self.sets = True
        self.let_go_ns: list[int] = []
        """When it let the channels go on."""

    async def run(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if event["type"] == "StasisStart":
                if self.sets:
                    await self._post(event["channel"]["id"], "variable", variable="FOREIGN", value="1")
                self.let_go_ns.append(time.time_ns())
                await self._post(event["channel"]["id"], "continue")

    async def _post(self, channel: str, what: str, **query: str) -> None:
        async with self._session.post(f"{self._url}/channels/{channel}/{what}", params=query) as answer:
            assert answer.status == 204, await answer.text()


@asynccontextmanager
async def foreign(pbx: Asterisk) -> AsyncIterator[Foreign]:
    credentials = base64.b64encode(f"idtone:{pbx.ari_password}".encode()).decode()
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Basic {credentials}"}) as session,
        session.ws_connect(f"{pbx.ari_url}/events", params={"app": "foreign"}) as socket,
    ):
        application = Foreign(session, pbx.ari_url, socket)
        running = asyncio.create_task(application.run())
        try:
            yield application
        finally:
            assert not running.done(), running.exception()
            running.cancel()
            await asyncio.wait({running})


def forwarding(number: str = LICENSED, dialled: str = CALLED_NUMBER, **more: Any) -> Forwarding:
    return Forwarding(number, dialled=f"foreign{dialled}", **more)


def assert_blocked(pbx: Asterisk, placed: Placed, blocked: bool = True) -> None:
    """So that these tests test something: the dialplan's own look at a file was empty."""
    assert f"ROOT_{placed.name}=<{'' if blocked else 1}>" in pbx.command("dialplan show globals")
    assert "FILE write blocked" not in pbx.log(), "the hook knows, and does not even try"


async def talk(phones: Lab, where: Forwarding) -> Placed:
    placed = await phones.place(where)
    await phones.talk_and_hang_up(placed)
    await phones.nothing_is_left()
    return placed


async def recorded(service: Service, before: set[str]) -> dict[str, Any]:
    """The record of the one call that came since, when its end is in it."""

    def complete() -> bool:
        records = service.records()
        return any(records[call_id]["complete"] for call_id in records.keys() - before)

    await until(complete, "the record", 10)
    records = service.records()
    (call_id,) = records.keys() - before
    return records[call_id]


@pytest.mark.parametrize("interface", ["ari", "agi"])
@pytest.mark.parametrize("way", ["hook", "own-dial"])
async def test_a_licensed_call_is_heard_and_recorded(pbx, service, references, interface, way):
    before = set(service.records())
    async with foreign(pbx), lab(pbx) as phones:
        placed = await talk(phones, forwarding(interface=interface, way=way))
        assert_heard_then_connected(placed, "sample", references)
    assert_blocked(pbx, placed)
    record = await recorded(service, before)
    assert (record["outcome"], record["reason"], record["status"]) == ("PLAY", "licence-valid", "CONNECTED")
    assert (record["heard_by"], record["anomalies"], record["fallback"]) == (["called"], [], False)
    assert record["known_by"] == {"called": "packets"}


@pytest.mark.parametrize("way", ["hook", "own-dial"])
async def test_a_fallback_call_is_heard_and_recorded(pbx, service, references, way):
    """The service is down, and reads the lines when it is back."""
    before = set(service.records())
    await asyncio.to_thread(service.stop)
    async with foreign(pbx), lab(pbx) as phones:
        placed = await talk(phones, forwarding(way=way))
        assert_heard_then_connected(placed, "notice", references)
    assert_blocked(pbx, placed)
    await asyncio.to_thread(service.start)
    record = await recorded(service, before)
    assert (record["outcome"], record["reason"], record["status"]) == ("NOTICE", "service-unavailable", "CONNECTED")
    assert (record["heard_by"], record["anomalies"], record["fallback"]) == (["called"], [], True)


@pytest.mark.parametrize("up", [True, False])
async def test_a_suspended_number_is_refused_and_recorded(pbx, service, up):
    before = set(service.records())
    if not up:
        await asyncio.to_thread(service.stop)
    async with foreign(pbx), lab(pbx) as phones:
        placed = await phones.place(forwarding(SUSPENDED))
        await phones.nothing_is_left()
        assert not phones.called.calls
    assert_blocked(pbx, placed)
    if not up:
        await asyncio.to_thread(service.start)
    record = await recorded(service, before)
    assert (record["outcome"], record["reason"], record["status"]) == ("REFUSE", "number-suspended", "REFUSED")
    assert (record["anomalies"], record["fallback"]) == ([], not up)


@pytest.mark.parametrize("up", [True, False])
async def test_an_emergency_call_is_recorded(pbx, service, up):
    before = set(service.records())
    if not up:
        await asyncio.to_thread(service.stop)
    async with foreign(pbx), lab(pbx) as phones:
        placed = await talk(phones, forwarding(dialled="110"))
        assert placed.caller.final_status == 200
    assert_blocked(pbx, placed)
    if not up:
        await asyncio.to_thread(service.start)
    record = await recorded(service, before)
    assert (record["outcome"], record["reason"], record["status"]) == ("BYPASS", "emergency", "CONNECTED")
    assert (record["anomalies"], record["fallback"]) == ([], True)


async def test_an_emergency_call_is_not_delayed(pbx, service):
    """From the moment when the other application lets it go on, to the phone that is called."""
    took_ms: dict[bool, list[float]] = {True: [], False: []}
    async with foreign(pbx) as application, lab(pbx) as phones:
        for _ in range(TIMED):
            for blocked, each_ms in took_ms.items():
                application.sets = blocked
                placed = await talk(phones, forwarding(dialled="110"))
                assert_blocked(pbx, placed, blocked)
                assert placed.called
                each_ms.append((placed.called.arrival_ns - application.let_go_ns[-1]) / 1e6)
    blocked_ms, free_ms = statistics.median(took_ms[True]), statistics.median(took_ms[False])
    print(f"emergency call: {blocked_ms:.1f} ms where FILE() is blocked, {free_ms:.1f} ms where it is not")
    assert blocked_ms < free_ms + DELAY_MS


@asynccontextmanager
async def stuck_disk(service: Service) -> AsyncIterator[list[str]]:
    """Opening the journal takes until this ends; then the list holds the lines."""
    journal = service.asterisk.sounds / "journal" / "calls"
    journal.unlink()
    os.mkfifo(journal, 0o620)
    lines: list[str] = []
    try:
        yield lines
    finally:
        lines += await asyncio.to_thread(drained, journal)
        journal.unlink()


def drained(fifo: Path) -> list[str]:
    """What those write who wait for a reader."""
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    text, quiet_s = b"", time.monotonic() + 1
    while time.monotonic() < quiet_s:
        try:
            part = os.read(descriptor, 65536)
        except BlockingIOError:
            part = b""
        if part:
            text, quiet_s = text + part, time.monotonic() + 1
        time.sleep(0.01)
    os.close(descriptor)
    return text.decode().splitlines()


@pytest.mark.parametrize("through", [True, False], ids=["through another application", "alone"])
async def test_an_emergency_call_waits_for_no_disk(pbx, service, through):
    """Before it is dialled, when it is answered, and at its end: another call may have to follow at once."""
    await asyncio.to_thread(service.stop)
    where = forwarding(dialled="110") if through else Forwarding(dialled="110")

    async def hangs_up(call: IncomingCall) -> None:
        call.answer()
        await asyncio.sleep(0.2)
        await call.hangup()

    async with foreign(pbx), lab(pbx) as phones, stuck_disk(service) as lines:
        async with asyncio.timeout(3):
            placed = await phones.place(where, behaviour=hangs_up)
            assert placed.caller.final_status == 200
            await placed.caller.ended()
    async with lab(pbx) as phones:
        await phones.nothing_is_left()
    assert [line.split(",")[0] for line in lines] == ["decided", "ended"]
    assert len({line.split(",")[1] for line in lines}) == 1
    assert lines[0].endswith(",BYPASS,emergency,none")
