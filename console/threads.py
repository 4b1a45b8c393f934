"""Threads for the pages' blocking work, and threads that wait for long-read processes.

A visitor with many requests delays only those requests. Use only from the event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, ParamSpec, TypeVar

from idtone.core.errors import IdtoneError
from idtone.core.in_thread import in_thread

from .read_process import ReadProcesses, ignore_used_time
from .turns import RecentUse, RequestingParty, Requests, Turns

P = ParamSpec("P")
R = TypeVar("R")
PAGES: Final = 4
PAGES_OF_PARTY: Final = 1
PUBLIC: Final = 2
UPLOADS: Final = 2
PUBLIC_UPLOADS: Final = 2
ACCESS: Final = 2


class Reads(StrEnum):
    """Kinds of long reads."""

    LIST = "list"
    """A page of this node's calls, without a search.

    The index finds these calls quickly, so the page does not wait for searches.
    """
    SEARCH = "search"
    """A search shown on a page."""
    REPEATED_SEARCH = "repeated-search"
    """A search by a party with many recent searches (see `SEARCHED_MUCH_S`)."""
    EXPORT = "export"
    """A read of an entire ledger."""
    PACK = "pack"
    """Verification of a pack that a user uploaded."""
    PUBLIC_PACK = "public-pack"
    """Verification of a pack that a visitor without a session uploaded."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Number of processes of one kind, and the limits for each."""

    count: int
    nice: int
    within_s: float
    mib: int
    """Memory limit in MiB, including shared memory.

    A page of calls takes 50, part of an export 60, and a pack of 50 MB 190.
    """
    processor_s: float = 0.0
    """Limit on processor time, in seconds. If 0, only the limit on elapsed time applies."""


STRANGERS_PACK_S: Final = 20.0
"""Limit on processor time for a visitor's pack, in seconds.

This is five times what a pack takes that contains as many calls as the size limit allows. Hostile packs take longer,
because a record is verified each time the manifest names it.
"""
LIMITS: Final = {
    Reads.LIST: Limits(1, 1, 60.0, 96),
    Reads.SEARCH: Limits(2, 1, 60.0, 96),
    Reads.REPEATED_SEARCH: Limits(1, 5, 60.0, 96),
    Reads.EXPORT: Limits(1, 15, 60.0, 128),
    Reads.PACK: Limits(1, 10, 300.0, 256),
    Reads.PUBLIC_PACK: Limits(1, 15, 300.0, 256, STRANGERS_PACK_S),
}
SEARCHED_MUCH_S: Final = 0.1
"""Processor time of a party's recent searches, in seconds, above which it searches at low priority.

Low priority leaves the processor to the event loop and to other parties' searches. It costs no time on an idle machine,
and it is still high enough for the search to run on a busy one. The limit is low so that many attackers together use no
more on a busy machine.
"""
SEARCHES_OF_PARTY: Final = 8
"""Maximum number of searches and lists per party. One of each kind runs at a time.

No person opens this many at once.
"""


class TooManySearchesError(IdtoneError):
    """A party has reached its limit on searches."""


@dataclass(slots=True)
class _Turn:
    places: asyncio.Semaphore
    users: int = 0


@dataclass(slots=True)
class OwnTurns:
    """Turns for each party, at most `of_party` at a time, in the order it requested them."""

    of_party: int = 1
    _turns: dict[RequestingParty, _Turn] = field(default_factory=dict)

    @asynccontextmanager
    async def turn(self, party: RequestingParty) -> AsyncIterator[None]:
        """Hold one of the party's turns for the duration of the context."""
        turn = self._turns.setdefault(party, _Turn(asyncio.Semaphore(self.of_party)))
        turn.users += 1
        try:
            async with turn.places:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[party]


@dataclass(slots=True)
class ThreadQueue:
    """Queue for one kind of threads.

    The party that has used the least comes next. Requests from the same party keep their order.
    """

    threads: Executor
    places: Turns
    own: OwnTurns

    async def run(self, party: RequestingParty, is_gone: Callable[[], bool], do: Callable[[], R]) -> R:
        """Run `do` and return its result. Raises ConnectionAbortedError if the client left before `do` began."""
        async with self.own.turn(party), self.places.turn(party):
            if is_gone():
                raise ConnectionAbortedError
            return await in_thread(self.threads, do)


class Threads:
    """All threads.

    `pages` and `uploads` serve signed-in users. `public` and `public_uploads` serve all other visitors.
    """

    def __init__(self) -> None:
        def queue(count: int, name: str, of_party: int = 1) -> ThreadQueue:
            return ThreadQueue(ThreadPoolExecutor(count, name), Turns(requests, count), OwnTurns(of_party))

        self.requests = requests = Requests()
        self.processes = ReadProcesses()
        self.loop = Turns(requests, by_processor=True)
        """Turns on the event loop."""
        self.pages = queue(PAGES, "page", PAGES_OF_PARTY)
        self.public = queue(PUBLIC, "public")
        self._reads = {kind: queue(limits.count, kind) for kind, limits in LIMITS.items()}
        self._searches, self._searched = OwnTurns(), RecentUse()
        """Turns for searches, one at a time per party, and each party's processor time."""
        self._searching: dict[RequestingParty, list[Callable[[], bool]]] = {}
        """Each party's current searches and lists, as functions that return True once the visitor has left."""
        self.uploads = queue(UPLOADS, "upload")
        self.public_uploads = queue(PUBLIC_UPLOADS, "public-upload")
        self._access = ThreadPoolExecutor(ACCESS, "access")

    def of_page(self, *, is_public: bool, uploads: bool) -> ThreadQueue:
        """The queue for a page's handler."""
        if uploads:
            return self.public_uploads if is_public else self.uploads
        return self.public if is_public else self.pages

    async def read(
        self, kind: Reads, party: RequestingParty, is_gone: Callable[[], bool], do: Callable[..., R], *given: Any
    ) -> R:
        """Run `do` in a process when it is the party's turn, and return its result.

        Raises TooManySearchesError, and whatever `ThreadQueue.run` and `ReadProcesses.run` raise.
        """
        if kind not in (Reads.LIST, Reads.SEARCH):
            return await self._read(kind, party, is_gone, do, *given)
        searching = self._searching.setdefault(party, [])
        if sum(not has_gone() for has_gone in searching) >= SEARCHES_OF_PARTY:
            raise TooManySearchesError("Too many searches at a time. Wait some seconds.")
        searching.append(is_gone)
        try:
            if kind is Reads.LIST:
                return await self._read(kind, party, is_gone, do, *given)
            return await self._search(party, is_gone, do, *given)
        finally:
            searching.remove(is_gone)
            if not searching:
                del self._searching[party]

    async def _search(
        self, party: RequestingParty, is_gone: Callable[[], bool], do: Callable[..., R], *given: Any
    ) -> R:
        async with self._searches.turn(party):  # the party's use of searches is known only after its previous search
            kind = Reads.SEARCH
            if self._searched.by(party) > SEARCHED_MUCH_S:
                kind = Reads.REPEATED_SEARCH
            used_s = list[float]()
            try:
                return await self._read(kind, party, is_gone, do, *given, tell_used_s=used_s.append)
            finally:
                self._searched.add(party, sum(used_s))

    async def _read(
        self,
        kind: Reads,
        party: RequestingParty,
        is_gone: Callable[[], bool],
        do: Callable[..., R],
        *given: Any,
        tell_used_s: Callable[[float], object] = ignore_used_time,
    ) -> R:
        limits, queue = LIMITS[kind], self._reads[kind]

        def in_process() -> R:
            return self.processes.run(
                do,
                *given,
                kind=kind,
                nice=limits.nice,
                mib=limits.mib,
                within_s=limits.within_s,
                is_gone=is_gone,
                is_awaited=lambda: queue.places.is_awaited,
                processor_s=limits.processor_s,
                tell_used_s=tell_used_s,
            )

        return await queue.run(party, is_gone, in_process)

    async def admitting(self, do: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
        """Run `do`, which is needed to admit a visitor, in threads that no page uses, and return its result."""
        return await in_thread(self._access, do, *args, **named)

    def close(self) -> None:
        for each in (self.pages, self.public, self.uploads, self.public_uploads, *self._reads.values()):
            each.threads.shutdown(wait=False, cancel_futures=True)
        self._access.shutdown(wait=False, cancel_futures=True)
        self.processes.end()
