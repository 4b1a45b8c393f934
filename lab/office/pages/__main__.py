"""Plays a year of the association's office through its pages, in Chromium: `make demo-authority`.

    python -m lab.office.pages [--json] [--page] [FOLDER]

People write no YAML. They do everything on the pages and with the holders' `idtone-sign`, except creating the keys.
Afterwards the program does the same with commands, and counts them. It exits with 0 only if each page had its expected
text. It stops everything that it started. `python -m lab.office.year` plays a year with commands, including the
members' nodes and their calls.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.office.year.office_year import localise
from lab.processes import end_in_order
from lab.repository import ROOT

from .by_command import CommandEffort, play_by_command
from .by_page import PageEffort, play_by_page
from .tasks import TASKS
from .tasks_page import rows, write_pages


def table(walked: Sequence[PageEffort], played: Mapping[str, CommandEffort]) -> Table:
    titles = {task.name: task.title for task in TASKS}
    faults = {each.name: each.fault for each in walked}
    heads = (
        ("task", "業務"), ("clicks", "クリック"), ("fields typed", "入力欄"), ("s", "秒"),
        ("commands", "コマンド"), ("files by hand", "手書きのファイル"), ("s", "秒"),
    )  # fmt: skip
    shown = Table(*(localise(*head) for head in heads), "")
    for name, figures in rows(walked, played):
        mark = "" if not name else "[red]✗[/red]" if faults[name] else "[green]✓[/green]"
        title = localise(*titles[name]) if name else localise("all", "合計")
        shown.add_row(title, *(f"{round(each, 1):g}" for each in figures), mark)
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo-authority", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "demo-authority")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    parser.add_argument("--page", action="store_true", help="also write the page of the documentation")
    given = parser.parse_args()
    end_in_order()
    folder = given.folder.resolve()
    walked = play_by_page(folder)
    is_good = len(walked) == len(TASKS) and not any(each.fault for each in walked)
    played = play_by_command(folder / "by-command")
    if given.json:
        tasks = [asdict(each) | {"by_command": asdict(played[each.name])} for each in walked]
        json.dump({"good": is_good, "tasks": tasks}, sys.stdout, ensure_ascii=False, indent=2)
        print()
    else:
        screen = Console(width=None if sys.stdout.isatty() else 130)
        screen.print(table(walked, played))
        for each in walked:
            if each.fault:
                screen.print(f"[red]{each.name}[/red] {escape(each.fault)}")
    if given.page and is_good:
        write_pages(walked, played)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
