"""One call of a lab phone on either side, with its signalling and the stream that it received.

Times are nanoseconds of CLOCK_REALTIME: the kernel's time for arrivals, and our time just before sending for messages
that we send.
"""

from __future__ import annotations

import abc
import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from . import fax
from .codecs import EVENTS
from .dialog import Dialog
from .rtp import Address, Packet, Stream
from .sdp import Session
from .sip import Header, Request, Response

if TYPE_CHECKING:
    from .phone import Phone

WAIT_S: Final = 30.0
SDP: Final = ("Content-Type", "application/sdp")

Side = Literal["us", "them"]
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


@dataclass(frozen=True, slots=True)
class InCallRequest:
    """A request other than ACK, CANCEL and BYE that arrived within a call."""

    request: Request
    arrival_ns: int

    @property
    def method(self) -> str:
        return self.request.method


class Call(abc.ABC):
    """Common part of both sides of a call. `request` is the INVITE, and `tag` is our tag in the dialog."""

    def __init__(self, phone: Phone, request: Request, tag: str, stream: Stream) -> None:
        self.request = request
        self.tag = tag
        self.stream = stream
        stream.reports_s = phone.reports_s
        self.video: Stream | None = None
        """Video stream, or None if the call has no video."""
        self.dialog: Dialog | None = None
        self.session: Session | None = None
        """Most recent description of our media that we sent."""
        self.asked: list[InCallRequest] = []
        """Requests of the other side within the call, in order of arrival."""
        self.provisional: list[tuple[int, int]] = []
        """Status and time of every 1xx response that was sent or received."""
        self.final_status: int | None = None
        self.answered_ns: int | None = None
        self.ended_ns: int | None = None
        self.ended_by: Side | None = None
        self.cause: int | None = None
        """Q.850 cause in the other side's refusal, BYE or CANCEL."""
        self._phone = phone
        self._final = asyncio.Event()
        self._ended = asyncio.Event()
        self._acknowledged = asyncio.Event()

    @property
    def user(self) -> str:
        """Dialled user."""
        return self.request.uri.user

    @property
    def packets(self) -> list[Packet]:
        """Packets that this party received."""
        return self.stream.packets

    @property
    def voice_delay_ms(self) -> float | None:
        """Milliseconds from the answer to our first RTP packet, negative if we sent RTP before the answer.

        This is our share of the other party's wait. None before the answer or the first packet.
        """
        if self.answered_ns is None or self.stream.started_ns is None:
            return None
        return (self.stream.started_ns - self.answered_ns) / 1e6

    async def final(self, timeout_s: float = WAIT_S) -> int | None:
        """Wait for the final response and return its status, or None if the call ends without one.

        Raises TimeoutError.
        """
        async with asyncio.timeout(timeout_s):
            await self._final.wait()
        return self.final_status

    async def ended(self, timeout_s: float = WAIT_S) -> None:
        """Wait until the call is over. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._ended.wait()

    async def hangup(self) -> None:
        """Send BYE and wait until the other side has accepted it. Does nothing unless the call is up."""
        if self.dialog and self.answered_ns is not None and self.ended_ns is None:
            bye = self.dialog.request("BYE", self._phone.address)
            self.finish("us", time.time_ns())
            await self._phone.transact(bye, self.dialog.next_hop)

    @abc.abstractmethod
    async def leave(self) -> None:
        """Cancel the call, refuse it or hang up, as its state requires."""

    def finish(self, by: Side, at_ns: int) -> None:
        """End the call on this side and close its streams. The received packets are kept."""
        if self.ended_ns is None:
            self.ended_ns, self.ended_by = at_ns, by
            self.stream.close()
            if self.video:
                self.video.close()
            self._final.set()
            self._ended.set()

    async def ask(self, method: str, headers: Iterable[Header] = (), body: bytes = b"") -> Response:
        """Send a request other than INVITE within the call and return its final response. Raises TimeoutError."""
        request = self._within(method, headers, body)
        response = await self._phone.transact(request, self._hop)
        if response is None:
            raise TimeoutError(f"no response to {method}")
        return response

    async def reinvite(
        self, direction: Direction | None = None, headers: Iterable[Header] = (), *, video: int | None = None
    ) -> Response:
        """Send a re-INVITE (14.1) that holds, resumes or refreshes the call, and return its final response.

        Acknowledges the response. Our stream stops if `direction` does not allow us to send. Raises TimeoutError.
        """
        assert self.session, "the media were never spoken of"
        offer = replace(
            self.session,
            formats=(*self._phone.codecs, EVENTS),
            direction=direction or self.session.direction,
            video=self.session.video if video is None else video,
            version=self.session.version + 1,
        )
        request = self._within("INVITE", [*headers, SDP], offer.encode())
        response = await self._phone.transact(request, self._hop, lambda response: self._confirm(request, response))
        if response is None:
            raise TimeoutError("no response to the re-INVITE")
        if response.status < 300:
            self.session = offer
            self._heed(Session.parse(response.body), offer.direction)
        return response

    async def ask_for_t38(self, within_s: float) -> Response:
        """Send a re-INVITE that switches to T.38, acknowledge its final response and return it. Raises TimeoutError."""
        request = self._within("INVITE", [SDP], self._t38())
        async with asyncio.timeout(within_s):
            response = await self._phone.transact(request, self._hop, lambda each: self._confirm(request, each))
        if response is None:
            raise TimeoutError("no response to the re-INVITE")
        return response

    def _t38(self) -> bytes:
        assert self.session, "the media were never spoken of"
        return fax.t38_session(self.session.address, self.session.version + 1)

    def _within(self, method: str, headers: Iterable[Header], body: bytes) -> Request:
        assert self.dialog, f"{method} before there is a dialog"
        request = self.dialog.request(method, self._phone.address)
        request.headers += [*self._phone.contact, *headers]
        request.body = body
        return request

    def _confirm(self, invite: Request, response: Response) -> None:
        """Acknowledge the final response to a re-INVITE each time it arrives."""
        assert self.dialog
        if response.status < 300:
            self.dialog.refresh(response)
            ack = self.dialog.request("ACK", self._phone.address, invite.sequence[0])
        else:
            ack = invite.acknowledgement(response)
        self._phone.send(ack.encode(), self._hop)

    @property
    def _hop(self) -> Address:
        assert self.dialog, "there is no dialog"
        return self.dialog.next_hop

    def take_request(self, request: Request, arrival_ns: int, source: Address) -> None:
        """Record and accept a request of the other side within the call."""
        self.asked.append(InCallRequest(request, arrival_ns))
        if request.method == "INVITE":
            self._take_reinvite(request, source)
            return
        body = self._take_offer(request.body) if request.method == "UPDATE" and request.body else b""
        headers = [*self._phone.contact, *_agreed_timer(request), *([SDP] if body else [])]
        self._phone.respond(request, request.response(200, self.tag, headers, body), source)

    def take_bye(self, bye: Request, arrival_ns: int) -> None:
        self.cause = bye.cause
        self.finish("them", arrival_ns)

    def _take_reinvite(self, invite: Request, source: Address) -> None:
        """Accept a re-INVITE (14.2).

        The other side uses it to move its media, or to check that this phone is still in the call.
        """
        if self.dialog:
            self.dialog.refresh(invite)
        answer = self._t38() if fax.IMAGE in invite.body else self._take_offer(invite.body)
        headers = [*self._phone.contact, *_agreed_timer(invite), SDP]
        self._respond_finally(invite, source, 200, headers, answer)

    def _take_offer(self, body: bytes) -> bytes:
        """Apply an offer within the call and return our answer."""
        offer = Session.parse(body)
        self.session = self._answer_to(offer, self.session.version + 1 if self.session else 1)
        self._heed(replace(offer, formats=self.session.formats), self.session.direction)
        return self.session.encode()

    def _heed(self, theirs: Session, ours: str) -> None:
        """Send RTP to the agreed address, in the agreed codec and direction.

        `theirs` has the chosen codec, and `ours` is our direction.
        """
        self.stream.agree(theirs.address, theirs.key)
        self.stream.quiet = ours in ("recvonly", "inactive")
        if self.stream.speaking and theirs.payload_type != self.stream.payload_type:
            self.stream.speak(theirs.address, theirs.payload_type, self._phone.voice)

    def _answer_to(self, offer: Session, version: int = 1) -> Session:
        return offer.answer(self._media_address, self._phone.codecs, self._video_port(), version, self.stream.key)

    def _video_port(self) -> int:
        """Our port for video, or 0 if the phone has no video."""
        if not self._phone.video:
            return 0
        if self.video is None:
            self.video = self._phone.media.open()
        return self.video.port

    def take_ack(self, ack: Request) -> None:
        self._acknowledged.set()

    @property
    def _media_address(self) -> Address:
        return self._phone.announced or self._phone.address[0], self.stream.port

    def _conclude(self, status: int) -> None:
        self.final_status = status
        self._final.set()

    def _respond_finally(
        self, invite: Request, source: Address, status: int, headers: Iterable[Header] = (), body: bytes = b""
    ) -> None:
        """Send the final response to an INVITE, and repeat it until the ACK arrives (13.3.1.4, 17.2.1)."""
        self._acknowledged = asyncio.Event()
        data = self._phone.respond(invite, invite.response(status, self.tag, headers, body), source)
        self._phone.spawn(self._insist(data, source, self._acknowledged))

    async def _insist(self, data: bytes, source: Address, acknowledged: asyncio.Event) -> None:
        if not await self._phone.repeat(data, source, acknowledged):
            await self.hangup()


def _agreed_timer(request: Request) -> list[Header]:
    """Headers that accept a request's session timer (RFC 4028, 9) and keep its refresher."""
    if not (expires := request.get("Session-Expires")):
        return []
    refresher = "" if "refresher=" in expires else ";refresher=uac"
    return [("Require", "timer"), ("Session-Expires", f"{expires}{refresher}")]
