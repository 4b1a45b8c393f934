"""The ARI application on a connection that is never given up."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, Final

from idtone.errors import AriError, AriRefused
from idtone.log_throttle import LogThrottle

from .application import AriApplication
from .connection import AriConnection

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.05
RETRY_LAST_S: Final = 0.4
"""With its jitter less than a second, which is how soon calls are served again after Asterisk is back."""
LOG_EVERY_S: Final = 60.0
QUARREL: Final = 3
QUARREL_S: Final = 30.0
"""Who lost the application so often in so many seconds leaves it to the other one, until that one has gone."""
STAND_BY_POLL_S: Final = 0.5
SUSPENDED_POLL_S: Final = 0.5
"""With the time that reading a registry takes, calls of a suspended number end within two seconds."""

_CHECK_USER: Final = "check ari.user, ari.password_file and the user's rights in ari.conf"
_REMEDIES: Final[dict[int, str]] = {
    HTTPStatus.NOT_FOUND: "check the address in ari.url, which ends with /ari, and that res_ari is loaded",
    HTTPStatus.UNAUTHORIZED: _CHECK_USER,
}

Connect = Callable[[], AbstractAsyncContextManager[AriConnection]]


def remedy(error: AriRefused) -> str:
    """What whoever runs the PBX can do about it."""
    return _REMEDIES.get(error.status, _CHECK_USER)


class ApplicationRunner:
    """Runs the application until `stop` is set, on one connection after the other."""

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
        self._lost_s: deque[float] = deque(maxlen=QUARREL)
        self._again = asyncio.Event()
        self._departing = False

    async def run(self, stop: asyncio.Event) -> None:
        """Serve; returns after `stop` is set."""
        ours = (self._serve_for_ever(), self._watch_suspensions())
        tasks: set[asyncio.Task[Any]] = {asyncio.create_task(each) for each in (*ours, stop.wait())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # but for the last they end only by an error that is ours
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
                    log.info("ready: Asterisk %s, %s", ari.version, ari.transport)
                    try:
                        await self._attend(ari)
                    finally:
                        if self._departing:
                            await self._application.depart(ari)
            except AriRefused as error:
                self._throttle.log(logging.ERROR, f"{error}; {remedy(error)}")
            except AriError as error:
                self._throttle.log(logging.WARNING, f"{error}; trying again")
            # Jitter, so that the services of a fleet do not come back in step.
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311 — nothing secret about it
            delay_s = min(2 * delay_s, RETRY_LAST_S)

    def connect_again(self) -> None:
        """Give the connection up for a new one: another one may have the application."""
        self._again.set()

    async def _attend(self, ari: AriConnection) -> None:
        self._again.clear()
        attending = asyncio.create_task(self._application.attend(ari))
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
        """Another connection has taken the application. Once or twice it is taken back: somebody had a look, or an
        instance is about to end. But two that go on taking it from each other would serve nobody.
        """
        self._lost_s.append(self._clock_s())
        if len(self._lost_s) < QUARREL or self._lost_s[-1] - self._lost_s[0] > QUARREL_S:
            return
        log.error(
            "another connection took over the application %d times within %d s; it has it now. "
            "Stop the other `idtone serve` that uses this Asterisk; until then this one waits",
            QUARREL, QUARREL_S,
        )  # fmt: skip
        while not await ari.abandoned():  # noqa: ASYNC110 — Asterisk tells nobody
            await asyncio.sleep(STAND_BY_POLL_S)
        self._lost_s.clear()

    async def _watch_suspensions(self) -> None:
        """Whatever the registry's source does: a suspension may begin by its date alone."""
        while True:
            await asyncio.sleep(SUSPENDED_POLL_S)
            self._application.end_suspended()
