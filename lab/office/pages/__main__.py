"""Plays a year of the association's office through its pages, in Chromium: `make demo-authority`.

    python -m lab.office.pages [--json] [FOLDER]

Nobody writes YAML: the pages, and the holders' `idtone-sign`, do all but make the keys. Exits with 0 only if each page
said what it should. Stops everything that it started. `python -m lab.office.year` does a year by commands, with the
members' nodes and their calls.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from selenium.common.exceptions import WebDriverException

from lab.office.year.office_year import spoken
from lab.processes import end_in_order
from lab.repository import ROOT

from .hands import PageFault
from .page_office import PageOffice
from .tasks import TASKS, Task


@dataclass(frozen=True)
class Walked:
    """One task as it went; `fault` is empty if each page said what it should."""

    name: str
    clicks: int
    typed: int
    seconds: float
    commands: int
    files: int
    fault: str = ""


def walk(folder: Path, tasks: Sequence[Task] = TASKS) -> list[Walked]:
    """The tasks in their order, up to the first fault: the next ones build on it."""
    walked = []
    with PageOffice(folder) as office:
        for task in tasks:
            fault = ""
            with office.hands.counted() as counts:
                try:
                    task.act(office)
                except (PageFault, WebDriverException) as error:
                    fault = str(error)
                    office.browser.picture(folder / f"fault-{task.name}.png")
            clicks, typed, seconds = counts
            walked.append(
                Walked(task.name, int(clicks), int(typed), round(seconds, 1), task.commands, task.files, fault)
            )
            if fault:
                break
    return walked


def table(walked: Sequence[Walked]) -> Table:
    titles = {task.name: task.title for task in TASKS}
    heads = (
        ("task", "業務"), ("clicks", "クリック"), ("fields typed", "入力欄"), ("s", "秒"),
        ("commands by the manual", "手引書のコマンド"), ("files by hand", "手書きのファイル"),
    )  # fmt: skip
    shown = Table(*(spoken(*head) for head in heads), "")
    for each in walked:
        counts = (each.clicks, each.typed, each.seconds, each.commands, each.files)
        mark = "[red]✗[/red]" if each.fault else "[green]✓[/green]"
        shown.add_row(spoken(*titles[each.name]), *map(str, counts), mark)
    sums = [sum(getattr(each, name) for each in walked) for name in ("clicks", "typed", "seconds", "commands", "files")]
    shown.add_row(spoken("all", "合計"), *(f"{value:g}" for value in sums), "")
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo-authority", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "demo-authority")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    given = parser.parse_args()
    end_in_order()
    walked = walk(given.folder.resolve())
    is_good = len(walked) == len(TASKS) and not any(each.fault for each in walked)
    if given.json:
        json.dump(
            {"good": is_good, "tasks": [asdict(each) for each in walked]}, sys.stdout, ensure_ascii=False, indent=2
        )
        print()
    else:
        screen = Console(width=None if sys.stdout.isatty() else 130)
        screen.print(table(walked))
        for each in walked:
            if each.fault:
                screen.print(f"[red]{each.name}[/red] {escape(each.fault)}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
