"""Times and memory of a large registry: verifying, reading, decisions, replacement, and the office's commands.

    python -m bench.registry [--numbers N] [--members N] [--json]

The delays of decisions are measured with and without a replacement of the registry in turns, because this machine has
other work as well. The delay of a suspension during a replacement is measured too. `bench.office` has the commands.

Each load runs in a separate process, so that the memory is of one load only. Times are valid for this machine and run
only.
"""

import asyncio
import itertools
import multiprocessing
import random
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from idtone.core.calls import Direction, ForwardedCall, Reason, WholesaleChain
from idtone.core.decision import Policy, decide
from idtone.core.numbers import Number, parse
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.model import ChainEntry
from idtone.registry.parsers import parse_registry
from idtone.registry.sources import SignedSource
from idtone.registry.trust.publication_client import PublicationClient
from idtone.registry.trust.tuf_roles import Keys
from idtone.registry.validation_rules import registry_faults
from idtone.service.source_watch import POLL_S
from lab.registry.trust.association import Association, Machine

from . import office
from .bench_output import PROGRESS, options, print_table, report
from .large_registry import FIRST_ISSUED, first_number, registry_text, some_number, suspend_ranges

NUMBERS: Final = 1_000_000
MEMBERS: Final = 10_000
QUESTIONS: Final = 100_000
ROUNDS: Final = (5, 10)
SPANS: Final = 10_000
RELOADS: Final = 100
"""Number of reloads in a round of suspensions."""
TICK_S: Final = 0.001
ASKED: Final = ("0312345677", "0312345678")


@dataclass(frozen=True, slots=True)
class RegistryFolder:
    """The paths of a member's registry, which can be sent to another process."""

    trust: Path
    source: str
    cache: Path

    def open(self) -> SignedSource:
        return SignedSource(PublicationClient(self.trust, self.source, self.cache), 0.0)


def in_a_process(work: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def measure_load(place: RegistryFolder) -> dict[str, float]:
    """Verify and read the registry; returns the seconds of each, and the process's peak memory in MB."""
    source = place.open()
    began = time.perf_counter()
    source.refresh()
    took_s = time.perf_counter() - began
    assert source.current
    # Not ru_maxrss, which a process inherits.
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    # That of the process that compiles it, which has ended by now.
    beside_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"s": took_s, "mb": int(most) / 1024, "compiling_mb": beside_mb}


def calls_of(numbers: Iterable[str]) -> list[ForwardedCall]:
    nobody, called = parse(""), parse("0501234567")
    return [ForwardedCall("c", Direction.INCOMING, parse(number), nobody, called) for number in numbers]


def decision_times_us(registry: RegistryIndex | None, calls: Iterable[ForwardedCall]) -> list[float]:
    """Microseconds of each decision, on a node of the member that holds the number."""
    now, took = datetime.now(UTC), []
    for call in calls:
        policy = Policy(member=registry.member(call.forwarding_number, now) if registry else None)
        began = time.perf_counter_ns()
        decide(call, registry, policy, now)
        took.append((time.perf_counter_ns() - began) / 1000)
    return took


def measure_decisions(place: RegistryFolder, numbers: int, members: int) -> dict[str, float]:
    """Microseconds of a decision on a number that is already parsed."""
    source, dice = place.open(), random.Random(1)
    source.refresh()
    took = decision_times_us(source.current, calls_of(some_number(dice, numbers, members) for _ in range(QUESTIONS)))
    return {"median_us": statistics.median(took), "p99_us": statistics.quantiles(took, n=100)[98]}


def chain_cost(numbers: int, members: int, chains: int, questions: int = QUESTIONS // 10) -> dict[str, float]:
    """Cost of wholesale chains for a decision.

    Returns the microseconds of a decision without chains in the registry, and two ratios to it with `chains` chains:
    for numbers outside the chains, and for numbers in a chain. The registries take turns.
    """
    document = parse_registry(registry_text(numbers, members), "registry.yaml")
    each, check = numbers // members, {"by": "m-00000", "day": "2026-04-01", "document": "D"}
    entries = []
    for member in range(1, chains + 1):
        area, first = first_number(member, each)
        link = {"from": f"m-{member:05}", "to": "m-00000", "checked": check | {"by": f"m-{member:05}"}}
        entries.append(ChainEntry.model_validate({"numbers": f"{area}{first}-{area}{first + 9}", "links": [link]}))
    chained = document.model_copy(update={"chains": tuple(entries)})
    assert not list(registry_faults(chained))
    without, beside = RegistryIndex(document), RegistryIndex(chained)
    dice = random.Random(1)
    some = (some_number(dice, numbers, members) for _ in range(questions))
    bare = [call for call in calls_of(some) if not _chain_of(beside, call)]
    firsts = (first_number(1 + n % chains, each) for n in range(len(bare)))
    resold = calls_of(f"{area}{first + n % 10}" for n, (area, first) in enumerate(firsts))
    assert all(_chain_of(beside, call) for call in resold)
    ways = ((without, bare), (beside, bare), (beside, resold))
    rounds = [tuple(statistics.median(decision_times_us(*way)) for way in ways) for _ in range(11)]
    return {
        "chains": chains,
        "without_us": statistics.median(one for one, _, _ in rounds),
        "beside_ratio": statistics.median(one / other for other, one, _ in rounds),
        "chained_ratio": statistics.median(one / other for other, _, one in rounds),
    }


def _chain_of(registry: RegistryIndex, call: ForwardedCall) -> WholesaleChain | None:
    holding = registry.holding(call.forwarding_number, FIRST_ISSUED)
    return holding.chain if holding else None


def measure_look_ups(place: RegistryFolder, numbers: int, members: int) -> dict[str, float]:
    """Median nanoseconds of each lookup, and two ratios.

    `few`, `many` and `stock` look up a number's suspensions: in a registry with few suspended ranges, with many, and
    with many and one member's complete stock. `single` looks in a table of single numbers, which would suffice without
    ranges. `holder` looks up the number's holder.
    """
    source, dice = place.open(), random.Random(2)
    source.refresh()
    index = source.current
    assert index
    asked = [parse(some_number(dice, numbers, members)) for _ in range(QUESTIONS)]
    single = {number.e164: index.suspensions for number in asked[:SPANS]}
    few, many, stock = (
        index.renewed(Signed(suspend_ranges(spans, members, numbers // members, is_stock), index.expires))
        for spans, is_stock in ((10, False), (SPANS, False), (SPANS, True))
    )

    ways: dict[str, Callable[[Number], object]] = {
        "single": lambda number: single.get(number.e164),
        "few": few.suspensions_of,
        "many": many.suspensions_of,
        "stock": stock.suspensions_of,
        "holder": partial(index.holding, now=FIRST_ISSUED),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for start in range(0, QUESTIONS, 1000):
        batch = asked[start : start + 1000]
        for name, look in ways.items():  # in turn, since this machine has other work as well
            began = time.perf_counter_ns()
            for number in batch:
                look(number)
            took[name].append((time.perf_counter_ns() - began) / len(batch))
    found = {name: statistics.median(times) for name, times in took.items()}
    ratios = {"many_to_few": found["many"] / found["few"], "many_to_single": found["many"] / found["single"]}
    return {f"{name}_ns": median for name, median in found.items()} | ratios


def suspending(generation: int) -> str:
    """Text of the suspensions file of a generation, which suspends one of two numbers in turn."""
    issued = (FIRST_ISSUED + timedelta(seconds=generation)).isoformat()
    entry = f"{{number: {ASKED[generation % 2]!r}, since: {FIRST_ISSUED.isoformat()}, reference: R-1}}"
    return f"issued: {issued}\nsuspensions: [{entry}]\n"


def run_as_service(place: RegistryFolder, line: Connection, rounds: int, each: int) -> None:
    """Decide in an event loop, while a thread fetches new generations of the registry.

    In every second turn the thread takes them over. The results are sent over `line`.
    """
    from idtone.core.responsive_loop import (
        prefer_event_loop,  # where memory is measured, without the rest of the service
    )

    source = place.open()
    source.refresh()
    prefer_event_loop()
    policy, asked = Policy(), calls_of(ASKED)
    took_s: list[float] = []
    mixed = 0

    def next_one(take: bool) -> None:
        line.send(None)
        line.recv()
        if not take:
            time.sleep(took_s[-1])
            return
        began_s, before = time.perf_counter(), source.current
        while source.current is before:  # a large registry is compiled in the background
            source.refresh()
            time.sleep(TICK_S)
        took_s.append(time.perf_counter() - began_s)

    def verdicts_are_of_one_generation() -> bool:
        registry, now = source.current, datetime.now(UTC)
        assert registry
        stopped = [decide(call, registry, policy, now).reason is Reason.NUMBER_SUSPENDED for call in asked]
        generation = (registry.issued - FIRST_ISSUED) // timedelta(seconds=1)
        return stopped == [generation % 2 == 0, generation % 2 == 1]

    async def late_ms(take: bool) -> list[float]:
        nonlocal mixed
        late = []
        for _ in range(each):
            coming = asyncio.create_task(asyncio.to_thread(next_one, take))
            while not coming.done():
                due_s = time.perf_counter() + TICK_S
                await asyncio.sleep(TICK_S)
                mixed += not verdicts_are_of_one_generation()
                late.append(1000 * (time.perf_counter() - due_s))
            coming.result()
        if not take:
            source.refresh()
        return late

    taking, leaving = [], []
    for _ in range(rounds):
        taking += asyncio.run(late_ms(True))
        leaving += asyncio.run(late_ms(False))
    found = {"reloads": len(took_s), "s": statistics.median(took_s), "decisions": 2 * len(taking), "mixed": mixed}
    line.send(found | delay_figures("", taking) | delay_figures("without_", leaving))


def suspend_during_compilation(place: RegistryFolder, line: Connection) -> None:
    """Decide in an event loop while a new registry is compiled and a suspension is published.

    The delays of the suspension and of the loop, and the memory, are sent over `line`.
    """
    from idtone.core.responsive_loop import prefer_event_loop
    from idtone.service.source_watch import SourceWatch

    source = place.open()
    source.refresh()
    prefer_event_loop()
    policy, (call,) = Policy(), calls_of(ASKED[1:])
    before = source.current
    assert before
    times_s: dict[str, float] = {}

    def publish() -> None:
        line.send(None)
        line.recv()

    async def late_ms() -> list[float]:
        watching = asyncio.create_task(SourceWatch(source.refresh, "the registry", "registry.source").run())
        await asyncio.to_thread(publish)
        began_s = time.perf_counter()
        await asyncio.sleep(2 * POLL_S)
        publishing = asyncio.create_task(asyncio.to_thread(publish))
        late = []
        while source.current is None or source.current.version == before.version:
            due_s = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            if publishing.done():
                times_s.setdefault("published", time.perf_counter())
            assert source.current
            if decide(call, source.current, policy, datetime.now(UTC)).reason is Reason.NUMBER_SUSPENDED:
                times_s.setdefault("stopped", time.perf_counter())
            late.append(1000 * (time.perf_counter() - due_s))
        times_s["whole"] = time.perf_counter() - began_s
        watching.cancel()
        return late

    late = asyncio.run(late_ms())
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    line.send(
        {
            "stop_in_force_s": times_s["stopped"] - times_s["published"],
            "members_in_use_s": times_s["whole"],
            "mb": int(most) / 1024,
            "compiling_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        }
        | delay_figures("", late)
    )


def measure_during_compilation(place: RegistryFolder, *publish: Callable[[], None]) -> dict[str, float]:
    """Call each of `publish` in turn, when the process that plays the service requests it.

    Returns that process's results.
    """
    context = multiprocessing.get_context("spawn")
    line, other = context.Pipe()
    service = context.Process(target=suspend_during_compilation, args=(place, other))
    service.start()
    other.close()
    try:
        for each in publish:
            assert line.recv() is None
            each()
            line.send(None)
        return dict(line.recv())
    finally:
        service.join()


def delay_figures(name: str, late_ms: list[float]) -> dict[str, float]:
    shares = statistics.quantiles(late_ms, n=1000)
    return {f"{name}p99_ms": shares[989], f"{name}p999_ms": shares[998], f"{name}longest_ms": max(late_ms)}


def measure_reloads(place: RegistryFolder, rounds: int, each: int, publish: Callable[[], None]) -> dict[str, float]:
    """Measure how reloads of the registry delay the service; returns the delays.

    A process reads the registry as the service does. It requests each reload, and `publish` then publishes a new
    version.
    """
    context = multiprocessing.get_context("spawn")
    line, other = context.Pipe()
    service = context.Process(target=run_as_service, args=(place, other, rounds, each))
    service.start()
    other.close()
    try:
        while (said := line.recv()) is None:
            publish()
            line.send(None)
    finally:
        service.join()
    return dict(said)


def measure(numbers: int, members: int, rounds: tuple[int, int], tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure the times and the memory of a large registry.

    In each of `rounds` rounds, other members and a hundred suspensions are published.
    """
    found: dict[str, Any] = {}
    generations, versions = itertools.count(1), itertools.count(2)
    with tempfile.TemporaryDirectory(prefix="idtone-registry-") as folder:
        association = Association(Path(folder, "association"))
        association.write(registry_text(numbers, members), suspending(0))
        tell(f"signing a registry of {numbers:,} numbers …")
        association.begin()
        machine = Machine(association, Path(folder, "machine"))
        place = RegistryFolder(machine.trust, machine.source, machine.cache)
        tell("loading it for the first time, and again …")
        found["cold"] = in_a_process(measure_load, place)
        found["warm"] = in_a_process(measure_load, place)
        tell("deciding …")
        found["decision"] = in_a_process(measure_decisions, place, numbers, members)
        tell(f"looking up numbers among {SPANS:,} suspended ranges …")
        found["suspended"] = in_a_process(measure_look_ups, place, numbers, members)

        tell("deciding beside wholesale chains …")
        found["chains"] = in_a_process(chain_cost, numbers, members, members // 2)

        def grow() -> None:
            association.write(registry_text(numbers, members, next(versions)))
            association.publish()

        def stop() -> None:
            association.write(suspensions=suspending(next(generations)))
            association.publish(association.signers(Keys.DUTY))

        tell("stopping a number while other members are compiled …")
        found["meanwhile"] = measure_during_compilation(place, grow, stop)
        tell("taking other members beside an event loop that decides …")
        found["reload"] = measure_reloads(place, rounds[0], 1, grow)
        tell("taking other suspensions beside it …")
        found["suspension"] = measure_reloads(place, rounds[1], RELOADS, stop)
    return found


def main() -> None:
    chosen = options(__doc__, numbers=NUMBERS, members=MEMBERS).parse_args()
    found = {"numbers": chosen.numbers, "members": chosen.members}
    found |= measure(chosen.numbers, chosen.members, ROUNDS, PROGRESS.print)
    rows = office.measure(chosen.numbers, min(office.MEMBERS, chosen.members), PROGRESS.print)
    if chosen.json:
        report("", found | {"office": rows}, True)
        return
    report("the registry", found, False)
    print_table(f"the office's commands, with {chosen.numbers:,} numbers", rows)


if __name__ == "__main__":
    main()
