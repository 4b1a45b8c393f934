"""Runs the ARI application and reconnects whenever its connection ends."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, Final

from idtone.core.errors import AriError, AriRefused
from idtone.core.log_throttle import LogThrottle

from .application import AriApplication
from .connection import AriConnection

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.05
RETRY_LAST_S: Final = 0.4
"""Maximum pause between attempts, less than a second even with jitter, so that calls are served within a second after
Asterisk is back.
"""
LOG_EVERY_S: Final = 60.0
TAKEOVERS: Final = 3
TAKEOVERS_WITHIN_S: Final = 30.0
"""Period in which takeovers are counted. After too many, this service leaves the application to the other one until
that service ends.
"""
STAND_BY_POLL_S: Final = 0.5
SUSPENDED_POLL_S: Final = 0.5
"""Interval in seconds between checks for suspensions. Calls with a suspended number end within two seconds, including
the time to read a registry.
"""

_CHECK_USER: Final = "check ari.user, ari.password_file and the user's rights in ari.conf"
_REMEDIES: Final[dict[int, str]] = {
    HTTPStatus.NOT_FOUND: "check the address in ari.url, which ends with /ari, and that res_ari is loaded",
    HTTPStatus.UNAUTHORIZED: _CHECK_USER,
}

Connect = Callable[[], AbstractAsyncContextManager[AriConnection]]


def remedy(error: AriRefused) -> str:
    """Advice to the PBX operator on how to fix the error."""
    return _REMEDIES.get(error.status, _CHECK_USER)


class ApplicationRunner:
    """Runs the application on one connection after another."""

    def __init__(
        self,
        application: AriApplication,
        connect: Connect,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._application = application
        self._connect = connect
        self._clock_s = clock_s
        self._throttle = LogThrottle(log, window_s=LOG_EVERY_S)
        self._lost_s: deque[float] = deque(maxlen=TAKEOVERS)
        self._again = asyncio.Event()
        self._departing = False
        self.connection: AriConnection | None = None
        """The current connection; None while Asterisk is not connected."""
        self.connections = 0
        """Number of connections made so far."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        ours = (self._serve_for_ever(), self._watch_suspensions())
        tasks: set[asyncio.Task[Any]] = {asyncio.create_task(each) for each in (*ours, stop.wait())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # without `stop`, a task ends only by a fault in this program
            self._departing = True
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._throttle.flush()

    async def _serve_for_ever(self) -> None:
        delay_s = RETRY_FIRST_S
        while True:
            try:
                async with self._connect() as ari:
                    delay_s = RETRY_FIRST_S
                    self._throttle.flush()
                    self.connection = ari
                    self.connections += 1
                    log.info("ready: Asterisk %s, %s", ari.version, ari.transport)
                    try:
                        await self._attend(ari)
                    finally:
                        self.connection = None
                        if self._departing:
                            await self._application.leave(ari)
            except AriRefused as error:
                self._throttle.log(logging.ERROR, f"{error}; {remedy(error)}")
            except AriError as error:
                self._throttle.log(logging.WARNING, f"{error}; trying again")
            # Jitter, so that many services do not reconnect at the same moment.
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311 — nothing secret about it
            delay_s = min(2 * delay_s, RETRY_LAST_S)

    def connect_again(self) -> None:
        """Replace the connection, because another one may have taken over the application."""
        self._again.set()

    async def _attend(self, ari: AriConnection) -> None:
        self._again.clear()
        attending = asyncio.create_task(self._application.handle_events(ari))
        again = asyncio.create_task(self._again.wait())
        try:
            await asyncio.wait({attending, again}, return_when=asyncio.FIRST_COMPLETED)
            if attending.done():
                attending.result()
                await self._lost(ari)
        finally:
            attending.cancel()
            again.cancel()
            await asyncio.wait({attending, again})

    async def _lost(self, ari: AriConnection) -> None:
        """Handle a takeover of the application by another connection.

        The first takeovers are reversed immediately, because the other connection may be a short test or an instance
        that is about to end. If two services kept taking the application from each other, no call would get a verdict.
        """
        self._lost_s.append(self._clock_s())
        if len(self._lost_s) < TAKEOVERS or self._lost_s[-1] - self._lost_s[0] > TAKEOVERS_WITHIN_S:
            return
        log.error(
            "another connection took over the application %d times within %d s and keeps it now. "
            "Stop the other `idtone serve` that uses this Asterisk; until then this one waits",
            TAKEOVERS,
            TAKEOVERS_WITHIN_S,
        )
        while await ari.waiting() is not None:  # noqa: ASYNC110 — Asterisk has no event for this
            await asyncio.sleep(STAND_BY_POLL_S)
        self._lost_s.clear()

    async def _watch_suspensions(self) -> None:
        """Periodically end calls with suspended numbers, because a suspension can begin without a new registry."""
        while True:
            await asyncio.sleep(SUSPENDED_POLL_S)
            self._application.end_suspended()
