"""Requests and journal lines that the service must not believe, from a user of the machine without rights, on a real
call path.

Some attackers here have the secret of the exported hook, which such a user does not have. Even then, a decision answers
exactly one request, and no message switches a check off.
"""

import asyncio
import os
import random
import socket
import string
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import quote

import pytest

from lab.agi.fake_asterisk import connect_as_asterisk, encode_agi_fields
from lab.asterisk import IDTONE, LAB_DIALPLAN, LOOPBACK, Asterisk
from lab.hostile.attacked_pbx import assert_no_number_is_logged
from lab.lab import CALLED_NUMBER, LICENSED, SUSPENDED, Forwarding, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.site import BARE

WAITING = """
    ; A call that waits for its caller before it comes to the hook, as in a menu or a queue.
    [from-lab](+)
    exten = _wait.,1,Answer()
     same = n(again),Wait(0.1)
     same = n,GotoIf($["${GO_ON}" != "yes"]?again)
     same = n,Goto(${EXTEN:4},1)
"""
DIALPLAN = f"#include idtone.conf\n{dedent(LAB_DIALPLAN)}{dedent(WAITING)}"
NONCE = "111111111111"
GUESSES = 36
"""Number of call ids that an attacker guesses."""


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Asterisk]:
    """A PBX. After the tests, it checks the evidence of all of them."""
    scratch = tmp_path_factory.mktemp("believed")
    with Asterisk(installation, scratch, {"extensions.conf": DIALPLAN}, site=BARE) as running:
        yield running
        command = [IDTONE, "ledger", "verify", "-c", running.scratch / "idtone.yaml"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


@pytest.fixture(scope="module")
def service(pbx) -> Iterator[Service]:
    """A service with AGI over TCP. After the tests, it checks that no log has a number."""
    with Service(pbx, LAB_REGISTRY) as running:
        yield running
    assert_no_number_is_logged(running)


def secret(asterisk: Asterisk) -> str:
    """The secret that the exported hook sends with each request."""
    lines = (asterisk.etc / "idtone.conf").read_text().splitlines()
    (found,) = [line.partition("=")[2] for line in lines if line.startswith("IDTONE_AGI_SECRET=")]
    assert found
    return found


def arguments(key: str, call_id: str) -> list[str]:
    """The hook's request for a call of this id."""
    to = [CALLED_NUMBER, quote(f"PJSIP/{CALLED_NUMBER}@trunk", "")]
    return [key, "decide", call_id, NONCE, f"{time.time():.6f}", LICENSED, "incoming", *to, *[""] * 7]


async def gets_verdict(service: Service, *values: str) -> bool:
    """Send a request as Asterisk does, and read everything that the service answers. Returns True if it contains a
    verdict.
    """
    address = (LOOPBACK, service.asterisk.agi_port)
    async with asyncio.timeout(10), connect_as_asterisk(address, encode_agi_fields("decide", values)) as asterisk:
        await asterisk.serve()
    return bool(asterisk.variables)


async def complete(service: Service, call_id: str) -> dict[str, Any]:
    """The record of a call, once it contains the call's end."""
    await wait_until(lambda: service.record(call_id).get("complete"), f"the record of {call_id}")
    return service.record(call_id)


async def channel(asterisk: Asterisk, mark: str) -> str:
    """The unique id of the only channel with this mark, once the channels of earlier calls are gone."""
    found: list[str] = []

    async def is_alone() -> bool:
        shown = await asyncio.to_thread(asterisk.command, "core show channels concise")
        found[:] = [line for line in shown.splitlines() if mark in line]
        return len(found) == 1

    await wait_until(is_alone, f"one channel with {mark}")
    return found[0].split("!")[-1]


def guesses(channel: str) -> list[str]:
    """Guessed ids around the time of a channel. The channel's own id is among them."""
    second, _, count = channel.partition(".")
    ids = [f"{int(second) + before}.{number}-1" for before in (-1, 0, 1) for number in range(GUESSES // 3)]
    return ids if f"{channel}-1" in ids else [*ids, f"{second}.{count}-1"]


@pytest.mark.parametrize("has_secret", [False, True])
async def test_the_guessed_id_of_a_waiting_channel_connects_no_suspended_number(pbx, service, has_secret):
    """An attacker with the secret can only take the verdict away from the hook, which then refuses by itself."""
    await asyncio.to_thread(pbx.command, "dialplan set global GO_ON no")
    before = service.records().keys()
    async with lab(pbx) as phones:
        placed = await phones.place(Forwarding(SUSPENDED, dialled=f"wait{CALLED_NUMBER}", interface="agi"))
        assert placed.caller.final_status == 200
        waiting = await channel(pbx, "!")
        key, ids = (secret(pbx), [f"{waiting}-1"]) if has_secret else ("", guesses(waiting))
        asked = [await gets_verdict(service, *arguments(key, each)) for each in ids]
        assert any(asked) is has_secret
        assert (service.records().keys() == before) is not has_secret
        await asyncio.to_thread(pbx.command, "dialplan set global GO_ON yes")
        await placed.caller.ended()
        phones.pair(placed)
        ending = await phones.ending(placed)
    assert placed.called is None, "the phone never rang"
    assert (ending.call_id, ending.status, ending.reason) == (f"{waiting}-1", "REFUSED", "number-suspended")
    if not has_secret:
        record = await complete(service, ending.call_id)
        assert (record["outcome"], record["reason"], record["anomalies"]) == ("REFUSE", "number-suspended", [])
        assert not record["fallback"]


Forgery = Callable[[str, float, str], str]
"""Makes a line from a call's id, the time, and a mark by which the test finds the line again."""
FORGED: dict[str, Forgery] = {
    "an end": lambda call, at, mark: f"ended,{call},{NONCE},{at:.6f},REFUSED,21,number-suspended,{mark},",
    "a sound": lambda call, at, mark: f"sounded,{call},{NONCE},{at:.6f},dial,notice,,1,,{mark},,",
    "a decision": lambda call, at, mark: (
        f"decided,{call},{NONCE},{at:.6f},{SUSPENDED},incoming,{mark},,,,,REFUSE,number-suspended,none,"
    ),
}


async def refused(service: Service, forged: str, call_id: str, at: float | None = None) -> None:
    """Write a forged line as Asterisk's user can, and wait until the service has refused it. Its log must not have the
    line's digits.
    """
    mark = "".join(random.choices(string.ascii_lowercase, k=20))
    journal = service.asterisk.sounds / "journal"
    with (journal / "calls").open("a") as file:
        file.write(f"{FORGED[forged](call_id, at or time.time(), mark)}\n")

    def kept() -> str:
        path = journal / "refused"
        return path.read_text() if path.exists() else ""

    await wait_until(lambda: mark in kept(), f"{forged} among the lines that are refused")
    assert SUSPENDED not in kept()


async def test_a_line_without_the_verdicts_nonce_says_nothing_of_a_call(service):
    """The line comes during the conversation, and after the call."""
    async with lab(service.asterisk) as phones:
        placed = await phones.place(Forwarding(interface="agi"))
        call_id = f"{await channel(service.asterisk, '!Dial!')}-1"
        for forged in FORGED:
            await refused(service, forged, call_id)
        await phones.talk_and_hang_up(placed)
        assert (await phones.ending(placed)).status == "CONNECTED"
    record = await complete(service, call_id)
    assert (record["outcome"], record["status"]) == ("PLAY", "CONNECTED")
    assert (record["sent"], record["anomalies"]) == (True, [])
    for forged in FORGED:
        await refused(service, forged, call_id)
    assert service.record(call_id) == record


async def test_a_line_of_another_time_makes_no_record(service):
    """The lines have a time before the last line that was read, or a time in the future."""
    before = service.records().keys()
    for age_s in (3600, -3600):
        at = time.time() - age_s
        await refused(service, "a decision", f"{int(at)}.1-1", at)
    assert service.records().keys() == before


def listeners(process: int) -> list[str]:
    """TCP addresses on which a process listens, in the kernel's notation."""
    links = {os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir()}
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{process}/net/{name}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links]


class ByAri(Service):
    """A service with the default interface, ARI."""

    def _write_settings(self) -> None:
        super()._write_settings()
        text = self.settings.read_text()
        assert "interface: agi\n" in text
        self.settings.write_text(text.replace("interface: agi\n", ""))


async def test_a_port_is_listened_to_with_agi_only(pbx, service):
    assert len(listeners(service.process.pid)) == 1
    service.stop()
    with ByAri(pbx, LAB_REGISTRY) as by_ari:
        assert listeners(by_ari.process.pid) == []
        with socket.socket() as asking:
            assert asking.connect_ex((LOOPBACK, pbx.agi_port)) != 0
        async with lab(pbx) as phones:
            _, ending = await phones.call(Forwarding(interface="ari"))
        record = await complete(by_ari, ending.call_id)
    assert (record["interface"], record["sent"], record["anomalies"]) == ("ari", True, [])
