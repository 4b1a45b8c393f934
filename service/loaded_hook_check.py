"""Periodically checks whether Asterisk has loaded the hook for the current settings."""

import asyncio
import logging
import time
from typing import Final

from idtone.ari_app.connection import Ari
from idtone.ari_app.runner import ApplicationRunner
from idtone.core.errors import AriError
from idtone.dialplan import HOOK_GLOBAL

LOOK_EVERY_S: Final = 1.0
ASK_EVERY_S: Final = 10.0
"""How often Asterisk is asked, in seconds. Status, alert and email report a missing hook within two minutes."""

_log = logging.getLogger(__name__)


class LoadedHookCheck:
    """State of the check. The event loop updates it, and any thread can read it."""

    def __init__(self, expected: str | None) -> None:
        """Set the digest of the hook for the settings; None if unknown."""
        self._expected = expected
        self.digest: str | None = None
        """Digest of the loaded hook; empty if none is loaded, None while unknown."""

    @property
    def is_current(self) -> bool | None:
        """True if Asterisk has loaded the current hook; None while unknown."""
        if self.digest is None or self._expected is None:
            return None
        return self.digest == self._expected

    async def watch(self, runner: ApplicationRunner) -> None:
        """Check the loaded hook periodically and on each new connection to Asterisk, until cancelled."""
        asked: Ari | None = None
        next_s = 0.0
        while True:
            connection = runner.connection
            if connection is None:
                self.digest = None
            elif connection is not asked or time.monotonic() >= next_s:
                await self._ask(connection)
                asked, next_s = connection, time.monotonic() + ASK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(self, connection: Ari) -> None:
        try:
            answer = await connection.request("GET", "asterisk/variable", variable=HOOK_GLOBAL)
            self.digest = str(answer["value"])
        except (AriError, LookupError, TypeError) as error:
            _log.debug("the loaded hook is not known: %s", error)  # a broken connection is logged by its runner
            self.digest = None
