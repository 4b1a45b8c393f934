"""Queue of passwords waiting to be compared.

argon2 takes 64 MiB and a whole processor, so only one comparison runs at a time. Known browsers come first, followed by
the networks with the fewest failed attempts, so a flood of wrong passwords does not delay a correct one. A pause before
each turn of a network with failures leaves processor time for the pages.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 8
KNOWN: Final = -1
"""Rank of attempts from known browsers. Other attempts are ranked by their number of failures."""
REST_S: Final = 0.25


class QueueFullError(Exception):
    """The queue is full, and no waiting attempt has more failures than this one."""


@dataclass(order=True, slots=True)
class _Waiting:
    rank: int
    number: int
    turn: asyncio.Future[None]


class PasswordQueue:
    """Queue of attempts. Use only from the event loop."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._is_taken = False
        self._came = 0

    @asynccontextmanager
    async def turn(self, rank: int) -> AsyncIterator[None]:
        """Context manager that holds one turn.

        May raise QueueFullError, even after the attempt has started waiting, but never for a known browser.
        """
        if self._is_taken:
            await self._wait(rank)
        self._is_taken = True
        try:
            yield
        finally:
            self._next()

    async def _wait(self, rank: int) -> None:
        if len(self._waiting) >= LONGEST:
            worst = max(self._waiting)
            if worst.rank > rank:
                self._waiting.remove(worst)
                worst.turn.set_exception(QueueFullError())
            elif rank != KNOWN:
                raise QueueFullError
        self._came += 1
        mine = _Waiting(rank, self._came, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        try:
            await mine.turn
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:
                self._next()
            raise

    def _next(self) -> None:
        """Give the turn directly to the attempt with the lowest rank, so that no new attempt can take it.

        If its network has failures, it gets the turn only after `REST_S`.
        """
        if self._waiting and min(self._waiting).rank > 0:
            asyncio.get_running_loop().call_later(REST_S, self._give)
        else:
            self._give()

    def _give(self) -> None:
        self._is_taken = bool(self._waiting)
        if self._waiting:
            best = min(self._waiting)
            self._waiting.remove(best)
            best.turn.set_result(None)
