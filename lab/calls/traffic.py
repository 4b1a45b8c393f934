"""Calls at an even rate, and the sound that each of them received."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

from lab.calls.assert_heard import assert_heard_then_connected
from lab.lab import Forwarding, Lab, PlacedCall
from lab.sound_detection import identify

CALLS_PER_S = 10
UNANSWERED = 15
"""Maximum number of calls that wait for their answer.

The hook allows 20 calls to wait for a verdict, so none is refused even on a slow machine.
"""
TALKS_S = 1.0
"""Seconds of talk.

This is longer than the time for which the start of the next instance takes the processors from Asterisk and the phones.
"""


@asynccontextmanager
async def traffic(phones: Lab, interfaces: Sequence[str] = ("ari", "agi")) -> AsyncIterator[list[PlacedCall]]:
    """Context in which calls are placed at an even rate, over the interfaces in turn.

    Its end waits for the end of all calls. On a slow machine it places fewer calls, rather than a burst of late calls.
    """
    placed: list[PlacedCall] = []
    calls: set[asyncio.Task[None]] = set()
    over, places = asyncio.Event(), asyncio.Semaphore(UNANSWERED)

    async def call(interface: str) -> None:
        try:
            one = await phones.place(Forwarding(interface=interface))
        finally:
            places.release()
        placed.append(one)
        await phones.talk_and_hang_up(one, TALKS_S)

    async def go_on() -> None:
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        for interface in cycle(interfaces):
            if over.is_set():
                break
            await places.acquire()
            calls.add(asyncio.create_task(call(interface)))
            next_s = max(next_s + 1 / CALLS_PER_S, loop.time())
            await asyncio.sleep(next_s - loop.time())

    going_on = asyncio.create_task(go_on())
    await asyncio.sleep(1)
    try:
        yield placed
    finally:
        over.set()
        await going_on
        await asyncio.gather(*calls)
        await phones.nothing_is_left()


def heard_profile(placed: PlacedCall, references) -> str:
    """Profile that the called party heard. Asserts that the call was connected after one complete sound."""
    assert placed.called, f"{placed.name}: the called phone never rang"
    assert placed.caller.final_status == 200
    profile = identify(placed.called.packets, references)
    assert profile, f"{placed.name}: no sound"
    assert_heard_then_connected(placed, profile, references)
    return profile
