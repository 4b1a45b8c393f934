"""Forwarding to destinations inside the PBX: an extension, a conference, a machine that answers."""

import asyncio
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from lab import voices
from lab.calls.assert_heard import FRAME_MS
from lab.calls.assert_proved import (
    POLICY,
    SOUND_S,
    WAYS,
    CallResult,
    Way,
    assert_connected,
    assert_proved,
    call_result,
    complete_call,
    run_concurrently,
)
from lab.lab import PlacedCall, lab
from lab.nightly_tests import rest_in_breadth
from lab.phone import Answer, Phone
from lab.sound_detection import hear, hear_whole

EXTENSIONS = {"direct": "PJSIP/lab/sip:{port}@127.0.0.1:{port};lab={name}", "local": "Local/{port}@lab-extensions"}
MACHINES = {"0312340001": voices.MACHINE, "0312340002": voices.FAX}
"""Number → the dialplan of the machine that answers this number."""


@rest_in_breadth("destination", EXTENSIONS)
async def test_an_extension_of_the_same_pbx(asterisk, serving, references, destination):
    service = serving(policy=POLICY)
    async with lab(asterisk) as phones:
        forward = {way: way.forwarding(destination=EXTENSIONS[destination]) for way in WAYS}
        calls = await run_concurrently(WAYS, lambda way: complete_call(phones, service, forward[way]))
        await phones.nothing_is_left()
    for way, (placed, said) in calls:
        assert_proved(way, placed, said, references, through_local=destination == "local")


@pytest.mark.alone
async def test_a_conference(asterisk, serving, references):
    """The people in the room hear the sound, and the caller hears the room afterwards.

    The stream of the room is compared from the caller's answer on, because a busy machine mixes it later. For half a
    second, Asterisk's mixer sometimes takes no audio from a new member (2 of 192 calls with Dial() alone). It may also
    miss a moment or slip.
    """
    service = serving(policy=POLICY)
    async with lab(asterisk) as phones, Phone(phones.caller.media, voices.CALLED) as sitting:

        async def one(way: Way) -> tuple[PlacedCall, Any, CallResult]:
            room = f"room-{way.interface}-{way.direction}"
            there = await sitting.call(room, asterisk.sip_address, headers=[("X-Lab-Way", "inside")])
            await asyncio.sleep(0.3)
            placed = await phones.place(way.forwarding(destination=f"Local/{room}@lab-extensions"))
            await asyncio.sleep(0.3)
            await placed.caller.hangup()
            said = await call_result(phones, service, placed)
            await there.hangup()
            return placed, there, said

        calls = await run_concurrently(WAYS, one)
        await phones.nothing_is_left()
    rooms_that_heard = 0
    for way, (placed, there, said) in calls:
        answered_ns = placed.caller.answered_ns
        assert answered_ns
        room = hear(there.packets, answered_ns, reference=references["sample"])
        rooms_that_heard += room.times
        if room.end_ms is not None:
            assert room.times == 1, f"{way}: {room}"
            assert room.end_ms < 2 * FRAME_MS, f"{way}: the caller was connected during the sound: {room}"
        caller = hear_whole(placed.caller.packets, answered_ns, reference=references["sample"], voice=voices.CALLED)
        assert caller.times == ("caller" in way.parties), f"{way}: {caller}"
        assert caller.voice_ms is not None, f"{way}: the caller never heard the room"
        assert_connected(way, said)
    assert rooms_that_heard, "no room heard the sound"


async def test_a_machine_of_the_pbx_that_plays_something(asterisk, serving, references):
    """The machine plays at once, as a mailbox does.

    It does not wait for the sound, so the caller misses the start of its message.
    """
    service = serving(policy=POLICY)
    async with lab(asterisk) as phones:

        async def one(way: Way) -> tuple[PlacedCall, CallResult]:
            placed = await phones.place(way.forwarding(destination="Local/machine@lab-extensions"))
            await asyncio.sleep(1.4)  # the machine's greeting, once from its beginning
            await placed.caller.hangup()
            return placed, await call_result(phones, service, placed)

        calls = await run_concurrently(WAYS, one)
        await phones.nothing_is_left()
    for way, (placed, said) in calls:
        answered_ns = placed.caller.answered_ns
        assert answered_ns
        sound = hear_whole(placed.caller.packets, answered_ns, reference=references["sample"])
        greeting = hear_whole(placed.caller.packets, answered_ns, reference=references["notice"])
        assert sound.times == ("caller" in way.parties), f"{way}: {sound}"
        assert greeting.times, f"{way}: the caller never heard the machine"
        assert_connected(way, said)


@dataclass(frozen=True)
class Machine:
    way: Way
    number: str


async def test_a_machine_at_a_number_that_is_to_hear_nothing(asterisk, serving, references):
    """The caller hears the greeting of an answering machine, or the tone of a fax machine, from the beginning.

    The machine records nothing before the caller's voice.
    """
    service = serving(policy=f"{POLICY}, silent: [{', '.join(map(repr, MACHINES))}]")
    cases = [Machine(way, number) for way, number in product(WAYS, MACHINES)]
    async with lab(asterisk) as phones:

        async def one(case: Machine) -> tuple[PlacedCall, CallResult]:
            answer = Answer(after_ms=20, voice=MACHINES[case.number])
            return await complete_call(phones, service, case.way.forwarding(dialled=case.number), answer)

        calls = await run_concurrently(cases, one)
        await phones.nothing_is_left()
    for case, (placed, said) in calls:
        called = placed.called
        assert called
        assert called.answered_ns
        machine = hear(called.packets, called.answered_ns, reference=references["sample"], voice=voices.CALLER)
        assert machine.times == 0, case
        assert machine.voice_ms is not None
        assert machine.voice_ms < SOUND_S * 1000 / 2, f"{case}: {machine}"
        beginning = hear(placed.caller.packets, called.answered_ns, voice=MACHINES[case.number])
        assert beginning.voice_ms is not None
        assert beginning.voice_ms < SOUND_S * 1000 / 2, f"{case}: {beginning}"
        record = said.record
        assert (said.ending.status, said.ending.reason) == ("CONNECTED", "licence-valid"), case
        assert (record["outcome"], record["skip"], [*record["known_by"]]) == ("PLAY", "silent-number", []), case
        assert (record["status"], record["complete"], record["anomalies"]) == ("CONNECTED", True, []), case
        assert "connected" in record["times"], case
