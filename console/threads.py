"""The threads in which pages do what blocks. Somebody who asks for much waits for the own requests, and holds up no one
else. Used by the event loop alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from idtone.core.in_thread import in_thread

from .turns import Requests, Turns, VisitingParty

P = ParamSpec("P")
R = TypeVar("R")
PAGES: Final = 4
PAGES_OF_PARTY: Final = 1
PUBLIC: Final = 2
LONG: Final = 2
EXPORTS: Final = 1
UPLOADS: Final = 2
PUBLIC_UPLOADS: Final = 2
ACCESS: Final = 2


@dataclass(slots=True)
class _Turn:
    places: asyncio.Semaphore
    users: int = 0


@dataclass(slots=True)
class Queue:
    """Threads of one kind. A party has at most `of_party` of them at a time. The party that has used least comes next;
    its own requests keep their order.
    """

    threads: Executor
    places: Turns
    of_party: int
    _turns: dict[VisitingParty, _Turn] = field(default_factory=dict)

    @property
    def is_awaited(self) -> bool:
        """Whether parties wait for others. Also for other threads."""
        return self.places.is_awaited

    async def run(self, party: VisitingParty, is_gone: Callable[[], bool], do: Callable[[], R]) -> R:
        """The result. Raises ConnectionAbortedError if the client has left before it began."""
        async with self._turn(party), self.places.turn(party):
            if is_gone():
                raise ConnectionAbortedError
            return await in_thread(self.threads, do)

    @asynccontextmanager
    async def _turn(self, party: VisitingParty) -> AsyncIterator[None]:
        turn = self._turns.setdefault(party, _Turn(asyncio.Semaphore(self.of_party)))
        turn.users += 1
        try:
            async with turn.places:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[party]


class Threads:
    """`pages` are for users, `public` for everyone, `long` for searches, `exports` for what reads a whole ledger,
    `uploads` and `public_uploads` for what a user and what everyone sends as a file.
    """

    def __init__(self) -> None:
        def queue(count: int, name: str, of_party: int = 1) -> Queue:
            return Queue(ThreadPoolExecutor(count, name), Turns(requests, count), of_party)

        self.requests = requests = Requests()
        self.loop = Turns(requests)
        """The event loop's."""
        self.pages = queue(PAGES, "page", PAGES_OF_PARTY)
        self.public = queue(PUBLIC, "public")
        self.long = queue(LONG, "long")
        self.exports = queue(EXPORTS, "export")
        self.uploads = queue(UPLOADS, "upload")
        self.public_uploads = queue(PUBLIC_UPLOADS, "public-upload")
        self._access = ThreadPoolExecutor(ACCESS, "access")

    def of_page(self, *, is_public: bool, uploads: bool) -> Queue:
        """The threads of a page's handler."""
        if uploads:
            return self.public_uploads if is_public else self.uploads
        return self.public if is_public else self.pages

    async def admitting(self, do: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        """Do what admits a visitor. No page has these threads."""
        return await in_thread(self._access, do, *args, **named)

    def close(self) -> None:
        for each in (self.pages, self.public, self.long, self.exports, self.uploads, self.public_uploads):
            each.threads.shutdown(wait=False, cancel_futures=True)
        self._access.shutdown(wait=False, cancel_futures=True)
