"""A call from a lab phone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from .call import SDP, Call
from .codecs import EVENTS, PICTURE, VIDEO, VIDEO_TICKS
from .dialog import Dialog, client_key, invite
from .rtp import Address
from .sdp import Session
from .sip import Header, Party, Request, Response, Uri

if TYPE_CHECKING:
    from .phone import Phone

REQUEST_TIMEOUT: Final = 408
"""Status of a call whose INVITE got no response at all (8.1.3.1)."""


class OutgoingCall(Call):
    """A call from our phone."""

    def __init__(
        self, phone: Phone, uri: Uri, proxy: Address, sender: Party, headers: Iterable[Header], call_id: str = ""
    ) -> None:
        stream = phone.media.open()
        headers = [*phone.contact, *headers, *([SDP] if phone.offers else [])]
        request = invite(uri, phone.address, sender, headers, b"", call_id)
        super().__init__(phone, request, request.sender.tag, stream)
        self.session = Session(
            self._media_address,
            (*phone.codecs, EVENTS),
            phone.offers or "sendrecv",
            self._video_port() if phone.video else None,
            key=stream.key,
        )
        request.body = self.session.encode() if phone.offers else b""
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
        """Cancel the call before its answer (9.1), or hang up if the answer comes first. Waits for the end."""
        await self._heard_back.wait()
        if self.final_status is None and not self._cancelled:
            self._cancelled = True
            await self._phone.transact(self.request.cancellation(), self._proxy)
            await self.final()
        await self.hangup()

    async def leave(self) -> None:
        await self.cancel()

    def take_response(self, response: Response, arrival_ns: int) -> None:
        """Process a response to the INVITE."""
        self._heard_back.set()
        if response.status < 200:
            if self.final_status is None:
                self.provisional.append((response.status, arrival_ns))
                self._talk(response)
        elif self._acknowledgement:  # the ACK was lost
            self._phone.send(self._acknowledgement, self._next_hop)
        elif self.final_status is None:
            self._take_final(response, arrival_ns)

    def _take_final(self, response: Response, arrival_ns: int) -> None:
        if response.status < 300:
            self.dialog = Dialog.of_caller(self.request, response)
            ack = self.dialog.request("ACK", self._phone.address)
            if not self._phone.offers:
                ack.headers.append(SDP)
                ack.body = self._answer_to(Session.parse(response.body)).encode()
            self._acknowledge(ack)
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
            if self.video and session.video:
                self.video.transmit((session.address[0], session.video), VIDEO, [PICTURE], VIDEO_TICKS)
            self.stream.agree(session.address, session.key)
            if not self.stream.speaking:
                self.stream.speak(session.address, session.payload_type, self._phone.voice)
