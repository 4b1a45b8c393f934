"""Assertions on a call on a real Asterisk: both phones, the hook's result, and the evidence."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from lab.asterisk import Ending
from lab.lab import Forwarding, Lab, PlacedCall, wait_until
from lab.phone import Behaviour
from lab.service import Service

from .assert_heard import assert_heard_by
from .ending_cases import SOUND_S

Case = TypeVar("Case")
Result = TypeVar("Result")

NOTIFY = {"incoming": "called", "outgoing": "both"}
"""Direction → the parties that hear the sound."""
POLICY = "notify: {incoming: called, outgoing: both}, waiting: 200"
DURING_S = 0.15
"""Seconds from the called party's answer to the middle of the sound."""
RECOGNISED_S = 0.6
"""Seconds of talk after which a voice is recognised, even after a delayed sound."""
AFTER_S = SOUND_S + 0.3
"""Seconds from the called party's answer until the parties talk."""

AT_ONCE = 6


@dataclass(frozen=True)
class Way:
    """The interface and the direction of a call.

    The direction determines the parties that hear the sound.
    """

    interface: str
    direction: str

    @property
    def parties(self) -> list[str]:
        return ["called"] if self.direction == "incoming" else ["called", "caller"]

    def forwarding(self, **others: Any) -> Forwarding:
        return Forwarding(interface=self.interface, direction=self.direction, **others)


WAYS = tuple(Way(interface, direction) for interface in ("ari", "agi") for direction in ("incoming", "outgoing"))


def over_both_interfaces(*forwardings: Forwarding) -> list[Forwarding]:
    """Each forwarding twice: once over ARI and once over AGI."""
    return [replace(forwarding, interface=interface) for forwarding in forwardings for interface in ("ari", "agi")]


@dataclass
class CallResult:
    """The hook's result and the record of a finished call."""

    ending: Ending
    record: dict[str, Any]


async def run_concurrently(
    cases: Sequence[Case], one: Callable[[Case], Awaitable[Result]]
) -> list[tuple[Case, Result]]:
    """Run `one` for each case, and return the cases with the results. `AT_ONCE` cases run at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def placed(case: Case) -> Result:
        async with places:
            return await one(case)

    return list(zip(cases, await asyncio.gather(*map(placed, cases)), strict=True))


async def wait_for_answer(phones: Lab, placed: PlacedCall, after_s: float = DURING_S) -> None:
    """Wait for the called phone's answer, and then `after_s` seconds."""
    called = await phones.reached(placed)
    await wait_until(lambda: called.answered_ns, f"the answer to {placed.name}")
    await asyncio.sleep(after_s)


async def call_result(phones: Lab, service: Service, placed: PlacedCall) -> CallResult:
    """Wait for the end of the call, and return the hook's result and the closed record."""
    ending = await phones.ending(placed)
    closed: dict[str, Any] = {}

    async def there() -> bool:
        closed.update(await asyncio.to_thread(service.record, ending.call_id))
        return "ended" in closed.get("times", {})

    await wait_until(there, f"the evidence of {placed.name}")
    return CallResult(ending, closed)


async def complete_call(
    phones: Lab, service: Service, forwarding: Forwarding, behaviour: Behaviour | None = None
) -> tuple[PlacedCall, CallResult]:
    """Make a call, talk, hang up, and wait for the evidence."""
    placed = await phones.place(forwarding, behaviour=behaviour)
    await phones.talk_and_hang_up(placed, RECOGNISED_S)
    return placed, await call_result(phones, service, placed)


def assert_proved(
    way: Way, placed: PlacedCall, told: CallResult, references: dict[str, Any], *, through_local: bool = False
) -> None:
    """Assert that the right parties heard the sound once and complete before they talked.

    The evidence must agree.
    """
    assert_heard_by(placed, dict.fromkeys(way.parties, "sample"), references, through_local=through_local)
    assert_connected(way, told)


def assert_connected(way: Way, told: CallResult) -> None:
    """Assert that the evidence shows a played sound and a connected call."""
    assert (told.ending.status, told.ending.reason, told.ending.cause) == ("CONNECTED", "licence-valid", "16"), way
    record = told.record
    assert (record["interface"], record["status"], [*record["known_by"]]) == (
        way.interface,
        "CONNECTED",
        way.parties,
    ), way
    assert (record["complete"], record["anomalies"]) == (True, []), way
    assert "connected" in record["times"]
