"""Which requests and which lines are believed: what a user without rights on the machine tries, on a real call path.

Some attackers here have the secret of the exported hook, which is more than such a user has: a decision answers exactly
one request, and nothing on the wire switches a check off.
"""

from __future__ import annotations

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

from ..agi.fake_asterisk import FakeAsterisk, calling, presented
from ..agi.peer import STRANGER, ask_as
from ..conftest import LAB_REGISTRY
from ..lab.asterisk import IDTONE, LAB_DIALPLAN, LOOPBACK, Asterisk
from ..lab.lab import CALLED_NUMBER, LICENSED, SUSPENDED, Forwarding, lab, until
from ..lab.service import Service
from .pbx import assert_no_number_is_logged

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
"""Ids that an attacker tries blindly."""
NOT_THIS_VERSIONS = "the hook in the dialplan is of another version"
LACKING = "it does not have the secret of the exported hook"


@pytest.fixture(scope="module")
def pbx(installation, tmp_path_factory) -> Iterator[Asterisk]:
    """Afterwards the evidence of all tests is good."""
    with Asterisk(installation, tmp_path_factory.mktemp("believed"), {"extensions.conf": DIALPLAN}) as running:
        yield running
        command = [IDTONE, "ledger", "verify", "-c", running.scratch / "idtone.yaml"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


@pytest.fixture(scope="module")
def shared(pbx) -> Iterator[Service]:
    """One that is asked by AGI over TCP; afterwards no number is in a log."""
    with Service(pbx, LAB_REGISTRY) as running:
        yield running
    assert_no_number_is_logged(running)


@pytest.fixture
def service(shared) -> Service:
    """It runs. A test that needs another one stops it."""
    if shared.process is None:
        shared.start()
    return shared


def secret(asterisk: Asterisk) -> str:
    """What the exported hook sends along."""
    lines = (asterisk.etc / "idtone.conf").read_text().splitlines()
    (found,) = [line.partition("=")[2] for line in lines if line.startswith("IDTONE_AGI_SECRET=")]
    assert found
    return found


def arguments(key: str, call_id: str, number: str = LICENSED, nonce: str = NONCE) -> list[str]:
    """A request as the hook makes it, for a call of this id."""
    to = [CALLED_NUMBER, quote(f"PJSIP/{CALLED_NUMBER}@trunk", "")]
    return [key, "decide", call_id, nonce, f"{time.time():.6f}", number, "incoming", *to, "", "", ""]


async def request(service: Service, entry: str, *values: str) -> FakeAsterisk:
    """Ask as Asterisk does, and take all that the service says."""
    address = (LOOPBACK, service.asterisk.agi_port)
    async with asyncio.timeout(10), calling(address, presented(entry, values)) as asterisk:
        await asterisk.serve()
    return asterisk


async def complete(service: Service, call_id: str) -> dict[str, Any]:
    """The record of a call that is over, when its end is in it."""
    await until(lambda: service.record(call_id).get("complete"), f"the record of {call_id}", 15)
    return service.record(call_id)


async def channel(asterisk: Asterisk, mark: str = "!") -> str:
    """The unique id of the one channel that has this mark in Asterisk's list."""
    shown = await asyncio.to_thread(asterisk.command, "core show channels concise")
    (line,) = [line for line in shown.splitlines() if mark in line]
    return line.split("!")[-1]


async def talking(asterisk: Asterisk) -> str:
    """The call id of the one call that is in conversation."""
    return f"{await channel(asterisk, '!Dial!')}-1"


# -- requests ---------------------------------------------------------------------------------------------------------


async def test_a_request_without_the_secret_gets_no_verdict_and_leaves_no_step(service):
    before, logged, key = service.records(), len(service.log()), secret(service.asterisk)
    assert len(key) >= 32
    assert (service.asterisk.etc / "idtone.conf").stat().st_mode & 0o777 == 0o640, "for Asterisk's group alone"
    call_id = f"{int(time.time())}.777-1"
    for wrong in ("", "0" * 32, key[:-1]):
        asked = await request(service, "decide", *arguments(wrong, call_id))
        assert asked.commands == ["NOOP"]
    assert service.log()[logged:].count(LACKING) == 1
    assert service.records() == before
    believed = await request(service, "decide", *arguments(key, call_id))
    assert ":PLAY:licence-valid:" in believed.variables["IDTONE_VERDICT"], "the secret was all that it lacked"


def guesses(channel: str) -> list[str]:
    """Blind ids about the time of a channel; its own is among them."""
    second, _, count = channel.partition(".")
    ids = [f"{int(second) + before}.{number}-1" for before in (-1, 0, 1) for number in range(GUESSES // 3)]
    return ids if f"{channel}-1" in ids else [*ids, f"{second}.{count}-1"]


@pytest.mark.parametrize("has_secret", [False, True])
async def test_the_guessed_id_of_a_waiting_channel_connects_no_suspended_number(pbx, service, has_secret):
    """Who has the secret can only keep the verdict from the hook, which then refuses by itself."""
    await asyncio.to_thread(pbx.command, "dialplan set global GO_ON no")
    before = service.records().keys()
    async with lab(pbx) as phones:
        placed = await phones.place(Forwarding(SUSPENDED, dialled=f"wait{CALLED_NUMBER}", interface="agi"))
        assert placed.caller.final_status == 200
        waiting = await channel(pbx)
        key, ids = (secret(pbx), [f"{waiting}-1"]) if has_secret else ("", guesses(waiting))
        asked = [await request(service, "decide", *arguments(key, each)) for each in ids]
        assert any(each.variables for each in asked) is has_secret
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


SEVEN = [LICENSED, SUSPENDED, LICENSED, "110", "", "x" * 50, LICENSED]
"""What requests for one id say; but for the first two, each has a nonce of its own."""


async def seven(service: Service, call_id: str) -> list[bool]:
    """Whether each got a verdict."""
    key = secret(service.asterisk)
    return [
        bool(
            (await request(service, "decide", *arguments(key, call_id, number, f"{max(turn, 1)}{NONCE[1:]}"))).variables
        )
        for turn, number in enumerate(SEVEN)
    ]


async def test_seven_requests_for_one_id_are_one_decision(service):
    """For invented ids, also of another time, and for a real call: in conversation, over, and after a restart."""
    now_s = int(time.time())
    invented = [f"{now_s}.777-9", f"{now_s + 10**6}.1-1", f"{now_s - 10**6}.1-1", "x-1", "x"]
    for call_id in invented:
        assert await seven(service, call_id) == [True, *[False] * 6]
    async with lab(service.asterisk) as phones:
        placed = await phones.place(Forwarding(interface="agi"))
        call_id = await talking(service.asterisk)
        assert not any(await seven(service, call_id))
        await phones.talk_and_hang_up(placed)
        assert (await phones.ending(placed)).call_id == call_id
    record = await complete(service, call_id)
    assert (record["heard"], record["complete"], record["anomalies"]) == (True, True, [])
    assert not any(await seven(service, call_id))
    await asyncio.to_thread(service.stop)
    await asyncio.to_thread(service.start)
    for each in (call_id, *invented):
        await seven(service, each)
    records = service.records()
    assert records[call_id] == record
    assert [each for each in invented if records[each]["anomalies"]] == []


# -- lines of the journal ---------------------------------------------------------------------------------------------

Forgery = Callable[[str, float, str], str]
"""From a call's id, the time, and a mark by which the line is found again, to the line."""
FORGED: dict[str, Forgery] = {
    "an end": lambda call, at, mark: f"ended,{call},{NONCE},{at:.6f},REFUSED,21,number-suspended,{mark},",
    "a sound": lambda call, at, mark: f"sounded,{call},{NONCE},{at:.6f},dial,notice,,1,,{mark}",
    "a decision": lambda call, at, mark: (
        f"decided,{call},{NONCE},{at:.6f},{SUSPENDED},incoming,{mark},,,REFUSE,number-suspended,none"
    ),
}


async def refused(service: Service, forged: str, call_id: str, at: float | None = None) -> None:
    """Write the line, as Asterisk's user can, and wait until the service has refused it, without its digits."""
    mark = "".join(random.choices(string.ascii_lowercase, k=20))
    journal = service.asterisk.sounds / "journal"
    with (journal / "calls").open("a") as file:
        file.write(f"{FORGED[forged](call_id, at or time.time(), mark)}\n")

    def kept() -> str:
        path = journal / "refused"
        return path.read_text() if path.exists() else ""

    await until(lambda: mark in kept(), f"{forged} among the lines that are refused")
    assert SUSPENDED not in kept()


async def test_a_line_without_the_verdicts_nonce_says_nothing_of_a_call(service):
    """In conversation, and when it is over."""
    async with lab(service.asterisk) as phones:
        placed = await phones.place(Forwarding(interface="agi"))
        call_id = await talking(service.asterisk)
        for forged in FORGED:
            await refused(service, forged, call_id)
        await phones.talk_and_hang_up(placed)
        assert (await phones.ending(placed)).status == "CONNECTED"
    record = await complete(service, call_id)
    assert (record["outcome"], record["status"]) == ("PLAY", "CONNECTED")
    assert (record["heard"], record["anomalies"]) == (True, [])
    for forged in FORGED:
        await refused(service, forged, call_id)
    assert service.record(call_id) == record


async def test_a_line_of_another_time_makes_no_record(service):
    """Of a time of which all lines were read, or that is yet to come."""
    before = service.records().keys()
    for age_s in (3600, -3600):
        at = time.time() - age_s
        await refused(service, "a decision", f"{int(at)}.1-1", at)
    assert service.records().keys() == before


EARLIER = {
    "playing": lambda call_id: [call_id, "called", "sample"],
    "played": lambda call_id: [
        call_id, NONCE, "called", "sample", "SUCCESS", f"{time.time() - 1:.6f}", f"{time.time():.6f}"
    ],
    "ended": lambda call_id: [call_id, "REFUSED", "21", "number-suspended", "moved"],
}  # fmt: skip
"""What an earlier version asked, by its entry points."""


async def test_an_invented_end_neither_ends_a_call_nor_saves_it_from_its_suspension(pbx, shared, tmp_path):
    shared.stop()
    own = tmp_path / "registry.yaml"
    own.write_text(LAB_REGISTRY.read_text())
    with Service(pbx, own) as service:
        async with lab(pbx) as phones:
            placed = await phones.place(Forwarding(interface="agi"))
            call_id = await talking(pbx)
            logged = len(service.log())
            for entry, values in EARLIER.items():
                for key in ([], [secret(pbx)]):
                    asked = await request(service, entry, *key, *values(call_id))
                    assert asked.variables == {}, entry
            assert service.log()[logged:].count(NOT_THIS_VERSIONS) == 1
            record = service.record(call_id)
            assert (record["complete"], record["status"], record["outcome"]) == (False, None, "PLAY")
            draft = tmp_path / "draft.yaml"
            draft.write_text(
                own.read_text().replace("version: 42", "version: 43")
                + f"  - {{number: '{LICENSED}', since: 2026-01-01T00:00:00+09:00, reference: R-2}}\n"
            )
            draft.replace(own)
            await placed.caller.ended(3)
            assert (await phones.ending(placed)).status == "CONNECTED"
        record = await complete(service, call_id)
        assert (record["status"], record["reason"], record["anomalies"]) == ("CONNECTED", "licence-valid", [])
        assert "suspended" in record["times"]
    assert_no_number_is_logged(service)


# -- where the service listens ----------------------------------------------------------------------------------------


def listeners(process: int) -> list[str]:
    """The TCP addresses at which a process listens, as the kernel writes them."""
    links = {os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir()}
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{process}/net/{name}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links]


class ByAri(Service):
    """With the interface that is the default."""

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
            placed = await phones.place(Forwarding(interface="ari"))
            await phones.talk_and_hang_up(placed)
            ending = await phones.ending(placed)
        record = await complete(by_ari, ending.call_id)
    assert (record["interface"], record["heard"], record["anomalies"]) == ("ari", True, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user; run this test as root")
async def test_over_a_unix_socket_only_the_groups_users_may_ask(pbx, shared, tmp_path):
    shared.stop()
    path = tmp_path / "agi.sock"
    group = STRANGER + 1
    with Service(pbx, LAB_REGISTRY, listen=f"unix:{path}") as service:
        os.chown(path, -1, group)
        before, logged = service.records(), len(service.log())
        call_id = f"{int(time.time())}.779-1"
        asked = presented("decide", arguments("", call_id)) + b"200 result=0\n200 result=1\n"
        for _ in range(2):
            assert await asyncio.to_thread(ask_as, path, STRANGER, [STRANGER], asked) == b""
        assert service.records() == before
        assert service.log()[logged:].count(f"user {STRANGER} may not connect") == 1
        answer = await asyncio.to_thread(ask_as, path, STRANGER, [STRANGER, group], asked)
        assert b":PLAY:licence-valid:" in answer
    assert_no_number_is_logged(service)
