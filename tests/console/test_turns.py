"""A party with many requests waits for its own requests. Other parties wait for at most one of its turns."""

import asyncio
import threading
import time
from collections.abc import Awaitable

import pytest

from idtone.console import turns
from idtone.console.threads import (
    LIMITS,
    SEARCHED_MUCH_S,
    SEARCHES_OF_PARTY,
    Reads,
    Threads,
    TooManySearchesError,
)
from idtone.console.turns import RequestingParty, Requests, Turns, party_of

USER, OTHER, STRANGER = party_of("sato", "192.0.2.1"), party_of("mori", "192.0.2.1"), party_of(None, "192.0.2.2")


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time of the clock in seconds. Putting it forward makes a turn last that long."""
    now = [0.0]
    monkeypatch.setattr(turns, "_clock_s", lambda: now[0])
    return now


def test_a_party_is_a_user_with_all_sessions_or_a_network():
    assert (str(USER), str(STRANGER)) == ("user sato", "network 192.0.2.2")
    assert party_of("sato", "192.0.2.9") == USER
    assert party_of(None, "2001:db8:0:1::1") == party_of(None, "2001:db8:0:2::2")


class Order(list[str]):
    """Records the parties in the order of their turns."""

    def __init__(self, count: int = 0) -> None:
        self.count_reached, self._count = asyncio.Event(), count

    def append(self, name: str) -> None:
        super().append(name)
        if len(self) == self._count:
            self.count_reached.set()


async def steps(count: int, clock: list[float], order: list[str], name: str) -> str:
    for _ in range(count):
        clock[0] += 0.01
        order.append(name)
        await asyncio.sleep(0)
    return name


async def stepwise(each: Turns, party: RequestingParty, work: Awaitable[str]) -> str:
    return await each.stepwise(party, work)


def started(each: Turns, party: RequestingParty, count: int, clock: list[float], order: list[str], name: str):
    async def request() -> str:
        with each.requests.one(party):
            return await each.stepwise(party, steps(count, clock, order, name))

    return asyncio.create_task(request())


async def test_who_comes_later_does_not_wait_for_all_that_others_sent(clock):
    each, order = Turns(Requests()), Order(30)
    flood = [started(each, USER, 10, clock, order, "flood") for _ in range(50)]
    await order.count_reached.wait()
    late = started(each, OTHER, 10, clock, order, "late")
    before = len(order)
    assert await late == "late"
    assert order.count("late") == 10
    assert len(order) - before <= 22, "its ten turns, and one before each"
    await asyncio.gather(*flood)
    assert len(order) == 510


async def test_strangers_and_users_have_shares_however_many_they_are(clock):
    each, order = Turns(Requests()), Order(200)
    tasks = [started(each, party_of(None, f"192.0.2.{n}"), 5, clock, order, "stranger") for n in range(40)]
    tasks += [started(each, party_of(f"user-{n}", ""), 5, clock, order, "user") for n in range(40)]
    await order.count_reached.wait()
    assert 40 <= order[:200].count("stranger") <= 60
    await asyncio.gather(*tasks)


async def test_no_turn_is_held_while_a_client_is_awaited(clock):
    each, may_go_on = Turns(Requests()), asyncio.Event()

    async def slow() -> str:
        await may_go_on.wait()
        return "slow"

    waiting = asyncio.create_task(stepwise(each, USER, slow()))
    assert await started(each, OTHER, 3, clock, [], "other") == "other"
    assert not waiting.done()
    may_go_on.set()
    assert await waiting == "slow"


async def test_an_error_and_a_cancellation_reach_the_work_and_give_the_turn_back(clock):
    each, ended, never = Turns(Requests()), list[str](), asyncio.Event()

    async def failing() -> None:
        error = asyncio.get_running_loop().create_future()
        error.set_exception(ValueError("late"))
        try:
            await error
        finally:
            ended.append("failing")

    async def endless() -> None:
        try:
            await never.wait()
        finally:
            ended.append("endless")

    with pytest.raises(ValueError, match="late"):
        await each.stepwise(USER, failing())
    task = asyncio.create_task(stepwise(each, USER, endless()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    queued = [started(each, USER, 1, clock, [], "") for _ in range(5)]
    await asyncio.sleep(0)
    for one in queued[1:]:
        one.cancel()
    await asyncio.gather(*queued, return_exceptions=True)
    assert ended == ["failing", "endless"]
    assert await asyncio.wait_for(started(each, OTHER, 3, clock, [], "after"), 60) == "after"
    assert not each.is_awaited


async def test_a_turn_of_the_loop_costs_its_processor_time(clock):
    """On a busy machine, a turn can last long and do little."""
    loop, queue = Threads().loop, Turns(Requests())
    for each in (loop, queue):
        async with each.turn(USER):
            clock[0] += 5
    assert (loop.used.by(USER) < 1, queue.used.by(USER) > 4) == (True, True)


async def test_who_has_searched_much_of_late_searches_at_a_low_priority(clock, monkeypatch):
    """The party may start many searches at once. One runs at a time, whatever else the party has in progress."""
    threads, limited, running = Threads(), dict[Reads, float](), list[RequestingParty]()

    def lasts(used_s, party, *, kind, nice, processor_s, tell_used_s, **_):
        running.append(party)
        time.sleep(0.01)
        limited.update({kind: processor_s})
        alone = running.count(party) == 1
        running.remove(party)
        tell_used_s(used_s)
        return kind, nice, alone

    monkeypatch.setattr(threads.processes, "run", lasts)

    async def search(party: RequestingParty, used_s: float, kind: Reads = Reads.SEARCH) -> tuple[Reads, int, bool]:
        with threads.requests.one(party):
            return await threads.read(kind, party, lambda: False, used_s, party)

    async def burst(party: RequestingParty, used_s: float) -> list[tuple[Reads, int, bool]]:
        return await asyncio.gather(*(search(party, used_s) for _ in range(6)))

    first, repeated = ((kind, LIMITS[kind].nice, True) for kind in (Reads.SEARCH, Reads.REPEATED_SEARCH))
    assert first[1] < repeated[1]
    used_much = await asyncio.gather(burst(USER, SEARCHED_MUCH_S * 0.75), burst(OTHER, SEARCHED_MUCH_S / 9))
    assert used_much == [[first] * 2 + [repeated] * 4, [first] * 6]
    assert (await search(USER, 1, Reads.LIST))[0] is Reads.LIST
    assert (await search(USER, 1, Reads.EXPORT))[0] is Reads.EXPORT
    assert (await search(OTHER, 1, Reads.PUBLIC_PACK))[0] is Reads.PUBLIC_PACK
    assert {kind for kind, processor_s in limited.items() if processor_s} == {Reads.PUBLIC_PACK}, "of strangers"
    clock[0] += 60
    assert await search(USER, 1) == first
    threads.close()


async def test_a_party_has_few_searches_at_a_time_and_one_whose_visitor_has_left_counts_no_longer(monkeypatch):
    threads, left, may_end = Threads(), list[bool](), threading.Event()
    monkeypatch.setattr(threads.processes, "run", lambda *_, **__: may_end.wait(20))
    waiting = [
        asyncio.create_task(threads.read(Reads.SEARCH, USER, lambda: bool(left), print))
        for _ in range(SEARCHES_OF_PARTY)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooManySearchesError):
        await threads.read(Reads.SEARCH, USER, lambda: False, print)
    others = [asyncio.create_task(threads.read(Reads.SEARCH, OTHER, lambda: False, print))]
    left.append(True)
    others.append(asyncio.create_task(threads.read(Reads.SEARCH, USER, lambda: False, print)))
    may_end.set()
    assert await asyncio.gather(*others) == [True, True]
    await asyncio.gather(*waiting, return_exceptions=True)
    threads.close()
