"""A call to a lab phone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from .call import SDP, Call, Direction, Side
from .codecs import PICTURE, VIDEO, VIDEO_TICKS
from .dialog import Dialog, token
from .g711 import Samples
from .rtp import Address
from .sdp import Session
from .sip import Header, Request, Response

if TYPE_CHECKING:
    from .phone import Phone

ACK_S: Final = 1.0
"""Seconds without an ACK after which the phone gives up waiting for it."""


class IncomingCall(Call):
    """A call to our phone.

    The phone's behaviour calls `ring`, `progress`, `answer`, `refuse` and `hangup`. Each does nothing if the call is
    past the state for it.
    """

    def __init__(self, phone: Phone, request: Request, source: Address, arrival_ns: int) -> None:
        offer = Session.parse(request.body)
        offer.answer((phone.address[0], 0), phone.codecs)  # raises an error before a stream is open
        super().__init__(phone, request, token(), phone.media.open())
        self.arrival_ns = arrival_ns
        self.dialog = Dialog.of_called(request, self.tag)
        self._source = source
        self._offer = offer
        self._behaving: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._behaving = self._phone.spawn(self._phone.behaviour(self))

    def ring(self) -> None:
        """Send 180, without media."""
        if self.final_status is None:
            self._provide(180)

    def progress(self, announcement: Samples) -> None:
        """Send 183, and then the announcement in a loop until the answer."""
        if self.final_status is None:
            self._provide(183, [SDP], self._answer())
            self._speak(announcement)

    def speak_first(self) -> None:
        """Send the phone's voice before any response tells the other side the address of this phone."""
        self._answer()
        self._speak(self._phone.voice)

    def answer(self, voice: Samples | None = None, headers: Iterable[Header] = ()) -> None:
        """Send 200, followed by RTP with `voice`, which is the phone's voice by default."""
        if self.final_status is None:
            self.answered_ns = time.time_ns()
            headers = [*self._phone.contact, *headers, SDP]
            self._respond_finally(self.request, self._source, 200, headers, self._answer())
            self._speak(self._phone.voice if voice is None else voice)
            self._conclude(200)

    def refuse(self, status: int, cause: int | None = None, headers: Iterable[Header] = (), *, by: Side = "us") -> None:
        """Send a final response of 300 or higher, optionally with a Q.850 cause."""
        if self.final_status is None:
            reason = [("Reason", f"Q.850;cause={cause}")] if cause else []
            self._respond_finally(self.request, self._source, status, [*reason, *headers])
            self._conclude(status)
            self.finish(by, time.time_ns())

    async def hangup(self) -> None:
        """Hang up as in `Call`, but only after the ACK, because an earlier BYE is not valid (15)."""
        await self._settled()
        await super().hangup()

    async def reinvite(
        self, direction: Direction | None = None, headers: Iterable[Header] = (), *, video: int | None = None
    ) -> Response:
        """Send a re-INVITE as in `Call`, but only after the ACK, because only one INVITE may be in progress (14.1)."""
        await self._settled()
        return await super().reinvite(direction, headers, video=video)

    async def _settled(self) -> None:
        if self.answered_ns is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ACK_S):
                    await self._acknowledged.wait()

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
        self.session = self.session or self._answer_to(self._offer)
        return self.session.encode()

    def _speak(self, samples: Samples) -> None:
        assert self.session, "the media were never spoken of"
        self.stream.agree(self._offer.address, self._offer.key)
        self.stream.speak(self._offer.address, self.session.payload_type, samples)
        if self.video and self._offer.video:
            self.video.transmit((self._offer.address[0], self._offer.video), VIDEO, [PICTURE], VIDEO_TICKS)

    def _provide(self, status: int, headers: Iterable[Header] = (), body: bytes = b"") -> None:
        self.provisional.append((status, time.time_ns()))
        response = self.request.response(status, self.tag, [*self._phone.contact, *headers], body)
        self._phone.respond(self.request, response, self._source)
