"""Rounds of calls on a real Asterisk, one after the other, with their figures and faults.

    python -m bench.call_rounds walks [--paths 2000] [--seed N] [--round N] [--json]
    python -m bench.call_rounds kills [--kills 100] [--seed N] [--round N] [--json]
    python -m bench.call_rounds everything [--kills 100] [--seed N] [--json]

Exit 1 after a fault. `--round` repeats one round of a seed.
"""

import asyncio
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library
from lab.asterisk import Asterisk
from lab.asterisk_installation import find_or_get
from lab.calls.call_paths import Round, draw_round, draw_storm
from lab.calls.kill_everything import Figures as Killed
from lab.calls.kill_everything import kill_everything
from lab.calls.walk_paths import Figures, FinishedRound, walk_round
from lab.processes import end_in_order
from lab.site import BARE

from .bench_output import PROGRESS, options, report

PATHS_AT_ONCE: Final = 50
WITHIN_S: Final = 2.5
MISHAPS: Final = 2
KILLS_AT_ONCE: Final = 10
CALLS_PER_S: Final = 20
_COLUMNS: Final = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def draw_walks(seed: int, paths: int) -> Iterator[Round]:
    for number, first in enumerate(range(0, paths, PATHS_AT_ONCE)):
        yield draw_round(seed, number, min(PATHS_AT_ONCE, paths - first), WITHIN_S, MISHAPS)


def draw_kills(seed: int, count: int) -> Iterator[Round]:
    for number, first in enumerate(range(0, count, KILLS_AT_ONCE)):
        yield draw_storm(seed, number, min(KILLS_AT_ONCE, count - first), CALLS_PER_S)


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on a terminal during the block; yields the function that advances it."""
    with Progress(*_COLUMNS, console=PROGRESS, transient=True, disable=not PROGRESS.is_terminal) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda: progress.advance(bar)


def reference_sounds() -> dict[str, Any]:
    return {name: synthesise(profile, 8000) for name, profile in load_library().items()}


def walk_rounds(rounds: Sequence[Round], what: str) -> list[FinishedRound]:
    """Run each round on a separate Asterisk, so that a fault belongs to one round."""
    heard, installation, done = reference_sounds(), find_or_get(), []
    with progress_bar(what, sum(len(drawn.paths) for drawn in rounds)) as advance:
        for drawn in rounds:
            with tempfile.TemporaryDirectory() as folder, Asterisk(installation, Path(folder), site=BARE) as asterisk:
                done.append(asyncio.run(walk_round(asterisk, drawn, heard, advance)))
            for complaint in done[-1].complaints:
                PROGRESS.print(f"{drawn}\n  {complaint}", style="red")
    return done


def kill_both(seed: int, kills: int) -> Killed:
    """Kill the service and Asterisk together, repeatedly, on one ledger."""
    with progress_bar("everything", kills) as advance, tempfile.TemporaryDirectory() as folder:
        pbx = Asterisk(find_or_get(), Path(folder), site=BARE)
        figures = asyncio.run(kill_everything(pbx, reference_sounds(), seed, kills, advance))
    for complaint in figures.complaints:
        PROGRESS.print(complaint, style="red")
    return figures


def main() -> int:
    parser = options(__doc__, paths=2000, kills=100, seed=random.randrange(1_000_000))
    parser.add_argument("what", choices=["walks", "kills", "everything"])
    parser.add_argument("--round", type=int, help="only this one")
    chosen = parser.parse_args()
    end_in_order()
    if chosen.what == "everything":
        figures = kill_both(chosen.seed, chosen.kills)
        wrong = len(figures.complaints)
    else:
        drawn = [
            *(
                draw_walks(chosen.seed, chosen.paths)
                if chosen.what == "walks"
                else draw_kills(chosen.seed, chosen.kills)
            )
        ]
        done = walk_rounds(drawn if chosen.round is None else [drawn[chosen.round]], chosen.what)
        figures, wrong = Figures.of(done), sum(len(each.complaints) for each in done)
    report(chosen.what, {"seed": chosen.seed, "wrong": wrong, **asdict(figures)}, chosen.json)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
