"""How long a large registry takes to be verified and read, what it holds, and how long a decision by it takes.

    python -m tests.bench.registry [--numbers N] [--members N] [--json]

Each load happens in a process of its own, so that the memory is that of one load. Times are of this machine, now.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from idtone.calls import Direction, ForwardedCall, Reason
from idtone.decision import Policy, decide
from idtone.numbers import parse
from idtone.registry.source import SignedSource
from idtone.registry.trust.client import Repository
from idtone.registry.trust.layout import Keys

from ..registry.trust.association import STOPPED, SUSPENSIONS, Association, Machine

NUMBERS: Final = 1_000_000
MEMBERS: Final = 10_000
RANGE: Final = 50
PREFIX: Final = 10
"""Of a member's numbers so many lie in one range and one prefix; the others are single, and no two are neighbours."""
QUESTIONS: Final = 100_000
RELOADS: Final = 1_000
TICK_S: Final = 0.001
HEADER: Final = """\
registry: {association: JUSA, version: %d, issued: 2026-11-01T00:00:00+09:00, expires: 2036-12-01T00:00:00+09:00}
tones: [{id: sample, title: Sample sound}]
members:
"""
MEMBER: Final = """\
  - id: m-%05d
    name: {ja: 会員%05d, en: Member %05d}
    pledge: {signed: 2026-01-05}
    licences:
      - {id: L-%05d, tone: sample, status: active, directions: [incoming, outgoing],
         valid: {from: 2026-01-10T00:00:00+09:00, until: 2036-01-10T00:00:00+09:00}}
    numbers: [%s]
"""


def first_of(member: int, each: int) -> tuple[str, int]:
    """The area and the first number of a member who holds so many; everyone has a block of Tokyo's or Osaka's."""
    width = RANGE + PREFIX + 2 * (each - RANGE - PREFIX)
    return ("03", "06")[member % 2], 10_000_000 + (member // 2) * (width + -width % 10)


def single(place: int) -> int:
    """How far from a member's first number the single one at this place in the order of his numbers is."""
    return 2 * place - RANGE - PREFIX + 1


def text(numbers: int, members: int, version: int = 1) -> str:
    """A registry of so many numbers, evenly held."""
    each = numbers // members
    lines = [HEADER % version]
    for member in range(members):
        area, first = first_of(member, each)
        entries = [f"{area}{first}-{area}{first + RANGE - 1}", f"{area}{(first + RANGE) // 10}*"]
        entries += [f"{area}{first + single(place)}" for place in range(RANGE + PREFIX, each)]
        held = ", ".join(f'"{entry}"' for entry in entries)
        lines.append(MEMBER % (member, member, member, member, held))
    return "".join(lines)


def some_number(dice: random.Random, numbers: int, members: int) -> str:
    """One that somebody holds, any as often as another."""
    each = numbers // members
    area, first = first_of(dice.randrange(members), each)
    place = dice.randrange(each)
    return f"{area}{first + (place if place < RANGE + PREFIX else single(place))}"


@dataclass(frozen=True, slots=True)
class Place:
    """A member's machine, for another process."""

    trust: Path
    source: str
    cache: Path

    def open(self) -> SignedSource:
        return SignedSource(Repository(self.trust, self.source, self.cache), 0.0)


def in_a_process(work: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(work, arguments)


def load(place: Place) -> dict[str, float]:
    """Verify and read; seconds, and the megabytes that the process has had at most."""
    source = place.open()
    began = time.perf_counter()
    source.refresh()
    took_s = time.perf_counter() - began
    assert source.current
    # Not ru_maxrss, which a process inherits.
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    # Of the process that compiles it, which has gone by now.
    beside_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"s": took_s, "mb": int(most) / 1024, "compiling_mb": beside_mb}


def decisions(place: Place, numbers: int, members: int) -> dict[str, float]:
    """Microseconds for a decision, with the number parsed before."""
    source, policy, now = place.open(), Policy(), datetime.now(UTC)
    source.refresh()
    dice, called, nobody = random.Random(1), parse("0501234567"), parse("")
    calls = [
        ForwardedCall("c", Direction.INCOMING, parse(some_number(dice, numbers, members)), nobody, called)
        for _ in range(QUESTIONS)
    ]
    took = []
    for call in calls:
        began = time.perf_counter_ns()
        decide(call, source.current, policy, now)
        took.append((time.perf_counter_ns() - began) / 1000)
    return {"median_us": statistics.median(took), "p99_us": statistics.quantiles(took, n=100)[98]}


def while_it_loads(place: Place, again: Callable[[], None]) -> dict[str, float]:
    """How long a changed registry took to be taken, and the longest time for which an event loop stood still by it."""
    source = place.open()
    source.refresh()
    again()

    async def ticking() -> tuple[float, float]:
        loading = asyncio.create_task(asyncio.to_thread(source.refresh))
        began = last = time.perf_counter()
        longest = 0.0
        while not loading.done():
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            longest, last = max(longest, now - last - TICK_S), now
        assert loading.result()
        return time.perf_counter() - began, longest

    took_s, longest_s = asyncio.run(ticking())
    return {"s": took_s, "stood_still_ms": 1000 * longest_s}


def reloads(folder: Path) -> dict[str, float]:
    """A number that is suspended in every other generation, asked about all the time."""
    association = Association(folder / "small")
    association.begin()
    machine = Machine(association, folder / "small-machine")
    source, policy = SignedSource(machine.repository(), 0.0), Policy()
    source.refresh()
    call = ForwardedCall("c", Direction.INCOMING, parse("0312345677"), parse(""), parse("0501234567"))
    over, mixed, asked, longest = threading.Event(), [0], [0], [0.0]

    def ask() -> None:
        while not over.is_set():
            began = time.perf_counter()
            registry = source.current
            decision = decide(call, registry, policy, datetime.now(UTC))
            longest[0] = max(longest[0], time.perf_counter() - began)
            asked[0] += 1
            stopped = bool(registry and registry.suspension(call.forwarding_number))
            time.sleep(TICK_S)
            mixed[0] += (decision.reason is Reason.NUMBER_SUSPENDED) != stopped

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number in range(RELOADS):
            association.write(suspensions=(STOPPED, SUSPENSIONS)[number % 2])
            association.publish(association.signers(Keys.DUTY))
            assert source.refresh()
    finally:
        over.set()
        asking.join()
    return {"reloads": RELOADS, "asked": asked[0], "mixed": mixed[0], "longest_ms": 1000 * longest[0]}


def measure(numbers: int, members: int, tell: Callable[[str], None]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="idtone-registry-") as folder:
        association = Association(Path(folder, "association"))
        association.write(text(numbers, members), STOPPED)
        tell(f"signing a registry of {numbers:,} numbers …")
        association.begin()
        machine = Machine(association, Path(folder, "machine"))
        place = Place(machine.trust, machine.source, machine.cache)
        tell("loading it for the first time, and again …")
        found["cold"] = in_a_process(load, place)
        found["warm"] = in_a_process(load, place)
        tell("deciding …")
        found["decision"] = in_a_process(decisions, place, numbers, members)
        tell("loading another one beside an event loop …")

        def grow() -> None:
            association.write(text(numbers, members, 2))
            association.publish()

        found["reload"] = while_it_loads(place, grow)

        def stop() -> None:
            association.write(suspensions=SUSPENSIONS)
            association.publish(association.signers(Keys.DUTY))

        found["suspension"] = while_it_loads(place, stop)
        tell(f"{RELOADS} small generations …")
        found["generations"] = reloads(Path(folder))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--numbers", type=int, default=NUMBERS)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    chosen = parser.parse_args()
    progress = Console(stderr=True)
    found = measure(chosen.numbers, chosen.members, lambda line: progress.print(line, highlight=False))
    if chosen.json:
        print(json.dumps({"numbers": chosen.numbers, "members": chosen.members, **found}, indent=2))
        return 0
    table = Table("what", "", title=f"{chosen.numbers:,} numbers of {chosen.members:,} members", box=None)
    for name, values in found.items():
        table.add_row(name, ", ".join(f"{key} {value:,.2f}" for key, value in values.items()))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
