"""The cost of the table of customers' lines for a decision, for memory, and for the event loop.

    python -m bench.customer_lines [--numbers N] [--customers N] [--members N] [--json]

Decisions with and without the table take turns in one process. The event loop's delay is measured while a new edition
is read.

A node belongs to one member, which holds all the numbers. With several members, the calls go to their nodes in turn.
The numbers are random, so none of their data is in the processor's cache, as on a real node. The call itself is made
just before its decision. Times are valid for this machine and run only.
"""

import asyncio
import gc
import os
import pickle
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.core.calls import Direction, ForwardedCall
from idtone.core.decision import Lines, Policy, decide
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import parse
from idtone.registry.customer_lines.index import LinesIndex, compile_lines
from idtone.registry.customer_lines.lines_document import ALWAYS, Entry
from idtone.registry.index import RegistryIndex
from idtone.registry.parsers import parse_registry

from .bench_output import options, report
from .large_registry import registry_text, some_number

NUMBERS: Final = 1_000_000
CUSTOMERS: Final = 100_000
MEMBERS: Final = 1
CALLS: Final = 4_000
ROUNDS: Final = 11
TICK_S: Final = 0.001


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def make_entries(numbers: int, customers: int, members: int) -> Iterator[Entry]:
    """Entries of customers whose numbers are far apart in the registry."""
    dice = random.Random(3)
    found = list({some_number(dice, numbers, members) for _ in range(numbers)})
    each = len(found) // customers
    for at in range(customers):
        own = sorted(int(f"81{text[1:]}") for text in found[at * each : (at + 1) * each])
        spans = tuple(NumberSpan(number, number) for number in own)
        yield Entry(f"c-{at:06}", (f"line-{at:06}",), (f"account-{at:06}",), spans, ALWAYS, True)


def calls_of(made: list[Entry]) -> dict[str, list[ForwardedCall]]:
    dice, called, caller = random.Random(1), parse("0501234567"), parse("")
    ways: dict[str, list[ForwardedCall]] = {}
    for _ in range(CALLS):
        at, other = dice.randrange(len(made)), dice.choice(made)
        own = made[at].spans[0].first
        for way, number, endpoint, account, direction in (
            ("own number", own, f"line-{at:06}", "", Direction.OUTGOING),
            ("own number, by account code", own, "", f"account-{at:06}", Direction.OUTGOING),
            ("another's number", other.spans[0].first, f"line-{at:06}", "", Direction.OUTGOING),
            ("unknown line", own, "nowhere", "", Direction.OUTGOING),
            ("incoming", own, "trunk", "", Direction.INCOMING),
        ):
            asked = ForwardedCall(
                "c", direction, parse(f"+{number}"), caller, called, endpoint=endpoint, account=account
            )
            ways.setdefault(way, []).append(asked)
    return ways


def with_policies(
    registry: RegistryIndex, calls: list[ForwardedCall], now: datetime
) -> list[tuple[ForwardedCall, Policy]]:
    """Pair each call with the policy of a node of the member that holds its number.

    Without a member, a decision would not reach the licences.
    """
    policies: dict[str | None, Policy] = {}
    members = [registry.member(call.forwarding_number, now) for call in calls]
    return [
        (call, policies.setdefault(member, Policy(member=member))) for call, member in zip(calls, members, strict=True)
    ]


def median_us(
    registry: RegistryIndex, lines: Lines | None, calls: list[tuple[ForwardedCall, Policy]], now: datetime
) -> float:
    took = []
    for made, policy in calls:
        call = pickle.loads(pickle.dumps(made))  # noqa: S301 — our own: a call whose texts were read just now
        began = time.perf_counter_ns()
        decide(call, registry, policy, now, lines=lines)
        took.append((time.perf_counter_ns() - began) / 1000)
    return statistics.median(took)


async def lateness_ms(work: Callable[[], object]) -> list[float]:
    """Delays of a timer in the event loop while a thread runs `work`, in milliseconds."""
    late: list[float] = []
    working = asyncio.create_task(asyncio.to_thread(work))
    while not working.done():
        due_s = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        late.append(1000 * (time.perf_counter() - due_s))
    return late


def measure(numbers: int, customers: int, members: int = MEMBERS) -> dict[str, dict[str, float]]:
    from idtone.core.responsive_loop import prefer_event_loop

    registry = RegistryIndex(parse_registry(registry_text(numbers, members), "registry.yaml"))
    made = list(make_entries(numbers, customers, members))
    ways = calls_of(made)
    began_s = time.process_time()
    built = compile_lines(made, "0")
    compile_s = time.process_time() - began_s
    octets = built.pack()
    del built, made
    gc.collect()
    before_mb = resident_mb()
    began_s = time.process_time()
    index = LinesIndex.unpack(octets)
    read_s, memory_mb = time.process_time() - began_s, resident_mb() - before_mb
    now = datetime.now(UTC)
    placed = {way: with_policies(registry, calls, now) for way, calls in ways.items()}
    pairs: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, calls in placed.items():  # in turn, since this machine has other work as well
            pairs[way].append((median_us(registry, None, calls, now), median_us(registry, index, calls, now)))
    prefer_event_loop()
    ways_of_waiting: dict[str, Callable[[], object]] = {
        "event loop while it is read": lambda: LinesIndex.unpack(octets),
        "event loop while a thread sleeps": lambda: time.sleep(0.5),
    }
    late: dict[str, list[float]] = {name: [] for name in ways_of_waiting}
    for _ in range(5):
        for name, work in ways_of_waiting.items():
            late[name] += asyncio.run(lateness_ms(work))
    found = {
        way: {"without_us": statistics.median(a for a, _ in each), "with_us": statistics.median(b for _, b in each)}
        for way, each in pairs.items()
    }
    return {
        "table": {"numbers": numbers, "customers": customers, "members": members, "octets_mb": len(octets) / 1e6,
                  "memory_mb": memory_mb, "compile_cpu_s": compile_s, "read_cpu_s": read_s},
        **found,
        **{
            name: {"p99_ms": statistics.quantiles(each, n=100)[98], "longest_ms": max(each)}
            for name, each in late.items()
        },
    }  # fmt: skip


def main() -> None:
    arguments = options(__doc__, numbers=NUMBERS, customers=CUSTOMERS, members=MEMBERS).parse_args()
    found = measure(arguments.numbers, arguments.customers, arguments.members)
    report("the table of the customers' lines", found, arguments.json)


if __name__ == "__main__":
    main()
