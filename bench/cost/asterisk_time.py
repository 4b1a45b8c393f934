"""Asterisk's processor time in a call by its parts: native, an empty hook of the same shape, and the hook.

    python -m bench.cost.asterisk_time [--calls N] [--rate R] [--turns T] [--folder F] [--again] [--json] [--page]

All ways take turns on one PBX. `perf` samples the stacks of these three, including the kernel's. This needs an
Asterisk that was built with `-g -fno-omit-frame-pointer`; `ASTERISK=` names it. In each turn a block of calls of each
way runs without `perf`: it gives the processor time of a call, and its times. The measurements are stored in the folder
after each turn; `--again` makes the tables from the stored ones. `--page` puts the tables and the two flame graphs into
the documentation.
"""

import json
import os
import signal
import statistics
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lab.processes import end_in_order
from lab.repository import ROOT

from ..bench_output import PROGRESS, options, print_table
from . import asterisk_time_page, call_stacks
from .call_stacks import Stack
from .cost_bench import CostBench, cost_bench
from .forwarding_ways import Way
from .goals import HOOK
from .run_statistics import Run, percentile

CALLS, TURNS = 10_000, 10
RATE: Final = 15.0
PROFILED: Final = {Way.NATIVE: 1.0, Way.FLOOR: 0.5, HOOK: 1.0}
"""The ways under `perf`, each with its share of the calls."""
TIMED: Final = (Way.DIAL, Way.NATIVE, Way.STASIS, Way.EMPTY_U, Way.FLOOR, HOOK, Way.ARI_BOTH)
TIMED_SHARE: Final = 1 / 8
SAMPLES_S: Final = 997
FASTEST: Final = 0.1
FOLDER: Final = ROOT / "build" / "profile"
MEASURED: Final = "measured.json"

Times = dict[str, list[dict[str, Any]]]
"""Way → results of its blocks without `perf`, turn by turn."""


@contextmanager
def sample_stacks(pid: int, into: Counter[Stack], scratch: Path) -> Iterator[None]:
    """Sample a process's stacks during the block.

    Raises CalledProcessError if `perf` cannot read its samples.
    """
    data = scratch / "perf.data"
    command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", f"{SAMPLES_S}", "-g", "-o", data, "-p", f"{pid}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as perf:
        yield
        perf.send_signal(signal.SIGINT)
    shown = ["perf", "script", "-i", str(data), "--no-inline", "-F", "ip,sym,dso"]
    with subprocess.Popen(shown, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace") as of:
        assert of.stdout
        into.update(call_stacks.fold_stacks(of.stdout))
    if of.returncode:
        raise subprocess.CalledProcessError(of.returncode, shown)


def measure(bed: CostBench, calls: int, rate: float, turns: int, folder: Path) -> None:
    """Measure all ways of forwarding in turns, and write the results to a folder after each turn."""
    times: Times = {way.value: [] for way in TIMED}
    found = {way: Counter[Stack]() for way in PROFILED}
    assert bed.asterisk.process
    folder.mkdir(parents=True, exist_ok=True)
    seconds, loads, failed = calls / turns / rate, list[float](), 0
    for way in TIMED:
        bed.run(way, rate, 2.0)  # until all is warm
    for turn in range(turns):
        for way in TIMED if turn % 2 else TIMED[::-1]:
            times[way.value].append(_plain(bed.run(way, rate, max(1.0, TIMED_SHARE * seconds))))
        loads.append(os.getloadavg()[0])
        for way, share in PROFILED.items():
            with sample_stacks(bed.asterisk.process.pid, found[way], bed.scratch):
                failed += bed.run(way, rate, share * seconds).failed
        for way, each in found.items():
            lines = (f"{';'.join(stack)} {samples}\n" for stack, samples in each.items())
            (folder / f"{way}.folded").write_text("".join(lines))
        measured = {
            "asterisk": bed.asterisk.installation.version, "rate": rate, "samples_s": SAMPLES_S, "times": times,
            "loads": loads, "failed": failed,
            "profiled": {way: round((turn + 1) * share * seconds * rate) for way, share in PROFILED.items()},
        }  # fmt: skip
        (folder / MEASURED).write_text(json.dumps(measured))
        PROGRESS.print(f"turn {turn + 1} of {turns}; under perf {failed} calls failed")


def _plain(run: Run) -> dict[str, Any]:
    return {
        "connected_ms": [each.connected_ms for each in run.samples],
        "post_dial_ms": [each.post_dial_ms for each in run.samples],
        "asterisk_ms": run.asterisk_ms_per_call, "beside_ms": run.service_ms_per_call,
        "offered": run.offered, "failed": run.failed,
    }  # fmt: skip


def read_stacks(folder: Path, way: Way) -> Counter[Stack]:
    """Read the stacks that `measure` wrote.

    Raises OSError.
    """
    lines = (line.rpartition(" ") for line in (folder / f"{way}.folded").read_text().splitlines())
    return Counter({tuple(stack.split(";")): int(samples) for stack, _, samples in lines})


def compare_ways(times: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Compare each way of forwarding with the native way.

    A row has two differences from native: of the fastest tenth of all calls, and the median over the turns. Other work
    of the machine makes some calls late, but not the fastest calls.
    """
    native = times[Way.NATIVE]

    def fastest(way: str, name: str) -> float:
        ours, base = ([each for block in times[of] for each in block[name]] for of in (way, Way.NATIVE))
        return percentile(ours, FASTEST) - percentile(base, FASTEST)

    def middle(way: str, name: str) -> float:
        return statistics.median(
            percentile(block[name], 0.5) - percentile(base[name], 0.5)
            for block, base in zip(times[way], native, strict=True)
        )

    rows = []
    for way, blocks in times.items():
        sounds = Way(way).has_sound
        rows.append({
            "way": way,
            "connected_fastest_ms": fastest(way, "connected_ms") if sounds else None,
            "connected_ms": middle(way, "connected_ms") if sounds else None,
            "post_dial_fastest_ms": fastest(way, "post_dial_ms"),
            "post_dial_ms": middle(way, "post_dial_ms"),
            "asterisk_us": _us(blocks, "asterisk_ms"),
            "asterisk_of_native": _us(blocks, "asterisk_ms") / _us(native, "asterisk_ms"),
            "beside_us": _us(blocks, "beside_ms"),
            "calls": sum(block["offered"] for block in blocks),
            "failed": sum(block["failed"] for block in blocks),
        })  # fmt: skip
    return rows


def _us(blocks: Sequence[Mapping[str, Any]], name: str) -> float:
    """The mean over all calls, in µs."""
    return 1000 * sum(block[name] * block["offered"] for block in blocks) / sum(block["offered"] for block in blocks)


def time_by_part(found: Mapping[Way, Mapping[Stack, int]], us: Mapping[Way, float]) -> dict[str, list[dict[str, Any]]]:
    """Processor time of each part in µs per call, by activity and by thread or step.

    Each time is also given as an addition to native.
    """
    tables = {}
    for title, of in (("what", call_stacks.activity), ("where", call_stacks.thread_or_step)):
        shares = {way: call_stacks.part_shares(each, of) for way, each in found.items()}
        names = {name: 0 for each in shares.values() for name in each}
        rows = []
        for name in sorted(names, key=lambda name: -us[HOOK] * shares[HOOK].get(name, 0.0)):
            row = {way.value: us[way] * each.get(name, 0.0) for way, each in shares.items()}
            rows.append({"part": name, **row, "hook_adds": row[HOOK] - row[Way.NATIVE]})
        tables[title] = rows
    return tables


def main() -> None:
    parser = options(__doc__, calls=CALLS, rate=RATE, turns=TURNS)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where what is measured goes (default %(default)s)")
    parser.add_argument("--again", action="store_true", help="do not measure; make the tables of what is in the folder")
    parser.add_argument("--page", action="store_true", help="put tables and flame graphs into the documentation")
    chosen = parser.parse_args()
    end_in_order()
    if not chosen.again:
        with tempfile.TemporaryDirectory(prefix="idtone-profile-") as scratch, cost_bench(Path(scratch)) as bed:
            measure(bed, chosen.calls, chosen.rate, chosen.turns, chosen.folder)
    measured = json.loads((chosen.folder / MEASURED).read_text())
    rows = compare_ways(measured["times"])
    us = {Way(row["way"]): row["asterisk_us"] for row in rows}
    found = {way: read_stacks(chosen.folder, way) for way in PROFILED}
    tables = time_by_part(found, us)
    if chosen.page:
        asterisk_time_page.write_page(measured, rows, tables, found)
    if chosen.json:
        print(json.dumps({**measured, "times": rows, **tables}, indent=1))
    else:
        print_table("beside native in the same turn", rows)
        print_table("µs a call, by what is done", tables["what"])
        print_table("µs a call, by where", tables["where"])


if __name__ == "__main__":
    main()
