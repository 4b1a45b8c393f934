"""The cost of the hook over Asterisk's own Dial(…,A(file)), in one run.

    python -m bench.cost [--minutes M] [--json FILE] [--plot FILE]

All ways of forwarding take turns at each rate, twice at the rates of the goals. Callers, called phones, Asterisk and
the service share the machine's processors, so absolute figures hold only for this machine. On another machine, only
comparisons with the native way of the same run hold.
"""

import argparse
import json
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lab.processes import end_in_order

from ..bench_output import PROGRESS, print_table
from ..large_registry import registry_text
from .cost_bench import CostBench, cost_bench
from .cost_plot import plot
from .forwarding_ways import COMPARED, Way
from .goals import ALONE, BUSIER, BUSIEST, BUSY, HOOK, RunTable, judge_goals, table_row
from .run_statistics import GoalResult, Run, added_percentile, is_clean, merge_runs

RATES: Final = (20.0, BUSY, BUSIER, BUSIEST, 180.0, 210.0, 240.0, 270.0)
ROUNDS: Final = {ALONE: 2, BUSY: 2}
MINUTES: Final = 10.0
LATER_S: Final = 130.0
"""Seconds in reserve for the measurements after the ways: calls in progress, and a cold start."""
ALONE_SHARE: Final = 0.25
"""Share of the time for calls one at a time."""
IN_PROGRESS: Final = 1_000
COLD_NUMBERS: Final = 100_000


class Pace:
    """Divides an amount of time among runs.

    A run takes longer than its load, and the overhead is estimated from earlier runs.
    """

    def __init__(self, seconds: float, least_s: float) -> None:
        self._ends_s = time.monotonic() + seconds
        self._least_s = least_s
        self._around_s = 1.5

    def run(self, bed: CostBench, way: Way, rate: float, runs_left: int) -> Run:
        began_s = time.monotonic()
        load_s = max(self._least_s, (self._ends_s - began_s) / runs_left - self._around_s)
        run = bed.run(way, rate, load_s)
        self._around_s += 0.3 * (time.monotonic() - began_s - load_s - self._around_s)
        return run


def run_in_turns(
    bed: CostBench, pace: Pace, ways: Iterable[Way], rate: float, rounds: int, to_come: int
) -> dict[Way, Run]:
    """Run each way of forwarding, in turns, and merge the rounds of each way.

    `to_come` is the number of runs that share the remaining time.
    """
    runs: dict[Way, list[Run]] = {way: [] for way in ways}
    for turn, way in enumerate([*runs] * rounds):
        runs[way].append(pace.run(bed, way, rate, to_come - turn))
    return {way: merge_runs(found) for way, found in runs.items()}


def run_single_calls(bed: CostBench, seconds: float) -> dict[Way, Run]:
    """Run calls that do not overlap, the ways in turns."""
    return run_in_turns(bed, Pace(seconds, 5.0), COMPARED, ALONE, ROUNDS[ALONE], ROUNDS[ALONE] * len(COMPARED))


def run_rising_rates(bed: CostBench, seconds: float, tell: Callable[[Run], None]) -> Iterator[Run]:
    """Run rising rates, all ways in turns at each rate.

    A way that is not clean is left out of the higher rates.
    """
    going = dict.fromkeys(COMPARED)
    native: Run | None = None
    pace = Pace(seconds, 3.0)
    for number, rate in enumerate(RATES):
        rounds = [ROUNDS.get(each, 1) for each in RATES[number:]]
        whole = run_in_turns(bed, pace, going, rate, rounds[0], sum(rounds) * len(going))
        native = native or whole[Way.NATIVE]
        for way, run in whole.items():
            tell(run)
            yield run
            if way is not Way.NATIVE and not is_clean(run, native):
                del going[way]
        if Way.NATIVE in going and not is_clean(whole[Way.NATIVE], native):
            break


def measure_calls_in_progress(bed: CostBench) -> Iterator[GoalResult]:
    """Measure the service's memory with many calls in progress."""
    hold_s = IN_PROGRESS / BUSY + 5
    run = bed.run_and_observe(HOOK, BUSY, IN_PROGRESS / BUSY, hold_s)
    again = bed.run_and_observe(HOOK, BUSY, IN_PROGRESS / BUSY, hold_s)
    yield GoalResult(f"memory with {IN_PROGRESS} calls in progress", max(run.most_mb, again.most_mb), 150.0, unit="MB")
    grown = again.most_mb - run.most_mb
    yield GoalResult(f"memory grown from the first {IN_PROGRESS} to the second", grown, 2.0, unit="MB")
    yield GoalResult(
        f"calls that failed of 2 × {IN_PROGRESS} that went on at once", run.failed + again.failed, 0, unit=""
    )


def measure_cold_start(scratch: Path) -> GoalResult:
    """Time from the service's start to the first decided call.

    The registry is large, and was never read before.
    """
    path = scratch / "large.yaml"
    path.write_text(registry_text(COLD_NUMBERS, COLD_NUMBERS // 100))
    with cost_bench(scratch / "cold", path) as bed:
        bed.service.stop()
        began_s = time.monotonic()
        bed.service.start()
        took_s = time.monotonic() - began_s
        run = bed.run(HOOK, ALONE, 1.0)
    took_s = math.nan if run.failed else took_s
    return GoalResult(f"start to the first decision, {COLD_NUMBERS:,} numbers", took_s, 1.5, unit="s")


def describe_machine() -> dict[str, Any]:
    """Facts about the machine: processor, kernel, Python, and the load before the measurement."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processors": os.cpu_count(), "model": models[0] if models else platform.machine(),
        "kernel": platform.release(), "python": platform.python_version(), "load_before": os.getloadavg()[0],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def print_results(table: RunTable, found: list[GoalResult]) -> None:
    native = table.native()
    runs = [table_row(run, native) for way in COMPARED for rate in table.rates if (run := table.get(way, rate))]
    print_table("milliseconds; added: over the native way's median at its lowest rate", runs)
    for way in COMPARED:
        print(f"{way:<11} clean up to {table.clean_rate(way):g} calls/s")
    hook, base = table.get(HOOK, ALONE), table.get(Way.NATIVE, ALONE)
    if hook and base:
        values = ([sample.connected_ms for sample in each.samples] for each in (hook, base))
        print(f"added by {HOOK}, one call at a time, p50 with 95 % confidence: {added_percentile(*values, 0.5)} ms")
    print_table("goals", [one.row() for one in found])


def main() -> None:
    """Measure, print a table, and write JSON and the plot."""
    parser = argparse.ArgumentParser(description="What the hook costs over Asterisk's own announcement.")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long it may take, about")
    parser.add_argument("--json", type=Path, help="write the findings there")
    parser.add_argument("--plot", type=Path, help="write a picture (PNG) there")
    chosen = parser.parse_args()
    end_in_order()
    seconds = max(60.0, 60 * chosen.minutes - LATER_S)
    on = describe_machine()

    def tell(run: Run) -> None:
        PROGRESS.print(f"{run.way}, {run.rate:g} calls/s: {run.offered} calls, {run.failed} failed")

    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="idtone-cost-") as folder:
        with cost_bench(Path(folder)) as bed:
            PROGRESS.print("calls one at a time …")
            alone = run_single_calls(bed, ALONE_SHARE * seconds)
            runs = {(way, ALONE): run for way, run in alone.items()}
            runs |= {(run.way, run.rate): run for run in run_rising_rates(bed, (1 - ALONE_SHARE) * seconds, tell)}
            PROGRESS.print("calls in progress …")
            later = list(measure_calls_in_progress(bed))
        PROGRESS.print("a start with a large registry …")
        later.append(measure_cold_start(Path(folder)))
    table = RunTable(runs)
    found = [*judge_goals(table), *later]
    minutes = (time.monotonic() - began_s) / 60
    print_results(table, found)
    print(f"{minutes:.1f} minutes")
    if chosen.json:
        native = table.native()
        content = {
            "machine": on,
            "minutes": minutes,
            "runs": [table_row(run, native) for run in runs.values()],
            "clean_rates": {way.value: table.clean_rate(way) for way in COMPARED},
            "goals": [{**asdict(one), "reached": one.reached} for one in found],
        }
        chosen.json.write_text(json.dumps(content, indent=1))
    if chosen.plot:
        plot(table, chosen.plot)


if __name__ == "__main__":
    main()
