"""A phone requests the transfer (REFER) of a connected call, or of a call whose sound is still playing."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lab import transfer, voices
from lab.call import Call
from lab.calls.assert_heard import FRAME_MS, FRAME_NS, MOST_EARLY, hear_without_early
from lab.calls.assert_proved import (
    AFTER_S,
    POLICY,
    SOUND_S,
    WAYS,
    Way,
    assert_connected,
    call_result,
    run_concurrently,
    wait_for_answer,
)
from lab.incoming_call import IncomingCall
from lab.lab import TALK_S, Lab, PlacedCall, lab, wait_until
from lab.outgoing_call import OutgoingCall
from lab.phone import Answer, Phone
from lab.sip import Uri
from lab.sound_detection import hear, hear_last, hear_whole

NEXT_NUMBER = "0312345679"
"""Another number of the same member. It is forwarded to the third phone."""
THIRD = voices.voice(5)


@dataclass(frozen=True)
class Transfer:
    """A transfer. `who` is the party that requests it.

    `target` is an extension of the PBX or a forwarded number.
    """

    way: Way
    who: str
    target: str


CASES = [
    Transfer(way, who, target) for way in WAYS for who in ("caller", "called") for target in ("extension", "number")
]


@dataclass
class Transferred:
    placed: PlacedCall
    asking: Call
    left: Call
    reached: IncomingCall
    """The call at the third phone."""
    since_ns: int
    """Time in ns from which the third phone and the remaining party can talk, unless a sound is playing."""


@asynccontextmanager
async def three(asterisk: Any) -> AsyncIterator[tuple[Lab, Phone]]:
    async with lab(asterisk) as phones, Phone(phones.caller.media, THIRD, Answer(after_ms=20)) as third:
        yield phones, third


def sides(placed: PlacedCall, who: str) -> tuple[Call, Call]:
    """The sides of the party that requests the transfer and of the party that remains."""
    assert placed.called
    return (placed.caller, placed.called) if who == "caller" else (placed.called, placed.caller)


def address(phones: Lab, third: Phone, placed: PlacedCall, target: str) -> Uri:
    extension = phones.extension(third)
    if target == "extension":
        return extension
    return Uri(f"*{NEXT_NUMBER}*{extension.user}*{placed.name}", *phones.asterisk.sip_address)


async def at_third(third: Phone, placed: PlacedCall) -> IncomingCall:
    """The third phone's side of the call, once the phone has answered."""
    mark = f"lab={placed.name}"

    def there() -> list[IncomingCall]:
        return [call for call in third.calls if mark in str(call.request.uri).split(";") and call.answered_ns]

    await wait_until(there, f"the third phone to answer {placed.name}")
    (call,) = there()
    return call


async def consult(phones: Lab, third: Phone, placed: PlacedCall, who: str, target: str = "extension") -> OutgoingCall:
    """A call to the third phone from the phone that is about to transfer."""
    phone = phones.caller if who == "caller" else phones.called
    return await phone.call(
        address(phones, third, placed, target).user,
        phones.asterisk.sip_address,
        headers=[("X-Lab-Way", "inside"), ("X-Lab-Call", placed.name)] if target == "extension" else [],
    )


async def blindly(phones: Lab, third: Phone, case: Transfer) -> Transferred:
    placed = await phones.place(case.way.forwarding())
    await asyncio.sleep(TALK_S)
    asking, left = sides(placed, case.who)
    target = address(phones, third, placed, case.target)
    if case.target == "extension":  # with the operator's gosub, whose Dial() must not obey a result of the hook
        target = replace(target, user=f"gosub{target.user}")
    assert (await transfer.blind(asking, target)).status == 202
    assert await transfer.outcome(asking) == 200
    await asking.hangup()
    reached = await at_third(third, placed)
    assert reached.answered_ns
    return await talked(Transferred(placed, asking, left, reached, reached.answered_ns), case)


async def with_consultation(phones: Lab, third: Phone, case: Transfer) -> Transferred:
    placed = await phones.place(case.way.forwarding())
    await asyncio.sleep(TALK_S)
    asking, left = sides(placed, case.who)
    consulted = await consult(phones, third, placed, case.who, case.target)
    await asyncio.sleep(0.2)
    since_ns = time.time_ns()
    assert (await transfer.attended(asking, consulted)).status == 202
    assert await transfer.outcome(asking) == 200
    await asyncio.gather(asking.hangup(), consulted.hangup())
    return await talked(Transferred(placed, asking, left, await at_third(third, placed), since_ns), case)


async def talked(done: Transferred, case: Transfer) -> Transferred:
    frames = 50 if case.target == "number" else 25  # of 20 ms each, even if they arrive late
    for call in (done.reached, done.left):
        await wait_until(
            lambda call=call: sum(each.arrival_ns > done.since_ns for each in call.packets) >= frames, "them to talk"
        )
    assert done.left.ended_ns is None, f"{case}: the transfer ended the call"
    await done.left.hangup()
    await done.reached.ended()
    return done


def assert_transferred(case: Transfer, done: Transferred, sound: Any) -> None:
    """Check a transfer. The party that hears the first sound heard it once.

    If the third phone's number is forwarded, this phone hears a complete sound before it hears the remaining party.
    Then the two talk.
    """
    heard_by = {"caller": done.placed.caller, "called": done.placed.called}
    for party, call in heard_by.items():
        assert call
        expected = party in case.way.parties
        assert hear_whole(call.packets, done.since_ns, reference=sound).times == expected, f"{case}, {party}"
    # Audio of a phone that is answering can reach the other party before Asterisk has read the answer.
    later = [packet for packet in done.left.packets if packet.arrival_ns > done.since_ns + FRAME_NS]
    assert hear(later, done.since_ns, voice=THIRD).voice_ms is not None, f"{case}: who was left heard nobody"
    assert done.reached.answered_ns
    later = [packet for packet in done.reached.packets if packet.arrival_ns > done.reached.answered_ns + FRAME_NS]
    voice = voices.CALLED if case.who == "caller" else voices.CALLER
    at_the_third = hear(later, done.reached.answered_ns, voice=voice)
    # Asterisk may send some packets of the other party's audio to a ringing phone until it has read the answer.
    answered = [packet for packet in done.reached.packets if packet.arrival_ns > done.reached.answered_ns]
    sounded = hear_without_early(answered, done.reached.answered_ns, range(MOST_EARLY), reference=sound, voice=voice)
    assert at_the_third.voice_ms is not None, f"{case}: the third phone heard nobody"
    assert sounded.times == (case.target == "number"), case
    if sounded.times:
        assert sounded.complete, f"{case}: {sounded}"
        assert sounded.end_ms is not None
        assert sounded.voice_ms is not None, f"{case}: {sounded}"
        assert sounded.voice_ms >= sounded.end_ms - FRAME_MS, f"{case}: {sounded}"


async def check_transfers(asterisk: Any, service: Any, sound: Any, how: Any) -> None:
    before = service.records()
    async with three(asterisk) as (phones, third):
        done = await run_concurrently(CASES, lambda case: how(phones, third, case))
        await phones.nothing_is_left()
    for case, each in done:
        assert_transferred(case, each, sound)
    records = service.records()
    new = [records[call_id] for call_id in records.keys() - before.keys()]
    assert {(record["status"], record["complete"], record["skip"]) for record in new} == {("CONNECTED", True, None)}
    assert [record["anomalies"] for record in new if record["anomalies"]] == []
    # Each call has a record, and so does each later forwarding of a number.
    expected = Counter((case.way.direction, tuple(case.way.parties)) for case in CASES)
    expected["incoming", ("called",)] += sum(case.target == "number" for case in CASES)
    assert Counter((record["direction"], tuple(record["known_by"])) for record in new) == expected


async def test_a_blind_transfer_of_a_connected_call(asterisk, serving, references):
    await check_transfers(asterisk, serving(policy=POLICY), references["sample"], blindly)


@pytest.mark.nightly
async def test_an_attended_transfer_of_a_connected_call(asterisk, serving, references):
    await check_transfers(asterisk, serving(policy=POLICY), references["sample"], with_consultation)


async def test_a_blind_transfer_while_the_service_is_away(asterisk, serving, shared_service, references):
    """The party at the target of the transfer also hears the notice."""
    serving(policy=POLICY)
    shared_service.stop()
    cases = [case for case in CASES if case.way.interface == "ari" and case.target == "number"]
    async with three(asterisk) as (phones, third):
        done = await run_concurrently(cases, lambda case: blindly(phones, third, case))
        await phones.nothing_is_left()
    for case, each in done:
        assert_transferred(case, each, references["notice"])


@pytest.mark.alone
async def test_a_blind_transfer_during_the_sound_is_refused(asterisk, serving, references):
    """The call continues unchanged. A caller can request a transfer only if the caller's leg is answered first."""
    service = serving(policy=f"{POLICY}, caller_hears: answered")
    cases = [Transfer(way, "called", "extension") for way in WAYS] + [
        Transfer(way, "caller", "extension") for way in WAYS if "caller" in way.parties
    ]
    async with three(asterisk) as (phones, third):

        async def one(case: Transfer) -> tuple[PlacedCall, int, Any]:
            placed = phones.dial(case.way.forwarding())
            await wait_for_answer(phones, placed, 0.05)
            await wait_until(lambda: case.who == "called" or placed.caller.answered_ns, "the caller to be answered")
            asking, _ = sides(placed, case.who)
            assert (await transfer.blind(asking, phones.extension(third))).status == 202
            refused = await transfer.outcome(asking)
            await placed.caller.final()
            await phones.talk_and_hang_up(placed, AFTER_S)
            return placed, refused, await call_result(phones, service, placed)

        calls = await run_concurrently(cases, one)
        await phones.nothing_is_left()
        assert not third.calls
    for case, (placed, refused, said) in calls:
        assert refused >= 400, case
        assert_connected(case.way, said)
        assert placed.called
        heard = hear_whole(placed.called.packets, placed.called.answered_ns, reference=references["sample"])
        assert (heard.times, heard.complete) == (1, True), case


@pytest.mark.alone
async def test_an_attended_transfer_during_the_sound(asterisk, serving, references):
    """Asterisk accepts the transfer, and replaces a party with the third phone.

    In the place of the called party, the third phone hears the sound from the beginning, and is then connected. In the
    place of a caller who is to hear the sound too, the call ends unconnected.
    """
    service = serving(policy=f"{POLICY}, caller_hears: answered")
    cases = [Transfer(way, "called", "extension") for way in WAYS] + [
        Transfer(way, "caller", "extension") for way in WAYS if "caller" in way.parties
    ]
    sounding = asyncio.Lock()  # the sound is short, and the work for another call could take too much of it
    async with three(asterisk) as (phones, third):

        async def one(case: Transfer) -> tuple[PlacedCall, IncomingCall, Any]:
            ready = asyncio.Event()

            async def behave(call: IncomingCall) -> None:
                call.ring()
                await ready.wait()
                call.answer()

            placed = phones.dial(case.way.forwarding(), behaviour=behave)
            consulted = await consult(phones, third, placed, case.who)
            await asyncio.sleep(0.1)
            async with sounding:
                ready.set()
                called = await phones.reached(placed)
                await wait_until(lambda: called.packets, f"the sound of {placed.name}")
                await wait_until(lambda: case.who == "called" or placed.caller.answered_ns, "the caller to be answered")
                asking, left = sides(placed, case.who)
                assert (await transfer.attended(asking, consulted)).status == 202
            assert placed.called
            assert placed.called.answered_ns
            assert time.time_ns() < placed.called.answered_ns + SOUND_S * 1e9, "the machine is too busy for this test"
            assert await transfer.outcome(asking) == 200
            # Asterisk reports the transfer before it has moved the channel, and moves no channel that has hung up
            # meanwhile.
            await asyncio.sleep(0.1)
            await asking.hangup()
            if case.who == "called":
                await asyncio.sleep(3 * SOUND_S)
                await left.hangup()
            else:
                await left.ended()
            reached = await at_third(third, placed)
            await reached.ended()
            return placed, reached, await call_result(phones, service, placed)

        calls = await run_concurrently(cases, one)
        await phones.nothing_is_left()
    for case, (placed, reached, said) in calls:
        assert placed.called
        first = hear(placed.called.packets, placed.called.answered_ns, reference=references["sample"])
        heard = hear_last(reached.packets, placed.called.answered_ns, reference=references["sample"])
        if case.who == "called":
            assert (first.times, heard.times, heard.complete) == (0, 1, True), f"{case}: {heard}, {said.record}"
            later = [packet for packet in reached.packets if packet.arrival_ns > placed.called.answered_ns + FRAME_NS]
            talked = hear(later, placed.called.answered_ns, voice=voices.CALLER)
            assert talked.voice_ms is not None, f"{case}: the third phone heard nobody"
            assert heard.end_ms is not None
            assert talked.voice_ms >= heard.end_ms - FRAME_MS, case
            assert_connected(case.way, said)
        else:
            assert said.ending.status in ("FAILED", "CANCEL"), case
            assert "connected" not in said.record["times"], case
            assert said.record["complete"], case
