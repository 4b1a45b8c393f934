"""What the application asks of Asterisk: requests that go on beside the events, over whatever connection there is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from idtone import dialplan
from idtone.errors import AriError, AriRefused, AriUnavailable

from .connection import SUBSCRIPTIONS, Ari

log = logging.getLogger(__name__)

GONE: Final = frozenset({404, 409, 412})
"""What Asterisk answers when the channel hung up while we were asking; an outcome, not an error."""
WATCHES_WITHIN_S: Final = 0.5
"""How long a verdict waits until Asterisk tells of the channel; it answers within a millisecond."""


class Line:
    """Belongs to the event loop. What was asked ends with the connection; who was sent on is known to the next one."""

    def __init__(self, never_there: Callable[[str], None]) -> None:
        """`never_there` is told of a channel that had hung up before anybody could ask what becomes of it."""
        self.ari: Ari | None = None
        """None while Asterisk is not connected."""
        self.sent_on: dict[str, tuple[str, str]] = {}
        """Channels that were told where to go on, context and extension, and have not confirmed it."""
        self._never_there = never_there
        self._tasks: set[asyncio.Task[None]] = set()
        self._watching: dict[str, asyncio.Task[None]] = {}

    # -- as long as there is a connection -----------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether anything of ours is on its way."""
        return bool(self._tasks)

    async def quiet(self) -> None:
        """Wait until nothing is."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def drop(self) -> None:
        """The connection has ended."""
        self.ari = None
        for task in self._tasks:
            task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have something done beside the events."""
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

    # -- requests -----------------------------------------------------------------------------------------------

    async def request(self, method: str, path: str, **query: str) -> Any:
        """Raises AriRefused, and AriUnavailable also where Asterisk is not connected."""
        if self.ari is None:
            raise AriUnavailable("Asterisk is not connected")
        return await self.ari.request(method, path, **query)

    async def ask(self, method: str, path: str, **query: str) -> None:
        """A request whose failure means that the channel is gone, which its own events tell."""
        try:
            await self.request(method, path, **query)
        except AriRefused as error:
            if error.status not in GONE:
                log.error("%s", error)

    async def release(self, channel: str) -> None:
        """Give the channel back to the dialplan, where it left it."""
        await self.ask("POST", f"channels/{channel}/continue")

    async def resume(self, channel: str, context: str, extension: str) -> None:
        """Give the channel back to the hook, with our word as the extension where it goes on."""
        self.sent_on[channel] = context, extension
        watching = self._watching.get(channel)  # its call may be over in the next moment
        if watching and self.ari and not self.ari.in_order:
            await asyncio.wait({watching})
        await self.ask(
            "POST",
            f"channels/{channel}/continue",
            context=context,
            extension=extension,
            priority=str(dialplan.RESUME_PRIORITY),
        )
        self.sent_on.pop(channel, None)

    # Of a channel that has left us Asterisk tells only where we asked for it. To be told of all channels would cost a
    # third of what a call costs, and let our events wait behind those of calls that are none of ours.

    def watch(self, channel: str) -> None:
        """Be told what becomes of a channel."""
        if self.ari is not None:  # else when we are connected again
            watching = self._watching[channel] = self.spawn(self._subscribe(channel))
            watching.add_done_callback(lambda _: self._watching.pop(channel, None))

    async def watches(self, channel: str) -> bool:
        """Whether we are told what becomes of a channel that we have just asked about, by Asterisk's answer."""
        watching = self._watching.get(channel)
        if watching is None:
            return False
        await asyncio.wait({watching}, timeout=WATCHES_WITHIN_S)
        return watching.done() and not watching.cancelled() and watching.exception() is None

    async def _subscribe(self, channel: str) -> None:
        try:
            await self.request("POST", SUBSCRIPTIONS, eventSource=f"channel:{channel}")
        except AriRefused as error:
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            self._never_there(channel)  # no more is to come of it
