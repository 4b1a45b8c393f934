"""One blow that catches calls at every step at once: what becomes of each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from idtone.dialplan.endings import Step

from ..lab import voices
from ..lab.asterisk import Ending as Told
from ..lab.called import IncomingCall
from ..lab.heard import identify
from ..lab.lab import TALK_S, Forwarding, Lab, Placed, until
from .endings import UNTIL, reach

LEAD_S = 0.6
"""From the moment when all that can wait do, to the blow: longer than a sound."""
AFTER_S = 0.3
"""From the blow to the answers that waited for it."""
POLICY = "notify: {incoming: called, outgoing: both}"


@dataclass(frozen=True)
class Where:
    """Which call it is that is caught."""

    step: Step
    door: str
    direction: str = "incoming"

    def __str__(self) -> str:
        return f"{self.step}, {self.door}, {self.direction}"


EVERYWHERE = tuple(
    Where(step, door, direction) for step in Step for door in ("ari", "agi") for direction in ("incoming", "outgoing")
)


@dataclass
class Blow:
    """Strikes once, when every call is where it is to be caught."""

    at_s: float = float("inf")
    struck: asyncio.Event = field(default_factory=asyncio.Event)

    def behaviour(self, step: Step) -> Callable[[IncomingCall], Awaitable[None]]:
        async def behave(call: IncomingCall) -> None:
            if step in UNTIL and step is not Step.CONNECTED:
                call.ring()
                while self.at_s == float("inf"):
                    await asyncio.sleep(0.01)
                await asyncio.sleep(self.at_s - UNTIL[step] - asyncio.get_running_loop().time())
                call.answer()
            elif step is Step.CONNECTED:
                call.answer()
            else:
                if step is Step.RINGING:
                    call.ring()
                elif step is Step.EARLY_MEDIA:
                    call.progress(voices.ANNOUNCEMENT)
                if step is not Step.DECIDING:
                    await self.struck.wait()
                    await asyncio.sleep(AFTER_S)
                call.answer()

        return behave


@dataclass(frozen=True)
class Fate:
    """What became of a call."""

    placed: Placed
    told: Told | None
    called_heard: str | None
    caller_heard: str | None
    record: dict[str, Any] | None = None


async def strike(
    phones: Lab,
    blow: Callable[[], Awaitable[object]],
    references: dict[str, Any],
    where: Iterable[Where] = EVERYWHERE,
    before_deciding: Callable[[], object] | None = None,
) -> dict[Where, Fate]:
    """Place the calls, strike, let those that go on talk, and hang up."""
    one = Blow()
    placed: dict[Where, Placed] = {}

    def dial(at: Where) -> None:
        placed[at] = phones.dial(Forwarding(door=at.door, direction=at.direction), behaviour=one.behaviour(at.step))

    where = tuple(where)
    for at in where:
        if at.step is not Step.DECIDING:
            dial(at)
            await asyncio.sleep(0.02)

    def there() -> bool:
        for each in placed.values():
            phones.pair(each)
        return all(each.called for each in placed.values())

    await until(there, "every call to reach its phone")
    await until(lambda: all(placed[at].caller.answered_ns for at in placed if at.step is Step.CONNECTED), "the talks")
    loop = asyncio.get_running_loop()
    one.at_s = loop.time() + LEAD_S
    await asyncio.sleep(LEAD_S - 0.06)
    deciding = [at for at in where if at.step is Step.DECIDING]
    if before_deciding:
        before_deciding()
        for at in deciding:
            dial(at)
    await asyncio.sleep(one.at_s - loop.time())
    striking = asyncio.create_task(blow())
    await asyncio.sleep(0)
    if not before_deciding:
        for at in deciding:
            dial(at)
    await striking
    one.struck.set()
    await asyncio.gather(*(through(phones, each) for each in placed.values()))
    await phones.nothing_is_left()
    return {
        at: Fate(
            each,
            await phones.ending(each),
            identify(each.called.packets, references) if each.called else None,
            identify(each.caller.packets, references),
        )
        for at, each in placed.items()
    }


async def through(phones: Lab, placed: Placed) -> None:
    """Talk a little and hang up, where the call is still there."""
    await placed.caller.final()
    phones.pair(placed)
    if placed.caller.final_status == 200:
        await phones.talk_and_hang_up(placed, TALK_S)
    await placed.caller.ended()
