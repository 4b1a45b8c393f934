"""Two of the lab's phones call each other directly, over real UDP and without Asterisk."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from lab import voices
from lab.call import Call
from lab.dialog import Dialog, invite
from lab.g711 import Samples
from lab.incoming_call import IncomingCall
from lab.lab import wait_until
from lab.phone import BUSY, Answer, Phone, ring
from lab.rtp import HOST, Address, Media
from lab.sdp import Session
from lab.sip import Party, Request, Response, SipError, Uri, parse
from lab.sound_detection import hear

TALK_S = 0.25


class LossyPhone(Phone):
    """A phone that loses its sent datagrams with these numbers, and retransmits quickly."""

    def __init__(self, media: Media, voice: Samples, lost: set[int]) -> None:
        super().__init__(media, voice, t1_s=0.05)
        self.sent: list[bytes] = []
        self._lost = lost

    def send(self, data: bytes, address: Address) -> None:
        self.sent.append(data)
        if len(self.sent) - 1 not in self._lost:
            super().send(data, address)


def voice_ms(listener: Call, voice: Samples, answered_ns: int | None) -> float:
    assert answered_ns is not None
    start_ms = hear(listener.packets, answered_ns, voice=voice).voice_ms
    assert start_ms is not None
    return start_ms


@pytest.mark.alone
async def test_a_call_is_answered_heard_both_ways_and_hung_up(alice: Phone, bob: Phone) -> None:
    bob.behaviour = Answer(after_ms=50)
    call = await alice.call(
        "0312345678", bob.address, caller_id="0611112222", display='Al "x"', headers=[("X-Lab", "7")]
    )
    (taken,) = bob.calls
    assert (call.final_status, taken.final_status) == (200, 200)
    assert [status for status, _ in call.provisional] == [status for status, _ in taken.provisional] == [180]
    assert (taken.user, taken.request.get("X-Lab")) == ("0312345678", "7")
    assert (taken.request.sender.uri.user, taken.request.sender.display) == ("0611112222", 'Al "x"')

    assert call.answered_ns is not None
    assert taken.answered_ns is not None
    assert 50e6 <= taken.answered_ns - taken.arrival_ns < 100e6
    assert 0 < call.answered_ns - taken.answered_ns < 20e6

    await asyncio.sleep(TALK_S)
    await call.hangup()
    assert taken.ended_ns is not None
    assert call.ended_ns is not None
    assert call.ended_ns <= taken.ended_ns < call.ended_ns + 20e6
    assert (call.ended_by, taken.ended_by) == ("us", "them")

    for listener, speaker, voice in ((taken, call, voices.CALLER), (call, taken, voices.CALLED)):
        delay_ms = speaker.voice_delay_ms
        assert delay_ms is not None
        assert voice_ms(listener, voice, speaker.answered_ns) == pytest.approx(delay_ms, abs=2)
        assert len(listener.packets) >= TALK_S / 0.02 - 2


async def test_an_answer_that_crosses_the_cancel_is_hung_up(alice: Phone, bob: Phone) -> None:
    async def answer_at_once_but_after_ringing(call: IncomingCall) -> None:
        call.ring()
        call.answer()

    bob.behaviour = answer_at_once_but_after_ringing
    call = alice.dial("1", bob.address)
    await call.cancel()
    assert (call.final_status, call.ended_by, bob.calls[0].ended_by) == (200, "us", "them")


@pytest.mark.parametrize("lost_at", range(3))
@pytest.mark.parametrize("who", ["caller", "called"])
async def test_a_lost_datagram_does_not_fail_the_call(media: Media, who: str, lost_at: int) -> None:
    """The caller loses its INVITE, ACK or BYE; the called phone loses its 180, its 200, or its 200 to the BYE."""
    async with (
        LossyPhone(media, voices.CALLER, {lost_at} if who == "caller" else set()) as caller,
        LossyPhone(media, voices.CALLED, {lost_at} if who == "called" else set()) as called,
    ):
        called.behaviour = Answer(after_ms=20)
        call = await caller.call("1", called.address, timeout_s=2)
        await asyncio.sleep(0.15)
        await call.hangup()
        (taken,) = called.calls
        await taken.ended(20)
    assert (call.final_status, taken.ended_by) == (200, "them")


@pytest.mark.parametrize("lost_at", [0, 1])
async def test_a_lost_refusal_or_its_lost_ack_is_made_good(media: Media, lost_at: int) -> None:
    async with (
        LossyPhone(media, voices.CALLER, {1} if lost_at else set()) as caller,
        LossyPhone(media, voices.CALLED, set() if lost_at else {0}) as called,
    ):
        called.behaviour = BUSY
        call = await caller.call("1", called.address, timeout_s=2)
        assert call.final_status == 486
        assert len(called.calls) == 1

        def refusals() -> int:
            return sum(data.startswith(b"SIP/2.0 486") for data in called.sent)

        await wait_until(lambda: refusals() >= 2, "the second refusal")
        await asyncio.sleep(0.15)
        sent = len(called.sent)
        await asyncio.sleep(0.15)
        assert len(called.sent) == sent  # the ACK came, so it is quiet


async def test_a_call_to_no_phone_times_out(media: Media) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((HOST, 0))
        async with Phone(media, voices.CALLER, t1_s=0.002) as caller:
            call = await caller.call("1", deaf.getsockname())
            assert (call.final_status, call.ended_by) == (408, "us")
            await call.cancel()


class Peer:
    """A UDP socket for messages that the lab's phones never send."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((HOST, 0))
        self.address: Address = self._socket.getsockname()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes, phone: Phone) -> None:
        self._socket.sendto(data, phone.address)

    async def hear(self) -> Request | Response:
        async with asyncio.timeout(60):
            return parse(await asyncio.get_running_loop().sock_recv(self._socket, 65536))

    async def ask(self, request: Request, phone: Phone) -> Response:
        """Send a request; returns its final response. The caller of this function acknowledges the response to an
        INVITE.
        """
        self.send(request.encode(), phone)
        while True:
            message = await self.hear()
            if isinstance(message, Response) and message.sequence == request.sequence and message.status >= 200:
                return message

    async def hang_up(self, dialog: Dialog, phone: Phone) -> None:
        """Acknowledge the last answer, and end the call."""
        self.send(dialog.request("ACK", self.address).encode(), phone)
        assert (await self.ask(dialog.request("BYE", self.address), phone)).status == 200

    def invite(self, phone: Phone, body: bytes | None = None) -> Request:
        offer = Session((HOST, 40000)).encode() if body is None else body
        contact = ("Contact", str(Party(Uri("peer", *self.address))))
        return invite(Uri("1", *phone.address), self.address, Party(Uri("peer", HOST)), [contact], offer)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as opened:
        yield opened


async def test_an_answer_without_an_ack_ends_the_call(media: Media, peer: Peer) -> None:
    async with Phone(media, voices.CALLED, t1_s=0.002) as bob:
        await peer.ask(peer.invite(bob), bob)
        while (message := await peer.hear()) and isinstance(message, Response):
            assert message.status == 200
        assert message.method == "BYE"
        peer.send(message.response(200).encode(), bob)


@pytest.mark.parametrize("data", [b"hello", b"\xff" * 40])
async def test_a_phone_reports_malformed_messages_on_exit(media: Media, peer: Peer, data: bytes) -> None:
    async with AsyncExitStack() as life:
        peer.send(data, await life.enter_async_context(Phone(media, voices.CALLED)))
        await asyncio.sleep(0.02)
        with pytest.raises(ExceptionGroup) as raised:
            await life.aclose()
    assert [type(error) for error in raised.value.exceptions] == [SipError]


async def test_an_offer_without_our_codecs_is_refused_and_reported(media: Media, peer: Peer) -> None:
    async with AsyncExitStack() as life:
        bob = await life.enter_async_context(Phone(media, voices.CALLED))
        assert (await peer.ask(peer.invite(bob, b""), bob)).status == 488
        assert bob.calls == []
        with pytest.raises(ExceptionGroup) as raised:
            await life.aclose()
    assert "no audio" in str(raised.value.exceptions[0])


async def test_a_behaviour_that_fails_is_reported(media: Media, alice: Phone) -> None:
    async def stumble(call: IncomingCall) -> None:
        call.ring()
        raise LookupError(call.user)

    async with AsyncExitStack() as life:
        bob = await life.enter_async_context(Phone(media, voices.CALLED, stumble))
        call = alice.dial("1", bob.address)
        await asyncio.sleep(0.02)
        with pytest.raises(ExceptionGroup) as raised:
            await life.aclose()
    assert [type(error) for error in raised.value.exceptions] == [LookupError]
    assert call.final_status == 480


@pytest.mark.parametrize("who", ["caller", "called"])
async def test_a_closing_phone_ends_its_calls_and_leaves_nothing(media: Media, who: str) -> None:
    async def answer_or_ring(call: IncomingCall) -> None:
        await (Answer()(call) if call.user == "answered" else ring(call))

    caller, called = Phone(media, voices.CALLER), Phone(media, voices.CALLED, answer_or_ring)
    before = asyncio.all_tasks()
    async with caller if who == "called" else called:
        async with called if who == "called" else caller:
            up, ringing = await caller.call("answered", called.address), caller.dial("ringing", called.address)
            await asyncio.sleep(0.05)
        await up.ended(20)
        await ringing.ended(20)
        sides = {call.ended_by for call in (called.calls if who == "caller" else [up, ringing])}
    assert sides == {"them"}
    assert ringing.final_status == (480 if who == "called" else 487)
    assert asyncio.all_tasks() == before


async def test_a_phone_closes_also_when_the_other_is_gone(media: Media) -> None:
    with Peer() as gone:
        async with Phone(media, voices.CALLED, t1_s=0.001) as bob:
            request = gone.invite(bob)
            response = await gone.ask(request, bob)
            gone.send(Dialog.of_caller(request, response).request("ACK", gone.address).encode(), bob)
            await asyncio.sleep(0.02)
            gone.__exit__()
    assert bob.calls[0].ended_by == "us"
