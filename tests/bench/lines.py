"""What the table of the customers' lines costs: a decision with and without it, in turn in one process; its memory; and
how late decisions come while the service reads a new edition.

    python -m tests.bench.lines [--numbers N] [--customers N] [--json]

Times are of this machine, now.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from idtone.calls import Direction, ForwardedCall
from idtone.decision import Lines, Policy, decide
from idtone.lines.index import LinesIndex, compiled
from idtone.lines.model import ALWAYS, Entry
from idtone.number_spans import NumberSpan
from idtone.numbers import parse
from idtone.registry.index import RegistryIndex
from idtone.registry.parsers import parse_registry

from .large_registry import some_number, text
from .reporting import options

NUMBERS: Final = 1_000_000
CUSTOMERS: Final = 100_000
MEMBERS: Final = 10_000
QUESTIONS: Final = 20_000
ROUNDS: Final = 11
TICK_S: Final = 0.001


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def shuffled(numbers: int, members: int) -> list[str]:
    """The numbers of the registry, each once: neighbours belong to different customers."""
    dice = random.Random(3)
    found = {some_number(dice, numbers, members) for _ in range(numbers)}
    return sorted(found, key=lambda _: dice.random())


def entries(numbers: list[str], customers: int) -> Iterator[Entry]:
    each = len(numbers) // customers
    for at in range(customers):
        own = sorted(int(f"81{text[1:]}") for text in numbers[at * each : (at + 1) * each])
        spans = tuple(NumberSpan(number, number) for number in own)
        yield Entry(f"c-{at:06}", (f"line-{at:06}",), (f"account-{at:06}",), spans, ALWAYS, True)


def took_us(registry: RegistryIndex, lines: Lines | None, calls: list[ForwardedCall], now: datetime) -> float:
    policy, took = Policy(), []
    for call in calls:
        began = time.perf_counter_ns()
        decide(call, registry, policy, now, lines=lines)
        took.append((time.perf_counter_ns() - began) / 1000)
    return statistics.median(took)


def cost(numbers: int, customers: int) -> tuple[dict[str, float], LinesIndex]:
    members = min(MEMBERS, numbers // 100)
    registry = RegistryIndex(parse_registry(text(numbers, members), "registry.yaml"))
    made, before_mb = list(entries(shuffled(numbers, members), customers)), rss_mb()
    began_s = time.perf_counter()
    built = compiled(made, "0")
    built_s = time.perf_counter() - began_s
    octets = built.pack()
    del built
    before_mb, began_s = rss_mb(), time.perf_counter()
    index = LinesIndex.unpack(octets)
    read_s, memory_mb = time.perf_counter() - began_s, rss_mb() - before_mb
    dice, called, caller = random.Random(1), parse("0501234567"), parse("")
    ways: dict[str, list[ForwardedCall]] = {
        "own": [],
        "another's": [],
        "unknown line": [],
        "incoming": [],
        "account": [],
    }
    for _ in range(QUESTIONS):
        at = dice.randrange(customers)
        span, other = dice.choice(made[at].spans), dice.choice(made[dice.randrange(customers)].spans)
        for way, mine, endpoint, account, direction in (
            ("own", span, f"line-{at:06}", "", Direction.OUTGOING),
            ("another's", other, f"line-{at:06}", "", Direction.OUTGOING),
            ("unknown line", span, "nowhere", "", Direction.OUTGOING),
            ("incoming", span, "trunk", "", Direction.INCOMING),
            ("account", span, "", f"account-{at:06}", Direction.OUTGOING),
        ):
            ways[way].append(
                ForwardedCall(
                    "c", direction, parse(f"+{mine.first}"), caller, called, endpoint=endpoint, account=account
                )
            )
    now = datetime.now(UTC)
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, calls in ways.items():
            some = calls[: QUESTIONS // 4]
            found[way].append((took_us(registry, None, some, now), took_us(registry, index, some, now)))
    result = {"numbers": numbers, "customers": customers, "compile_s": built_s, "read_s": read_s,
              "octets_mb": len(octets) / 1e6, "memory_mb": memory_mb}  # fmt: skip
    for way, pairs in found.items():
        result[f"{way}: without, µs"] = statistics.median(without for without, _ in pairs)
        result[f"{way}: with, µs"] = statistics.median(beside for _, beside in pairs)
    return result, index


def main() -> None:
    arguments = options(__doc__ or "", numbers=NUMBERS, customers=CUSTOMERS)
    found, _ = cost(arguments.numbers, arguments.customers)
    for name, value in found.items():
        print(f"{name:<28} {value:,.2f}")


if __name__ == "__main__":
    main()
