"""`idtone setup`: shows planned changes, makes or undoes them, and shows the doctor's findings."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from idtone.core.errors import UsageError
from idtone.core.numbers import NumberKind, parse
from idtone.core.settings.settings import DEFAULT_FILE, Settings, load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.extras import require
from idtone.core.terminal.prompts import ask_confirmation
from idtone.core.translation import Message, joined, translated
from idtone.tones.profile_library import load_library

from ..asterisk_console import AsteriskConsole
from ..change_report import Attempt, show_attempts, show_plan
from ..doctor.check_inputs import USUAL_FOLDER, CheckInputs
from ..doctor.checks import CHECKS
from ..doctor.commands import show, waiting
from ..doctor.findings import Finding, State
from ..doctor.run_checks import run
from ..hook_call_sites import hook_calls
from ..make_changes import USUAL_COPIES, Changer
from ..originate_call import shown_progress
from ..undo_changes import Undone, removed_hook, runs, undo
from .plan_setup import Plan, SetupOptions, is_new, plan
from .trial_call import TrialCall, place

COMMAND: Final = "setup"
_MOST_SHOWN: Final = 20
_NOTHING: Final = Message("Nothing is missing that setup can add.")
_CONNECTS_WITHIN_S: Final = 15.0
_QUESTION: Final = Message("Make these changes?")
_MEMBER: Final = Message("your member's id in the association's registry (empty: later, in association.member)")
_NOT_FOR_UNDO: Final = ("config", "registry", "trust", "member", "user", "call")
"""Parameters whose options cannot be used with --undo."""


def setup(
    context: typer.Context,
    config: command_line.ConfigOption = None,
    asterisk_etc: Annotated[Path, typer.Option(metavar="DIR", help="Asterisk's configuration folder.")] = USUAL_FOLDER,
    registry: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="For new settings: the association's registry (registry.source)."),
    ] = None,
    trust: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="For new settings: the association's root, or unsigned (registry.trust)."),
    ] = None,
    member: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="For new settings: your member's id in the registry (association.member). Without "
            "this option, the command asks for it.",
        ),
    ] = None,
    user: Annotated[str, typer.Option(help="The user that the service runs as.")] = "idtone",
    call: Annotated[
        bool,
        typer.Option(
            "--call",
            help="At the end, place a call through the hook, and report what was received. Asks for the number.",
        ),
    ] = False,
    undo_all: Annotated[bool, typer.Option("--undo", help="Revert what setup changed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    copies: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder for backups of changed files.")
    ] = USUAL_COPIES,
    as_json: command_line.JsonOption = False,
) -> None:
    """Prepare the PBX: ARI, the hook, settings, folders, the service. --undo reverts all changes.

    It shows its changes and asks. Then it backs up each file, makes the changes, and runs the doctor. It replaces none
    of your files: it only adds lines; in FreePBX, Wazo and VitalPBX, it adds them to the files that are meant for your
    own changes. It adds only what is missing, so a second run changes nothing. Run it as root, while Asterisk runs.

    While your dialplan still calls the hook, --undo refuses and shows the lines: without the hook, these calls would
    fail.

    --call places a call through the hook, between two extensions of its own, with the forwarding number that you enter.
    The evidence contains a record of this call.

    With --json and without --yes it only prints the changes. Exit codes: 0 nothing is bad, 1 something is bad or could
    not be changed, 2 wrong use or settings that cannot be used.
    """
    out = command_line.screen(highlight=False)
    if undo_all:
        if given := ", ".join(f"--{name}" for name in _NOT_FOR_UNDO if command_line.is_on_command_line(context, name)):
            raise UsageError(
                "--undo does not go with {options}: it restores what the copies hold (--copies); leave out the rest",
                options=given,
            )
        _undo(asterisk_etc, copies, yes, as_json, out)
        return
    if call:
        require("soundfile")  # which reads what was received
    path = config or DEFAULT_FILE
    if member is None and not (yes or as_json) and is_new(path) and sys.stdin.isatty():
        member = typer.prompt(translated(_MEMBER), default="", show_default=False, err=True).strip() or None
    wishes = SetupOptions(path, asterisk_etc, user, registry, trust, member)
    found = plan(wishes)
    attempts = [Attempt(group) for group in found.groups]
    if not as_json:
        _show_found(found, out)
        show_plan(found.groups, out, _NOTHING)
    agreed = yes or (not as_json and (not attempts or ask_confirmation(_QUESTION)))
    findings: list[Finding] = []
    trial = None
    if agreed:
        changer = Changer(AsteriskConsole(asterisk_etc), copies, datetime.now(UTC), COMMAND)
        for attempt in attempts:
            attempt.make(changer)
        if not as_json:
            show_attempts(attempts, out)
        if wishes.config.exists():  # otherwise the attempt says why not
            settings = load_settings(wishes.config)
            findings = _examined(settings, wishes)
            if call and any(finding.topic == "ari" and finding.state is State.GOOD for finding in findings):
                trial = _called(settings, asterisk_etc)
            elif call:
                found.left["call"] = Message(
                    "The call needs Asterisk's REST interface: correct the finding on it first."
                )
    if as_json:
        command_line.print_json(_report(found, attempts, findings, trial))
    else:
        _show_left(found.left, out)
        if findings:
            show(findings, out, ())
        if trial:
            out.print(Text(translated(_in_words(trial))), soft_wrap=True)
    failed = any(attempt.made is False for attempt in attempts) or (call and agreed and not (trial and trial.received))
    if failed or any(finding.state is State.BAD for finding in findings):
        command_line.exit_negative()


def _number() -> str:
    """Read the forwarding number from the terminal or standard input.

    Raises UsageError if it is not a number, because Asterisk could read other text as additional arguments.
    """
    is_asked = sys.stdin.isatty()
    text = typer.prompt(translated("forwarding number"), err=True) if is_asked else sys.stdin.readline()
    number = parse(text.strip())
    if not number.known or number.kind is NumberKind.EMERGENCY:
        raise UsageError("the call needs a forwarding number; write it like 0312345678")
    return str(text.strip())


def _examined(settings: Settings, wishes: SetupOptions) -> list[Finding]:
    """The doctor's findings, checked again while a newly started service is still connecting to Asterisk."""
    end_s = time.monotonic() + _CONNECTS_WITHIN_S
    with waiting() as progress:
        while True:
            inputs = CheckInputs(settings, wishes.config, wishes.folder, os.environ, lambda: datetime.now(UTC))
            findings = run(inputs, CHECKS, waiting=progress)
            states = {finding.topic: finding.state for finding in findings}
            connects = states.get("service") is State.GOOD and states.get("service-application") is State.BAD
            if not connects or time.monotonic() >= end_s:
                return findings
            time.sleep(0.5)


def _called(settings: Settings, folder: Path) -> TrialCall:
    number = _number()
    profiles = {profile.id: profile for profile in load_library(settings.sounds.profiles).for_calls()}
    with shown_progress() as progress:
        return place(settings.ari, settings.ari.secret(), AsteriskConsole(folder), number, profiles, progress)


def _undo(folder: Path, copies: Path, yes: bool, as_json: bool, out: Console) -> None:
    found = runs(copies, COMMAND)
    if not as_json:
        names = joined(", ", map(str, found)) if found else Message("nothing")
        out.print(Text(translated("to undo: {names}", names=names)), soft_wrap=True)
    for hook in filter(None, map(removed_hook, found)):
        _refuse_used_hook(hook.parent)
    all_of_it = Undone()
    if found and (yes or (not as_json and ask_confirmation(Message("Undo this?")))):
        for run_folder in found:
            one = undo(run_folder, AsteriskConsole(folder))
            all_of_it.restored += one.restored
            all_of_it.left |= one.left
    if as_json:
        command_line.print_json({"runs": list(map(str, found)), "restored": all_of_it.restored, "left": all_of_it.left})
    else:
        for path in all_of_it.restored:
            out.print(Text(translated("as before: {path}", path=path)), soft_wrap=True)
        for path, why in all_of_it.left.items():
            out.print(Text(translated("left: {path}: {why}", path=path, why=why)), soft_wrap=True)
    if all_of_it.left:
        command_line.exit_negative()


def _refuse_used_hook(folder: Path) -> None:
    """Raise UsageError if the dialplan still calls the hook.

    Without the hook, those calls would fail.
    """
    if calls := hook_calls(folder, AsteriskConsole(folder)):
        shown = [*calls[:_MOST_SHOWN], *(["…"] if len(calls) > _MOST_SHOWN else [])]
        raise UsageError(
            "nothing is undone: the dialplan still calls the hook, and without it these calls would fail: "
            "{places}; change or remove these lines, then: asterisk -rx 'dialplan reload', and run this again",
            places=", ".join(shown),
        )


def _report(found: Plan, attempts: list[Attempt], findings: list[Finding], trial: TrialCall | None) -> dict[str, Any]:
    return {
        "asterisk": found.version,
        "distribution": found.distribution or None,
        "changes": [attempt.report() for attempt in attempts],
        "left": found.left,
        "findings": [finding.report() for finding in findings if finding.state is not State.GOOD],
        "call": trial and {"status": trial.status, "reason": trial.reason, "received": trial.received or None},
    }


def _show_found(found: Plan, out: Console) -> None:
    if found.distribution:
        text = Message("Asterisk {version}, {distribution}", version=found.version, distribution=found.distribution)
    else:
        text = Message("Asterisk {version}", version=found.version)
    out.print(Text(translated(text)))


def _show_left(left: Mapping[str, str], out: Console) -> None:
    for why in left.values():
        out.print(Text(translated("left to you: {why}", why=why)), soft_wrap=True)


def _in_words(trial: TrialCall) -> Message:
    if trial.received:
        return Message(
            "the called extension received {profile} ({verdict}); the hook returned {status}, {reason}",
            profile=trial.received,
            verdict=trial.verdict,
            status=trial.status,
            reason=trial.reason,
        )
    return Message(
        "the called extension received no known sound; the hook returned {status}, {reason}",
        status=trial.status,
        reason=trial.reason,
    )
