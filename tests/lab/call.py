"""One call of a lab phone, from either side: its signalling as it happened, and the stream it heard.

Times are nanoseconds of CLOCK_REALTIME: the kernel's for what arrived, ours just before sending for what we said.
"""

from __future__ import annotations

import abc
import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal

from .dialog import Dialog, client_key, invite, token
from .g711 import Samples
from .rtp import Address, Packet, Stream
from .sdp import Session
from .sip import Header, Party, Request, Response, Uri

if TYPE_CHECKING:
    from .phone import Phone

WAIT_S: Final = 10.0
REQUEST_TIMEOUT: Final = 408
"""What a call ends with that nobody answered at all (8.1.3.1)."""
SDP: Final = ("Content-Type", "application/sdp")

Side = Literal["us", "them"]


class Call(abc.ABC):
    """What both sides have in common. `request` is the INVITE that made the call, `tag` our own of the dialog."""

    def __init__(self, phone: Phone, request: Request, tag: str, stream: Stream) -> None:
        self.request = request
        self.tag = tag
        self.stream = stream
        self.dialog: Dialog | None = None
        self.provisional: list[tuple[int, int]] = []
        """Status and time of every 1xx, as sent or as received."""
        self.final_status: int | None = None
        self.answered_ns: int | None = None
        self.ended_ns: int | None = None
        self.ended_by: Side | None = None
        self.cause: int | None = None
        """The Q.850 cause that the other side gave, in its refusal, BYE or CANCEL."""
        self._phone = phone
        self._final = asyncio.Event()
        self._ended = asyncio.Event()
        self._acknowledged = asyncio.Event()

    @property
    def user(self) -> str:
        """The user that was dialled."""
        return self.request.uri.user

    @property
    def packets(self) -> list[Packet]:
        """What this party heard."""
        return self.stream.packets

    @property
    def voice_delay_ms(self) -> float | None:
        """From the answer to our first packet: this much of what the other party waited for us was our own doing.
        Negative where we spoke before the answer already.
        """
        if self.answered_ns is None or self.stream.started_ns is None:
            return None
        return (self.stream.started_ns - self.answered_ns) / 1e6

    async def final(self, timeout_s: float = WAIT_S) -> int | None:
        """Wait for the final response; its status. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._final.wait()
        return self.final_status

    async def ended(self, timeout_s: float = WAIT_S) -> None:
        """Wait until the call is over. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._ended.wait()

    async def hangup(self) -> None:
        """Say BYE and wait until the other side has taken it; nothing where the call is not up."""
        if self.dialog and self.answered_ns is not None and self.ended_ns is None:
            bye = self.dialog.request("BYE", self._phone.address)
            self.finish("us", time.time_ns())
            await self._phone.transact(bye, self.dialog.next_hop)

    @abc.abstractmethod
    async def leave(self) -> None:
        """End the call as its state allows, and wait until the other side knows."""

    def finish(self, by: Side, at_ns: int) -> None:
        """The call is over on this side; the stream is closed, what it heard stays."""
        if self.ended_ns is None:
            self.ended_ns, self.ended_by = at_ns, by
            self.stream.close()
            self._final.set()
            self._ended.set()

    def take_bye(self, bye: Request, arrival_ns: int) -> None:
        self.cause = bye.cause
        self.finish("them", arrival_ns)

    def take_reinvite(self, invite: Request, source: Address) -> None:
        """The other side moves its media or asks whether we are there (14.2): agree."""
        offer = Session.parse(invite.body)
        if self.dialog:
            self.dialog.refresh(invite)
        self.stream.remote = offer.address
        answer = offer.answer(self._media_address).encode()
        self._respond_finally(invite, source, 200, [*self._phone.contact, SDP], answer)

    def take_ack(self, ack: Request) -> None:
        self._acknowledged.set()

    @property
    def _media_address(self) -> Address:
        return self._phone.address[0], self.stream.port

    def _conclude(self, status: int) -> None:
        self.final_status = status
        self._final.set()

    def _respond_finally(
        self, invite: Request, source: Address, status: int, headers: Iterable[Header] = (), body: bytes = b""
    ) -> None:
        """Give an INVITE its final response, and go on giving it until the ACK comes (13.3.1.4, 17.2.1)."""
        self._acknowledged = asyncio.Event()
        data = self._phone.respond(invite, invite.response(status, self.tag, headers, body), source)
        self._phone.spawn(self._insist(data, source, self._acknowledged))

    async def _insist(self, data: bytes, source: Address, acknowledged: asyncio.Event) -> None:
        if not await self._phone.repeat(data, source, acknowledged):
            await self.hangup()


class OutgoingCall(Call):
    """A call that our phone makes."""

    def __init__(self, phone: Phone, uri: Uri, proxy: Address, sender: Party, headers: Iterable[Header]) -> None:
        stream = phone.media.open()
        offer = Session((phone.address[0], stream.port)).encode()
        request = invite(uri, phone.address, sender, [*phone.contact, *headers, SDP], offer)
        super().__init__(phone, request, request.sender.tag, stream)
        self._proxy = proxy
        self._heard_back = asyncio.Event()
        self._acknowledgement = b""
        self._cancelled = False

    def start(self) -> None:
        self._phone.expect(client_key(self.request), self.take_response)
        self._phone.send(self.request.encode(), self._proxy)
        self._phone.spawn(self._invite())

    async def _invite(self) -> None:
        if not await self._phone.repeat(self.request.encode(), self._proxy, self._heard_back):
            self._heard_back.set()
            self._conclude(REQUEST_TIMEOUT)
            self.finish("us", time.time_ns())

    async def cancel(self) -> None:
        """Give up before the answer (9.1), and wait for the end; where the answer was faster, hang up."""
        await self._heard_back.wait()
        if self.final_status is None and not self._cancelled:
            self._cancelled = True
            await self._phone.transact(self.request.cancellation(), self._proxy)
            await self.final()
        await self.hangup()

    async def leave(self) -> None:
        await self.cancel()

    def take_response(self, response: Response, arrival_ns: int) -> None:
        """Act on a response to the INVITE."""
        self._heard_back.set()
        if response.status < 200:
            if self.final_status is None:
                self.provisional.append((response.status, arrival_ns))
                self._talk(response)
        elif self._acknowledgement:  # it was lost
            self._phone.send(self._acknowledgement, self._next_hop)
        elif self.final_status is None:
            self._take_final(response, arrival_ns)

    def _take_final(self, response: Response, arrival_ns: int) -> None:
        if response.status < 300:
            self.dialog = Dialog.of_caller(self.request, response)
            self._acknowledge(self.dialog.request("ACK", self._phone.address))
            self.answered_ns = arrival_ns
            self._talk(response)
            self._conclude(response.status)
        else:
            self._acknowledge(self.request.acknowledgement(response))
            self.cause = response.cause
            self._conclude(response.status)
            self.finish("us" if self._cancelled else "them", arrival_ns)

    @property
    def _next_hop(self) -> Address:
        return self.dialog.next_hop if self.dialog else self._proxy

    def _acknowledge(self, ack: Request) -> None:
        self._acknowledgement = ack.encode()
        self._phone.send(self._acknowledgement, self._next_hop)

    def _talk(self, response: Response) -> None:
        if response.body:
            session = Session.parse(response.body)
            if self.stream.speaking:
                self.stream.remote = session.address
            else:
                self.stream.speak(session.address, session.payload_type, self._phone.voice)


class IncomingCall(Call):
    """A call that reaches our phone. The phone's behaviour says what becomes of it, with the verbs `ring`,
    `progress`, `answer`, `refuse` and `hangup`; each does nothing where the call is past it.
    """

    def __init__(self, phone: Phone, request: Request, source: Address, arrival_ns: int) -> None:
        offer = Session.parse(request.body)
        super().__init__(phone, request, token(), phone.media.open())
        self.arrival_ns = arrival_ns
        self.dialog = Dialog.of_called(request, self.tag)
        self._source = source
        self._offer = offer
        self._behaving: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._behaving = self._phone.spawn(self._phone.behaviour(self))

    def ring(self) -> None:
        """180, without media."""
        if self.final_status is None:
            self._provide(180)

    def progress(self, announcement: Samples) -> None:
        """183, and the announcement over and over until the answer."""
        if self.final_status is None:
            self._provide(183, [SDP], self._answer())
            self._speak(announcement)

    def answer(self) -> None:
        """200, and our voice from now on."""
        if self.final_status is None:
            self.answered_ns = time.time_ns()
            self._respond_finally(self.request, self._source, 200, [*self._phone.contact, SDP], self._answer())
            self._speak(self._phone.voice)
            self._conclude(200)

    def refuse(self, status: int, cause: int | None = None, *, by: Side = "us") -> None:
        """A final response from 300 on, with a Q.850 cause or without."""
        if self.final_status is None:
            reason = [("Reason", f"Q.850;cause={cause}")] if cause else []
            self._respond_finally(self.request, self._source, status, reason)
            self._conclude(status)
            self.finish(by, time.time_ns())

    async def leave(self) -> None:
        self.refuse(480)
        await self.hangup()

    def finish(self, by: Side, at_ns: int) -> None:
        super().finish(by, at_ns)
        if self._behaving and self._behaving is not asyncio.current_task():
            self._behaving.cancel()

    def take_cancel(self, cancel: Request) -> None:
        self.cause = cancel.cause
        self.refuse(487, by="them")

    def _answer(self) -> bytes:
        return self._offer.answer(self._media_address).encode()

    def _speak(self, samples: Samples) -> None:
        self.stream.speak(self._offer.address, self._offer.payload_type, samples)

    def _provide(self, status: int, headers: Iterable[Header] = (), body: bytes = b"") -> None:
        self.provisional.append((status, time.time_ns()))
        response = self.request.response(status, self.tag, [*self._phone.contact, *headers], body)
        self._phone.respond(self.request, response, self._source)
