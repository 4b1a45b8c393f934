"""The whole lab: a PBX with the service, a calling phone, and one or more called phones."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from . import voices
from .asterisk import Asterisk, Ending
from .incoming_call import IncomingCall
from .outgoing_call import OutgoingCall
from .phone import Answer, Behaviour, Phone
from .rtp import Media
from .sip import Header, Uri, bracketed
from .sip_relay import relay

LICENSED = "0312345678"
SUSPENDED = "0312345677"
CALLED_NUMBER = "0312340000"
CALLER_NUMBER = "05012345678"
TALK_S = 0.3
ANSWER = Answer(after_ms=20)


@dataclass(frozen=True)
class Forwarding:
    """The values that a member's dialplan has for a call before it calls the hook."""

    number: str = LICENSED
    direction: str = "incoming"
    dialled: str = CALLED_NUMBER
    timeout_s: str = ""
    interface: str = ""
    """`ari` or `agi`, or an empty string for the interface in the settings."""
    way: str = "hook"
    """The way in which the PBX forwards the call.

    It is `hook`, or for comparison `native` (Dial with A()) or `own-dial` (U() in the operator's own Dial). `inside` is
    a call to an extension of the PBX, without forwarding.
    """
    endpoint: str = ""
    """The phones' endpoint on the PBX. See `ENDPOINTS`."""
    destination: str = ""
    """Dial string of the PBX, if it does not dial the lab's called phones.

    `{name}` is replaced by the name of the call, and `{port}` by the called phone's port.
    """
    headers: tuple[Header, ...] = ()
    """Further headers from the caller's network."""
    caller: str = CALLER_NUMBER
    display: str = ""
    """Display name of the caller. A surrogate stands for an octet that is not UTF-8, here and in other texts."""
    call_id: str = ""
    """Beginning of the Call-ID."""


@dataclass
class PlacedCall:
    """One call, as seen by the calling phone and the called phone."""

    name: str
    caller: OutgoingCall
    called: IncomingCall | None = None
    """The call at the phone that answered, or at the first phone that rang if none answered."""
    rung: tuple[IncomingCall, ...] = ()
    """The call at all phones that it reached."""

    @property
    def connected_after_ms(self) -> float:
        """Milliseconds from the called phone's answer until its arrival at the caller's phone.

        Raises AssertionError if the call was not connected.
        """
        if self.called is None or self.called.answered_ns is None or self.caller.answered_ns is None:
            raise AssertionError(f"{self.name} was not connected: {self.caller.final_status}")
        return (self.caller.answered_ns - self.called.answered_ns) / 1e6


@dataclass
class Lab:
    """Phones on one PBX: one that calls, and others that are called at the same time.

    Each call has a unique name.
    """

    asterisk: Asterisk
    caller: Phone
    members: tuple[Phone, ...]
    scripts: dict[str, Behaviour] = field(default_factory=dict)
    """Mark of a call → the behaviour of the called phones for this call."""
    _names: itertools.count[int] = field(default_factory=lambda: itertools.count(time.time_ns()))

    @property
    def called(self) -> Phone:
        """The first called phone."""
        return self.members[0]

    def extension(self, phone: Phone) -> Uri:
        """Extension of a phone in the PBX's dialplan."""
        return Uri(str(phone.address[1]), *self.asterisk.sip_address)

    async def place(
        self, forwarding: Forwarding = Forwarding(), sound: str = "sample", behaviour: Behaviour | None = None
    ) -> PlacedCall:
        """Make a call, and return it when the caller's phone has a final response or has given up."""
        placed = self.dial(forwarding, sound, behaviour)
        await placed.caller.final()
        self.pair(placed)
        return placed

    def dial(
        self, forwarding: Forwarding = Forwarding(), sound: str = "sample", behaviour: Behaviour | None = None
    ) -> PlacedCall:
        """Start a call and return it at once. `behaviour` replaces that of the called phone for this call only."""
        name = f"c{next(self._names)}"
        if behaviour:
            self.scripts[f"lab={name}"] = behaviour
        host, port = self.called.address
        headers = [
            ("X-Lab-Call", name),
            ("X-Lab-Called", f"{bracketed(host)}:{port}"),
            ("X-Lab-Number", forwarding.number),
            ("X-Lab-Direction", forwarding.direction),
            ("X-Lab-Timeout", forwarding.timeout_s),
            ("X-Lab-Interface", forwarding.interface),
            ("X-Lab-Way", forwarding.way),
            ("X-Lab-Sound", sound),
            ("X-Lab-Endpoint", forwarding.endpoint or "lab"),
            (
                "X-Lab-Destination",
                forwarding.destination.format(name=name, port=port) or self._group(forwarding, name),
            ),
            *forwarding.headers,
        ]
        return PlacedCall(
            name,
            self.caller.dial(
                forwarding.dialled,
                self.asterisk.sip_address,
                caller_id=forwarding.caller,
                display=forwarding.display,
                headers=headers,
                call_id=forwarding.call_id,
            ),
        )

    def _group(self, forwarding: Forwarding, name: str) -> str:
        """The dial string for several called phones.

        Empty for a single phone, which the dialplan dials itself.
        """
        if len(self.members) == 1:
            return ""
        uris = (Uri(forwarding.dialled, *phone.address, f";lab={name}") for phone in self.members)
        return "&".join(f"PJSIP/{forwarding.endpoint or 'lab'}/{uri}" for uri in uris)

    def pair(self, placed: PlacedCall, *others: Phone) -> None:
        """Find the call at the called phones and at `others`, and fill in `rung` and `called`.

        `called` is None if no phone rang.
        """
        mark = f"lab={placed.name}"
        placed.rung = tuple(
            call
            for phone in (*self.members, *others)
            for call in phone.calls
            if mark in str(call.request.uri).split(";")
        )
        answered = [call for call in placed.rung if call.answered_ns]
        placed.called = next(iter([*answered, *placed.rung]), None)

    async def reached(self, placed: PlacedCall) -> IncomingCall:
        """Wait until the call reaches the called phone, and return the call at this phone."""

        def there() -> bool:
            self.pair(placed)
            return placed.called is not None

        await wait_until(there, f"{placed.name} to reach the called phone")
        assert placed.called
        return placed.called

    async def talk_and_hang_up(self, placed: PlacedCall, talk_s: float = TALK_S) -> None:
        """Talk until the other side hangs up, for at most `talk_s`, and hang up."""
        with contextlib.suppress(TimeoutError):
            await placed.caller.ended(talk_s)
        await placed.caller.hangup()
        if placed.called:
            await placed.called.ended()

    async def give_up(self, placed: PlacedCall) -> None:
        """Cancel a call that has reached the called phone, and wait until it has ended there."""
        await placed.caller.cancel()
        self.pair(placed)
        assert placed.called, f"{placed.name}: the called phone never rang"
        await placed.called.ended()

    async def call(
        self, forwarding: Forwarding = Forwarding(), talk_s: float = TALK_S, behaviour: Behaviour | None = None
    ) -> tuple[PlacedCall, Ending]:
        """Make a call, talk if it is answered, and hang up. Returns the call and the hook's result."""
        placed = await self.place(forwarding, behaviour=behaviour)
        if placed.caller.answered_ns:
            await self.talk_and_hang_up(placed, talk_s)
        return placed, await self.ending(placed)

    async def ending(self, placed: PlacedCall) -> Ending:
        """Wait until the caller's channel has ended, and return the hook's result in the dialplan."""
        found: dict[str, Ending] = {}

        async def there() -> bool:
            found.update(await asyncio.to_thread(self.asterisk.endings))
            return placed.name in found

        await wait_until(there, f"the ending of {placed.name}")
        return found[placed.name]

    async def nothing_is_left(self, within_s: float = 30.0) -> None:
        """Wait until all channels and bridges are gone. Raises AssertionError after `within_s`."""

        async def empty() -> bool:
            return not await asyncio.to_thread(self.asterisk.channels) and not await asyncio.to_thread(
                self.asterisk.bridges
            )

        try:
            await wait_until(empty, "Asterisk to be empty", within_s)
        except AssertionError as error:
            left = await asyncio.to_thread(self.asterisk.command, "core show channels concise")
            left += await asyncio.to_thread(self.asterisk.command, "bridge show all")
            raise AssertionError(f"{error}; there are still\n{left}") from None


@asynccontextmanager
async def lab(asterisk: Asterisk, *behaviours: Behaviour) -> AsyncIterator[Lab]:
    """Context with a calling phone, and a called phone for each behaviour, on a running PBX."""
    behaviours = behaviours or (ANSWER,)
    scripts: dict[str, Behaviour] = {}

    def scripted(otherwise: Behaviour) -> Behaviour:
        async def behave(call: IncomingCall) -> None:
            marks = str(call.request.uri).split(";")
            await next((scripts[mark] for mark in marks if mark in scripts), otherwise)(call)

        return behave

    async with AsyncExitStack() as life:
        media = life.enter_context(Media(asterisk.site.host, asterisk.site.loss, asterisk.has_srtp))
        caller = await life.enter_async_context(Phone(media, voices.CALLER))
        members = [
            await life.enter_async_context(Phone(media, voice, scripted(behaviour)))
            for voice, behaviour in zip(voices.member_voices(len(behaviours)), behaviours, strict=True)
        ]
        if asterisk.site.transport != "udp":
            addresses = [phone.address for phone in (caller, *members)]
            await life.enter_async_context(relay(asterisk.sip_address, addresses, asterisk.certificate))
        yield Lab(asterisk, caller, tuple(members), scripts)


async def wait_until(condition: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Wait until `condition`, a function or coroutine function, returns true.

    Raises AssertionError after `within_s`.
    """
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while True:
        met = condition()
        if asyncio.iscoroutine(met):
            met = await met
        if met:
            return
        assert loop.time() < deadline_s, f"waited {within_s} s for {what}"
        await asyncio.sleep(0.02)
