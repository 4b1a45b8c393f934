"""Telephones for the lab, with real SIP on one UDP port and real RTP on another port for every call.

A `Phone` runs in the event loop that entered it, and the `Media` thread handles its media. The behaviour of a phone is
a coroutine function with an `IncomingCall` as its argument, from this module or elsewhere.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from .call import WAIT_S, Call
from .dialog import T1_S, client_key, intervals, server_key, token
from .g711 import PCMA, PCMU, Samples
from .incoming_call import IncomingCall
from .outgoing_call import OutgoingCall
from .rtp import Address, Media, family, receive_stamped, stamp_arrivals
from .sip import Header, Party, Request, Response, SipError, Uri, parse

CLOSE_S: Final = 2.0
"""Maximum time in seconds that a closing phone waits for its calls to end."""
RTP_VERSION: Final = 2
"""First two bits of an RTP or RTCP packet. A SIP message begins with a letter."""
_ALLOW: Final = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, NOTIFY"
_WITHIN_CALLS: Final = frozenset({"INVITE", "UPDATE", "INFO", "NOTIFY"})

Behaviour = Callable[[IncomingCall], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Ring for `after_ms`, then answer. Hang up after `hangup_after_ms`, or never if it is None.

    `voice` replaces the phone's voice, for example with that of an answering machine (see `voices`).
    """

    after_ms: float = 0
    hangup_after_ms: float | None = None
    voice: Samples | None = None
    headers: tuple[Header, ...] = ()

    async def __call__(self, call: IncomingCall) -> None:
        if self.after_ms:
            call.ring()
            await asyncio.sleep(self.after_ms / 1000)
        call.answer(self.voice, self.headers)
        if self.hangup_after_ms is not None:
            await asyncio.sleep(self.hangup_after_ms / 1000)
            await call.hangup()


@dataclass(frozen=True, slots=True)
class EarlyMedia:
    """Play an announcement before the answer. Never answer if `answer_after_ms` is None."""

    announcement: Samples
    answer_after_ms: float | None

    async def __call__(self, call: IncomingCall) -> None:
        call.progress(self.announcement)
        if self.answer_after_ms is not None:
            await asyncio.sleep(self.answer_after_ms / 1000)
            call.answer()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse the call with a status of 300 or higher, optionally with a Q.850 cause."""

    status: int
    cause: int | None = None
    after_ms: float = 0

    async def __call__(self, call: IncomingCall) -> None:
        if self.after_ms:
            call.ring()
            await asyncio.sleep(self.after_ms / 1000)
        call.refuse(self.status, self.cause)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Redirect the call (302)."""

    to: Uri

    async def __call__(self, call: IncomingCall) -> None:
        call.refuse(302, headers=[("Contact", str(Party(self.to)))])


BUSY: Final = Refuse(486)
UNAVAILABLE: Final = Refuse(480)


async def ring(call: IncomingCall) -> None:
    """Ring, and never answer."""
    call.ring()


class Phone:
    """One user agent. It sends `voice`, in complete frames, in every call. Use it with `async with`."""

    def __init__(
        self,
        media: Media,
        voice: Samples,
        behaviour: Behaviour = Answer(),
        *,
        codecs: tuple[int, ...] = (PCMU, PCMA),
        video: bool = False,
        port: int = 0,
        t1_s: float = T1_S,
    ) -> None:
        self.media = media
        self.voice = voice
        self.behaviour = behaviour
        self.codecs = codecs
        """Codecs that it offers, in this order, and accepts. They may be changed between calls."""
        self.video = video
        """True if the phone offers and accepts video."""
        self.announced = ""
        """Address in its session descriptions, if it differs from the address of its media (NAT)."""
        self.reports_s: float | None = None
        """Interval of its RTCP reports in seconds, or None if it sends no reports."""
        self.offers = "sendrecv"
        """Direction that its calls offer, or an empty string for a late offer.

        In the ACK of a late offer, the phone answers the offer of the 200. `announced`, `reports_s` and `offers` may be
        changed between calls.
        """
        self.calls: list[IncomingCall] = []
        """All incoming calls, in order."""
        self.placed: list[OutgoingCall] = []
        self._t1_s = t1_s
        self._socket = socket.socket(family(media.host), socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((media.host, port))
        stamp_arrivals(self._socket)
        self.address: Address = (media.host, self._socket.getsockname()[1])
        self.contact: list[Header] = [("Contact", str(Party(Uri("lab", *self.address)))), ("Allow", _ALLOW)]
        self._expected: dict[tuple[str, str], Callable[[Response, int], None]] = {}
        self._responses: dict[tuple[str, str, str], bytes] = {}
        self._invites: dict[tuple[str, str], IncomingCall] = {}
        self._dialogs: dict[tuple[str, str], Call] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failures: list[Exception] = []

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._socket, self._readable)
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await asyncio.gather(*(call.leave() for call in self._live()))
                    while self._tasks:
                        await asyncio.wait(self._tasks)
        finally:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for call in self._live():
                call.finish("us", time.time_ns())
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        if self._failures:
            raise ExceptionGroup(f"the phone on port {self.address[1]} had failures", self._failures)

    def dial(
        self,
        user: str,
        proxy: Address,
        *,
        caller_id: str = "anonymous",
        display: str = "",
        headers: Iterable[Header] = (),
        call_id: str = "",
    ) -> OutgoingCall:
        """Call `user` at `proxy`, and return the call at once.

        `caller_id` and `display` are the parts of From. The Call-ID begins with `call_id`.
        """
        sender = Party(Uri(caller_id, self.address[0]), display)
        call = OutgoingCall(self, Uri(user, *proxy), proxy, sender, headers, call_id)
        self.placed.append(call)
        self._dialogs[call.request.call_id, call.tag] = call
        call.start()
        return call

    async def call(
        self,
        user: str,
        proxy: Address,
        *,
        caller_id: str = "anonymous",
        display: str = "",
        headers: Iterable[Header] = (),
        timeout_s: float = WAIT_S,
    ) -> OutgoingCall:
        """Call as `dial` does, wait for the final response and return the call.

        Raises TimeoutError. The call is in `placed` even then.
        """
        call = self.dial(user, proxy, caller_id=caller_id, display=display, headers=headers)
        await call.final(timeout_s)
        return call

    # -- what the calls need --------------------------------------------------------------------------------------

    def send(self, data: bytes, address: Address) -> None:
        self._socket.sendto(data, address)

    def respond(self, request: Request, response: Response, source: Address) -> bytes:
        """Send a response, and repeat it for every retransmission of the request (17.2)."""
        data = self._responses[server_key(request)] = response.encode()
        self.send(data, source)
        return data

    async def transact(
        self, request: Request, address: Address, confirm: Callable[[Response], None] = lambda _: None
    ) -> Response | None:
        """Send a request until its final response arrives, and return this response.

        Returns None after the last retransmission (17.1). Calls `confirm` with every final response, including
        repetitions.
        """
        finals: list[Response] = []
        answered = asyncio.Event()

        def take(response: Response, _: int) -> None:
            if response.status >= 200:
                finals.append(response)
                confirm(response)
                answered.set()

        self.expect(client_key(request), take)
        data = request.encode()
        self.send(data, address)
        await self.repeat(data, address, answered)
        return finals[0] if finals else None

    async def repeat(self, data: bytes, address: Address, until: asyncio.Event) -> bool:
        """Retransmit `data` until the event `until`. Returns False if the retransmissions end first."""
        for turn, interval_s in enumerate(intervals(self._t1_s)):
            if turn:
                self.send(data, address)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    return await until.wait()
        return False

    def expect(self, key: tuple[str, str], take: Callable[[Response, int], None]) -> None:
        """Pass the responses of a client transaction to `take(response, arrival_ns)`."""
        self._expected[key] = take

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task. If it fails, the phone raises its error on exit."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._settle)
        return task

    def _settle(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._failures.append(error)

    def _live(self) -> list[Call]:
        return [call for call in (*self.calls, *self.placed) if call.ended_ns is None]

    # -- what comes in --------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        while received := receive_stamped(self._socket):
            if received[0][:1] and received[0][0] >> 6 == RTP_VERSION:
                continue  # media for an earlier phone at this port (RFC 7983 shows the difference)
            try:
                self._take(*received)
            except SipError as error:
                self._failures.append(error)

    def _take(self, data: bytes, arrival_ns: int, source: Address) -> None:
        message = parse(data)
        if isinstance(message, Request):
            self._take_request(message, arrival_ns, source)
        elif take := self._expected.get(client_key(message)):
            take(message, arrival_ns)

    def _take_request(self, request: Request, arrival_ns: int, source: Address) -> None:
        call = self._dialogs.get((request.call_id, request.recipient.tag))
        key = server_key(request)
        if request.method == "ACK":
            if call:
                call.take_ack(request)
        elif key in self._responses:
            self.send(self._responses[key], source)
        elif request.method == "CANCEL":
            invited = self._invites.get(key[:2])
            self._reply(request, 200 if invited else 481, source)
            if invited:
                invited.take_cancel(request)
        elif request.recipient.tag and (call is None or call.ended_ns is not None):
            self._reply(request, 481, source)
        elif request.method == "BYE" and call:
            self._reply(request, 200, source)
            call.take_bye(request, arrival_ns)
        elif call and request.method in _WITHIN_CALLS:
            call.take_request(request, arrival_ns, source)
        elif request.method == "INVITE":
            self._take_invite(request, arrival_ns, source)
        else:
            self._reply(request, 200 if request.method == "OPTIONS" else 405, source)

    def _take_invite(self, invite: Request, arrival_ns: int, source: Address) -> None:
        key = server_key(invite)[:2]
        if key in self._invites:  # repeated before our first response
            return
        try:
            call = IncomingCall(self, invite, source, arrival_ns)
        except SipError:
            self._reply(invite, 488, source)
            raise
        self._invites[key] = call
        self._dialogs[invite.call_id, call.tag] = call
        self.calls.append(call)
        call.start()

    def _reply(self, request: Request, status: int, source: Address) -> None:
        self.respond(request, request.response(status, token(), self.contact), source)
