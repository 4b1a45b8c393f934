"""The second touch: the sounds that Asterisk plays for us, each from the answer until its channel goes on.

How a sound goes is `flow`; here what Asterisk tells becomes its signals, and its actions become requests and evidence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from idtone import dialplan
from idtone.calls import Party
from idtone.dialplan import Heard
from idtone.errors import AriRefused
from idtone.ledger import steps
from idtone.switchboard.board import OVERDUE_S, Call, Switchboard
from idtone.tones.making.sounds import Sound

from . import events, flow
from .flow import Action, Signal, State
from .line import GONE, Line
from .sounding import NEVER_TOLD, Sounding

log = logging.getLogger(__name__)

KEPT_WITHIN_S: Final = 0.5
"""How long a sound waits for the evidence that it may be played; with `OVERDUE_S` less than the hook's guard."""


class Soundings:
    """By the channels on which they are played. They outlive the connection."""

    def __init__(self, switchboard: Switchboard, line: Line, clock_s: Callable[[], float]) -> None:
        self._board = switchboard
        self._line = line
        self._clock_s = clock_s
        self._by_channel: dict[str, Sounding] = {}
        self._by_playback: dict[str, Sounding] = {}
        self._silent = asyncio.Event()
        self._silent.set()

    def __iter__(self) -> Iterator[Sounding]:
        return iter(tuple(self._by_channel.values()))

    async def silence(self) -> None:
        """Wait until none is being played."""
        await self._silent.wait()

    @property
    def being_sealed(self) -> bool:
        """Whether evidence of one's beginning is on its way to the disk."""
        return any(each.being_sealed for each in self._by_channel.values())

    # -- from one instance to the next --------------------------------------------------------------------------

    def carried(self) -> list[dict[str, Any]]:
        """What is being played, for the next instance's `carry`; JSON."""
        return [each.packed() | {"held": self._board.held(each.channel)} for each in self._by_channel.values()]

    def carry(self, carried: Iterable[Mapping[str, Any]]) -> None:
        """Go on with what an earlier instance had played; before the first connection.

        What is not known here is taken up like any channel that waits: it is sounded anew.
        """
        for fields in carried:
            call = self._board.find(fields["call"])
            sound = self._board.sound(call, Party(fields["party"])) if call else None
            if call and sound:
                sounding = Sounding.unpacked(fields, call, sound)
                self._enter(sounding)
                if fields.get("held"):
                    self._board.holds(sounding.channel, True)
                self._give_up_later(sounding, self._clock_s() - sounding.requested_s)

    # -- from beginning to end ----------------------------------------------------------------------------------

    def begin(self, call: Call, party: Party, channel: str, context: str, sound: Sound, answered_at: datetime) -> None:
        """Play the sound to the channel that has just answered, and send it on at `context`."""
        sounding = Sounding(call, party, channel, context, sound, answered_at)
        self._enter(sounding)
        self._board.begins_to_hear(channel)
        self.signal(sounding, Signal.ENTERED)

    def _enter(self, sounding: Sounding) -> None:
        self._by_channel[sounding.channel] = self._by_playback[sounding.playback] = sounding
        self._silent.clear()

    def gone(self, channel: str) -> None:
        """The channel has left us, or hung up."""
        if channel in self._by_channel:
            self.signal(self._by_channel[channel], Signal.GONE)

    def started(self, event: events.PlaybackStarted) -> None:
        sounding = self._by_playback.get(event.playback)
        if sounding is None:
            return
        sounding.started_at = event.at
        self._board.answered(sounding.call, sounding.answered_at)
        sound, loop = sounding.sound, asyncio.get_running_loop()

        def sealed(_: Future[None]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self.signal, sounding, Signal.SEALED)

        begun = steps.sound_started(
            sounding.call.id, self._board.now(), sound.stem.name, sound.sha256, sounding.party
        )  # fmt: skip
        self._board.record(begun).add_done_callback(sealed)

    def finished(self, event: events.PlaybackFinished) -> None:
        sounding = self._by_playback.get(event.playback)
        if sounding is None:
            return
        asterisk_s = (event.at - sounding.started_at).total_seconds() if sounding.started_at else 0.0
        our_s = self._clock_s() - sounding.requested_s
        sounding.heard_ms = max(0, round(min(asterisk_s, our_s) * 1000))
        sounding.failure = f"the playback ended as {event.state!r} after {sounding.heard_ms} ms"
        signal = flow.playback_signal(event.state, asterisk_s, our_s, sounding.sound.duration_ms / 1000)
        if self._board.held(sounding.channel) and signal is Signal.FINISHED:
            sounding.failure, signal = f"the {sounding.party} party held the call meanwhile", Signal.FAILED
        self.signal(sounding, signal)

    def signal(self, sounding: Sounding, signal: Signal) -> None:
        sounding.state, actions = flow.step(sounding.state, signal)
        for action in actions:
            self._act(sounding, action)
        if sounding.state is State.OVER:
            self._forget(sounding)

    def _act(self, sounding: Sounding, action: Action) -> None:
        call, party, board, now = sounding.call, sounding.party, self._board, self._board.now()
        match action:
            case Action.PLAY:
                self._line.spawn(self._play(sounding))
            case Action.STOP:
                self._line.spawn(self._line.ask("DELETE", f"playbacks/{sounding.playback}"))
            case Action.HURRY:
                board.evidence.hurry()
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
                self._line.spawn(self._line.resume(sounding.channel, sounding.context, Heard.HEARD))
            case Action.RELEASE_UNHEARD:
                self._line.spawn(self._line.resume(sounding.channel, sounding.context, Heard.UNHEARD))

    async def _play(self, sounding: Sounding) -> None:
        """Not before the decision outlives us: nobody hears a sound of which nothing would be known if we died."""
        if sounding.call.kept:
            await self._board.wait_for(sounding.call.kept, KEPT_WITHIN_S)
        sounding.requested_s = self._clock_s()
        sounding.failure = NEVER_TOLD
        self._give_up_later(sounding)
        try:
            await self._line.request(
                "POST", f"channels/{sounding.channel}/play/{sounding.playback}", media=f"sound:{sounding.sound.stem}"
            )
        except AriRefused as error:
            sounding.failure = str(error)
            self.signal(sounding, Signal.GONE if error.status in GONE else Signal.FAILED)

    def _give_up_later(self, sounding: Sounding, elapsed_s: float = 0.0) -> None:
        if sounding.timer:
            sounding.timer.cancel()
        allowed_s = max(0.0, sounding.sound.duration_ms / 1000 + OVERDUE_S - elapsed_s)
        loop = asyncio.get_running_loop()
        sounding.timer = loop.call_later(allowed_s, self.signal, sounding, Signal.OVERDUE)

    def _forget(self, sounding: Sounding) -> None:
        if sounding.timer:
            sounding.timer.cancel()
        self._by_channel.pop(sounding.channel, None)
        self._by_playback.pop(sounding.playback, None)
        if not self._by_channel:
            self._silent.set()

    # -- what nobody listened to --------------------------------------------------------------------------------

    async def ask_whether_held(self, channel: str) -> None:
        """A phone that put the call on hold while nobody listened is sent nothing, and no event says so any more."""
        with contextlib.suppress(AriRefused):  # it has hung up, or is none of which Asterisk could say it
            answer = await self._line.request("GET", f"channels/{channel}/variable", variable=dialplan.ON_HOLD)
            if events.read_count(answer):
                self._board.holds(channel, True)

    async def listen_again(self, sounding: Sounding) -> None:
        """A sound that was being played when the connection broke: one whose end we missed is played anew."""
        try:
            await self._line.request("GET", f"playbacks/{sounding.playback}")
        except AriRefused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            if self._by_channel.get(sounding.channel) is sounding:
                self._by_playback.pop(sounding.playback)
                sounding.playback = uuid.uuid4().hex
                self._by_playback[sounding.playback] = sounding
                await self._play(sounding)
