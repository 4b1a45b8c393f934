"""The ARI application: two touches of a call, and what Asterisk tells of the rest.

    decide  the caller's channel, before anything is dialled: the verdict goes back as an extension
    sound   a channel that is to hear something, after the answer and before the parties are connected

What is decided is the switchboard's; what becomes of a sound is told in `soundings`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from idtone import dialplan
from idtone.calls import Outcome, Party
from idtone.decision import CALL_REJECTED
from idtone.dialplan import Heard
from idtone.errors import AriError, AriRefused, AriUnavailable, LedgerError
from idtone.ledger import steps
from idtone.settings import Door
from idtone.switchboard.board import Call, Question, Switchboard

from . import events
from .connection import APPLICATION, Ari
from .line import Line
from .sounding import Sounding
from .soundings import Soundings

log = logging.getLogger(__name__)

LAST_WORD_S: Final = 1.0
"""How long after its channel the hook may still tell how a call ended."""
TURNED_AWAY_POLL_S: Final = 5.0
SETTLED_WITHIN_S: Final = 0.5
"""How long a hand-over waits for answers that are on their way; they take milliseconds."""

_CONTEXTS: Final = {"called": dialplan.CALLED_CONTEXT, "both": dialplan.BOTH_CONTEXT}
"""The hook's word for where a channel is that asks for its sound → where it goes on."""


class Application:
    """Handles one connection at a time; the calls outlive it."""

    def __init__(self, switchboard: Switchboard, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._board = switchboard
        self._line = Line(self._never_there)
        self._soundings = Soundings(switchboard, self._line, clock_s)
        self._entered: set[str] = set()
        self._go_on: set[str] = set()
        """Calls of suspended numbers that could not be ended, since Asterisk was not connected."""
        self._turned_away: int | None = None
        """By the hook's count, when we last asked."""
        self._handing_over = self._adopted = False
        switchboard.watch = self._line.watch

    @property
    def connected(self) -> bool:
        """Whether Asterisk tells us of the calls."""
        return self._line.ari is not None

    @property
    def informed(self) -> bool:
        """And whether we have found out what became of the calls while it did not."""
        return self.connected and self._adopted

    async def watches(self, channel: str) -> bool:
        """Whether Asterisk tells what becomes of this channel, once that is known."""
        return await self._line.watches(channel)

    # -- one connection -----------------------------------------------------------------------------------------

    async def attend(self, ari: Ari) -> None:
        """Handle what Asterisk tells until the connection ends (AriUnavailable) or is replaced (returns).

        What is being played goes on without us; the next connection finds out how it went.
        """
        self._line.ari = ari
        self._adopted = False
        self._go_on.clear()
        before = tuple(self._soundings)
        self._entered = {sounding.channel for sounding in before}
        self._line.spawn(self._adopt(tuple(self._board), before))
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
            self._line.drop()
            counting.cancel()

    async def drained(self, timeout_s: float) -> None:
        """Wait until no sound is being played and every channel was let go, but not longer than `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._soundings.silence()
                await self._line.quiet()

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
        self._board.evidence.hurry()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_WITHIN_S):
                # The two end by themselves, each at its own time, and nobody tells of the last.
                while self._line.busy or self._soundings.being_sealed:  # noqa: ASYNC110 — as said above
                    await asyncio.sleep(0.002)

    def carried(self) -> list[dict[str, Any]]:
        """What is being played, for the next instance's `carry`; JSON."""
        return self._soundings.carried()

    def carry(self, carried: Iterable[Mapping[str, Any]]) -> None:
        """Go on with what an earlier instance had played; before the first connection."""
        self._soundings.carry(carried)

    # -- events -----------------------------------------------------------------------------------------------------

    def _handle(self, event: events.Event) -> None:
        match event:
            case events.Entered() if event.channel not in self._entered:
                self._enter(event.channel, event.arguments, event.caller_number)
            case events.PlaybackStarted():
                self._soundings.started(event)
            case events.PlaybackFinished():
                self._soundings.finished(event)
            case events.Left():
                self._entered.discard(event.channel)
                self._line.sent_on.pop(event.channel, None)
                self._soundings.gone(event.channel)
                if not self._board.of_channel(event.channel):
                    self._board.hangs_up(event.channel)  # or lives on, and nothing more is told of it
            case events.Bridged():
                if call := self._board.of_channel(event.channel):
                    self._board.connected(call)
            case events.Held():
                self._board.holds(event.channel, event.on)
            case events.HookEnded():
                self._board.hook_ended(event.call_id, event.status, event.hangup_cause, event.reason, event.heard_by)
            case events.Destroyed():
                self._soundings.gone(event.channel)
                self._board.hangs_up(event.channel)
                if call := self._board.of_channel(event.channel):
                    self._gone(call, event.hangup_cause)
            case events.MalformedEvent():
                log.warning("Asterisk sent an event that cannot be read (%s); it was ignored", event.type)
            case _:
                pass

    def _never_there(self, channel: str) -> None:
        """It had hung up before we could ask what becomes of it."""
        if call := self._board.of_channel(channel):
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
        self._line.sent_on.pop(channel, None)
        if self._board.retiring:
            self._line.spawn(self._turn_away(channel, arguments))
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
                self._line.spawn(self._line.release(channel))

    async def _turn_away(self, channel: str, arguments: tuple[str, ...]) -> None:
        """Nothing new begins when the service is to stop: the hook goes on as if it were away."""
        match arguments:
            case ("sound", _, "called" | "caller" as party, call_id, *_) if self._board.find(call_id):
                why = "the service was being stopped"
                self._board.record(steps.sound_failed(call_id, self._board.now(), why, Party(party)))
        await self._line.release(channel)

    # -- first touch --------------------------------------------------------------------------------------------

    # What an event means is decided when it is read: after a standstill there are many, of which a later one may say
    # that the call is over already.

    def _touch_decide(self, channel: str, question: Question, nonce: str) -> None:
        call = self._decided(question)
        if call is None:
            self._line.spawn(self._line.release(channel))
            return
        verdict = self._board.verdict(call, nonce)
        self._line.spawn(self._line.resume(channel, dialplan.FORWARD_CONTEXT, verdict.extension))

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
            self._line.spawn(self._line.release(channel))
            return
        answered_at = self._board.now()
        sound = self._board.sound(call, party)
        if sound:
            self._soundings.begin(call, party, channel, context, sound, answered_at)
            return
        self._board.answered(call, answered_at)
        if call.decision.outcome is Outcome.BYPASS or call.decision.skip:
            self._line.spawn(self._line.resume(channel, context, Heard.HEARD))
        elif call.decision.outcome is Outcome.REFUSE:
            self._line.spawn(self._line.resume(channel, context, Heard.REFUSED))
        else:
            log.error("the profile %r has no sound to play; the hook plays the notice", call.decision.profile)
            why = "no sound of the profile may be played"
            self._board.record(steps.sound_failed(call.id, self._board.now(), why, party))
            self._line.spawn(self._line.resume(channel, context, Heard.UNHEARD))

    # -- numbers that are suspended while they are in a call -----------------------------------------------------

    def end_suspended(self) -> None:
        """Have Asterisk end the calls of numbers that are suspended by now."""
        for call in self._board.to_be_ended():
            if not self.connected:
                if call.id not in self._go_on:
                    self._go_on.add(call.id)
                    log.error("%s: its number is suspended, and goes on talking until Asterisk is connected", call.id)
                continue
            log.warning("%s: its number is suspended; the call is ended", call.id)
            self._board.suspends(call)
            self._line.spawn(self._end(call))

    async def _end(self, call: Call) -> None:
        try:
            await self._line.ask("DELETE", f"channels/{call.channel}", reason_code=str(CALL_REJECTED))
        except AriUnavailable:
            call.suspended = False  # and is ended over the next connection
            raise

    # -- what nobody listened to ----------------------------------------------------------------------------------

    async def _adopt(self, calls: tuple[Call, ...], soundings: tuple[Sounding, ...]) -> None:
        """Take up what happened while nobody listened: channels that wait for us, and which of the `calls` and
        `soundings` of before have ended.
        """
        channels = events.read_channels(await self._line.request("GET", "channels"), APPLICATION)
        waiting = channels.waiting
        hearing = [name for name, entered in waiting.items() if entered.arguments[:1] == ("sound",)]
        await asyncio.gather(*map(self._soundings.ask_whether_held, hearing))
        for sounding in soundings:
            if sounding.channel in waiting:
                self._line.spawn(self._soundings.listen_again(sounding))
            else:
                self._soundings.gone(sounding.channel)
        for call in calls:
            if self._board.find(call.id) is not call:
                continue
            if call.channel in channels.ids:
                self._line.watch(call.channel)
                call.watched = True
            else:
                self._board.interrupted(call)
        self._adopted = True
        for name in self._line.sent_on.keys() - waiting.keys():
            del self._line.sent_on[name]
        for name in waiting.keys() - self._entered:
            if name in self._line.sent_on:
                self._line.spawn(self._line.resume(name, *self._line.sent_on[name]))
            else:
                log.info("channel %s waited for the service; it is taken up again", name)
                self._enter(name, waiting[name].arguments, waiting[name].caller_number)

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
