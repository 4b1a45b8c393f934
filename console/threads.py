"""The threads in which pages do what blocks, and those that wait for the processes of long reads. Somebody who asks for
much waits for the own requests, and holds up no one else. Used by the event loop alone.
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

from .read_process import ReadProcesses, none_asks
from .turns import Requests, Turns, UsedOfLate, VisitingParty

P = ParamSpec("P")
R = TypeVar("R")
PAGES: Final = 4
PAGES_OF_PARTY: Final = 1
PUBLIC: Final = 2
UPLOADS: Final = 2
PUBLIC_UPLOADS: Final = 2
ACCESS: Final = 2


class Reads(StrEnum):
    """The kinds of long reads."""

    LIST = "list"
    """A page of this node's calls of any time: the index finds them, so that it is short, and no search delays it."""
    SEARCH = "search"
    """What a page shows."""
    REPEATED_SEARCH = "repeated-search"
    """The same, for a party that has searched much of late (`SEARCHED_MUCH_S`)."""
    EXPORT = "export"
    """What reads a whole ledger."""
    PACK = "pack"
    """What a user has verified."""
    PUBLIC_PACK = "public-pack"
    """What everyone has verified."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many processes there are, and what each may take."""

    count: int
    nice: int
    within_s: float
    mib: int
    """Of memory, with what all share: a page of calls takes 50, a part of an export 60, a pack of 50 MB 190."""
    processor_s: float = 0.0
    """0: no limit but that of the clock."""


STRANGERS_PACK_S: Final = 20.0
"""Of processor time: five times what a pack of as many calls takes as its size may hold. A hostile one takes more: a
record that its manifest names again and again is verified each time.
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
"""A party whose searches have used more processor time of late searches in a process of its kind, which leaves the
processor to the event loop and to the searches of others. On an idle machine that costs no time. The limit is
low, since on a busy machine many attackers together use no more; and the priority is not so low that a busy machine
never comes to it.
"""
SEARCHES_OF_PARTY: Final = 8
"""The most searches and lists that a party may have under way; one of each runs. A person opens fewer at once."""


class TooManySearchesError(IdtoneError):
    """A party has as many searches under way as it may have."""


@dataclass(slots=True)
class _Turn:
    places: asyncio.Semaphore
    users: int = 0


@dataclass(slots=True)
class OwnTurns:
    """A party has at most `of_party` of them at a time, in the order of its requests."""

    of_party: int = 1
    _turns: dict[VisitingParty, _Turn] = field(default_factory=dict)

    @asynccontextmanager
    async def turn(self, party: VisitingParty) -> AsyncIterator[None]:
        """Context in which the party has one turn more."""
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
class Queue:
    """Threads of one kind. The party that has used least comes next; its own requests keep their order."""

    threads: Executor
    places: Turns
    own: OwnTurns

    async def run(self, party: VisitingParty, is_gone: Callable[[], bool], do: Callable[[], R]) -> R:
        """The result. Raises ConnectionAbortedError if the client has left before it began."""
        async with self.own.turn(party), self.places.turn(party):
            if is_gone():
                raise ConnectionAbortedError
            return await in_thread(self.threads, do)


class Threads:
    """`pages` are for users, `public` for everyone, `uploads` and `public_uploads` for what a user and what everyone
    sends as a file.
    """

    def __init__(self) -> None:
        def queue(count: int, name: str, of_party: int = 1) -> Queue:
            return Queue(ThreadPoolExecutor(count, name), Turns(requests, count), OwnTurns(of_party))

        self.requests = requests = Requests()
        self.processes = ReadProcesses()
        self.loop = Turns(requests, by_processor=True)
        """The event loop's."""
        self.pages = queue(PAGES, "page", PAGES_OF_PARTY)
        self.public = queue(PUBLIC, "public")
        self._reads = {kind: queue(limits.count, kind) for kind, limits in LIMITS.items()}
        self._searches, self._searched = OwnTurns(), UsedOfLate()
        """Of both kinds of searches: a party has one of them at a time. Its processor time."""
        self._searching: dict[VisitingParty, list[Callable[[], bool]]] = {}
        """The searches and lists under way of each party: whether their visitors have left."""
        self.uploads = queue(UPLOADS, "upload")
        self.public_uploads = queue(PUBLIC_UPLOADS, "public-upload")
        self._access = ThreadPoolExecutor(ACCESS, "access")

    def of_page(self, *, is_public: bool, uploads: bool) -> Queue:
        """The threads of a page's handler."""
        if uploads:
            return self.public_uploads if is_public else self.uploads
        return self.public if is_public else self.pages

    async def read(
        self, kind: Reads, party: VisitingParty, is_gone: Callable[[], bool], do: Callable[..., R], *given: Any
    ) -> R:
        """The same as `Queue.run`, in a process (`ReadProcesses.run`). Raises TooManySearchesError too."""
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

    async def _search(self, party: VisitingParty, is_gone: Callable[[], bool], do: Callable[..., R], *given: Any) -> R:
        async with self._searches.turn(party):  # only now is it known what the searches before it have used
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
        party: VisitingParty,
        is_gone: Callable[[], bool],
        do: Callable[..., R],
        *given: Any,
        tell_used_s: Callable[[float], object] = none_asks,
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
        """Do what admits a visitor. No page has these threads."""
        return await in_thread(self._access, do, *args, **named)

    def close(self) -> None:
        for each in (self.pages, self.public, self.uploads, self.public_uploads, *self._reads.values()):
            each.threads.shutdown(wait=False, cancel_futures=True)
        self._access.shutdown(wait=False, cancel_futures=True)
        self.processes.end()
