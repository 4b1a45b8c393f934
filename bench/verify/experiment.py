"""The verifier's accuracy against its goals.

python -m bench.verify [--hours H] [--trials N] [--only …] [--json FILE]
"""

import argparse
import importlib.util
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.progress import BarColumn as Bar
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..bench_output import PROGRESS
from . import jobs, results, speech_and_music
from .impaired_legs import CONDITIONS
from .jobs import FREQUENCY_CONDITION, Job, Key, Tally
from .near_misses import CODINGS, near_misses
from .profiles import profiles
from .results import Row
from .speech_and_music import Part, takes_in
from .transmission_chains import CHAINS, DAMAGES, WHOLE

PARTS_OF_IT: Final = ("throughput", "inspect", "detection", "chains", "near-misses", "frequency", "false-alarms")
HOURS: Final = 4.0
TRIALS: Final = 40
"""Number of trials. Two processors need about eight minutes for these; the goals need 3 000 trials and 300 hours."""
OTHER_SHARE: Final = 1 / 15
"""Hours of music, and of network signals, as a share of the hours of speech: 20 each for 300."""
NEAR_MISS_SHARE: Final = 1 / 10
"""Trials for each kind of near miss through each codec, as a share of all; a profile has a hundred such pairs."""
CHAIN_SHARE: Final = 3 / 8
"""Trials for each chain as a share of all, and a third of that with each damage. With 40 trials, each chain has every
loss and room.
"""

PART: Final = Part.HELD_OUT
"""The part of the material that judges the verifier."""

_COLUMNS: Final = (
    TextColumn("{task.description:24}"),
    Bar(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)
_TRIALS_AT_ONCE: Final = 30
_TAKES_AT_ONCE: Final = 2


def make_jobs(wanted: Iterable[str], names: Sequence[str], hours: float, count: int, start: int = 0) -> Iterator[Job]:
    """Split the wanted measurements into jobs, the longest first.

    The first trial or take has the number `start`.
    """
    everybody = tuple(names)
    near = max(1, round(count * NEAR_MISS_SHARE))
    split = partial(_split, start=start)
    for kind in wanted:
        if kind == "detection":
            for what in CONDITIONS:
                yield from split(kind, everybody, what, "", count)
        elif kind == "chains":
            for chain in CHAINS:
                for damage in DAMAGES:
                    share = CHAIN_SHARE if damage == WHOLE else CHAIN_SHARE / 3
                    yield from split(kind, everybody, chain, damage, max(1, round(count * share)))
        elif kind == "near-misses":
            for name in names:
                for what in near_misses(profiles()[name]):
                    for coding in CODINGS:
                        yield from split(kind, (name,), what, coding, near)
        elif kind == "frequency":
            sines = tuple(name for name in names if jobs.is_steady(profiles()[name]))
            if sines:
                yield from split(kind, sines, FREQUENCY_CONDITION.name, "", 5 * count)
        elif kind == "false-alarms":
            shares = {"speech": hours} | dict.fromkeys(("music", "signals"), hours * OTHER_SHARE)
            for what, share in shares.items():
                for first in range(0, takes_in(share), _TAKES_AT_ONCE):
                    takes = min(_TAKES_AT_ONCE, takes_in(share) - first)
                    yield Job(kind, everybody, what, "", start + first, takes, PART)


def _split(kind: str, names: tuple[str, ...], what: str, coding: str, count: int, *, start: int) -> Iterator[Job]:
    for first in range(0, count, _TRIALS_AT_ONCE):
        yield Job(kind, names, what, coding, start + first, min(_TRIALS_AT_ONCE, count - first), PART)


def measure(work: Sequence[Job], workers: int) -> dict[Key, Tally]:
    """Run all jobs, and add up their results in the order of the jobs."""
    found: dict[Key, Tally] = {}
    with (
        Progress(*_COLUMNS, console=PROGRESS) as progress,
        ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as processes,
    ):
        tasks = {
            kind: progress.add_task(kind, total=count) for kind, count in Counter(job.kind for job in work).items()
        }
        running = {processes.submit(jobs.run, job): job for job in work}
        try:
            done: dict[Job, dict[Key, Tally]] = {}
            for future in as_completed(running):
                done[running[future]] = future.result()
                progress.advance(tasks[running[future].kind])
        except BaseException:
            processes.shutdown(wait=False, cancel_futures=True)
            raise
    for job in work:
        for key, tally in done[job].items():
            found.setdefault(key, Counter()).update(tally)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the results. The exit code is 0 if every goal was reached."""
    parser = argparse.ArgumentParser(prog="python -m bench.verify", description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=HOURS, help="of speech for false alarms (default %(default)s)")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of each kind and profile (default %(default)s)")
    parser.add_argument(
        "--start", type=int, default=0, help="number of the first trial: others than those that a change was tried on"
    )
    parser.add_argument("--only", action="append", choices=PARTS_OF_IT, help="leave the rest out; may be repeated")
    parser.add_argument("--profile", action="append", choices=list(profiles()), help="may be repeated")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default %(default)s)")
    parser.add_argument("--state", action="store_true", help="let the verifier state these false alarms from now on")
    parser.add_argument("--json", type=Path, metavar="FILE")

    chosen = parser.parse_args(arguments)
    if chosen.hours <= 0 or chosen.trials < 1 or chosen.workers < 1:
        parser.error("hours, trials and workers must be above zero")
    wanted, names = chosen.only or PARTS_OF_IT, chosen.profile or list(profiles())

    speech_and_music.base(PART)
    found: list[Row] = []
    if "throughput" in wanted:
        with_numba = importlib.util.find_spec("numba") is not None
        for name in names:
            PROGRESS.print(f"throughput: {name} …")
            for what in ("speech", "music"):
                times = jobs.throughput(name, what, PART)
                found.append(results.throughput_row(name, what, times, with_numba))

    if "inspect" in wanted:
        for what in ("speech", "music"):
            for length_s in jobs.INSPECTED_S:
                PROGRESS.print(f"inspect: {what}, {length_s:g} s …")
                found.append(results.inspect_row(what, length_s, jobs.inspection_time(what, length_s, PART)))

    work = list(make_jobs(wanted, names, chosen.hours, chosen.trials, chosen.start))
    if work:
        found += results.rows(measure(work, chosen.workers))
    results.print_tables(found)
    if chosen.state:
        results.state_false_alarms(found)
    settings: dict[str, Any] = {
        "hours": chosen.hours,
        "trials": chosen.trials,
        "start": chosen.start,
        "part": PART,
        "profiles": names,
    }
    if chosen.json:
        results.write_json(found, settings, chosen.json)

    return int(any(row.reached is results.GoalStatus.MISSED for row in found))
