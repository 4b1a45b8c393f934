"""Turns on a shared resource: the event loop or one kind of thread.

The party that has recently used the least comes next, so a page waits for a single turn rather than for everyone else's
requests. A turn's cost is multiplied by the number of requests that its party has in progress. Users with a session and
strangers have separate shares. Even with many addresses, strangers do not delay users, and users do not delay sign-ins.
Use only from the event loop.
"""

import asyncio
import math
import time
import types
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from idtone.core.http.visitor_network import network_of

R = TypeVar("R")
HALF_S: Final = 10.0
"""Half-life of a party's recorded use, in seconds."""
SHARE_OF_STRANGERS: Final = 1 / 4
"""Share of time for visitors without a session while users are also waiting."""
MOST_KEPT: Final = 10_000
_clock_s: Callable[[], float] = time.perf_counter


class RequestingParty(NamedTuple):
    """The sender of requests: a signed-in user, or a network without a session."""

    name: str
    has_session: bool

    def __str__(self) -> str:
        return f"{'user' if self.has_session else 'network'} {self.name}"


def party_of(user: str | None, address: str) -> RequestingParty:
    """The party of a request: the session's user, or the network of the address."""
    return (
        RequestingParty(network_of(address), has_session=False)
        if user is None
        else RequestingParty(user, has_session=True)
    )


class Requests:
    """Number of requests that each party has in progress."""

    def __init__(self) -> None:
        self._counts: Counter[RequestingParty] = Counter()

    def of(self, party: RequestingParty) -> int:
        return self._counts[party]

    @contextmanager
    def one(self, party: RequestingParty) -> Iterator[None]:
        """Count one more request by the party for the duration of the context."""
        self._counts[party] += 1
        try:
            yield
        finally:
            self._counts[party] -= 1
            if not self._counts[party]:
                del self._counts[party]


class RecentUse:
    """Seconds recently used by each party, which decay with a half-life of `HALF_S`."""

    def __init__(self) -> None:
        self._used: dict[RequestingParty | bool, tuple[float, float]] = {}
        """Seconds used, and the time of that value."""

    def by(self, key: RequestingParty | bool) -> float:
        seconds, at_s = self._used.get(key, (0.0, 0.0))
        return seconds * math.exp2((at_s - _clock_s()) / HALF_S)

    def add(self, key: RequestingParty | bool, seconds: float) -> None:
        seconds += self.by(key)
        self._used.pop(key, None)
        self._used[key] = seconds, _clock_s()
        if len(self._used) > MOST_KEPT:  # the party with the oldest last use
            del self._used[next(iter(self._used))]


@dataclass(slots=True)
class Turns:
    """Turns for all parties, at most `places` at a time."""

    requests: Requests
    places: int = 1
    by_processor: bool = False
    """True to charge a turn its processor time instead of its elapsed time.

    On a busy machine, elapsed time would include other work. Only the event loop's thread can measure its processor
    time.
    """
    _taken: int = 0
    _waiting: dict[RequestingParty, deque[asyncio.Future[None]]] = field(default_factory=dict)
    used: RecentUse = field(default_factory=RecentUse)
    """Time used by each party, by all parties with a session, and by all parties without one."""

    @property
    def is_awaited(self) -> bool:
        """True if a party is waiting for a turn. This property is thread-safe."""
        return bool(self._waiting)

    @asynccontextmanager
    async def turn(self, party: RequestingParty) -> AsyncIterator[None]:
        """Hold one of the party's turns for the duration of the context."""
        await self._take(party)
        began_s = self._spent_s()
        try:
            yield
        finally:
            self._give_back(party, self._spent_s() - began_s)

    @types.coroutine
    def stepwise(self, party: RequestingParty, work: Awaitable[R]) -> Generator[Any, Any, R]:
        """Run `work`, holding a turn only while it computes between awaits, and return its result.

        It holds no turn while waiting for a request's body, a slow client or a thread.
        """
        steps = work.__await__()
        thrown: BaseException | None = None
        while True:
            has_turn = not isinstance(thrown, asyncio.CancelledError)
            if has_turn:
                try:
                    yield from self._take(party).__await__()
                except asyncio.CancelledError as cancelled:
                    thrown, has_turn = cancelled, False
                except GeneratorExit:
                    steps.close()
                    raise
            began_s = self._spent_s()
            try:
                awaited = next(steps) if thrown is None else steps.throw(thrown)
            except StopIteration as ended:
                return ended.value  # type: ignore[no-any-return]
            finally:
                if has_turn:
                    self._give_back(party, self._spent_s() - began_s)
            thrown = None
            try:
                yield awaited
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:
                thrown = error

    async def _take(self, party: RequestingParty) -> None:
        if self._taken < self.places and not self._waiting:
            self._taken += 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(party, deque()).append(mine)
        try:
            await mine
        except BaseException:
            if mine.done() and not mine.cancelled():  # the turn had just become ours
                self._pass_on()
            else:
                self._forget(party, mine)
            raise

    def _forget(self, party: RequestingParty, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(party, deque())
        if turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[party]

    def _give_back(self, party: RequestingParty, seconds: float) -> None:
        """Return the turn. The event loop handles new events before the next turn begins."""
        share = 1 - SHARE_OF_STRANGERS if party.has_session else SHARE_OF_STRANGERS
        self.used.add(party, seconds * max(1, self.requests.of(party)))
        self.used.add(party.has_session, seconds / share)
        asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        self._taken -= 1
        while self._waiting and self._taken < self.places:
            party = min(self._waiting, key=self._rank)
            turn = self._waiting[party][0]
            self._forget(party, turn)
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def _rank(self, party: RequestingParty) -> tuple[float, float]:
        """A party's rank. The lowest rank comes next."""
        return self.used.by(party.has_session), self.used.by(party)

    def _spent_s(self) -> float:
        return time.thread_time() if self.by_processor else _clock_s()
