"""The AGI door's entry points, asked by the hook over FastAGI:

    decide  the caller's channel (or the called one under an operator's own Dial()): the verdict
    playing a channel on which Asterisk is about to play a sound: nothing; the evidence is written while it plays
    played  when it has: whether that counts as heard
    ended   the caller's channel, how the forwarding ended, where no ARI event tells

Asterisk plays the sound itself, so a call that was decided survives the death of the service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import unquote

from idtone import dialplan
from idtone.calls import Party, Reason
from idtone.dialplan import Heard
from idtone.errors import AgiError, LedgerError
from idtone.ledger import steps
from idtone.ledger.steps import CallStatus
from idtone.settings import Door
from idtone.switchboard.board import OVERDUE_S, Call, Question, Switchboard
from idtone.tones.making.sounds import Sound

from .environment import Request

log = logging.getLogger(__name__)

HEARD_TOLERANCE_S: Final = 0.02
"""One frame: Asterisk goes on when it has sent the last frame, not when that was played out."""
HELD: Final = "HELD"
"""In the place of PLAYBACKSTATUS: the phone held the call, and was sent nothing. The hook sees it only at the end."""


class Events(Protocol):
    """Who tells what becomes of calls, where somebody does."""

    @property
    def connected(self) -> bool: ...
    async def watches(self, channel: str) -> bool:
        """Whether it tells of this channel from now on, when that is known."""
        ...


class AgiApplication:
    """Answers requests with the channel variables that are to be set."""

    def __init__(self, switchboard: Switchboard, events: Events) -> None:
        self._board = switchboard
        self._events = events
        self._playing: dict[tuple[str, Party], Future[None]] = {}
        """What Asterisk plays and has not yet told the end of: done when the evidence that it began is on the disk."""

    async def drained(self, beyond_s: float) -> None:
        """Wait until all that Asterisk plays was told of, but not longer than the longest of these sounds and
        `beyond_s` more.
        """
        loop = asyncio.get_running_loop()
        longest_s = max((sound.duration_ms / 1000 for sound in self._awaited()), default=0.0)
        deadline_s = loop.time() + longest_s + beyond_s
        while any(self._awaited()) and loop.time() < deadline_s:  # noqa: ASYNC110 — calls end in many ways
            await asyncio.sleep(0.01)

    def _awaited(self) -> Iterator[Sound]:
        for call_id, party in self._playing:
            call = self._board.find(call_id)
            sound = self._board.sound(call, party) if call else None
            if sound:
                yield sound

    async def answer(self, request: Request) -> Mapping[str, str]:
        """Raises AgiError for what the hook does not ask."""
        match request.entry, request.arguments:
            case "decide", (call_id, nonce, number, direction, called, dial_string, chain, diverting, caller, own):
                question = Question(
                    call_id, unquote(number), unquote(direction), unquote(caller), unquote(called),
                    unquote(dial_string), chain, unquote(diverting), bool(own),
                )  # fmt: skip
                return await self._decide(question, nonce)
            case "playing", (call_id, party, file) if party in set(Party):
                self._board.watch(request.channel)
                self._board.begins_to_hear(request.channel)
                return self._plays(call_id, Party(party), file)
            case "played", (call_id, nonce, party, file, status, started, ended) if party in set(Party):
                if self._board.held(request.channel):
                    status = HELD
                return await self._played(call_id, nonce, Party(party), file, status, started, ended)
            case "ended", (call_id, status, cause, reason, moved) if status in set(CallStatus):
                return self._ended(call_id, CallStatus(status), cause, reason, bool(moved))
            case _:
                raise AgiError("the dialplan's hook is not this version's; run `idtone dialplan export` again")

    async def _decide(self, question: Question, nonce: str) -> dict[str, str]:
        """The verdict is enough for Asterisk to play the sound and connect, though we die the next moment: the decision
        outlives us before it is given.
        """
        if self._board.retiring and not self._board.find(question.call_id):
            return {}
        try:
            call = self._board.decide(question, Door.AGI)
        except LedgerError as error:
            raise AgiError("a call has an id that can be none; run `idtone dialplan export` again") from error
        if call.kept:
            await self._board.wait_for(call.kept, OVERDUE_S)
        # With the verdict the call may be over in the next moment.
        call.watched = call.watched or await self._events.watches(call.channel)
        watched = {dialplan.WATCHED_VARIABLE: nonce} if call.watched else {}
        return {dialplan.VERDICT_VARIABLE: self._board.verdict(call, nonce).variable} | watched

    def _plays(self, call_id: str, party: Party, file: str) -> dict[str, str]:
        board, call = self._board, self._board.find(call_id)
        sound = board.sound(call, party) if call else None
        if call and sound and sound.stem.name == file:
            board.answered(call)
            self._playing[call_id, party] = self._began(call, party, sound, board.now())
        return {}

    def _began(self, call: Call, party: Party, sound: Sound, at: datetime) -> Future[None]:
        return self._board.record(steps.sound_started(call.id, at, sound.stem.name, sound.sha256, party))

    async def _played(
        self, call_id: str, nonce: str, party: Party, file: str, status: str, started: str, ended: str
    ) -> dict[str, str]:
        """The parties are connected only when the evidence that the sound began is on the disk (docs/adr/0003)."""
        board, call = self._board, self._board.find(call_id)
        if call is None:
            # Nobody knows what was decided for it, so nothing can be said of it; Asterisk's own word must do.
            log.warning("%s: a sound was played for a call that is not known here", call_id)
            return {}
        playing = self._playing.pop((call_id, party), None)
        began, over = moment(started), moment(ended)
        board.answered(call, began)
        sound = board.sound(call, party)
        lasted_s = (over - began).total_seconds()
        if sound is None or sound.stem.name != file:
            failure = "another sound was played than may be"
        elif status != "SUCCESS":
            failure = f"the playback ended as {status!r}"
        elif lasted_s < sound.duration_ms / 1000 - HEARD_TOLERANCE_S:
            failure = f"the playback lasted {round(lasted_s * 1000)} ms by Asterisk's clock"
        else:
            # Told of only now where the service was away when it began.
            begun = playing or self._began(call, party, sound, began)
            board.record(steps.sound_ended(call_id, over, round(lasted_s * 1000), party))
            await board.wait_for(begun, OVERDUE_S)
            return {dialplan.HEARD_VARIABLE: f"{nonce}:{Heard.HEARD}"}
        log.error("%s: the sound was not heard: %s; the hook plays the notice", call_id, failure)
        board.record(steps.sound_failed(call_id, board.now(), failure, party))
        return {dialplan.HEARD_VARIABLE: f"{nonce}:{Heard.UNHEARD}"}

    def _ended(self, call_id: str, status: CallStatus, cause: str, reason: str, moved: bool) -> dict[str, str]:
        """`moved` is one whose channel is another one by now than ARI tells of."""
        for party in Party:  # a party that hung up during the sound told of no end
            self._playing.pop((call_id, party), None)
        call = self._board.find(call_id)
        if call is None or (call.watched and self._events.connected and not moved):
            return {}  # the events tell it as well, and what is still to come of the call
        if status is CallStatus.CONNECTED:
            self._board.connected(call)
        self._board.ended(call, status, steps.cause(cause), Reason(reason) if reason in set(Reason) else None)
        return {}


def moment(text: str) -> datetime:
    """The time of STRFTIME(,UTC,%s.%6q), seconds since 1970. Raises AgiError for anything else."""
    whole, point, fraction = text.partition(".")
    if not (point and whole.isdecimal() and fraction.isdecimal() and whole.isascii() and fraction.isascii()):
        raise AgiError("a time is not one of Asterisk's")
    try:
        return datetime.fromtimestamp(int(whole), UTC).replace(microsecond=int(fraction[:6].ljust(6, "0")))
    except (ValueError, OverflowError, OSError) as error:
        raise AgiError("a time is not one of Asterisk's") from error
