"""Requests of two lab phones to each other during a call: no Asterisk, but real UDP."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from . import keys, timers, transfer, voices
from .call import Call
from .codecs import G722, OPUS, VIDEO
from .g711 import PCMA, PCMU
from .heard import hear
from .keys import Way, press
from .phone import Answer, Phone, Redirect
from .recording import reassemble
from .rtp import Media
from .sdp import Session
from .sip import Uri


async def both_sides(alice: Phone, bob: Phone) -> tuple[Call, Call]:
    call = await alice.call("1", bob.address)
    (taken,) = bob.calls
    await asyncio.sleep(0.03)
    return call, taken


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize(
    ("direction", "quiet"), [("sendonly", (False, True)), ("inactive", (True, True)), ("recvonly", (True, False))]
)
async def test_a_call_is_held_and_resumed(
    alice: Phone, bob: Phone, who: int, direction: str, quiet: tuple[bool, bool]
) -> None:
    sides = await both_sides(alice, bob)
    us, them = sides[who], sides[1 - who]
    assert (await us.reinvite(direction)).status == 200
    assert (us.stream.quiet, them.stream.quiet) == quiet
    await asyncio.sleep(0.03)
    before = [len(side.packets) for side in (them, us)]
    await asyncio.sleep(0.1)
    assert [len(side.packets) == count for side, count in zip((them, us), before, strict=True)] == list(quiet)
    assert (await us.reinvite("sendrecv")).status == 200
    await asyncio.sleep(0.1)
    assert all(len(side.packets) > count for side, count in zip((them, us), before, strict=True))
    assert [asked.method for asked in them.asked] == ["INVITE", "INVITE"]
    versions = [Session.parse(asked.request.body).version for asked in them.asked]
    assert versions == [2, 3]


async def test_a_reinvite_can_change_the_codec(alice: Phone, bob: Phone) -> None:
    call, taken = await both_sides(alice, bob)
    alice.codecs, bob.codecs = (PCMA, PCMU), (PCMA,)
    assert (await call.reinvite()).status == 200
    await asyncio.sleep(0.1)
    await call.hangup()
    for side in (call, taken):
        assert [packet.payload_type for packet in side.packets][:: len(side.packets) - 1] == [PCMU, PCMA]


@pytest.mark.parametrize("codec", [PCMA, G722, OPUS])
async def test_a_call_in_another_codec(alice: Phone, bob: Phone, codec: int) -> None:
    alice.codecs, bob.codecs = (PCMU, codec), (codec,)
    call, taken = await both_sides(alice, bob)
    await asyncio.sleep(0.25)
    await call.hangup()
    for side, other, voice in ((call, taken, voices.CALLED), (taken, call, voices.CALLER)):
        assert {packet.payload_type for packet in side.packets} == {codec}
        assert other.answered_ns
        heard = hear(side.packets, other.answered_ns, voice=voice)
        assert heard.voice_ms == pytest.approx(other.voice_delay_ms, abs=12)


async def test_no_codec_in_common_is_refused_and_reported(media: Media, alice: Phone) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="no codec in common")):
        async with Phone(media, voices.CALLED, codecs=(G722,)) as bob:
            assert (await alice.call("1", bob.address)).final_status == 488


@pytest.mark.parametrize("sighted", [True, False])
async def test_video_is_sent_where_both_phones_have_it(alice: Phone, bob: Phone, sighted: bool) -> None:
    alice.video, bob.video = True, sighted
    call, taken = await both_sides(alice, bob)
    await asyncio.sleep(0.1)
    assert call.video
    assert taken.session
    assert bool(taken.session.video) is sighted
    seen = [stream for stream in (call.video, taken.video) if stream and stream.packets]
    assert len(seen) == (2 if sighted else 0)
    assert all(packet.payload_type == VIDEO for stream in seen for packet in stream.packets)
    assert call.packets
    assert taken.packets


@pytest.mark.parametrize("key", ["5", "0", "#", "D"])
async def test_keys_come_through_as_events(alice: Phone, bob: Phone, key: str) -> None:
    call, taken = await both_sides(alice, bob)
    for pressed in (key, "1", key):
        await press(taken, pressed, Way.EVENTS)
        await asyncio.sleep(0.05)
    assert keys.heard(call.packets) == f"{key}1{key}"


async def test_keys_come_through_as_info(alice: Phone, bob: Phone) -> None:
    call, taken = await both_sides(alice, bob)
    await press(taken, "5", Way.INFO)
    (asked,) = call.asked
    assert (asked.method, asked.request.body) == ("INFO", b"Signal=5\r\nDuration=120\r\n")


@pytest.mark.parametrize(("key", "frequencies_hz"), [("1", (697, 1209)), ("6", (770, 1477)), ("D", (941, 1633))])
async def test_keys_come_through_as_tones(alice: Phone, bob: Phone, key: str, frequencies_hz: tuple[int, int]) -> None:
    bob.voice = np.zeros(160, np.int16)
    call, taken = await both_sides(alice, bob)
    await press(taken, key, Way.INBAND)
    await asyncio.sleep(0.1)
    await call.hangup()
    samples = reassemble(call.packets).samples
    assert np.count_nonzero(np.abs(samples) > 100) == pytest.approx(keys.PRESSED_MS * 8, rel=0.1)
    low, high = np.split(np.abs(np.fft.rfft(samples, 8000)), [1075])
    assert (low.argmax(), 1075 + high[:2000].argmax()) == pytest.approx(frequencies_hz, abs=3)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
async def test_a_session_timer_is_refreshed(alice: Phone, bob: Phone, method: str) -> None:
    call, taken = await both_sides(alice, bob)
    answer = await timers.refresh(call, method)
    assert (answer.status, answer.get("Session-Expires")) == (200, "90;refresher=uac")
    assert "timer" in answer.get("Require")
    assert (timers.refreshes(taken), timers.refreshes(call)) == (1, 0)
    assert taken.ended_ns is None


async def test_without_a_refresher_the_offerer_refreshes(alice: Phone, bob: Phone) -> None:
    call, _ = await both_sides(alice, bob)
    answer = await call.ask("UPDATE", [("Session-Expires", "90")])
    assert answer.get("Session-Expires") == "90;refresher=uac"
    assert not (await call.ask("UPDATE")).get("Session-Expires")


async def test_a_phone_makes_no_transfers_itself(alice: Phone, bob: Phone) -> None:
    """The lab's phones request transfers; the PBX makes them."""
    call, _ = await both_sides(alice, bob)
    assert (await transfer.blind(call, Uri("2", "127.0.0.1", 5060))).status == 405


async def test_the_request_of_a_transfer(media: Media, alice: Phone, bob: Phone) -> None:
    async with Phone(media, voices.voice(5)) as carol:
        call, taken = await both_sides(alice, bob)
        consulted = await bob.call("3", carol.address)
        assert consulted.dialog
        assert taken.dialog
        assert transfer.replaces(consulted.dialog) == (
            f"{consulted.request.call_id};to-tag={carol.calls[0].tag};from-tag={consulted.tag}"
        )
        await taken.ask("NOTIFY", [("Event", "refer")], b"SIP/2.0 100 Trying\r\n")
        assert transfer.progress(call) == [100]
        await taken.ask("NOTIFY", [("Event", "refer")], b"SIP/2.0 200 OK\r\n")
        assert (transfer.progress(call), await transfer.outcome(call)) == ([100, 200], 200)


async def test_a_call_is_redirected(alice: Phone, bob: Phone) -> None:
    bob.behaviour = Redirect(Uri("0399998888", "127.0.0.1", 5099))
    call = await alice.call("1", bob.address)
    assert call.final_status == 302


@pytest.mark.parametrize(("voice", "frequency_hz"), [(voices.FAX, 2100), (voices.FAX_CALLING, 1100)])
async def test_a_machine_answers_with_its_own_voice(alice: Phone, bob: Phone, voice, frequency_hz: int) -> None:
    bob.behaviour = Answer(voice=voice)
    call, _ = await both_sides(alice, bob)
    await asyncio.sleep(0.2)
    await call.hangup()
    samples = reassemble(call.packets).samples
    assert np.abs(np.fft.rfft(samples[:800], 8000)).argmax() == pytest.approx(frequency_hz, abs=3)
