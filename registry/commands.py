"""`idtone registry`: check a registry, look into it, and ask it for a decision."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from idtone import console, documents
from idtone.calls import Direction, ForwardedCall, Outcome
from idtone.decision import decide as decide_call
from idtone.decision import judge
from idtone.errors import DocumentError, Fault, UsageError
from idtone.numbers import WITHHELD, parse
from idtone.settings import load_settings

from .index import RegistryIndex
from .model import MemberEntry
from .source import load_registry
from .spans import read_span

app = console.group("The registry of licences (利用許諾) and suspended numbers (番号停止).")

FileArgument = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="Default: registry.source of the settings.")
]


@app.command()
def check(file: FileArgument = None, config: console.ConfigOption = None, as_json: console.JsonOption = False) -> None:
    """Find every fault of a registry at once: file, line, field and what to do. Exit 1 where there is one."""
    path = _path(file, config)
    documents.read_text(path)  # a file that cannot be read at all is exit 2
    try:
        registry = load_registry(path)
    except DocumentError as error:
        _print_faults(error.faults, as_json)
        console.negative()
    if as_json:
        console.print_json({"file": str(path), "good": True, "faults": [], **_counts(registry)})
    else:
        counted = ", ".join(f"{value} {name}" for name, value in _counts(registry).items() if name != "version")
        print(f"{path}: version {registry.version} is good: {counted}")


@app.command()
def show(
    file: FileArgument = None,
    member: Annotated[str | None, typer.Option("--member", help="Only this member.")] = None,
    config: console.ConfigOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Show members, the state of their licences now, and suspensions (numbers by their last four digits)."""
    registry = load_registry(_path(file, config))
    now = datetime.now(UTC)
    members = [entry for entry in registry.file.members if member in (None, entry.id)]
    if member and not members:
        known = ", ".join(entry.id for entry in registry.file.members[:20])
        raise UsageError(f"there is no member {member!r}; there are {known}")
    head = registry.file.registry
    shown: dict[str, Any] = {
        "registry": head.model_dump(mode="json"),
        "members": [_member(entry, registry, now) for entry in members],
        "suspensions": [
            {"number": str(entry.number), "since": entry.since.isoformat(), "reference": entry.reference}
            for entry in registry.suspensions()
        ],
    }
    if as_json:
        console.print_json(shown)
        return
    screen = Console()
    screen.print(f"{head.association}, version {head.version}, issued {head.issued}, expires {head.expires}")
    table = Table("member", "name", "numbers", "licence", "tone", "valid until", "directions", "now")
    for entry in shown["members"]:
        first = (entry["id"], f"{entry['name']['ja']}\n{entry['name']['en']}", str(entry["numbers"]))
        none: dict[str, Any] = {"id": "–", "tone": "–", "until": "–", "directions": [], "now": "licence-none"}
        for licence in entry["licences"] or [none]:
            table.add_row(
                *first, licence["id"], licence["tone"], licence["until"], ", ".join(licence["directions"]),
                licence["now"],
            )  # fmt: skip
            first = ("", "", "")
    screen.print(table)
    stopped = Table("suspended", "since", "reference")
    for row in shown["suspensions"]:
        stopped.add_row(*row.values())
    if shown["suspensions"]:
        screen.print(stopped)


@app.command()
def decide(
    number: Annotated[str, typer.Option("--number", help="The forwarding number, in any usual form.")],
    direction: Annotated[Direction, typer.Option("--direction", help="Which way the forwarding goes.")],
    registry: Annotated[
        Path | None, typer.Option("--registry", metavar="FILE", help="Default: registry.source of the settings.")
    ] = None,
    called: Annotated[str, typer.Option("--called", help="The number that is called.")] = "",
    at: Annotated[str | None, typer.Option("--at", metavar="ISO-8601", help="As of then (default: now).")] = None,
    config: console.ConfigOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Say what would be decided for a call, by the policy of the settings. Exit 0 for PLAY and BYPASS, else 1."""
    call = ForwardedCall("asked", direction, parse(number), WITHHELD, parse(called))
    policy = load_settings(config).policy.policy()
    decision = decide_call(call, load_registry(_path(registry, config)), policy, _moment(at))
    answer = {
        "outcome": decision.outcome,
        "reason": decision.reason,
        "licence": decision.licence,
        "profile": decision.profile,
        "parties": sorted(decision.parties),
        "registry_version": decision.registry_version,
        "hangup_cause": decision.hangup_cause,
    }
    if as_json:
        console.print_json(answer)
    else:
        for name, value in answer.items():
            if value:
                print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    if decision.outcome not in (Outcome.PLAY, Outcome.BYPASS):
        console.negative()


def _path(file: Path | None, config: Path | None) -> Path:
    return file or load_settings(config).registry.source


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError("--at is not a time; write it like 2026-11-01T00:00:00+09:00") from error
    if moment.utcoffset() is None:
        raise UsageError("--at has no time zone; add +09:00 for Japan, or Z")
    return moment


def _counts(registry: RegistryIndex) -> dict[str, int]:
    members = registry.file.members
    return {
        "version": registry.version,
        "members": len(members),
        "licences": sum(len(member.licences) for member in members),
        "numbers": sum(_numbers(member) for member in members),
        "suspensions": len(registry.file.suspensions),
    }


def _numbers(member: MemberEntry) -> int:
    return sum(len(read_span(text)) for text in member.numbers)


def _member(member: MemberEntry, registry: RegistryIndex, now: datetime) -> dict[str, Any]:
    by_id = {licence.id: licence for licence in registry.licences_of(member.id)}
    return {
        "id": member.id,
        "name": {"ja": member.name.ja, "en": member.name.en},
        "pledge": member.pledge.signed.isoformat(),
        "numbers": _numbers(member),
        "licences": [
            {
                "id": entry.id,
                "tone": entry.tone,
                "from": entry.valid.from_.isoformat(),
                "until": entry.valid.until.isoformat(),
                "directions": [direction.value for direction in entry.directions],
                "now": judge(by_id[entry.id], entry.directions[0], now).value,
            }
            for entry in member.licences
        ],
    }


def _print_faults(faults: tuple[Fault, ...], as_json: bool) -> None:
    if as_json:
        fields = ("file", "line", "column", "field", "problem", "remedy")
        listed = [{name: getattr(fault, name) for name in fields} for fault in faults]
        console.print_json({"file": faults[0].file, "good": False, "faults": listed})
        return
    for fault in faults:
        print(fault)
    kinds = Counter(fault.problem for fault in faults)
    print(f"{len(faults)} fault{'s' if len(faults) > 1 else ''} of {len(kinds)} kind{'s' if len(kinds) > 1 else ''}")
