"""Takes up a changed registry, whatever its source does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from idtone.daemons import in_daemon
from idtone.errors import FallbackError, IdtoneError
from idtone.log_throttle import LogThrottle

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
"""With the time that reading takes, a suspended number is refused within two seconds."""
SILENT_S: Final = 90.0
"""How long a look may take before the log says so: longer than the time limits of a source that keeps them."""
LOG_EVERY_S: Final = 60.0


class RegistryWatch:
    """Runs until it is cancelled. An error that is not the registry's ends it."""

    def __init__(self, refresh: Callable[[], None]) -> None:
        """`refresh` takes up a changed registry; it may block for ever, and is called in a thread of its own."""
        self._refresh = refresh

    async def run(self) -> None:
        throttle = LogThrottle(log, window_s=LOG_EVERY_S)
        try:
            while True:
                await asyncio.sleep(POLL_S)
                try:
                    await self._look(throttle)
                except FallbackError as error:
                    throttle.log(logging.CRITICAL, str(error))
                except IdtoneError as error:
                    throttle.log(logging.ERROR, str(error))
        finally:
            throttle.flush()

    async def _look(self, throttle: LogThrottle) -> None:
        looking = asyncio.wrap_future(in_daemon(self._refresh, "the look at the registry"))
        while True:
            done, _ = await asyncio.wait({looking}, timeout=SILENT_S)
            if done:
                return looking.result()
            throttle.log(
                logging.ERROR,
                "the registry's source does not answer; what was read of it last stays in use: check registry.source "
                "and what it lies on",
            )
