"""State of the running service, requested once per second for all pages together."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import IdtoneError
from idtone.service import status_client

EVERY_S: Final = 1.0
KEPT: Final = 10
"""Number of states kept in memory. Rates are computed from these last few seconds."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The service's state at one moment."""

    at: datetime
    feed: Mapping[str, Any] | None
    """The service's response, or None if it is not running or could not be asked."""
    trouble: IdtoneError | None = None
    """Why the service could not be asked."""
    since: datetime | None = None
    """When the console first saw the service in this condition: running, not running, or failing."""


class LiveState:
    """The service's latest states. Use only from the event loop."""

    def __init__(self, ledger: Path, ask: Callable[[Path], Mapping[str, Any] | None] = status_client.ask) -> None:
        self._ledger = ledger
        self._ask = ask
        self._changed = asyncio.Condition()
        self.states: deque[ServiceState] = deque(maxlen=KEPT)
        self.readers = 0
        """Number of pages currently following the state."""

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[None]:
        """Request the state once per second for the duration of the context."""
        self.states.append(await self._look())
        asking = asyncio.create_task(self._ask_for_ever())
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.wait({asking})

    @property
    def newest(self) -> ServiceState:
        return self.states[-1]

    async def follow(self) -> AsyncIterator[ServiceState]:
        """Yield each new state until the console stops. Slow readers get only the newest."""
        self.readers += 1
        try:
            while True:
                async with self._changed:
                    await self._changed.wait()
                yield self.newest
        finally:
            self.readers -= 1

    async def _ask_for_ever(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            state = await self._look()
            async with self._changed:
                self.states.append(state)
                self._changed.notify_all()

    async def _look(self) -> ServiceState:
        feed, trouble = None, None
        try:
            feed = await asyncio.to_thread(self._ask, self._ledger)
        except IdtoneError as error:
            trouble = error
        now, before = datetime.now(UTC), self.states[-1] if self.states else ServiceState(datetime.now(UTC), None)
        is_same = (before.feed is None, before.trouble is None) == (feed is None, trouble is None)
        return ServiceState(now, feed, trouble, before.since or now if is_same else now)
