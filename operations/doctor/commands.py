"""`idtone doctor`: runs the checks, shows the findings, and makes corrections if --fix is given."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_confirmation
from idtone.core.translation import Message, joined, translated

from ..asterisk_console import AsteriskConsole
from ..change_report import Attempt, show_attempts, show_plan
from ..make_changes import USUAL_COPIES, Changer
from .check_inputs import USUAL_FOLDER, CheckInputs
from .checks import CHECKS
from .findings import TOPICS, Finding, State
from .fixes import plan
from .run_checks import run

PATIENCE_S: Final = 1.0
"""Seconds after which unfinished checks are shown."""

_STYLES: Final = {State.GOOD: "green", State.WARNING: "yellow", State.BAD: "bold red", State.UNKNOWN: "cyan"}
_WORDS: Final = {
    State.GOOD: Message("good"),
    State.WARNING: Message("warning"),
    State.BAD: Message("bad"),
    State.UNKNOWN: Message("not checked"),
}


_WIDTH: Final = 120
"""Width of the table, in columns, when the output is a pipe."""
_COLUMNS: Final = (Message("state"), Message("what"), Message("found"))


def doctor(
    config: command_line.ConfigOption = None,
    asterisk_etc: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Asterisk's configuration folder (default: the one that Asterisk names)."),
    ] = None,
    problems: Annotated[bool, typer.Option("--problems", help="Show only the findings that are not good.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Make the changes that lose no data and affect no call. Asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: do not ask.")] = False,
    copies: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="With --fix: the folder for backups of changed files (default: /var/backups/idtone)."
        ),
    ] = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Check the PBX and everything that a call depends on, and explain how to correct faults. --fix corrects some.

    Without --fix it changes nothing. To check whether the service can write next to the sounds and in the journal's
    folder, it creates a file there and removes it. Run it as the user that `idtone serve` runs as, or as root. Exit
    codes: 0 nothing is bad, 1 something is bad, 2 the settings cannot be used.

    --fix shows its changes and asks. Then it backs up each file, makes the changes, and checks again. It replaces only
    idtone's own files, and only adds lines to yours. It lists what it leaves to you, and why. With --json and without
    --yes it only prints the changes.
    """
    if not fix and (yes or copies):
        raise UsageError("--yes and --copies belong to --fix")
    settings = load_settings(config)

    def look() -> tuple[CheckInputs, list[Finding]]:
        inputs = CheckInputs(settings, config, asterisk_etc, os.environ, lambda: datetime.now(UTC))
        with waiting() as progress:
            return inputs, run(inputs, CHECKS, waiting=progress)

    inputs, findings = look()
    out = command_line.screen(highlight=False)
    attempts: list[Attempt] = []
    left: dict[str, str] = {}
    shown = {finding.topic for finding in findings if finding.state is not State.GOOD or not problems}
    if fix:
        groups, left = plan(inputs, findings)
        attempts = [Attempt(group) for group in groups]
        if not as_json:
            show_plan(groups, out, _NOTHING)
        if groups and (yes or (not as_json and ask_confirmation(_QUESTION))):
            changer = Changer(AsteriskConsole(inputs.folder or USUAL_FOLDER), copies or USUAL_COPIES, inputs.now())
            for attempt in attempts:
                attempt.make(changer)
            _, findings = look()
        if not as_json:
            show_attempts(attempts, out)
    findings_shown = [finding for finding in findings if finding.topic in shown or finding.state is not State.GOOD]
    if as_json:
        reports = [finding.report() for finding in findings_shown]
        command_line.print_json(
            {"changes": [attempt.report() for attempt in attempts], "left": left, "findings": reports}
            if fix
            else reports
        )
    else:
        show(findings, out, shown, left)
    if any(finding.state is State.BAD for finding in findings):
        command_line.exit_negative()


_NOTHING: Final = Message("There is nothing to change that is safe to change.")
_QUESTION: Final = Message("Make these changes?")


def show(
    findings: Collection[Finding],
    out: Console,
    shown: Collection[str] | None = None,
    left: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Print a table of findings, then the remedies, then the number of findings in each state.

    Remedies are not wrapped, so that they can be copied. If `shown` is given, the table has only good findings whose
    topic is in `shown`. `left` maps topics to the reason why `--fix` does not correct them.
    """
    # The screen of a pipe (ssh, mail, less) has no width, and people copy the remedies below.
    table = Table(*map(translated, _COLUMNS), box=None, width=min(out.width, _WIDTH) if not out.is_terminal else None)
    for finding in findings:
        if finding.state is State.GOOD and shown is not None and finding.topic not in shown:
            continue
        table.add_row(_state(finding.state), translated(finding.looked_at), Text(translated(finding.found)))
    out.print(table)
    for state in (State.BAD, State.WARNING, State.UNKNOWN):
        chosen = [finding for finding in findings if finding.state is state]
        for remedy in dict.fromkeys(finding.remedy for finding in chosen):
            out.print()
            same = [finding for finding in chosen if finding.remedy == remedy]
            for finding in same:
                out.print(Text.assemble(_state(state), f"  {translated(finding.looked_at)}"))
                out.print(Text(f"  {translated(finding.why)}"), soft_wrap=True)
            out.print(Text(f"  → {translated(remedy)}"), soft_wrap=True)
            for why in dict.fromkeys(left[finding.topic] for finding in same if finding.topic in left):
                out.print(Text(f"  {translated('left to you: {why}', why=why)}"), soft_wrap=True)
    counted = ((state, sum(finding.state is state for finding in findings)) for state in State)
    out.print()
    out.print(Text(", ").join(Text.assemble(f"{count} ", _state(state)) for state, count in counted if count))


def _state(state: State) -> Text:
    return Text(translated(_WORDS[state]), _STYLES[state])


@contextmanager
def waiting() -> Iterator[Waiting]:
    """Show unfinished checks on standard error while the block runs."""
    progress = Waiting(Console(stderr=True))
    try:
        yield progress
    finally:
        progress.status.stop()


class Waiting:
    """Shows unfinished checks after `PATIENCE_S` if there is a terminal."""

    def __init__(self, out: Console) -> None:
        self._since_s = time.monotonic()
        self.status = out.status("")

    def __call__(self, topics: Collection[str]) -> None:
        if time.monotonic() - self._since_s > PATIENCE_S:
            names = joined(", ", (TOPICS[topic].looked_at for topic in topics))
            self.status.update(translated("checking {names}", names=names))
            self.status.start()
