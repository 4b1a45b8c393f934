"""More calls than the PBX can serve. It rejects some at once, so that it serves the others well."""

import asyncio
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from statistics import median

import pytest

from idtone.core.settings.policy import PolicySettings
from lab.calls.assert_heard import assert_heard_then_connected, assert_nothing_before_voice, heard_by_called
from lab.lab import LICENSED, SUSPENDED, Forwarding, PlacedCall, lab, wait_until
from lab.nightly_tests import rest_in_breadth
from lab.sipp import Load, called
from lab.sound_detection import identify

WAITING = 4
"""Number of calls that may wait. It is so small that RATE is too much for any machine."""
RATE, SECONDS = 300, 2.5
NUMBERS = [*[LICENSED] * 18, "110", SUSPENDED]
VERDICT_S = 1.0
"""Seconds that a served call may wait longer than a rejected one.

All calls first wait for Asterisk, for a time that depends on the machine.
"""
NORMAL_AGAIN_S = 5.0
SOON_MS, LATE_MS = 300, 1500
"""Latest start of the sound in ms, after the overload and during it."""
EXCHANGE_CONGESTION = 42
ALWAYS_MOVING = str(10**12)

SetGlobal = Callable[[str, object], None]


@pytest.fixture
def hook(asterisk) -> Iterator[SetGlobal]:
    """Function that sets a global variable of the hook for the test."""
    policy = PolicySettings()

    def put(name: str, value: object) -> None:
        asterisk.command(f"dialplan set global {name} {value}")

    yield put
    put("IDTONE_WAITING", policy.waiting)
    put("IDTONE_OVERLOAD", policy.overload)
    put("IDTONE_MOVED", 0)
    put("IDTONE_FULL", 0)


def counted(service) -> int:
    """Number of calls that were rejected according to the service's log."""
    told = [line for line in service.log().splitlines() if "a call was rejected" in line]
    return sum(int(found[1]) if (found := re.search(r"\((\d+) times more", line)) else 1 for line in told)


@pytest.mark.alone
async def test_too_many_calls(asterisk, service, references, hook, tmp_path):
    """Each served call heard its sound in time, according to the evidence. Each other call was rejected at once.

    The rejection has its reason.
    """
    hook("IDTONE_WAITING", WAITING)
    before, already = await asyncio.to_thread(service.records), counted(service)
    probes: list[tuple[Forwarding, PlacedCall]] = []
    async with lab(asterisk) as phones:
        with called(tmp_path / "called") as answering:
            load = Load(asterisk.sip_address, answering.port, NUMBERS, RATE, SECONDS, tmp_path / "caller")
            try:
                while time.time() < load.ends_s:
                    for forwarding in (Forwarding(), Forwarding(dialled="119"), Forwarding(SUSPENDED)):
                        probes.append((forwarding, phones.dial(forwarding)))
                    await asyncio.sleep(0.6)
                again = phones.dial()
                while await again.caller.final() == 503 and time.time() < load.ends_s + NORMAL_AGAIN_S:
                    probes.append((Forwarding(), again))
                    await asyncio.sleep(0.1)
                    again = phones.dial()
                phones.pair(again)
                await phones.talk_and_hang_up(again)
                outcomes = await asyncio.to_thread(load.outcomes)
            finally:
                load.stop()
        for _, placed in probes:
            await placed.caller.final()
            phones.pair(placed)
            await phones.talk_and_hang_up(placed)
        await phones.nothing_is_left(within_s=NORMAL_AGAIN_S)
        endings = await asyncio.to_thread(asterisk.endings)
    print(f"\n{RATE} calls/s: {Counter((each.number, each.status) for each in outcomes)}")

    assert len(outcomes) == load.offered
    served = [each for each in outcomes if each.number == LICENSED and each.status == 200]
    shed = [each for each in outcomes if each.status == 503]
    assert served
    assert shed
    assert {each.cause for each in shed} == {EXCHANGE_CONGESTION}
    assert {each.status for each in outcomes if each.number == "110"} == {200}
    assert {each.status for each in outcomes if each.number == SUSPENDED} <= {403, 503}
    assert {each.status for each in outcomes if each.number == LICENSED} == {200, 503}
    assert SUSPENDED not in answering.rung()

    for forwarding, placed in probes:
        reason = endings[placed.name].reason
        if forwarding.dialled == "119":
            assert reason == "emergency"
            assert identify(placed.called.packets, references) is None
            assert heard_by_called(placed, references["sample"]).voice_ms is not None
        elif forwarding.number == SUSPENDED:
            assert reason in ("number-suspended", "overload")
            assert placed.called is None
        elif placed.caller.final_status == 200:
            assert reason == "licence-valid"
            assert_heard_then_connected(placed, "sample", references, latest_ms=LATE_MS)
        else:
            assert (placed.caller.final_status, reason) == (503, "overload")

    records = await asyncio.to_thread(service.records)
    new = [records[call_id] for call_id in records.keys() - before.keys()]
    assert len(new) == len(outcomes) + len(probes) + 1
    connected = sum(1 for forwarding, placed in probes if forwarding == Forwarding() and placed.called) + 1
    assert sum(record["sent"] for record in new) == len(served) + connected
    assert not [record for record in new if not record["complete"]]
    turned_away_s = median(each.final_s - each.sent_s for each in shed)
    assert median(each.verdict_s or 0.0 for each in served) <= turned_away_s + VERDICT_S

    assert again.called
    assert again.called.arrival_ns / 1e9 - load.ends_s <= NORMAL_AGAIN_S
    assert endings[again.name].reason == "licence-valid"
    assert_heard_then_connected(again, "sample", references, latest_ms=SOON_MS)
    turned_away = len(shed) + sum(ending.reason == "overload" for ending in (endings[p.name] for _, p in probes))
    assert sum(record["outcome"] == "SHED" for record in new) == turned_away
    await wait_until(lambda: counted(service) - already == turned_away, f"{turned_away} in the log", 12)


async def test_a_call_beyond_is_told_why_and_an_emergency_passes(asterisk, service, references, hook):
    hook("IDTONE_WAITING", 0)
    hook("IDTONE_MOVED", ALWAYS_MOVING)
    async with lab(asterisk) as phones:
        placed = [await phones.place(Forwarding(number)) for number in (LICENSED, SUSPENDED)]
        endings = [await phones.ending(each) for each in placed]
        assert not phones.called.calls
        for dialled in ("110", "118", "119"):
            emergency, _ = await phones.call(Forwarding(dialled=dialled))
            assert_nothing_before_voice(emergency, references)
    for each, ending in zip(placed, endings, strict=True):
        assert (ending.status, ending.reason, ending.cause) == ("REFUSED", "overload", str(EXCHANGE_CONGESTION))
        assert each.caller.final_status == 503
        assert each.caller.cause == EXCHANGE_CONGESTION


async def test_only_those_count_that_wait(asterisk, service, references, hook, interface):
    hook("IDTONE_WAITING", 1)
    async with lab(asterisk) as phones:
        talking = [await phones.place(), await phones.place()]
        for placed in talking:
            await phones.talk_and_hang_up(placed)
            assert (await phones.ending(placed)).reason == "licence-valid"
    for placed in talking:
        assert_heard_then_connected(placed, "sample", references)


@pytest.mark.parametrize("overload", ["fallback", "shed"])
async def test_where_asterisk_acts_alone(asterisk, service, references, hook, overload):
    """Asterisk acts alone because of the policy.

    With `shed`, it also acts alone if no verdict arrived lately, so that no call waits.
    """
    hook("IDTONE_WAITING", 0)
    hook("IDTONE_OVERLOAD", overload)
    hook("IDTONE_MOVED", ALWAYS_MOVING if overload == "fallback" else 0)
    async with lab(asterisk) as phones:
        noticed, _ = await phones.call()
        suspended = await phones.place(Forwarding(SUSPENDED))
        assert (await phones.ending(noticed)).reason == "service-unavailable"
        assert (await phones.ending(suspended)).reason == "number-suspended"
    assert_heard_then_connected(noticed, "notice", references)
    assert suspended.called is None


@rest_in_breadth(("full", "taken"), [("0", 3), (ALWAYS_MOVING, 2)])
async def test_after_one_was_turned_away_a_tenth_of_those_may_wait(asterisk, service, hook, full, taken):
    """A burst of calls is therefore admitted. During an overload, only a few calls compete with the waiting ones."""
    hook("IDTONE_FULL", full)
    hook("IDTONE_MOVED", ALWAYS_MOVING)
    async with lab(asterisk) as phones:
        os.kill(service.process.pid, signal.SIGSTOP)
        try:
            placed = []
            for _ in range(3):
                placed.append(phones.dial())
                await asyncio.sleep(0.2)
            refused = [await each.caller.final() for each in placed[taken:]]
            waiting = [each.caller.final_status for each in placed[:taken]]
        finally:
            os.kill(service.process.pid, signal.SIGCONT)
        for each in placed[:taken]:
            assert await each.caller.final() == 200
            phones.pair(each)
            await phones.talk_and_hang_up(each)
        await phones.nothing_is_left()
    assert (waiting, refused) == ([None] * taken, [503] * (3 - taken))


async def test_nobody_more_waits_for_a_service_that_stands_still(asterisk, service, references, hook):
    hook("IDTONE_WAITING", 2)
    async with lab(asterisk) as phones:
        os.kill(service.process.pid, signal.SIGSTOP)
        try:
            waiting = [phones.dial() for _ in range(2)]
            await asyncio.sleep(1.3)
            beyond = await phones.place()
            assert not [placed for placed in waiting if placed.caller.final_status]
        finally:
            os.kill(service.process.pid, signal.SIGCONT)
        await phones.talk_and_hang_up(beyond)
        for placed in waiting:
            await placed.caller.final()
            phones.pair(placed)
            await phones.talk_and_hang_up(placed)
        await phones.nothing_is_left()
    assert_heard_then_connected(beyond, "notice", references)
    for placed in waiting:
        assert_heard_then_connected(placed, "sample", references)
