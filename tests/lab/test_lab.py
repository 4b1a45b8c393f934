"""The lab's PBX and phones, without the service."""

from __future__ import annotations

import asyncio

import pytest

from . import keys, transfer, voices
from .codecs import G722, OPUS
from .endpoints import REGISTERED
from .g711 import PCMA, PCMU
from .heard import hear
from .keys import Way, press
from .lab import TALK_S, Forwarding, lab
from .phone import Answer, Phone, Redirect, ring
from .sip import Uri

NATIVE = Forwarding(way="native")


def talks_to(listener, voice, since_ns) -> bool:
    return hear(listener.packets, since_ns, voice=voice).voice_ms is not None


async def test_phones_ring_together_and_the_first_answer_takes_the_call(asterisk):
    async with lab(asterisk, ring, Answer(after_ms=100), ring) as phones:
        placed = await phones.place(NATIVE)
        assert placed.caller.final_status == 200
        assert placed.called is phones.members[1].calls[0]
        await phones.talk_and_hang_up(placed, 0.6)
        await phones.nothing_is_left()
        # Asterisk cancels the other two a moment after the caller has its answer.
        assert [call.final_status for call in placed.rung] == [487, 200, 487]
    assert talks_to(placed.caller, voices.members(3)[1], placed.caller.answered_ns)


async def test_an_extension_is_a_phones_port(asterisk):
    async with lab(asterisk) as phones:
        call = await phones.place(Forwarding(way="inside", dialled=phones.extension(phones.called).user))
        assert call.caller.final_status == 200
        assert call.called
        await phones.talk_and_hang_up(call)


async def test_a_phone_registers_and_is_called_by_its_number(asterisk):
    async with lab(asterisk) as phones:
        registered = await phones.called.register(REGISTERED, asterisk.sip_address, [("X-Lab-Endpoint", REGISTERED)])
        assert registered.status == 200
        placed = await phones.place(Forwarding(way="native", destination=f"PJSIP/{REGISTERED}"))
        assert placed.caller.final_status == 200
        assert [call.user for call in phones.called.calls] == ["lab"]
        await placed.caller.hangup()


async def test_parties_in_a_conference_hear_each_other(asterisk):
    async with lab(asterisk) as phones, Phone(phones.caller.media, voices.CALLED) as sitting:
        listener = await sitting.call("room", asterisk.sip_address, headers=[("X-Lab-Way", "inside")])
        placed = await phones.place(Forwarding(way="inside", dialled="room"))
        await asyncio.sleep(0.5)
        assert talks_to(listener, voices.CALLER, placed.caller.answered_ns)
        assert talks_to(placed.caller, voices.CALLED, placed.caller.answered_ns)
        await placed.caller.hangup()


@pytest.mark.parametrize("endpoint", ["lab", "redirecting"])
async def test_a_redirected_call_reaches_the_other_phone(asterisk, endpoint):
    async with lab(asterisk) as phones, Phone(phones.caller.media, voices.CALLED, Answer(after_ms=20)) as other:
        port = other.address[1]
        phones.called.behaviour = Redirect(Uri(str(port), *other.address))
        placed = await phones.place(Forwarding(way="native", endpoint=endpoint))
        assert placed.caller.final_status == 200
        assert [call.user for call in other.calls] == [str(port)]
        assert phones.called.calls[0].final_status == 302
        await phones.talk_and_hang_up(placed, 0.6)


@pytest.mark.parametrize("caller", [PCMU, PCMA, G722, OPUS])
@pytest.mark.parametrize("called", [PCMU, PCMA, G722, OPUS])
async def test_phones_with_different_codecs_understand_each_other(asterisk, caller, called):
    async with lab(asterisk) as phones:
        phones.caller.codecs, phones.called.codecs = (caller,), (called,)
        placed = await phones.place(Forwarding(way="native", endpoint="wide"))
        await phones.talk_and_hang_up(placed, 0.8)
        assert placed.called
        assert {packet.payload_type for packet in placed.caller.packets} == {caller}
        assert {packet.payload_type for packet in placed.called.packets} == {called}
        assert talks_to(placed.caller, voices.CALLED, placed.called.answered_ns)
        assert talks_to(placed.called, voices.CALLER, placed.called.answered_ns)


@pytest.mark.parametrize("way", Way)
async def test_a_key_during_asterisks_own_announcement_cuts_it_short(asterisk, service, references, way):
    """The PBX accepts keys from our phones in this way. `service` is only needed for its sounds."""
    async with lab(asterisk) as phones:
        placed = phones.dial(NATIVE)
        await asyncio.sleep(0.15)
        phones.pair(placed)
        assert placed.called
        await press(placed.called, "5", way)
        await placed.caller.final()
        await phones.talk_and_hang_up(placed)
        heard = hear(placed.called.packets, placed.called.answered_ns, reference=references["sample"])
    assert heard.complete is (way is Way.INBAND)


@pytest.mark.parametrize("way", [Way.EVENTS, Way.INFO])
async def test_a_key_in_the_conversation_reaches_the_other_phone(asterisk, way):
    async with lab(asterisk) as phones:
        placed = await phones.place(NATIVE)
        assert placed.called
        await asyncio.sleep(TALK_S)
        await press(placed.called, "7", way)
        await phones.talk_and_hang_up(placed)
    assert keys.heard(placed.caller.packets) == "7"


@pytest.mark.parametrize("who", ["caller", "called"])
async def test_a_blind_transfer(asterisk, who):
    async with lab(asterisk) as phones, Phone(phones.caller.media, voices.voice(5), Answer(after_ms=20)) as third:
        placed = await phones.place(NATIVE)
        await asyncio.sleep(TALK_S)  # a transfer needs bridged parties
        assert placed.called
        transferring, left = (placed.caller, placed.called) if who == "caller" else (placed.called, placed.caller)
        assert (await transfer.blind(transferring, phones.extension(third))).status == 202
        assert await transfer.outcome(transferring) == 200
        await transferring.hangup()
        await asyncio.sleep(0.5)
        assert left.ended_ns is None
        assert talks_to(left, third.voice, third.calls[0].answered_ns)
        await left.hangup()
        await phones.nothing_is_left()


@pytest.mark.parametrize("who", ["caller", "called"])
async def test_an_attended_transfer(asterisk, who):
    async with lab(asterisk) as phones, Phone(phones.caller.media, voices.voice(5), Answer(after_ms=20)) as third:
        placed = await phones.place(NATIVE)
        await asyncio.sleep(TALK_S)  # a transfer needs bridged parties
        assert placed.called
        transferring, left = (placed.caller, placed.called) if who == "caller" else (placed.called, placed.caller)
        phone = phones.caller if who == "caller" else phones.called
        consulted = await phone.call(
            phones.extension(third).user, asterisk.sip_address, headers=[("X-Lab-Way", "inside")]
        )
        await asyncio.sleep(TALK_S)
        assert (await transfer.attended(transferring, consulted)).status == 202
        assert await transfer.outcome(transferring) == 200
        await asyncio.gather(transferring.hangup(), consulted.hangup())
        since_ns = consulted.ended_ns
        await asyncio.sleep(0.5)
        assert left.ended_ns is None
        assert talks_to(left, third.voice, since_ns)
        await left.hangup()
        await phones.nothing_is_left()


async def test_headers_of_the_callers_network_reach_the_pbx(asterisk):
    diversion = ("Diversion", "<sip:0388887777@127.0.0.1>;reason=unconditional")
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(way="native", headers=(diversion,)))
        assert placed.called
        assert "0388887777" in placed.called.request.get("Diversion")
        await placed.caller.hangup()
