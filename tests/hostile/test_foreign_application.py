"""Another ARI application sets a variable on the channel before the hook runs. Then Asterisk blocks FILE() in the
channel's thread.

The lines of the journal still arrive, over a channel of their own, and no call waits for them.
"""

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

from lab.asterisk import LAB_DIALPLAN, Asterisk
from lab.calls.assert_heard import assert_heard_then_connected
from lab.hostile.attacked_pbx import assert_no_number_is_logged
from lab.incoming_call import IncomingCall
from lab.lab import CALLED_NUMBER, SUSPENDED, Forwarding, Lab, PlacedCall, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.service import Service

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
"""Milliseconds that an emergency call may be later if FILE() is blocked."""
TIMED = 5


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Asterisk]:
    with Asterisk(installation, tmp_path_factory.mktemp("foreign"), {"extensions.conf": DIALPLAN}) as running:
        yield running


@pytest.fixture(scope="module")
def service(pbx) -> Iterator[Service]:
    """A service that each test leaves running. After the tests, it checks that no log has a number."""
    with Service(pbx, LAB_REGISTRY) as running:
        yield running
    assert_no_number_is_logged(running)


class Foreign:
    """An application that, while `sets` is True, sets a variable on each channel. Then it lets the channel continue."""

    def __init__(self, session: aiohttp.ClientSession, url: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._url = url
        self._socket = socket
        self.sets = True
        self.let_go_ns: list[int] = []
        """Times in ns at which it let the channels continue."""

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


async def call(phones: Lab, dialled: str = CALLED_NUMBER, blocked: bool = True, **more: Any) -> PlacedCall:
    """Place a call through the other application, talk if it is answered, and hang up.

    Checks that FILE() really was blocked: the dialplan's own attempt to read a file got an empty text. The hook notices
    this, and does not even try.
    """
    placed = await phones.place(Forwarding(dialled=f"foreign{dialled}", **more))
    if placed.called:
        await phones.talk_and_hang_up(placed)
    await phones.nothing_is_left()
    assert f"ROOT_{placed.name}=<{'' if blocked else 1}>" in phones.asterisk.command("dialplan show globals")
    assert "FILE write blocked" not in phones.asterisk.log()
    return placed


SUSPENDED_ONE = ({"number": SUSPENDED}, "", ("REFUSE", "number-suspended", "REFUSED"))
EMERGENCY = ({"dialled": "110"}, "none", ("BYPASS", "emergency", "CONNECTED"))
LICENSED_ONE = ("sample", ("PLAY", "licence-valid", "CONNECTED"))
FALLBACK = ("notice", ("NOTICE", "service-unavailable", "CONNECTED"))
WAYS = ("hook", "own-dial")
CALLS = {
    True: [
        *(({"interface": interface, "way": way}, *LICENSED_ONE) for interface in ("ari", "agi") for way in WAYS),
        SUSPENDED_ONE,
        EMERGENCY,
    ],
    False: [*(({"way": way}, *FALLBACK) for way in WAYS), SUSPENDED_ONE, EMERGENCY],
}
"""Calls while the service is up (True) and down, each with the expected sound (empty: the phone never rings) and
record.
"""


@pytest.mark.parametrize("up", CALLS)
async def test_every_call_is_heard_and_recorded(pbx, service, references, up):
    """A service that was down reads the lines after its start."""
    before = set(service.records())
    if not up:
        await asyncio.to_thread(service.stop)
    async with foreign(pbx), lab(pbx) as phones:
        for more, sound, _ in CALLS[up]:
            placed = await call(phones, **more)
            assert (placed.caller.final_status == 200) is bool(sound), more
            assert bool(placed.called) is bool(sound), more
            if sound not in ("", "none"):
                assert_heard_then_connected(placed, sound, references)
    if not up:
        await asyncio.to_thread(service.start)
    await wait_until(lambda: len(service.records().keys() - before) == len(CALLS[up]), "the records")
    found = [record for call_id, record in service.records().items() if call_id not in before]
    for record, (more, sound, words) in zip(sorted(found, key=began), CALLS[up], strict=True):
        assert (record["outcome"], record["reason"], record["status"]) == words, more
        assert (record["complete"], record["anomalies"]) == (True, []), more
        assert record["fallback"] is (not up or words[0] == "BYPASS"), more
        if sound in ("sample", "notice"):
            assert [*record["known_by"]] == ["called"], more
            assert record["known_by"] == {"called": "packets"}, more


def began(record: dict[str, Any]) -> int:
    """The number of the call's channel; later calls have higher numbers."""
    return int(record["call_id"].partition(".")[2].partition("-")[0])


async def test_an_emergency_call_is_not_delayed(pbx, service):
    """The delay is the time from the other application's `continue` to the ringing phone."""
    took_ms: dict[bool, list[float]] = {True: [], False: []}
    async with foreign(pbx) as application, lab(pbx) as phones:
        for _ in range(TIMED):
            for blocked, each_ms in took_ms.items():
                application.sets = blocked
                placed = await call(phones, "110", blocked)
                assert placed.called
                each_ms.append((placed.called.arrival_ns - application.let_go_ns[-1]) / 1e6)
    blocked_ms, free_ms = statistics.median(took_ms[True]), statistics.median(took_ms[False])
    print(f"emergency call: {blocked_ms:.1f} ms where FILE() is blocked, {free_ms:.1f} ms where it is not")
    assert blocked_ms < free_ms + DELAY_MS


@asynccontextmanager
async def stuck_disk(service: Service) -> AsyncIterator[list[str]]:
    """Context in which a program that opens the journal waits until the context ends. The list then holds the lines."""
    journal = service.asterisk.sounds / "journal" / "calls"
    journal.unlink()
    os.mkfifo(journal)
    journal.chmod(0o666)  # Asterisk has a user of its own
    lines: list[str] = []
    try:
        yield lines
    finally:
        lines += await asyncio.to_thread(drained, journal)
        journal.unlink()


def drained(fifo: Path) -> list[str]:
    """The lines of the programs that wait for a reader."""
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


async def test_an_emergency_call_waits_for_no_disk(pbx, service):
    """An emergency call waits neither before it is dialled, nor when it is answered, nor at its end: another call may
    have to follow at once. One call comes through the other application, one directly.
    """
    await asyncio.to_thread(service.stop)

    async def hangs_up(call: IncomingCall) -> None:
        call.answer()
        await asyncio.sleep(0.2)
        await call.hangup()

    async with foreign(pbx), lab(pbx) as phones, stuck_disk(service) as lines:
        for dialled in ("foreign110", "110"):
            async with asyncio.timeout(3):
                placed = await phones.place(Forwarding(dialled=dialled), behaviour=hangs_up)
                assert placed.caller.final_status == 200
                await placed.caller.ended()
    async with lab(pbx) as phones:
        await phones.nothing_is_left()
    by_call: dict[str, list[str]] = {}
    for line in sorted(lines):
        by_call.setdefault(line.split(",")[1], []).append(line)
    assert len(by_call) == 2, lines
    for decided, ended in by_call.values():
        assert decided.startswith("decided,")
        assert decided.endswith(",BYPASS,emergency,none,")
        assert ended.startswith("ended,")
    await asyncio.to_thread(service.start)
