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
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

from idtone import dialplan
from idtone.calls import Outcome, Party
from idtone.decision import CALL_REJECTED
from idtone.dialplan import Heard
from idtone.errors import AriError, AriRefused, AriUnavailable, LedgerError
from idtone.ledger import steps
from idtone.settings import Door
from idtone.switchboard.board import OVERDUE_S, Call, Question, Switchboard

from . import events, flow
from .connection import APPLICATION, SUBSCRIPTIONS, Ari
from .flow import Action, Signal, State
from .sounding import NEVER_TOLD, Sounding

log = logging.getLogger(__name__)

GONE: Final = frozenset({404, 409, 412})
"""What Asterisk answers when the channel hung up while we were asking; an outcome, not an error."""
LAST_WORD_S: Final = 1.0
"""How long after its channel the hook may still tell how a call ended."""
TURNED_AWAY_POLL_S: Final = 5.0
DECIDED_WITHIN_S: Final = 0.5
"""How long a sound waits for the evidence that it may be played; with `OVERDUE_S` less than the hook's guard."""
SETTLED_WITHIN_S: Final = 0.5
"""How long a hand-over waits for answers that are on their way; they take milliseconds."""

_CONTEXTS: Final = {"called": dialplan.CALLED_CONTEXT, "both": dialplan.BOTH_CONTEXT}
"""The hook's word for where a channel is that asks for its sound → where it goes on."""


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
        self._sent_on: dict[str, tuple[str, str]] = {}
        """Channels that were told where to go on, context and extension, and have not confirmed it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._go_on: set[str] = set()
        """Calls of suspended numbers that could not be ended, since Asterisk was not connected."""
        self._turned_away: int | None = None
        """By the hook's count, when we last asked."""
        self._ari: Ari | None = None
        self._handing_over = False
        switchboard.watch = self._watch

    @property
    def connected(self) -> bool:
        """Whether Asterisk tells us of the calls."""
        return self._ari is not None

    # -- one connection -----------------------------------------------------------------------------------------

    async def attend(self, ari: Ari) -> None:
        """Handle what Asterisk tells until the connection ends (AriUnavailable) or is replaced (returns).

        What is being played goes on without us; the next connection finds out how it went.
        """
        self._ari = ari
        self._go_on.clear()
        self._entered = set(self._soundings)
        self._spawn(self._adopt(tuple(self._board), tuple(self._soundings.values())))
        counting = asyncio.create_task(self._count_turned_away(ari))
        try:
            async for event in ari.events():
                if isinstance(event, events.Replaced):
                    if self._handing_over:
                        continue  # no more events come, but the answers to what was asked before
                    log.error("another connection took over the application %r; this one ends", APPLICATION)
                    return
                self._handle(event)
        finally:
            self._ari = None
            for task in (*self._tasks, counting):
                task.cancel()

    async def drained(self, timeout_s: float) -> None:
        """Wait until no sound is being played and every channel was let go, but not longer than `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._silent.wait()
                while self._tasks:
                    await asyncio.wait(self._tasks)

    async def depart(self, ari: Ari) -> None:
        """Leave for good, and let go who came while we left: Asterisk would let them wait for us."""
        try:
            await ari.leave()
            waiting = events.read_channels(await ari.request("GET", "channels"), APPLICATION).waiting
            for channel in waiting:
                with contextlib.suppress(AriRefused):  # it has hung up
                    await ari.request("POST", f"channels/{channel}/continue")
        except AriError as error:
            log.warning("whether somebody still waits for this service is not known: %s", error)

    # -- from one instance to the next ------------------------------------------------------------------------------

    def let_go(self, handing_over: bool) -> None:
        """Whether another connection is meant to take over the application: then this one stays, for the answers."""
        self._handing_over = handing_over

    async def settled(self) -> None:
        """Wait until nothing of ours is on its way, neither to Asterisk nor to the ledger."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_WITHIN_S):
                # The two end by themselves, each at its own time, and nobody tells of the last.
                while self._tasks or any(each.being_sealed for each in self._soundings.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.002)

    def carried(self) -> list[dict[str, Any]]:
        """What is being played, for the next instance's `carry`; JSON."""
        return [
            sounding.packed() | {"held": self._board.held(sounding.channel)} for sounding in self._soundings.values()
        ]

    def carry(self, soundings: Iterable[Mapping[str, Any]]) -> None:
        """Go on with what an earlier instance had played; before the first connection.

        What is not known here is taken up like any channel that waits: it is sounded anew.
        """
        for fields in soundings:
            call = self._board.find(fields["call"])
            sound = self._board.sound(call, Party(fields["party"])) if call else None
            if call and sound:
                sounding = Sounding.unpacked(fields, call, sound)
                self._soundings[sounding.channel] = self._by_playback[sounding.playback] = sounding
                self._silent.clear()
                if fields.get("held"):
                    self._board.holds(sounding.channel, True)
                self._give_up_later(sounding, self._clock_s() - sounding.requested_s)

    # -- events -----------------------------------------------------------------------------------------------------

    def _handle(self, event: events.Event) -> None:
        match event:
            case events.Entered() if event.channel not in self._entered:
                self._enter(event.channel, event.arguments, event.caller_number)
            case events.PlaybackStarted() if event.playback in self._by_playback:
                self._playback_started(self._by_playback[event.playback], event.at)
            case events.PlaybackFinished() if event.playback in self._by_playback:
                self._playback_finished(self._by_playback[event.playback], event)
            case events.Left():
                self._entered.discard(event.channel)
                self._sent_on.pop(event.channel, None)
                self._sounds_no_more(event.channel)
                if not self._board.of_channel(event.channel):
                    self._board.hangs_up(event.channel)  # or lives on, and nothing more is told of it
            case events.Bridged():
                if call := self._board.of_channel(event.channel):
                    self._board.connected(call)
            case events.Held():
                self._board.holds(event.channel, event.on)
            case events.HookEnded():
                self._board.hook_ended(event.call_id, event.status, event.hangup_cause, event.reason)
            case events.Destroyed():
                self._sounds_no_more(event.channel)
                self._board.hangs_up(event.channel)
                if call := self._board.of_channel(event.channel):
                    self._gone(call, event.hangup_cause)
            case events.MalformedEvent():
                log.warning("Asterisk sent an event that cannot be read (%s); it was ignored", event.type)
            case _:
                pass

    def _sounds_no_more(self, channel: str) -> None:
        if channel in self._soundings:
            self._signal(self._soundings[channel], Signal.GONE)

    # Of a channel that has left us Asterisk tells only where we asked for it. To be told of all channels would cost a
    # third of what a call costs, and let our events wait behind those of calls that are none of ours.

    def _watch(self, channel: str) -> None:
        if self._ari is not None:  # else when we are connected again
            watching = self._watching[channel] = self._spawn(self._subscribe(channel))
            watching.add_done_callback(lambda _: self._watching.pop(channel, None))

    async def _subscribe(self, channel: str) -> None:
        try:
            await self._request("POST", SUBSCRIPTIONS, eventSource=f"channel:{channel}")
        except AriRefused as error:
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            if call := self._board.of_channel(channel):  # it has hung up, and no more is to come of it
                self._board.gone(call, None)

    def _gone(self, call: Call, hangup_cause: int | None) -> None:
        """After a transfer the hook may tell the end only when the channel is gone."""

        def over() -> None:
            if self._board.find(call.id) is call:
                self._board.gone(call, hangup_cause)

        if call.connected or call.own_dial:
            over()
        else:
            asyncio.get_running_loop().call_later(LAST_WORD_S, over)

    def _enter(self, channel: str, arguments: tuple[str, ...], caller_number: str) -> None:
        self._entered.add(channel)
        self._sent_on.pop(channel, None)
        if self._board.retiring:
            self._spawn(self._turn_away(channel, arguments))
            return
        match arguments:
            case ("decide", call_id, nonce, number, direction, called, dial_string, chain, diverting):
                question = Question(
                    call_id, unquote(number), unquote(direction), caller_number,
                    unquote(called), unquote(dial_string), chain, unquote(diverting),
                )  # fmt: skip
                self._touch_decide(channel, question, nonce)
            case ("sound", "called" | "both" as place, "called" | "caller" as party, call_id, number, direction):
                # Under the operator's own Dial() this is the first that we see of the call.
                question = Question(
                    call_id, unquote(number), unquote(direction), called=caller_number, own_dial=True
                )  # fmt: skip
                self._touch_sound(channel, _CONTEXTS[place], Party(party), question)
            case _:
                log.error("the dialplan's hook is not this version's; run `idtone dialplan export` again")
                self._spawn(self._release(channel))

    async def _turn_away(self, channel: str, arguments: tuple[str, ...]) -> None:
        """Nothing new begins when the service is to stop: the hook goes on as if it were away."""
        match arguments:
            case ("sound", _, "called" | "caller" as party, call_id, *_) if self._board.find(call_id):
                why = "the service was being stopped"
                self._board.record(steps.sound_failed(call_id, self._board.now(), why, Party(party)))
        await self._release(channel)

    # -- first touch --------------------------------------------------------------------------------------------

    # What an event means is decided when it is read: after a standstill there are many, of which a later one may say
    # that the call is over already.

    def _touch_decide(self, channel: str, question: Question, nonce: str) -> None:
        call = self._decided(question)
        if call is None:
            self._spawn(self._release(channel))
            return
        verdict = self._board.verdict(call, nonce)
        self._spawn(self._resume(channel, dialplan.FORWARD_CONTEXT, verdict.extension))

    def _decided(self, question: Question) -> Call | None:
        """None where it is no question, and the hook is to go on as if nobody were here.

        At once, when the event comes: the next one may say that the call has ended.
        """
        try:
            return self._board.decide(question, Door.ARI)
        except LedgerError:
            log.error("a call has an id that can be none; run `idtone dialplan export` again")
            return None

    # -- second touch -------------------------------------------------------------------------------------------

    def _touch_sound(self, channel: str, context: str, party: Party, question: Question) -> None:
        # Where the hook gives no number, the call was decided before; one that is over is not decided anew.
        known = self._board.find(question.call_id)
        call = known if context == dialplan.BOTH_CONTEXT else self._decided(question)
        if call is None:
            self._spawn(self._release(channel))
            return
        answered_at = self._board.now()
        sound = self._board.sound(call, party)
        if sound:
            sounding = Sounding(call, party, channel, context, sound, answered_at)
            self._soundings[channel] = self._by_playback[sounding.playback] = sounding
            self._silent.clear()
            self._board.begins_to_hear(channel)
            self._signal(sounding, Signal.ENTERED)
            return
        self._board.answered(call, answered_at)
        if call.decision.outcome is Outcome.BYPASS or call.decision.skip:
            self._spawn(self._resume(channel, context, Heard.HEARD))
        elif call.decision.outcome is Outcome.REFUSE:
            self._spawn(self._resume(channel, context, Heard.REFUSED))
        else:
            log.error("the profile %r has no sound to play; the hook plays the notice", call.decision.profile)
            why = "no sound of the profile may be played"
            self._board.record(steps.sound_failed(call.id, self._board.now(), why, party))
            self._spawn(self._resume(channel, context, Heard.UNHEARD))

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
        sounding.heard_ms = max(0, round(min(asterisk_s, our_s) * 1000))
        sounding.failure = f"the playback ended as {event.state!r} after {sounding.heard_ms} ms"
        signal = flow.playback_signal(event.state, asterisk_s, our_s, sounding.sound.duration_ms / 1000)
        if self._board.held(sounding.channel) and signal is Signal.FINISHED:
            sounding.failure, signal = f"the {sounding.party} party held the call meanwhile", Signal.FAILED
        self._signal(sounding, signal)

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
        """Not before the decision is on the disk: nobody hears a sound of which nothing would be known if we died."""
        written = sounding.call.written
        if written and not written.done():
            await self._board.on_disk(written, DECIDED_WITHIN_S)
        sounding.requested_s = self._clock_s()
        sounding.failure = NEVER_TOLD
        self._give_up_later(sounding)
        try:
            await self._request(
                "POST", f"channels/{sounding.channel}/play/{sounding.playback}", media=f"sound:{sounding.sound.stem}"
            )
        except AriRefused as error:
            sounding.failure = str(error)
            self._signal(sounding, Signal.GONE if error.status in GONE else Signal.FAILED)

    def _give_up_later(self, sounding: Sounding, elapsed_s: float = 0.0) -> None:
        if sounding.timer:
            sounding.timer.cancel()
        allowed_s = max(0.0, sounding.sound.duration_ms / 1000 + OVERDUE_S - elapsed_s)
        loop = asyncio.get_running_loop()
        sounding.timer = loop.call_later(allowed_s, self._signal, sounding, Signal.OVERDUE)

    def _forget(self, sounding: Sounding) -> None:
        if sounding.timer:
            sounding.timer.cancel()
        self._soundings.pop(sounding.channel, None)
        self._by_playback.pop(sounding.playback, None)
        if not self._soundings:
            self._silent.set()

    # -- numbers that are suspended while they are in a call -----------------------------------------------------

    def end_suspended(self) -> None:
        """Have Asterisk end the calls of numbers that are suspended by now."""
        for call in self._board.to_be_ended():
            if self._ari is None:
                if call.id not in self._go_on:
                    self._go_on.add(call.id)
                    log.error("%s: its number is suspended, and goes on talking until Asterisk is connected", call.id)
                continue
            log.warning("%s: its number is suspended; the call is ended", call.id)
            self._board.suspends(call)
            self._spawn(self._end(call))

    async def _end(self, call: Call) -> None:
        try:
            await self._ask("DELETE", f"channels/{call.channel}", reason_code=str(CALL_REJECTED))
        except AriUnavailable:
            call.suspended = False  # and is ended over the next connection
            raise

    # -- what nobody listened to ----------------------------------------------------------------------------------

    async def _adopt(self, calls: tuple[Call, ...], soundings: tuple[Sounding, ...]) -> None:
        """Take up what happened while nobody listened: channels that wait for us, and which of the `calls` and
        `soundings` of before have ended.
        """
        channels = events.read_channels(await self._request("GET", "channels"), APPLICATION)
        waiting = channels.waiting
        hearing = [name for name, entered in waiting.items() if entered.arguments[:1] == ("sound",)]
        await asyncio.gather(*map(self._ask_whether_held, hearing))
        for sounding in soundings:
            if sounding.channel in waiting:
                self._spawn(self._listen_again(sounding))
            else:
                self._signal(sounding, Signal.GONE)
        for call in calls:
            if self._board.find(call.id) is not call:
                continue
            if call.channel in channels.ids:
                self._watch(call.channel)
            else:
                self._board.interrupted(call)
        for name in self._sent_on.keys() - waiting.keys():
            del self._sent_on[name]
        for name in waiting.keys() - self._entered:
            if name in self._sent_on:
                self._spawn(self._resume(name, *self._sent_on[name]))
            else:
                log.info("channel %s waited for the service; it is taken up again", name)
                self._enter(name, waiting[name].arguments, waiting[name].caller_number)

    async def _ask_whether_held(self, channel: str) -> None:
        """A phone that put the call on hold while nobody listened is sent nothing, and no event says so any more."""
        with contextlib.suppress(AriRefused):  # it has hung up, or is none of which Asterisk could say it
            answer = await self._request("GET", f"channels/{channel}/variable", variable=dialplan.ON_HOLD)
            if events.read_count(answer):
                self._board.holds(channel, True)

    async def _listen_again(self, sounding: Sounding) -> None:
        """A sound that was being played when the connection broke: one whose end we missed is played anew."""
        try:
            await self._request("GET", f"playbacks/{sounding.playback}")
        except AriRefused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            if self._soundings.get(sounding.channel) is sounding:
                self._by_playback.pop(sounding.playback)
                sounding.playback = uuid.uuid4().hex
                self._by_playback[sounding.playback] = sounding
                await self._play(sounding)

    # -- Asterisk -------------------------------------------------------------------------------------------------

    async def _release(self, channel: str) -> None:
        """Give the channel back to the dialplan, where it left it."""
        await self._ask("POST", f"channels/{channel}/continue")

    async def _resume(self, channel: str, context: str, extension: str) -> None:
        """Give the channel back to the hook, with our word as the extension where it goes on."""
        self._sent_on[channel] = context, extension
        watching = self._watching.get(channel)  # its call may be over in the next moment
        if watching and self._ari and not self._ari.in_order:
            await asyncio.wait({watching})
        await self._ask(
            "POST",
            f"channels/{channel}/continue",
            context=context,
            extension=extension,
            priority=str(dialplan.RESUME_PRIORITY),
        )
        self._sent_on.pop(channel, None)

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

    async def _count_turned_away(self, ari: Ari) -> None:
        """Tell the log now and then how many calls the hook has turned away."""
        with contextlib.suppress(AriError):  # the connection broke, which its events tell
            while True:
                answer = await ari.request("GET", "asterisk/variable", variable=dialplan.TURNED_AWAY_VARIABLE)
                count, before = events.read_count(answer), self._turned_away
                more = count - (before if before is not None and before <= count else 0)
                if more and before is not None:
                    log.warning(
                        "%d calls were turned away: as many as policy.waiting allows waited for a verdict", more
                    )
                self._turned_away = count
                await asyncio.sleep(TURNED_AWAY_POLL_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, AriError):
            log.warning("a request failed: %s", error)
        elif error:
            log.error("a touch failed", exc_info=error)
