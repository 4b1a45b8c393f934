"""`idtone doctor`."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from idtone import console
from idtone.settings import load_settings
from idtone.translation import Message, joined, translated

from .checks import CHECKS
from .exam import Exam
from .findings import TOPICS, Finding, State
from .run_checks import run

PATIENCE_S: Final = 1.0
"""Checks that take longer are shown while they run."""

_STYLES: Final = {State.GOOD: "green", State.WARNING: "yellow", State.BAD: "bold red", State.UNKNOWN: "cyan"}
_WORDS: Final = {
    State.GOOD: Message("good"),
    State.WARNING: Message("warning"),
    State.BAD: Message("bad"),
    State.UNKNOWN: Message("not checked"),
}


_COLUMNS: Final = (Message("state"), Message("what"), Message("found"))


def doctor(
    config: console.ConfigOption = None,
    asterisk_etc: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Asterisk's configuration folder (default: the one that Asterisk names)."),
    ] = None,
    problems: Annotated[bool, typer.Option("--problems", help="Show only the findings that are not good.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Check the PBX and everything that a call depends on, and say how to correct faults. Changes nothing.

    To check whether the service can write beside the sounds and in the journal's folder, it makes a file there and
    removes it. Run it as the user that `idtone serve` runs as, or as root. Exit codes: 0 nothing is bad, 1 something
    is bad, 2 the settings cannot be used.
    """
    settings = load_settings(config)
    exam = Exam(settings, config, asterisk_etc, os.environ, lambda: datetime.now(UTC))
    with _progress() as waiting:
        findings = run(exam, CHECKS, waiting=waiting)
    if as_json:
        console.print_json([finding.report() for finding in findings if _is_shown(finding, problems)])
    else:
        show(findings, console.screen(highlight=False), problems)
    if any(finding.state is State.BAD for finding in findings):
        console.negative()


def _is_shown(finding: Finding, problems: bool) -> bool:
    return finding.state is not State.GOOD or not problems


def show(findings: Collection[Finding], out: Console, problems: bool = False) -> None:
    """Print a table of the findings, or of the problems alone, then the remedies, and the count of all findings.

    A remedy is never wrapped, so that it can be copied.
    """
    table = Table(*map(translated, _COLUMNS), box=None)
    for finding in findings:
        if not _is_shown(finding, problems):
            continue
        table.add_row(_state(finding.state), translated(finding.looked_at), Text(translated(finding.found)))
    out.print(table)
    for state in (State.BAD, State.WARNING, State.UNKNOWN):
        chosen = [finding for finding in findings if finding.state is state]
        for remedy in dict.fromkeys(finding.remedy for finding in chosen):
            out.print()
            for finding in chosen:
                if finding.remedy == remedy:
                    out.print(Text.assemble(_state(state), f"  {translated(finding.looked_at)}"))
                    out.print(Text(f"  {translated(finding.why)}"), soft_wrap=True)
            out.print(Text(f"  → {translated(remedy)}"), soft_wrap=True)
    counted = ((state, sum(finding.state is state for finding in findings)) for state in State)
    out.print()
    out.print(Text(", ").join(Text.assemble(f"{count} ", _state(state)) for state, count in counted if count))


def _state(state: State) -> Text:
    return Text(translated(_WORDS[state]), _STYLES[state])


@contextmanager
def _progress() -> Iterator[Waiting]:
    waiting = Waiting(Console(stderr=True))
    try:
        yield waiting
    finally:
        waiting.status.stop()


class Waiting:
    """Shows the unfinished checks after `PATIENCE_S`. On anything but a terminal, rich shows nothing."""

    def __init__(self, out: Console) -> None:
        self._since_s = time.monotonic()
        self.status = out.status("")

    def __call__(self, topics: Collection[str]) -> None:
        if time.monotonic() - self._since_s > PATIENCE_S:
            names = joined(", ", (TOPICS[topic].looked_at for topic in topics))
            self.status.update(translated(Message("checking {names}", names=names)))
            self.status.start()
