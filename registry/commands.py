"""`idtone registry …`: check a registry, show it, and ask it what would happen to a call."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from idtone import console
from idtone.calls import Decision, Direction, ForwardedCall, Outcome, Party
from idtone.decision import decide as decide_call
from idtone.documents import read_text
from idtone.errors import DocumentError, UsageError
from idtone.numbers import parse
from idtone.settings import load_settings

from .index import RegistryIndex
from .model import RegistryDocument
from .report import member_report, registry_report, summary
from .source import parse_document, read_document

app = console.group("The registry (YAML): who may play which sound for which number, and which numbers are stopped.")

FileArgument = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="Registry file (default: registry.source of the settings).")
]


@app.command()
def check(
    file: FileArgument = None, config: console.ConfigOption = None, as_json: console.JsonOption = False
) -> None:
    """Find every fault of a registry at once, each with file, line, field and remedy.

    Exit 0: good. 1: faults were found. 2: there is no file to check (absent, too large, not UTF-8 text).
    """
    path = _registry_file(file, config)
    text = read_text(path)
    try:
        document = parse_document(text, str(path))
    except DocumentError as error:
        if as_json:
            console.print_json({"file": str(path), "good": False, "faults": [asdict(f) for f in error.faults]})
        else:
            print(*error.faults, sep="\n")
            print(f"{path}: {len(error.faults)} faults")
        console.negative()
    counts = summary(document)
    if as_json:
        console.print_json({"file": str(path), "good": True, "faults": [], **counts})
    else:
        print(f"{path}: good. {', '.join(f'{name.replace('_', ' ')} {count}' for name, count in counts.items())}")


@app.command()
def show(
    file: FileArgument = None,
    member: Annotated[str | None, typer.Argument(metavar="MEMBER", help="Only the member with this id.")] = None,
    config: console.ConfigOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Show a registry: its members, how their licences stand now, and the suspensions (last four digits only)."""
    document = read_document(_registry_file(file, config))
    now = datetime.now(UTC)
    if member is None:
        _print_report(registry_report(document, now), as_json)
        return
    found = next((entry for entry in document.members if entry.id == member), None)
    if found is None:
        raise UsageError(f"there is no member {member!r}; 'idtone registry show FILE' lists them")
    _print_report({"members": [member_report(found, now)]}, as_json)


@app.command()
def decide(
    number: Annotated[str, typer.Option(help="The forwarding number, in any usual form.")],
    direction: Annotated[Direction, typer.Option(help="Which way the call is forwarded.")],
    registry: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Registry file (default: registry.source of the settings).")
    ] = None,
    called: Annotated[str, typer.Option(help="The number that the call goes on to.")] = "",
    caller: Annotated[str, typer.Option(help="The caller's number.")] = "",
    at: Annotated[
        str | None, typer.Option(metavar="ISO-8601", help="The moment to decide for, with its time zone (default: now).")
    ] = None,
    config: console.ConfigOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Say what would happen to a call, and why. Nothing is dialled and nothing recorded.

    The policy comes from the settings. Exit 0: PLAY or BYPASS. 1: NOTICE or REFUSE. 2: the registry or the
    question cannot be used. A number that is withheld or malformed is an answer, not an error.
    """
    settings = load_settings(config)
    now = _moment(at)
    call = ForwardedCall("question", direction, parse(number), parse(caller), parse(called))
    index = RegistryIndex(read_document(registry or settings.registry.source))
    decision = decide_call(call, index, settings.policy.policy(), now)
    if as_json:
        console.print_json({**_question(call, now), **_answer(decision)})
    else:
        for name, value in {**_question(call, now), **_answer(decision)}.items():
            text = ", ".join(value) if isinstance(value, list) else value
            print(f"{name:<17} {'-' if text in (None, '') else text}")
    if decision.outcome not in (Outcome.PLAY, Outcome.BYPASS):
        console.negative()
