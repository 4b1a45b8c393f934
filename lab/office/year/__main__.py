"""Plays a year of the association's office with commands: `make demo-authority`.

    python -m lab.office.year [--json] [FOLDER]

The commands, files, keys, signatures and ledgers are real, and the desk runs on 127.0.0.1. Only the calls are not real:
the product decides them, but no phone rings. The calls that the evaluation counts, the office's observations and the
witness are invented. Acts without an option for their time happen now. The program exits with 0 only if each step had
its expected result. It stops everything that it started.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.processes import end_in_order
from lab.repository import ROOT

from .flow_picture import draw
from .office_year import OfficeYear, StepFailed, localise
from .steps import STEPS, Step


@dataclass(frozen=True)
class Finding:
    """Result of a step, and its differences from the expectation."""

    step: Step
    picture: Path
    seconds: float
    found: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def taken(year: OfficeYear, number: int, step: Step) -> Finding:
    picture = year.pictures / f"{number:02}-{step.name}.{step.picture}"
    began_s = time.monotonic()
    try:
        found, rows = step.act(year, picture)
    except StepFailed as error:
        return Finding(step, picture, time.monotonic() - began_s, faults=(str(error),))
    if rows:
        draw(picture, localise(*step.title), rows)
    faults = [
        f"{name} is {found.get(name)}, not {value}" for name, value in step.expected.items() if found.get(name) != value
    ]
    if not picture.stat().st_size:
        faults.append(f"{picture.name} is empty")
    return Finding(step, picture, time.monotonic() - began_s, found, tuple(faults))


def run(folder: Path, screen: Console) -> list[Finding]:
    """Take the steps and return their results. Stops at the first failure, because later steps depend on it."""
    findings: list[Finding] = []
    with OfficeYear(folder) as year:
        for number, step in enumerate(STEPS, 1):
            screen.print(f"\n[bold]{number}. {localise(*step.title)}[/bold]", highlight=False)
            finding = taken(year, number, step)
            findings.append(finding)
            for fault in finding.faults:
                screen.print(f"   [bold red]{localise('wrong', '相違')}[/bold red] {escape(fault)}")
            if finding.faults:
                break
            screen.print(f"   {escape(localise(*step.told).format(**finding.found))}", highlight=False)
            screen.print(f"   {localise('picture', '図')} pictures/{finding.picture.name}", highlight=False)
    return findings


def table(findings: list[Finding]) -> Table:
    shown = Table(*(localise(*name) for name in (("step", "段階"), ("expected", "期待"), ("found", "結果"))), "s", "")
    for each in findings:
        shown.add_row(
            localise(*each.step.title),
            _words(each.step.expected),
            _words({name: each.found.get(name) for name in each.step.expected}) if each.found else "–",
            f"{each.seconds:.1f}",
            "[red]✗[/red]" if each.faults else "[green]✓[/green]",
        )
    return shown


def _words(values: Mapping[str, Any]) -> str:
    return escape(", ".join(f"{name} {value}" for name, value in values.items()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo-authority", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "demo-authority")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    given = parser.parse_args()
    end_in_order()
    screen = Console(file=sys.stderr if given.json else sys.stdout, width=None if sys.stdout.isatty() else 130)
    folder = given.folder.resolve()
    screen.print(
        localise("A year of the association's office, in {}", "協会事務局の一年({})").format(folder),
        highlight=False,
    )
    began_s = time.monotonic()
    findings = run(folder, screen)
    good = len(findings) == len(STEPS) and not any(each.faults for each in findings)
    if given.json:
        steps = [
            {
                "step": each.step.name, "good": not each.faults, "expected": each.step.expected, "found": each.found,
                "faults": each.faults, "picture": str(each.picture),
            }
            for each in findings
        ]  # fmt: skip
        json.dump({"folder": str(folder), "good": good, "steps": steps}, sys.stdout, ensure_ascii=False, indent=2)
        print()
    else:
        screen.print()
        screen.print(table(findings))
        verdict = (
            localise("Each step found what it should", "すべての段階が期待どおりでした")
            if good
            else localise("Not every step found what it should", "期待どおりでない段階がありました")
        )
        screen.print(
            localise(
                "{}; {:.0f} s. Nothing was left running.", "{}({:.0f} 秒)。起動したものはすべて終了しました。"
            ).format(verdict, time.monotonic() - began_s)
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
