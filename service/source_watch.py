"""Polls a source, such as the registry, and applies its changes, even if the source blocks or fails."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from idtone.core.daemon_thread import in_daemon
from idtone.core.errors import FallbackError, IdtoneError
from idtone.core.log_throttle import LogThrottle

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
"""Polling interval in seconds. Including the time to read the source, a suspended number is refused within two seconds.
"""
SILENT_S: Final = 90.0
"""Time in seconds after which an unfinished read is logged. A working source reaches its own time limits earlier."""
LOG_EVERY_S: Final = 60.0


class SourceWatch:
    """Reads a source twice a second until cancelled. An IdtoneError is logged; any other error ends the task."""

    def __init__(self, refresh: Callable[[], object], what: str, setting: str) -> None:
        """Set the function that reads and applies changes. It may block, so it runs in a thread.

        `what` names the source in messages, for example "the registry". `setting` is the setting with the source's
        location.
        """
        self._refresh, self._what, self._setting = refresh, what, setting

    async def run(self) -> None:
        throttle = LogThrottle(log, window_s=LOG_EVERY_S)
        try:
            while True:
                await asyncio.sleep(POLL_S)
                try:
                    await self._poll(throttle)
                except FallbackError as error:
                    throttle.log(logging.CRITICAL, str(error))
                except IdtoneError as error:
                    throttle.log(logging.ERROR, str(error))
        finally:
            throttle.flush()

    async def _poll(self, throttle: LogThrottle) -> None:
        reading = asyncio.wrap_future(in_daemon(self._refresh, f"reading {self._what}"))
        while True:
            done, _ = await asyncio.wait({reading}, timeout=SILENT_S)
            if done:
                reading.result()
                return
            throttle.log(
                logging.ERROR,
                f"the source of {self._what} does not answer; what was read last stays in use: check {self._setting} "
                "and its disk or server",
            )
