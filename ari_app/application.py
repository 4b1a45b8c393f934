"""The ARI application: answers requests, ends calls with suspended numbers and detects lost calls.

    decide  from the caller's channel, before Dial(): the verdict goes back as an extension
    own     from the called party's channel under the operator's own Dial(), after the answer: the same

Call control decides. Asterisk plays the sound and writes the journal.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Final

from idtone import dialplan
from idtone.call_control.call import Call
from idtone.call_control.call_control import KEPT_WITHIN_S, CallControl
from idtone.call_control.request import Request
from idtone.core.calls import Reason
from idtone.core.decision import CALL_REJECTED
from idtone.core.errors import AriError, AriRefused, AriUnavailable, JournalError, LedgerError
from idtone.core.log_output import call_extra, in_words, unexpected
from idtone.core.settings.settings import Interface
from idtone.core.translation import Message

from . import events
from .connection import APPLICATION, Ari, channel_path

log = logging.getLogger(__name__)

RECONCILE_EVERY_S: Final = 300.0
"""Pause between comparisons of the calls in progress with Asterisk's channels, in seconds. Each new connection starts
another one.
"""
BETWEEN_CHANNELS_S: Final = 0.004
"""Pause in seconds between a comparison's requests, one for each channel. 3,000 calls take half a minute. A call that
needs a verdict during this time waits for at most one of these requests.
"""
BETWEEN_ENDS_S: Final = 0.003
"""Pause between ending calls with suspended numbers, in seconds. Asterisk works on each end for some milliseconds after
it answers and must also serve new calls.
"""
NEXT_END_S: Final = 0.5
"""How long the next end waits for Asterisk's answer to the previous one. A channel that does not answer therefore
delays the others by at most this time.
"""
LAST_LINE_S: Final = 2.0
"""How long after its channel ends a call's last journal line may arrive."""
LEAVES_WITHIN_S: Final = 5.0
"""How long Asterisk may take to release the application."""
SETTLED_WITHIN_S: Final = 0.5
"""How long a hand-over waits for requests to Asterisk that are in progress, which take milliseconds."""
GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
"""Asterisk's status if the channel hung up before the request. It is an outcome, not an error."""


class AriApplication:
    """ARI application that uses one connection at a time. Calls continue without a connection."""

    def __init__(self, call_control: CallControl, read_journal: Callable[[], Awaitable[None]]) -> None:
        """Set the call control and a function that returns once all existing journal lines have been read."""
        self._calls = call_control
        self._read_journal = read_journal
        self._ari: Ari | None = None
        """The connection; None while Asterisk is not connected."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.Task[None]] = set()
        """Tasks that each ask Asterisk to end a call."""
        self._not_ended: set[str] = set()
        """Calls with suspended numbers that could not be ended because Asterisk was not connected."""
        self._ending: asyncio.Task[None] | None = None
        """The task that asks Asterisk to end calls with suspended numbers, one after the other."""
        self._handing_over = False
        self._hand_overs = 0
        """Number of hand-overs that have begun."""

    @property
    def connected(self) -> bool:
        return self._ari is not None

    # -- one connection -----------------------------------------------------------------------------------------

    async def handle_events(self, ari: Ari) -> None:
        """Handle Asterisk's events on a connection.

        Returns when another connection takes over the application. Raises AriUnavailable when the connection breaks.
        """
        self._ari = ari
        self._not_ended.clear()
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
                        log.warning("Asterisk sent a malformed event (%s); it is ignored", event.type)
                    case _:
                        pass
        finally:
            self._ari = None
            reconciling.cancel()
            for task in self._tasks:
                task.cancel()

    async def leave(self, ari: Ari) -> None:
        """Leave the application permanently and release the channels waiting in it.

        Asterisk keeps the application as long as a channel is waiting.
        """
        try:
            await ari.leave()
            async with asyncio.timeout(LEAVES_WITHIN_S):
                while (waiting := await ari.waiting()) is not None:
                    for channel in waiting:
                        await self._release(ari, channel)
                    await asyncio.sleep(0.01)  # Asterisk has no event for this
        except (AriError, TimeoutError) as error:
            log.warning("calls may still wait for this service: %s", str(error) or "Asterisk does not let it go")

    async def _release(self, ari: Ari, channel_id: str) -> None:
        with contextlib.suppress(AriRefused):  # the channel has hung up
            channel = await ari.channel(channel_id)
            if channel and channel.entered:
                await ari.request("POST", f"{channel_path(channel_id)}/continue", **_without_verdict(channel.entered))

    # -- from one instance to the next ------------------------------------------------------------------------------

    def allow_takeover(self, handing_over: bool) -> None:
        """Set whether the next instance of the service may take over the application.

        During a hand-over, this connection stays open for the remaining answers, and the next instance ends calls with
        suspended numbers.
        """
        self._handing_over = handing_over
        self._hand_overs += handing_over

    async def wait_for_requests(self) -> None:
        """Wait up to `SETTLED_WITHIN_S` seconds for Asterisk to answer all requests."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=SETTLED_WITHIN_S)
            if late & self._ends:
                log.warning(
                    "Asterisk has not answered yet whether it ends %d calls of suspended numbers; the confirmations of "
                    "the suspensions do not count them", len(late & self._ends)
                )  # fmt: skip

    # -- requests of the hook -----------------------------------------------------------------------------------

    def _enter(self, entered: events.Entered) -> None:
        """Decide immediately if possible, because the journal may report the call's end a moment later."""
        request = None if self._calls.retiring else Request.read(entered.arguments)
        if request is None:
            if not self._calls.retiring:
                log.error("the hook in the dialplan is of another version; run `idtone dialplan export` again")
            self._spawn(self._answer(entered, None))
        elif self._calls.needs_look_up(request.call_id):
            self._spawn(self._answer_after_look_up(entered, request))
        else:
            call = None
            with _logged(request):
                call = self._calls.decide(request, Interface.ARI)
            self._spawn(self._answer(entered, call))

    async def _answer_after_look_up(self, entered: events.Entered, request: Request) -> None:
        call = None
        with _logged(request):
            call = await self._calls.decide_after_look_up(request, Interface.ARI)
        await self._answer(entered, call)

    async def _answer(self, entered: events.Entered, call: Call | None) -> None:
        """Send the verdict once the decision is stored, because Asterisk then acts without the service."""
        if call and call.kept and not call.kept.done():
            await self._calls.wait_for(call.kept, KEPT_WITHIN_S)
        query = _continue_at(entered, self._calls.verdict(call).extension) if call else _without_verdict(entered)
        refused = await self._ask("POST", f"{channel_path(entered.channel)}/continue", **query)
        if refused and refused.status not in GONE:
            log.error("%s", refused)

    # -- numbers that are suspended while they are in a call -----------------------------------------------------

    def end_suspended(self) -> None:
        """Ask Asterisk to end the calls whose number is suspended, one after the other.

        Calls for which Asterisk has not been asked before come first. A failed request is repeated in the next run.
        """
        if self._handing_over or (self._ending and not self._ending.done()):
            return
        calls = self._calls.suspended.to_end()
        if self.connected and calls:
            self._ending = self._spawn(self._end_in_turn(sorted(calls, key=lambda call: call.suspended)))
            return
        for call in calls:
            if call.id not in self._not_ended:
                self._not_ended.add(call.id)
                log.error(
                    "%s: its number is suspended; the call continues until Asterisk is connected",
                    call.id,
                    extra=call_extra(call.id, Reason.NUMBER_SUSPENDED),
                )

    async def end_all_suspended(self, within_s: float) -> bool:
        """Ask Asterisk to end the calls whose number is suspended. Waits until each request has been sent.

        Returns False if a hand-over began before all requests were sent. The next instance then ends the remaining
        calls.
        """
        hand_overs = self._hand_overs
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for _ in range(2):  # the ends in progress may be those of an earlier suspension
                    self.end_suspended()
                    if self._ending:
                        await asyncio.wait({self._ending})
        return not self._handing_over and self._hand_overs == hand_overs

    async def _end_in_turn(self, calls: Sequence[Call]) -> None:
        """End calls one after the other, with a pause of `BETWEEN_ENDS_S` between them.

        After `NEXT_END_S`, continues with the next call without waiting any longer.
        """
        for call in calls:
            if self._handing_over:
                return
            end = self._spawn(self._end(call))
            self._ends.add(end)
            end.add_done_callback(self._ends.discard)
            await asyncio.wait({end}, timeout=NEXT_END_S)
            await asyncio.sleep(BETWEEN_ENDS_S)

    async def _end(self, call: Call) -> None:
        is_first = not call.suspended
        if not self._calls.suspended.record_end(call):
            return
        if is_first:
            log.warning(
                "%s: its number is suspended; Asterisk ends the call",
                call.id,
                extra=call_extra(call.id, Reason.NUMBER_SUSPENDED),
            )
        call.end_requested, ends = True, False
        try:
            refused = await self._ask("DELETE", channel_path(call.channel), reason_code=str(CALL_REJECTED))
            ends = refused is None or refused.status in GONE
        finally:
            call.end_requested = ends
        if refused is None:
            self._calls.suspended.count_end(call)
        elif not ends and is_first:
            log.error("%s", refused)

    # -- the calls in progress ------------------------------------------------------------------------------------

    async def _reconcile_for_ever(self, ari: Ari) -> None:
        answered = False
        while True:
            try:
                if not answered:
                    await self._answer_waiting(ari)
                    answered = True
                await self._reconcile(ari)
            except (AriError, JournalError, OSError) as error:
                log.warning("the calls in progress cannot be compared with Asterisk's channels: %s", error)
            await asyncio.sleep(RECONCILE_EVERY_S)

    async def _answer_waiting(self, ari: Ari) -> None:
        """Answer the channels that entered the application before this connection opened."""
        for channel_id in await ari.waiting() or ():
            channel = await ari.channel(channel_id)
            if channel and channel.entered:
                log.info("channel %s was waiting for the service", channel.id)
                self._enter(channel.entered)

    async def _reconcile(self, ari: Ari) -> None:
        """Close the calls whose channel is gone although the journal does not report their end.

        Asterisk can lose an open connection's application (see `connection`), in which case calls find no service.
        """
        if await ari.waiting() is None:
            log.warning("Asterisk gave up the application %r while it was connected; connecting again", APPLICATION)
            await ari.leave()
            return
        missing = []
        for call in self._calls:
            if await ari.channel(call.channel) is None:
                missing.append(call)
            await asyncio.sleep(BETWEEN_CHANNELS_S)
        if missing:
            await asyncio.sleep(LAST_LINE_S)
            await self._read_journal()
            for call in missing:
                self._calls.close_interrupted(call)

    # -- requests to Asterisk -----------------------------------------------------------------------------------

    def _spawn(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Run a request as a task so that events do not wait for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, AriError):
            log.warning("a request failed: %s", error)
        elif error:
            log.error("a request failed: %s", in_words(error), exc_info=unexpected(error))

    async def _ask(self, method: str, path: str, **query: str) -> AriRefused | None:
        """Send a request. Returns Asterisk's refusal, or None."""
        if self._ari is None:
            raise AriUnavailable(Message("Asterisk is not connected"))
        try:
            await self._ari.request(method, path, **query)
        except AriRefused as error:
            return error
        return None


@contextlib.contextmanager
def _logged(request: Request) -> Iterator[None]:
    """Log that a request cannot be decided."""
    try:
        yield
    except LedgerError as error:
        log.error("%s: the request cannot be decided: %s", request.call_id, error, extra=call_extra(request.call_id))


def _continue_at(entered: events.Entered, extension: str) -> dict[str, str]:
    own = entered.arguments[:1] == ("own",)
    return {
        "context": dialplan.CALLED_CONTEXT if own else dialplan.FORWARD_CONTEXT,
        "extension": extension,
        "priority": str(dialplan.CALLED_PRIORITY if own else dialplan.FORWARD_PRIORITY),
    }


def _without_verdict(entered: events.Entered) -> dict[str, str]:
    """Query for a channel that continues without a verdict, so that the hook uses its fallback."""
    return _continue_at(entered, dialplan.NO_VERDICT) if entered.arguments[:1] == ("own",) else {}
