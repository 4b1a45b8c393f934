"""One call of a lab phone, from either side: its signalling as it happened, and the stream it heard.

Times are nanoseconds of CLOCK_REALTIME: the kernel's for what arrived, ours just before sending for what we said.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Literal

from .dialog import Dialog, client_key, invite, token
from .rtp import PCMU, Address, Packet, Samples
from .sdp import Session
from .sip import Header, Message, Party, Request, Response, SipError, Uri

if TYPE_CHECKING:
    from .phone import Phone

WAIT_S: Final = 10.0
ALLOW: Final = ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS")
_SDP: Final = ("Content-Type", "application/sdp")

Side = Literal["us", "them"]


class Call:
    """What both sides have in common. `request` is the INVITE that made the call."""

    def __init__(self, phone: Phone, request: Request, tag: str) -> None:
        self.request = request
        self.provisional: list[tuple[int, int]] = []
        """Status and time of every 1xx, as sent or as received."""
        self.final_status: int | None = None
        self.cause: int | None = None
        """The Q.850 cause that the other side gave, in its refusal, BYE or CANCEL."""
        self.answered_ns: int | None = None
        self.ended_ns: int | None = None
        self.ended_by: Side | None = None
        self.stream = phone.media.open()
        self.dialog: Dialog | None = None
        self.key = request.call_id, tag
        self._phone = phone
        self._final = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def user(self) -> str:
        """The user part that was dialled."""
        return self.request.uri.user

    @property
    def packets(self) -> list[Packet]:
        """What this party heard."""
        return self.stream.packets

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
        """Say BYE, and wait until the other side has taken it; nothing where the call is not up."""
        if self.answered_ns is None or self.ended_ns is not None or self.dialog is None:
            return
        bye = self.dialog.request("BYE", self._phone.address)
        self.finish("us", time.time_ns())
        await self._phone.transact(bye, self.dialog.next_hop)

    async def leave(self) -> None:
        """End the call in whatever way its state allows."""
        raise NotImplementedError

    def take_bye(self, bye: Request, arrival_ns: int) -> None:
        self.cause = bye.cause
        self.finish("them", arrival_ns)

    def finish(self, by: Side, at_ns: int) -> None:
        """The call is over on this side."""
        if self.ended_ns is None:
            self.ended_ns, self.ended_by = at_ns, by
            self.stream.close()
            self._final.set()
            self._ended.set()

    def _session(self) -> Session:
        return Session((self._phone.address[0], self.stream.port))

    def _contact(self) -> list[Header]:
        return [("Contact", str(Party(Uri("lab", *self._phone.address)))), ALLOW]

    def _hear_and_speak(self, session: Session, voice: Samples | None = None) -> None:
        """Begin to speak to where `session` says; where we speak already, move there."""
        if self.stream.started_ns is None or voice is not None:
            spoken = self._phone.voice if voice is None else voice
            self.stream.speak(session.address, next(iter(session.formats), PCMU), spoken)
        self.stream.remote = session.address


class OutgoingCall(Call):
    """A call that our phone makes."""

    def __init__(
        self, phone: Phone, uri: Uri, proxy: Address, sender: Party, headers: list[Header], body: bytes
    ) -> None: ...
