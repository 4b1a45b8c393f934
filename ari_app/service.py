"""The service as a whole: the connection that is never given up, the registry that is watched, the end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from idtone.errors import AriError, AriRefused, IdtoneError

from .application import Application
from .connection import AriConnection

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.05
RETRY_LAST_S: Final = 5.0
REGISTRY_POLL_S: Final = 1.0
DRAIN_S: Final = 12.0
"""How long a stop waits for sounds that are being played; the longest sound has ten seconds."""

Connect = Callable[[], AbstractAsyncContextManager[AriConnection]]


class Service:
    """Runs until `stop` is set."""

    def __init__(self, application: Application, connect: Connect, refresh: Callable[[], None]) -> None:
        """`refresh` takes up a changed registry; it may block, and is called in a thread."""
        self._application = application
        self._connect = connect
        self._refresh = refresh

    async def run(self, stop: asyncio.Event) -> None:
        """Serve; returns after `stop` is set and the sounds that were being played have ended."""
        serving, watching = asyncio.create_task(self._serve_for_ever()), asyncio.create_task(self._watch_registry())
        stopping = asyncio.create_task(stop.wait())
        tasks = {serving, watching, stopping}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # serving and watching end only by an error that is ours
            await self._application.drained(DRAIN_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _serve_for_ever(self) -> None:
        delay_s = RETRY_FIRST_S
        while True:
            try:
                async with self._connect() as ari:
                    delay_s = RETRY_FIRST_S
                    log.info("ready: Asterisk %s, %s", ari.version, ari.transport)
                    await self._application.attend(ari)
            except AriRefused as error:
                log.error("%s; check ari.user, ari.password_file and the user's rights in ari.conf", error)
            except AriError as error:
                log.warning("%s; trying again", error)
            # Jitter, so that the services of a fleet do not come back in step.
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311 — nothing secret about it
            delay_s = min(2 * delay_s, RETRY_LAST_S)

    async def _watch_registry(self) -> None:
        while True:
            await asyncio.sleep(REGISTRY_POLL_S)
            try:
                await asyncio.to_thread(self._refresh)
            except IdtoneError as error:
                log.error("%s", error)
