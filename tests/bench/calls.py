"""Rounds of calls on a real Asterisk, one after the other: what they amount to, and what was wrong.

    python -m tests.bench.calls walks [--paths 2000] [--seed N] [--round N] [--json]
    python -m tests.bench.calls kills [--kills 100] [--seed N] [--round N] [--json]
    python -m tests.bench.calls everything [--kills 100] [--seed N] [--json]

Exit 1 where anything was wrong. `--round` walks one round of a seed again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library

from ..calls.killing import Figures as Killed
from ..calls.killing import kill_everything
from ..calls.paths import Round, draw_round, draw_storm
from ..calls.walking import Done, Figures, walk_round
from ..lab.asterisk import Asterisk
from ..lab.bootstrap import find_or_get
from ..lab.processes import end_in_order

PATHS_AT_ONCE: Final = 50
WITHIN_S: Final = 2.5
MISHAPS: Final = 2
KILLS_AT_ONCE: Final = 10
CALLS_PER_S: Final = 20
_COLUMNS: Final = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def walks(seed: int, paths: int) -> Iterator[Round]:
    for number, first in enumerate(range(0, paths, PATHS_AT_ONCE)):
        yield draw_round(seed, number, min(PATHS_AT_ONCE, paths - first), WITHIN_S, MISHAPS)


def kills(seed: int, count: int) -> Iterator[Round]:
    for number, first in enumerate(range(0, count, KILLS_AT_ONCE)):
        yield draw_storm(seed, number, min(KILLS_AT_ONCE, count - first), CALLS_PER_S)


def walk(rounds: Sequence[Round], what: str) -> list[Done]:
    """Each round on an Asterisk of its own, so that none has to answer for another's."""
    references = {name: synthesise(profile, 8000) for name, profile in load_library().items()}
    installation, screen, done = find_or_get(), Console(stderr=True), []
    with Progress(*_COLUMNS, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        bar = progress.add_task(what, total=sum(len(drawn.paths) for drawn in rounds))
        for drawn in rounds:
            with tempfile.TemporaryDirectory() as folder, Asterisk(installation, Path(folder)) as asterisk:
                done.append(asyncio.run(walk_round(asterisk, drawn, references, lambda: progress.advance(bar))))
            for complaint in done[-1].complaints:
                screen.print(f"{drawn}\n  {complaint}", style="red", markup=False, highlight=False)
    return done


def everything(seed: int, kills: int) -> Killed:
    """The service and Asterisk at once, on one ledger."""
    references = {name: synthesise(profile, 8000) for name, profile in load_library().items()}
    screen = Console(stderr=True)
    with (
        Progress(*_COLUMNS, console=screen, transient=True, disable=not screen.is_terminal) as progress,
        tempfile.TemporaryDirectory() as folder,
    ):
        bar = progress.add_task("everything", total=kills)
        pbx = Asterisk(find_or_get(), Path(folder))
        figures = asyncio.run(kill_everything(pbx, references, seed, kills, lambda: progress.advance(bar)))
    for complaint in figures.complaints:
        screen.print(complaint, style="red", markup=False, highlight=False)
    return figures


def table(figures: Figures | Killed, title: str) -> Table:
    shown = Table("", "", title=title, box=None, show_header=False)
    for name, value in asdict(figures).items():
        if isinstance(value, dict):
            for each, count in sorted(value.items()):
                shown.add_row(f"  {name}: {each}", str(count))
        else:
            shown.add_row(name.replace("_", " "), f"{value:.2f}" if isinstance(value, float) else str(value))
    return shown


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["walks", "kills", "everything"])
    parser.add_argument("--paths", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--round", type=int, help="only this one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)
    end_in_order()
    if chosen.what == "everything":
        killed = everything(chosen.seed, chosen.kills)
        return _report(chosen, killed, len(killed.complaints))
    rounds = list(walks(chosen.seed, chosen.paths) if chosen.what == "walks" else kills(chosen.seed, chosen.kills))
    done = walk(rounds if chosen.round is None else [rounds[chosen.round]], chosen.what)
    return _report(chosen, Figures.of(done), sum(len(each.complaints) for each in done))


def _report(chosen: argparse.Namespace, figures: Figures | Killed, wrong: int) -> int:
    if chosen.json:
        json.dump({"seed": chosen.seed, "wrong": wrong, **asdict(figures)}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        Console().print(table(figures, f"{chosen.what}, seed {chosen.seed}: {wrong} wrong"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
