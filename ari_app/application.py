"""The ARI application: one request a call, and what else needs Asterisk's REST interface.

    decide  the caller's channel, before anything is dialled: the verdict goes back as an extension
    own     the called party's channel under the operator's own Dial(), after the answer: the same

What is decided, and what becomes of a call, is call control's. Asterisk plays, and writes the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

from idtone import dialplan
from idtone.call_control.call_control import KEPT_WITHIN_S, Call, CallControl, Request
from idtone.decision import CALL_REJECTED
from idtone.errors import AriError, AriRefused, AriUnavailable, LedgerError
from idtone.settings import Door

from . import events
from .connection import APPLICATION, Ari

log = logging.getLogger(__name__)

RECONCILE_EVERY_S: Final = 300.0
"""How often the calls in progress are compared with Asterisk's channels, besides each time that it is connected."""
LAST_LINE_S: Final = 2.0
"""How long after its channel a call's last line may come into the journal."""
SETTLED_WITHIN_S: Final = 0.5
"""How long a hand-over waits for answers that are on their way; they take milliseconds."""
GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
"""What Asterisk answers if the channel hung up meanwhile: an outcome, not an error."""


class AriApplication:
    """Handles one connection at a time; the calls outlive it."""

    def __init__(self, call_control: CallControl, read_journal: Callable[[], Awaitable[None]]) -> None:
        """`read_journal` returns when all lines that are in the journal by now have been read."""
        self._calls = call_control
        self._read_journal = read_journal
        self._ari: Ari | None = None
        """None while Asterisk is not connected."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._go_on: set[str] = set()
        """Calls of suspended numbers that could not be ended, because Asterisk was not connected."""
        self._handing_over = False

    @property
    def connected(self) -> bool:
        return self._ari is not None

    # -- one connection -----------------------------------------------------------------------------------------

    async def attend(self, ari: Ari) -> None:
        """Handle what Asterisk tells until the connection ends (AriUnavailable) or is replaced (returns)."""
        self._ari = ari
        self._go_on.clear()
        reconciling = asyncio.create_task(self._reconcile_for_ever(ari))
        try:
            async for event in ari.events():
                match event:
                    case events.Entered():
                        self._enter(event)
                    case events.Replaced() if not self._handing_over:
                        log.error("another connection took over the application %r; this one ends", APPLICATION)
                        return
                    case events.MalformedEvent():
                        log.warning("Asterisk sent an event that cannot be read (%s); it was ignored", event.type)
                    case _:
                        pass
        finally:
            self._ari = None
            reconciling.cancel()
            for task in self._tasks:
                task.cancel()

    async def depart(self, ari: Ari) -> None:
        """Leave for good, and let the channels go that came meanwhile: Asterisk would let them wait for us."""
        try:
            await ari.leave()
            waiting = events.read_channels(await ari.request("GET", "channels"), APPLICATION).waiting
            for entered in waiting.values():
                with contextlib.suppress(AriRefused):  # it has hung up
                    await ari.request("POST", f"channels/{entered.channel}/continue", **_without_verdict(entered))
        except AriError as error:
            log.warning("whether a call still waits for this service is not known: %s", error)

    # -- from one instance to the next ------------------------------------------------------------------------------

    def let_go(self, handing_over: bool) -> None:
        """Whether another connection is meant to take over the application: then this one stays, for the answers."""
        self._handing_over = handing_over

    async def settled(self) -> None:
        """Wait until no request of ours is on its way to Asterisk."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SETTLED_WITHIN_S)

    # -- requests of the hook -----------------------------------------------------------------------------------

    def _enter(self, entered: events.Entered) -> None:
        """Decide at once, when the event comes: the journal may tell the end of the call in the next moment."""
        call = None if self._calls.retiring else self._decided(entered.arguments)
        if call is None:
            query = _without_verdict(entered)
        else:
            query = _continue_at(entered, self._calls.verdict(call).extension)
        self._spawn(self._answer(entered.channel, call, query))

    def _decided(self, arguments: Sequence[str]) -> Call | None:
        request = Request.read(arguments)
        if request is None:
            log.error("the dialplan's hook is not this version's; run `idtone dialplan export` again")
            return None
        try:
            return self._calls.decide(request, Door.ARI)
        except LedgerError as error:
            log.error("a request cannot be decided: %s; run `idtone dialplan export` again", error)
            return None

    async def _answer(self, channel: str, call: Call | None, query: dict[str, str]) -> None:
        """Not before the decision outlives us: with the verdict Asterisk plays, whatever becomes of us."""
        if call and call.kept and not call.kept.done():
            await self._calls.wait_for(call.kept, KEPT_WITHIN_S)
        await self._ask("POST", f"channels/{channel}/continue", **query)

    # -- numbers that are suspended while they are in a call -----------------------------------------------------

    def end_suspended(self) -> None:
        """Have Asterisk end the calls of numbers that are suspended by now."""
        for call in self._calls.to_be_ended():
            if not self.connected:
                if call.id not in self._go_on:
                    self._go_on.add(call.id)
                    log.error("%s: its number is suspended, and it goes on until Asterisk is connected", call.id)
                continue
            log.warning("%s: its number is suspended; the call is ended", call.id)
            self._calls.suspends(call)
            self._spawn(self._end(call))

    async def _end(self, call: Call) -> None:
        try:
            await self._ask("DELETE", f"channels/{call.channel}", reason_code=str(CALL_REJECTED))
        except AriUnavailable:
            call.being_ended = False  # and is ended over the next connection
            raise

    # -- which calls there are ------------------------------------------------------------------------------------

    async def _reconcile_for_ever(self, ari: Ari) -> None:
        first = True
        while True:
            try:
                await self._reconcile(ari, first)
                first = False
            except AriError as error:
                log.warning("which calls are in progress is not known: %s", error)
            await asyncio.sleep(RECONCILE_EVERY_S)

    async def _reconcile(self, ari: Ari, first: bool) -> None:
        """Answer the channels that wait for us, and find the calls whose end the journal does not tell."""
        before = tuple(self._calls)
        channels = events.read_channels(await ari.request("GET", "channels"), APPLICATION)
        for entered in channels.waiting.values() if first else ():
            log.info("channel %s waited for the service", entered.channel)
            self._enter(entered)
        missing = [call for call in before if call.channel not in channels.ids]
        if missing:
            await asyncio.sleep(LAST_LINE_S)
            await self._read_journal()
            for call in missing:
                self._calls.interrupted(call)

    # -- requests to Asterisk -----------------------------------------------------------------------------------

    def _spawn(self, work: Awaitable[None]) -> None:
        """Have a request made beside the events."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, AriError):
            log.warning("a request failed: %s", error)
        elif error:
            log.error("a request failed", exc_info=error)

    async def _ask(self, method: str, path: str, **query: str) -> None:
        if self._ari is None:
            raise AriUnavailable("Asterisk is not connected")
        try:
            await self._ari.request(method, path, **query)
        except AriRefused as error:
            if error.status not in GONE:
                log.error("%s", error)


def _continue_at(entered: events.Entered, extension: str) -> dict[str, str]:
    own = entered.arguments[:1] == ("own",)
    return {
        "context": dialplan.CALLED_CONTEXT if own else dialplan.FORWARD_CONTEXT,
        "extension": extension,
        "priority": str(dialplan.CALLED_PRIORITY if own else dialplan.FORWARD_PRIORITY),
    }


def _without_verdict(entered: events.Entered) -> dict[str, str]:
    """The hook falls back."""
    return _continue_at(entered, dialplan.NO_VERDICT) if entered.arguments[:1] == ("own",) else {}
