"""The ARI application: two touches of a call, and what Asterisk tells of the rest.

    decide  the caller's channel, before anything is dialled: the verdict goes back in one variable
    sound   the called channel, after the answer and before the parties are connected

What is decided is `idtone.decision`; how a sound goes is `flow`; here the two meet Asterisk and the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import unquote

from idtone import dialplan
from idtone.calls import Decision, Direction, ForwardedCall, Outcome, Reason
from idtone.decision import NOTHING_REMEMBERED, Policy, Registry, decide
from idtone.dialplan import Heard
from idtone.errors import AriRefused, AriUnavailable
from idtone.ledger import steps
from idtone.ledger.records import Record
from idtone.ledger.steps import CallStatus, Step, StepKind
from idtone.ledger.tokens import Tokens
from idtone.numbers import parse
from idtone.tones.making.sounds import Sound

from . import events, flow
from .connection import APPLICATION, Ari
from .flow import Action, Signal, State

log = logging.getLogger(__name__)

GUARD_S: Final = 2
"""Beyond the sound's length: how long the hook waits for us before it ends the call by itself."""
OVERDUE_S: Final = 1.0
"""Beyond the sound's length: when our own timer gives a playback up. Before the hook's guard."""
GONE: Final = frozenset({404, 409, 412})
"""What Asterisk answers when the channel hung up while we were asking; an outcome, not an error."""


class Evidence(Protocol):
    """The ledger, as far as a door needs it."""

    def append(self, step: Step) -> Future[None]: ...


@dataclass
class Call:
    """A call between its first touch and its end."""

    id: str
    decision: Decision
    connected: bool = False

    @property
    def channel(self) -> str:
        """Whose talking and end are the call's: the caller's channel, or the called one under an own Dial()."""
        return dialplan.channel_of(self.id)


@dataclass
class Sounding:
    """One sound on one called channel."""

    call: Call
    channel: str
    sound: Sound
    answered: Step | None
    """Not written yet: the parties wait for every millisecond here, so the sound is started first."""
    playback: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: State = State.WAITING
    requested_s: float = 0.0
    started_at: datetime | None = None
    heard_ms: int = 0
    failure: str = ""
    timer: asyncio.TimerHandle | None = None


class Application:
    """Handles one connection at a time; the calls outlive it."""

    def __init__(
        self,
        *,
        registry: Callable[[], Registry | None],
        policy: Policy,
        sounds: Mapping[str, Sound],
        evidence: Evidence,
        tokens: Tokens,
        remembered: Mapping[str, datetime] = NOTHING_REMEMBERED,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._policy = policy
        self._sounds = sounds
        self._evidence = evidence
        self._tokens = tokens
        self._remembered = remembered
        self._now = now
        self._clock_s = clock_s
        self._calls: dict[str, Call] = {}
        self._by_channel: dict[str, Call] = {}
        self._soundings: dict[str, Sounding] = {}
        self._by_playback: dict[str, Sounding] = {}
        self._silent = asyncio.Event()
        self._silent.set()
        self._entered: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ari: Ari | None = None

    # -- one connection -----------------------------------------------------------------------------------------

    async def attend(self, ari: Ari) -> None:
        """Handle what Asterisk tells until the connection ends (AriUnavailable) or is replaced (returns)."""
        self._ari = ari
        self._entered.clear()
        self._spawn(self._adopt())
        try:
            async for event in ari.events():
                if isinstance(event, events.Replaced):
                    log.error("another connection took over the application %r; this one ends", APPLICATION)
                    return
                self._handle(event)
        finally:
            self._ari = None
            for task in self._tasks:
                task.cancel()
            for sounding in list(self._soundings.values()):
                self._forget(sounding)

    async def drained(self, timeout_s: float) -> None:
        """Wait until no sound is being played and every channel was let go, but not longer than `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._silent.wait()
                while self._tasks:
                    await asyncio.wait(self._tasks)

    def _handle(self, event: events.Event) -> None:
        match event:
            case events.Entered():
                self._enter(event.channel, event.arguments, event.caller_number)
            case events.PlaybackStarted() if event.playback in self._by_playback:
                self._playback_started(self._by_playback[event.playback], event.at)
            case events.PlaybackFinished() if event.playback in self._by_playback:
                self._playback_finished(self._by_playback[event.playback], event)
            case events.Left():
                self._entered.discard(event.channel)
                if event.channel in self._soundings:
                    self._signal(self._soundings[event.channel], Signal.GONE)
            case events.Bridged() if event.channel in self._by_channel:
                self._connected(self._by_channel[event.channel])
            case events.HookEnded() if event.call_id in self._calls:
                self._ended(self._calls[event.call_id], event.status, event.hangup_cause, event.reason)
            case events.Destroyed() if event.channel in self._by_channel:
                call = self._by_channel[event.channel]
                status = CallStatus.CONNECTED if call.connected else CallStatus.CANCEL
                self._ended(call, status, event.hangup_cause)
            case events.MalformedEvent():
                log.warning("Asterisk sent an event that cannot be read (%s); it was ignored", event.type)
            case _:
                pass

    def _enter(self, channel: str, arguments: tuple[str, ...], caller_number: str) -> None:
        self._entered.add(channel)
        match arguments:
            case ("decide", call_id, number, direction, called, dial_string):
                call = self._forwarded(call_id, number, direction, caller_number, called, dial_string)
                self._spawn(self._touch_decide(channel, call))
            case ("sound", call_id, number, direction):
                self._spawn(self._touch_sound(channel, call_id, number, direction, caller_number))
            case _:
                log.error("the dialplan's hook is not this version's; run `idtone dialplan export` again")
                self._spawn(self._release(channel))

    def _forwarded(
        self, call_id: str, number: str, direction: str, caller: str, called: str, dial_string: str
    ) -> ForwardedCall:
        dial_string = unquote(dial_string)
        if direction not in ("", *Direction):
            log.error("%s: the hook was given an unknown DIRECTION; it counts as incoming", call_id)
        return ForwardedCall(
            id=call_id,
            direction=Direction.OUTGOING if direction == Direction.OUTGOING else Direction.INCOMING,
            forwarding_number=parse(unquote(number)),
            caller=parse(caller),
            called=parse(unquote(called) or dialplan.dialled_user(dial_string)),
            dial_string=dial_string,
        )

    # -- first touch --------------------------------------------------------------------------------------------

    async def _touch_decide(self, channel: str, forwarded: ForwardedCall) -> None:
        call = self._decide(forwarded)
        await self._resume(channel, dialplan.FORWARD_CONTEXT, self._verdict(call))

    def _decide(self, forwarded: ForwardedCall) -> Call:
        now = self._now()
        decision = decide(forwarded, self._registry(), self._policy, now, self._remembered)
        call = Call(forwarded.id, decision)
        self._calls[call.id] = self._by_channel[call.channel] = call
        self._record(steps.decided(forwarded, decision, now, self._tokens))
        log.info("%r: %s, %s", forwarded, decision.outcome, decision.reason)
        return call

    def _verdict(self, call: Call) -> str:
        sound = self._sounds.get(call.decision.profile or "")
        guard_s = math.ceil(sound.duration_ms / 1000) + GUARD_S if sound else GUARD_S
        return dialplan.verdict(
            call.id, call.decision.outcome, call.decision.reason, call.decision.hangup_cause, guard_s
        )

    # -- second touch -------------------------------------------------------------------------------------------

    async def _touch_sound(self, channel: str, call_id: str, number: str, direction: str, caller: str) -> None:
        call = self._calls.get(call_id)
        if call is None:
            # Under the operator's own Dial() this is the first that we see of the call.
            forwarded = self._forwarded(call_id, number, direction, "", caller, "")
            call = self._decide(forwarded)
        answered = steps.answered(call.id, self._now())
        sound = self._sounds.get(call.decision.profile or "")
        if sound:
            sounding = Sounding(call, channel, sound, answered)
            self._soundings[channel] = self._by_playback[sounding.playback] = sounding
            self._silent.clear()
            self._signal(sounding, Signal.ENTERED)
            return
        self._record(answered)
        if call.decision.outcome is Outcome.BYPASS:
            await self._resume(channel, dialplan.CALLED_CONTEXT, Heard.HEARD)
        elif call.decision.outcome is Outcome.REFUSE:
            await self._resume(channel, dialplan.CALLED_CONTEXT, Heard.REFUSED)
        else:
            log.error("the profile %r has no sound to play; the hook plays the notice", call.decision.profile)
            self._record(steps.sound_failed(call.id, self._now(), "no sound of the profile may be played"))
            await self._resume(channel, dialplan.CALLED_CONTEXT, Heard.UNHEARD)

    def _playback_started(self, sounding: Sounding, at: datetime) -> None:
        sounding.started_at = at
        self._record_answered(sounding)
        sound, loop = sounding.sound, asyncio.get_running_loop()

        def sealed(_: Future[None]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._signal, sounding, Signal.SEALED)

        started = steps.sound_started(sounding.call.id, self._now(), sound.stem.name, sound.sha256)
        self._record(started).add_done_callback(sealed)

    def _record_answered(self, sounding: Sounding) -> None:
        if sounding.answered:
            self._record(sounding.answered)
            sounding.answered = None

    def _playback_finished(self, sounding: Sounding, event: events.PlaybackFinished) -> None:
        asterisk_s = (event.at - sounding.started_at).total_seconds() if sounding.started_at else 0.0
        our_s = self._clock_s() - sounding.requested_s
        sounding.heard_ms = round(asterisk_s * 1000)
        sounding.failure = f"the playback ended as {event.state!r} after {sounding.heard_ms} ms"
        self._signal(sounding, flow.playback_signal(event.state, asterisk_s, our_s, sounding.sound.duration_ms / 1000))

    def _signal(self, sounding: Sounding, signal: Signal) -> None:
        sounding.state, actions = flow.step(sounding.state, signal)
        for action in actions:
            self._act(sounding, action)
        if sounding.state is State.OVER:
            self._forget(sounding)

    def _act(self, sounding: Sounding, action: Action) -> None:
        call, now = sounding.call, self._now()
        match action:
            case Action.PLAY:
                self._spawn(self._play(sounding))
            case Action.STOP:
                self._spawn(self._ask("DELETE", f"playbacks/{sounding.playback}"))
            case Action.RECORD_HEARD:
                self._record(steps.sound_ended(call.id, now, sounding.heard_ms))
            case Action.RECORD_UNHEARD:
                log.error("%s: the sound was not heard: %s; the hook plays the notice", call.id, sounding.failure)
                self._record_answered(sounding)
                self._record(steps.sound_failed(call.id, now, sounding.failure))
            case Action.RECORD_CUT:
                self._record_answered(sounding)
                self._record(steps.sound_failed(call.id, now, "the called party hung up"))
            case Action.RELEASE_HEARD:
                self._spawn(self._resume(sounding.channel, dialplan.CALLED_CONTEXT, Heard.HEARD))
            case Action.RELEASE_UNHEARD:
                self._spawn(self._resume(sounding.channel, dialplan.CALLED_CONTEXT, Heard.UNHEARD))

    async def _play(self, sounding: Sounding) -> None:
        loop, sound = asyncio.get_running_loop(), sounding.sound
        sounding.requested_s = self._clock_s()
        sounding.failure = "the playback's end was never told"
        sounding.timer = loop.call_later(sound.duration_ms / 1000 + OVERDUE_S, self._signal, sounding, Signal.OVERDUE)
        try:
            await self._request(
                "POST", f"channels/{sounding.channel}/play/{sounding.playback}", media=f"sound:{sound.stem}"
            )
        except AriRefused as error:
            sounding.failure = str(error)
            self._signal(sounding, Signal.GONE if error.status in GONE else Signal.FAILED)

    def _forget(self, sounding: Sounding) -> None:
        if sounding.timer:
            sounding.timer.cancel()
        self._soundings.pop(sounding.channel, None)
        self._by_playback.pop(sounding.playback, None)
        if not self._soundings:
            self._silent.set()

    # -- the rest of the call -----------------------------------------------------------------------------------

    def _connected(self, call: Call) -> None:
        if not call.connected:
            call.connected = True
            self._record(steps.connected(call.id, self._now()))

    def _ended(self, call: Call, status: CallStatus, hangup_cause: int | None, reason: Reason | None = None) -> None:
        self._over(call, steps.ended(call.id, self._now(), status, hangup_cause, reason))

    def _over(self, call: Call, last: Step) -> None:
        del self._calls[call.id]
        if self._by_channel.get(call.channel) is call:
            del self._by_channel[call.channel]
        self._record(last)

    async def _adopt(self) -> None:
        """Take up what happened while nobody listened: channels that wait for us, calls that ended."""
        channels = {channel["id"]: channel for channel in await self._request("GET", "channels")}
        for call in list(self._calls.values()):
            if call.channel not in channels:
                self._over(call, steps.interrupted(call.id, self._now()))
        for name, channel in channels.items():
            place = channel["dialplan"]
            application, *arguments = str(place.get("app_data", "")).split(",")
            if place.get("app_name") == "Stasis" and application == APPLICATION and name not in self._entered:
                log.info("channel %s waited for the service; it is taken up again", name)
                self._enter(name, tuple(arguments), channel["caller"]["number"])

    def recall(self, records: Iterable[Record]) -> None:
        """Know the calls again that were in progress when the service last stopped."""
        for record in records:
            if record.outcome is None or record.reason is None:
                continue
            decision = Decision(
                Outcome(record.outcome), Reason(record.reason), record.licence, record.profile,
                registry_version=record.registry_version,
            )  # fmt: skip
            call = Call(record.call_id, decision, StepKind.CONNECTED in record.times)
            self._calls[call.id] = self._by_channel[call.channel] = call

    # -- Asterisk and the ledger --------------------------------------------------------------------------------

    async def _release(self, channel: str) -> None:
        """Give the channel back to the dialplan, where it left it."""
        await self._ask("POST", f"channels/{channel}/continue")

    async def _resume(self, channel: str, context: str, extension: str) -> None:
        """Give the channel back to the hook, with our word as the extension where it goes on."""
        await self._ask(
            "POST",
            f"channels/{channel}/continue",
            context=context,
            extension=extension,
            priority=str(dialplan.RESUME_PRIORITY),
        )

    async def _ask(self, method: str, path: str, **query: str) -> None:
        """A request whose failure means that the channel is gone, which its own events tell."""
        try:
            await self._request(method, path, **query)
        except AriRefused as error:
            if error.status not in GONE:
                log.error("%s", error)

    async def _request(self, method: str, path: str, **query: str) -> Any:
        if self._ari is None:
            raise AriUnavailable("Asterisk is not connected")
        return await self._ari.request(method, path, **query)

    def _record(self, step: Step) -> Future[None]:
        """Write evidence; the future is done when it is on the disk, and a failure is logged here."""
        written = self._evidence.append(step)
        written.add_done_callback(_complain)
        return written

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, AriUnavailable):
            log.warning("a request was lost with the connection: %s", error)
        elif error:
            log.error("a touch failed", exc_info=error)


def _complain(done: Future[None]) -> None:
    error = done.exception()
    if error:
        log.error("evidence could not be written: %s", error)
