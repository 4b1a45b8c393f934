"""Texts of a caller's INVITE harm neither Asterisk nor other calls, and do not bypass the licensed sound."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Final

import pytest

from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import RECOGNISED_S, over_both_interfaces, run_concurrently
from lab.calls.connected_call import DEADLINE_S
from lab.lab import CALLED_NUMBER, LICENSED, Forwarding, lab, wait_until
from lab.sound_detection import identify

NO_UTF_8: Final = "\udcff"
"""The octet FF, which is not UTF-8."""
LONG: Final = 20_000
UNKNOWN: Final = "0422123456"
"""A number that no member holds."""

TEXTS: Final = {
    "a name that is not UTF-8": Forwarding(display=f"Taro {NO_UTF_8}"),
    "half a character": Forwarding(display="日本"[:1] + "\udce6\udc9c"),
    "a surrogate in UTF-8": Forwarding(display="\udced\udca0\udc80"),
    "control characters": Forwarding(display="Ta\tro\x01\x7f"),
    "a long name": Forwarding(display="x" * LONG),
    "a long name that is cut within a character": Forwarding(display="x" + "太" * (LONG // 3)),
    "a long number": Forwarding(caller="9" * LONG),
    "a number that is not UTF-8": Forwarding(caller="050%ff1234"),
    "a long Diversion": Forwarding(headers=(("Diversion", f"<sip:{'%01' * LONG}@x>;reason=unconditional"),)),
    "many Diversions": Forwarding(headers=(("Diversion", "<sip:%ff@x>;reason=unconditional"),) * 100),
    "a long Call-ID": Forwarding(call_id="c" * 1000),
}


@pytest.mark.parametrize("way", ["hook", "own-dial"])
async def test_what_a_caller_writes_does_not_avoid_the_licensed_sound(asterisk, service, references, interface, way):
    before = asterisk.process.pid
    cases = [(name, replace(forwarding, way=way)) for name, forwarding in TEXTS.items()]
    async with lab(asterisk) as phones:
        calls = await run_concurrently(cases, lambda case: phones.call(case[1], RECOGNISED_S))
        await phones.nothing_is_left()
    for (name, _), (placed, _) in calls:
        assert_heard_then_connected(placed, "sample", references), name
    assert asterisk.process.poll() is None
    assert asterisk.process.pid == before


CONTROLS: Final = [chr(code) for code in (*range(1, 32), 127)]
PLACES: Final[dict[str, Callable[[str], Forwarding]]] = {
    "the name": lambda control: Forwarding(display=f"Ta{control}ro"),
    "the number": lambda control: Forwarding(caller=f"0501234{control}5678"),
    "the asserted name": lambda control: asserted(f'"Ta{control}ro" <sip:05012345678@127.0.0.1>'),
    "the asserted number": lambda control: asserted(f"<sip:0501234%{ord(control):02x}5678@127.0.0.1>"),
    "the dialled user": lambda control: Forwarding(dialled=f"0312340000{control}"),
    "the dialled user, twice": lambda control: Forwarding(dialled=f"0312340000{control}{control}"),
}


def asserted(identity: str) -> Forwarding:
    return Forwarding(headers=(("P-Asserted-Identity", identity),))


async def test_no_octet_avoids_the_verdict(asterisk, serving):
    """The policy refuses numbers that no member holds. Without a verdict, such a call would be connected."""
    service = serving(policy="unlicensed: refuse")
    cases = [
        (place, control, forwarding)
        for place, control in product(PLACES, CONTROLS)
        if not ("name" in place and control in "\r\n")  # a line break would begin another header
        for forwarding in over_both_interfaces(replace(PLACES[place](control), number=UNKNOWN, endpoint="asserting"))
    ]
    since = datetime.now(UTC)
    async with lab(asterisk) as phones:
        calls = await run_concurrently(cases, lambda case: phones.call(case[2]))
    for (place, control, forwarding), (placed, ending) in calls:
        assert (ending.status, ending.reason) == ("REFUSED", "number-unknown"), (place, control, forwarding.interface)
        assert not placed.rung
    assert service.records(since).keys() == {ending.call_id for _, (_, ending) in calls}


async def test_a_name_in_japanese_reaches_the_called_party(asterisk, service, interface):
    async with lab(asterisk) as phones:
        placed, _ = await phones.call(Forwarding(display="佐藤 太郎"))
    assert placed.called
    assert placed.called.request.sender.display == "佐藤 太郎"


async def test_a_call_id_that_cannot_be_passed_on_falls_back_at_once(asterisk, service, references):
    """Anyone can send such a Call-ID repeatedly.

    Meanwhile honest calls have their sound and wait no longer than usual.
    """
    bad = Forwarding(call_id=f"x{NO_UTF_8}")
    async with lab(asterisk) as phones:
        calls = await run_concurrently(
            [bad, bad, Forwarding(), bad, bad, Forwarding()], lambda one: phones.call(one, 0.6)
        )
        await phones.nothing_is_left()
    for forwarding, (placed, ending) in calls:
        honest = not forwarding.call_id
        record = service.record(ending.call_id)
        assert record["reason"] == ("licence-valid" if honest else "call-id-unreadable")
        assert (record["complete"], record["anomalies"]) == (True, [])
        assert_heard_then_connected(placed, "sample" if honest else "notice", references)
        assert placed.called
        rung_ms = (placed.called.arrival_ns - placed.caller.provisional[0][1]) / 1e6
        assert rung_ms < 1000 * DEADLINE_S, "it waited for a verdict that does not come"


async def test_over_agi_a_call_id_hinders_nothing(asterisk, service, references):
    async with lab(asterisk) as phones:
        placed, ending = await phones.call(Forwarding(call_id=f"x{NO_UTF_8}", interface="agi"), RECOGNISED_S)
    assert_heard_then_connected(placed, "sample", references)
    assert service.record(ending.call_id)["reason"] == "licence-valid"


async def test_a_call_whose_call_id_cannot_be_described_does_not_hinder_a_new_connection(asterisk, serving):
    """Asterisk cannot list its channels during such a call."""
    service = serving()
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(call_id=f"x{NO_UTF_8}"))
        service.stop()
        service.start()
        await asyncio.sleep(0.5)
        assert "cannot be compared" not in service.log()
        await phones.talk_and_hang_up(placed)
        ending = await phones.ending(placed)
    assert service.record(ending.call_id)["status"] == "CONNECTED"


async def test_a_verdict_without_a_nonce_is_none(asterisk, service, references):
    """A channel that made no request has no nonce."""
    async with lab(asterisk) as phones:
        host, port = phones.called.address
        called = f"PJSIP/lab/sip:{CALLED_NUMBER}@{host}:{port}"
        forged = f"Gosub(idtone-forward,v::PLAY:licence-valid:::sample::22,1({called},{LICENSED}))"
        for command in ("context forged", f"extension s,1,{forged} into forged"):
            asterisk.command(f"dialplan add {command}")
        asterisk.command("channel originate Local/s@forged application Wait 1")
        await wait_until(lambda: phones.called.calls, "the call")
        await phones.nothing_is_left()
        (call,) = phones.called.calls
        assert identify(call.packets, references) != "sample"
