"""The ARI application: two touches of a call, and what Asterisk tells of the rest.

    decide  the caller's channel, before anything is dialled: the verdict goes back as an extension
    sound   a channel that is to hear something, after the answer and before the parties are connected

What is decided is the switchboard's; how a sound goes is `flow`; here the two meet Asterisk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from idtone import dialplan
from idtone.calls import Outcome, Party
from idtone.dialplan import Heard
from idtone.errors import AriRefused, AriUnavailable
from idtone.ledger import steps
from idtone.ledger.steps import CallStatus
from idtone.settings import Door
from idtone.switchboard.board import Call, Question, Switchboard
from idtone.tones.making.sounds import Sound

from . import events, flow
from .connection import APPLICATION, Ari
from .flow import Action, Signal, State

log = logging.getLogger(__name__)

OVERDUE_S: Final = 1.0
"""Beyond the sound's length: when our own timer gives a playback up. Before the hook's guard."""
GONE: Final = frozenset({404, 409, 412})
"""What Asterisk answers when the channel hung up while we were asking; an outcome, not an error."""


_CONTEXTS: Final = {"called": dialplan.CALLED_CONTEXT, "both": dialplan.BOTH_CONTEXT}
"""The hook's word for where a channel is that asks for its sound → where it goes on."""


@dataclass
class Sounding:
    """One sound on one channel."""

    call: Call
    party: Party
    channel: str
    context: str
    """Where the hook goes on."""
    sound: Sound
    answered_at: datetime
    """Written when the sound has started: the parties wait for every millisecond here."""
    playback: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: State = State.WAITING
    requested_s: float = 0.0
    started_at: datetime | None = None
    heard_ms: int = 0
    failure: str = ""
    timer: asyncio.TimerHandle | None = None


class Application:
    """Handles one connection at a time; the calls outlive it."""

    def __init__(self, switchboard: Switchboard, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._board = switchboard
        self._clock_s = clock_s
        self._soundings: dict[str, Sounding] = {}
        self._by_playback: dict[str, Sounding] = {}
        self._silent = asyncio.Event()
        self._silent.set()
        self._entered: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ari: Ari | None = None

    @property
    def connected(self) -> bool:
        """Whether Asterisk tells us of the calls."""
        return self._ari is not None

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
            case events.Bridged():
                if call := self._board.of_channel(event.channel):
                    self._board.connected(call)
            case events.HookEnded():
                if call := self._board.find(event.call_id):
                    self._board.ended(call, event.status, event.hangup_cause, event.reason)
            case events.Destroyed():
                if call := self._board.of_channel(event.channel):
                    status = CallStatus.CONNECTED if call.connected else CallStatus.CANCEL
                    self._board.ended(call, status, event.hangup_cause)
            case events.MalformedEvent():
                log.warning("Asterisk sent an event that cannot be read (%s); it was ignored", event.type)
            case _:
                pass

    def _enter(self, channel: str, arguments: tuple[str, ...], caller_number: str) -> None:
        self._entered.add(channel)
        match arguments:
            case ("decide", call_id, nonce, number, direction, called, dial_string, chain, diverting):
                question = Question(
                    call_id, unquote(number), unquote(direction), caller_number,
                    unquote(called), unquote(dial_string), chain, unquote(diverting),
                )  # fmt: skip
                self._spawn(self._touch_decide(channel, question, nonce))
            case ("sound", "called" | "both" as place, "called" | "caller" as party, call_id, number, direction):
                # Under the operator's own Dial() this is the first that we see of the call.
                question = Question(
                    call_id, unquote(number), unquote(direction), called=caller_number, own_dial=True
                )  # fmt: skip
                self._spawn(self._touch_sound(channel, _CONTEXTS[place], Party(party), question))
            case _:
                log.error("the dialplan's hook is not this version's; run `idtone dialplan export` again")
                self._spawn(self._release(channel))

    # -- first touch --------------------------------------------------------------------------------------------

    async def _touch_decide(self, channel: str, question: Question, nonce: str) -> None:
        call = self._board.decide(question, Door.ARI)
        verdict = self._board.verdict(call, nonce)
        await self._resume(channel, dialplan.FORWARD_CONTEXT, verdict.extension)

    # -- second touch -------------------------------------------------------------------------------------------

    async def _touch_sound(self, channel: str, context: str, party: Party, question: Question) -> None:
        call = self._board.decide(question, Door.ARI)
        answered_at = self._board.now()
        sound = self._board.sound(call, party)
        if sound:
            sounding = Sounding(call, party, channel, context, sound, answered_at)
            self._soundings[channel] = self._by_playback[sounding.playback] = sounding
            self._silent.clear()
            self._signal(sounding, Signal.ENTERED)
            return
        self._board.answered(call, answered_at)
        if call.decision.outcome is Outcome.BYPASS or call.decision.skip:
            await self._resume(channel, context, Heard.HEARD)
        elif call.decision.outcome is Outcome.REFUSE:
            await self._resume(channel, context, Heard.REFUSED)
        else:
            log.error("the profile %r has no sound to play; the hook plays the notice", call.decision.profile)
            why = "no sound of the profile may be played"
            self._board.record(steps.sound_failed(call.id, self._board.now(), why, party))
            await self._resume(channel, context, Heard.UNHEARD)

    def _playback_started(self, sounding: Sounding, at: datetime) -> None:
        sounding.started_at = at
        self._board.answered(sounding.call, sounding.answered_at)
        sound, loop = sounding.sound, asyncio.get_running_loop()

        def sealed(_: Future[None]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._signal, sounding, Signal.SEALED)

        started = steps.sound_started(
            sounding.call.id, self._board.now(), sound.stem.name, sound.sha256, sounding.party
        )  # fmt: skip
        self._board.record(started).add_done_callback(sealed)

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
        call, party, board, now = sounding.call, sounding.party, self._board, self._board.now()
        match action:
            case Action.PLAY:
                self._spawn(self._play(sounding))
            case Action.STOP:
                self._spawn(self._ask("DELETE", f"playbacks/{sounding.playback}"))
            case Action.RECORD_HEARD:
                board.record(steps.sound_ended(call.id, now, sounding.heard_ms, party))
            case Action.RECORD_UNHEARD:
                log.error("%s: the sound was not heard: %s; the hook plays the notice", call.id, sounding.failure)
                board.answered(call, sounding.answered_at)
                board.record(steps.sound_failed(call.id, now, sounding.failure, party))
            case Action.RECORD_CUT:
                board.answered(call, sounding.answered_at)
                board.record(steps.sound_failed(call.id, now, f"the {party} party hung up", party))
            case Action.RELEASE_HEARD:
                self._spawn(self._resume(sounding.channel, sounding.context, Heard.HEARD))
            case Action.RELEASE_UNHEARD:
                self._spawn(self._resume(sounding.channel, sounding.context, Heard.UNHEARD))

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

    # -- what nobody listened to ----------------------------------------------------------------------------------

    async def _adopt(self) -> None:
        """Take up what happened while nobody listened: channels that wait for us, calls that ended."""
        channels = {channel["id"]: channel for channel in await self._request("GET", "channels")}
        for call in self._board:
            if call.channel not in channels:
                self._board.interrupted(call)
        for name, channel in channels.items():
            place = channel["dialplan"]
            application, *arguments = str(place.get("app_data", "")).split(",")
            if place.get("app_name") == "Stasis" and application == APPLICATION and name not in self._entered:
                log.info("channel %s waited for the service; it is taken up again", name)
                self._enter(name, tuple(arguments), channel["caller"]["number"])

    # -- Asterisk -------------------------------------------------------------------------------------------------

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
