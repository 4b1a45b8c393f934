"""`idtone ledger`: read the evidence, verify and prove it, and forget whose it is."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from idtone import console
from idtone.errors import ProofError, UsageError
from idtone.settings import LedgerSettings, Settings, load_settings

from .custody import Seen, own_key
from .day_keys import DayKeys
from .key_file import read_key
from .records import Record, iso_ms
from .sealing import KeyRing, day_of
from .steps import Role, Step, StepKind
from .store import LedgerReader
from .tree.notes import Note, VerifierKey

app = console.group("The evidence of what was decided and heard (再生証跡).")

LedgerOption = Annotated[
    str | None, typer.Option("--ledger", metavar="URL", help="Ledger to read (default: ledger.url of the settings).")
]


@app.command("list")
def list_calls(
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    call_id: Annotated[str | None, typer.Option("--call-id", help="Only this call.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T", help="Only calls since then: ISO 8601, or 2h for two hours ago."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many calls, the newest.")] = 50,
    as_json: console.JsonOption = False,
) -> None:
    """List calls, the newest last."""
    start = parse_since(since, datetime.now(UTC)) if since is not None else None
    with _reader(config, ledger) as reader:
        records = reader.records(call_id, start, limit)
    if as_json:
        console.print_json([record.to_json() for record in records])
        return
    columns = ("time", "call", "direction", "number", "outcome", "reason", "heard", "status")
    _print_table(columns, [_line(record) for record in records])


@app.command()
def show(
    call_id: Annotated[str, typer.Argument(help="The call's id, as IDTONE_CALL_ID gives it.")],
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Show every step of one call; exit code 1 where the ledger does not know it."""
    with _reader(config, ledger) as reader:
        record = reader.record(call_id)
    if record is None:
        print(f"the ledger holds no call {call_id}", file=sys.stderr)
        console.negative()
    if as_json:
        steps = [
            {
                "kind": step.kind,
                "at": iso_ms(step.at),
                "after_ms": _after_ms(record, step),
                "details": dict(step.details),
            }
            for step in record.steps
        ]
        console.print_json(record.to_json() | {"steps": steps})
        return
    _print_table(
        ("time", "ms", "step", "details"),
        [
            (
                _local(step.at),
                f"{_after_ms(record, step):+.1f}",
                step.kind.value,
                " ".join(f"{key}={value}" for key, value in _details(record, step).items()),
            )
            for step in record.steps
        ],
    )
    for anomaly in record.anomalies:
        print(f"anomaly: {anomaly}")


@app.command("verify")
def verify_ledger(
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="A checkpoint that was kept elsewhere; may be repeated."),
    ] = None,
    log_key: Annotated[
        str | None,
        typer.Option("--log-key", metavar="VKEY", help="The ledger's verifier key (default: that of its signing key)."),
    ] = None,
    as_json: console.JsonOption = False,
) -> None:
    """Verify that no record was changed, removed, inserted or moved since it was signed, and none cut off.

    Every step is read and every hash made again; the service may run. It is held against the ledger's own checkpoint,
    the one in ledger.seen_file, and those that are named. Exit 1: something is wrong, and what is told.
    """
    settings = load_settings(config)
    key = _log_key(log_key, settings)
    notes = [(str(path), _note(path)) for path in checkpoints or []]
    if log_key is None and (seen := Seen(settings.ledger.seen()).latest(key)):
        notes.append((str(settings.ledger.seen()), seen[0]))
    with _reader(config, ledger) as reader:
        verdict = reader.verify(key, notes)
    report = {
        "good": not verdict.faults,
        "log": str(key),
        "leaves": verdict.leaves,
        "root": verdict.root.hex(),
        "steps": verdict.steps,
        "open_calls": verdict.open_calls,
        "older_steps": verdict.older,
        "signed": [{"source": each.source, "leaves": each.checkpoint.size} for each in verdict.signed],
        "faults": verdict.faults,
    }
    if as_json:
        console.print_json(report)
    else:
        for fault in verdict.faults:
            print(fault)
        print(f"{'good' if not verdict.faults else 'NOT GOOD'}: {verdict.leaves:,} leaves of {verdict.steps:,} steps")
        for each in verdict.signed:
            print(f"  signed       {each.checkpoint.size:,} leaves ({each.source})")
        print(f"  root         {verdict.root.hex()}")
        print(f"  in progress  {verdict.open_calls:,} calls, whose steps nothing vouches for yet")
        if verdict.older:
            print(f"  older        {verdict.older:,} steps from before the ledger had a tree")
    if verdict.faults:
        console.negative()


@app.command()
def prove(
    call_id: Annotated[str, typer.Argument(help="The call's id.")],
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Print the proof that a call's record is in the signed tree (C2SP tlog-proof), with the record as its extra data.

    What was told of the call after it was over is proven by further proofs, which --json prints as well. Exit 1: the
    ledger does not know the call, or it is still in progress.
    """
    with _reader(config, ledger) as reader:
        proven = reader.proofs(call_id)
    if not proven:
        print(f"no leaf of the ledger's tree holds call {call_id}: it is unknown or not over yet", file=sys.stderr)
        console.negative()
    if as_json:
        console.print_json([{"leaf": each.proof.index, "proof": str(each.proof)} for each in proven])
    else:
        print(proven[0].proof, end="")


@app.command("key")
def show_key(config: console.ConfigOption = None) -> None:
    """Print the verifier key of this ledger, by which others verify what it signs; give it to your witnesses."""
    print(_log_key(None, load_settings(config)))


def _log_key(text: str | None, settings: Settings) -> VerifierKey:
    if text is None:
        return own_key(settings.ledger, settings.node)
    try:
        return VerifierKey.parse(text)
    except ProofError as error:
        raise UsageError(f"--log-key: {error}") from error


def _note(path: Path) -> Note:
    try:
        return Note.parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ProofError as error:
        raise UsageError(f"{path}: {error}; name a file with a signed checkpoint") from error


@app.command()
def forget(
    before: Annotated[
        str, typer.Option("--before", metavar="DATE", help="The first day (UTC) that is kept, like 2026-11-01.")
    ],
    config: console.ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: console.JsonOption = False,
) -> None:
    """Destroy the keys of all days before DATE: the numbers of these days can never be opened again.

    What was decided and heard stays, and so does its proof. Exit 1: the question was answered with no.
    """
    first = parse_day(before, datetime.now(UTC))
    settings = load_settings(config).ledger
    days = DayKeys(settings.day_keys(), KeyRing(read_key(settings.key_file)))
    doomed = [day for day in days.days() if day < first]
    if doomed and not yes:
        question = f"Destroy the keys of {len(doomed)} days, from {doomed[0]} to {doomed[-1]}, for ever?"
        if not typer.confirm(question, err=True):
            console.negative()
    destroyed = days.destroy(first)
    if as_json:
        console.print_json({"destroyed": destroyed})
    else:
        print(f"the numbers of {len(destroyed)} days cannot be opened any more")


def parse_day(text: str, now: datetime) -> str:
    """A day of UTC that is not in the future. Raises UsageError."""
    try:
        day = date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError(f"--before {text!r} is not a day; write it like 2026-11-01") from error
    if day > day_of(now):
        raise UsageError(f"--before {day} is in the future; numbers of today are still being sealed")
    return day


_AGO: Final = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_since(text: str, now: datetime) -> datetime:
    """`2h` (s, m, h, d) before `now`, or a moment in ISO 8601 with its offset. Raises UsageError."""
    ago = _AGO.fullmatch(text)
    try:
        moment = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--since {text!r} is not a time; write 2h, 7d or 2026-11-01T00:00:00+09:00") from error
    if moment.utcoffset() is None:
        raise UsageError(f"--since {text!r} has no time zone; add it, for Japan +09:00")
    return moment


def _reader(config: Path | None, ledger: str | None) -> LedgerReader:
    settings = load_settings(config).ledger
    return LedgerReader.open(ledger if ledger is not None else settings.url, _days(settings))


def _days(settings: LedgerSettings) -> DayKeys | None:
    """None where this user has no key: then numbers stay sealed."""
    if not os.access(settings.key_file, os.R_OK):
        return None
    return DayKeys(settings.day_keys(), KeyRing(read_key(settings.key_file)))


def _line(record: Record) -> tuple[str, ...]:
    status = record.status or "…"
    return (
        _local(record.steps[0].at),
        record.call_id,
        record.direction or "",
        str(record.numbers.get(Role.FORWARDING, "")),
        record.outcome or "",
        record.reason or "",
        "yes" if record.heard else "no",
        # What is odd about a call stands in `show`.
        f"{status} !" if record.anomalies else status,
    )


def _details(record: Record, step: Step) -> dict[str, object]:
    """For people: numbers as they may be shown, in the place of tokens."""
    shown: dict[str, object] = {
        name: value for name, value in step.details.items() if not name.endswith(("_kind", "_token", "_last4"))
    }
    return shown | (dict(record.numbers.items()) if step.kind is StepKind.DECIDED else {})


def _after_ms(record: Record, step: Step) -> float:
    return round((step.at - record.steps[0].at) / timedelta(milliseconds=1), 1)


def _local(at: datetime) -> str:
    return at.astimezone().isoformat(sep=" ", timespec="milliseconds")


def _print_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*map(Text, row))  # as it stands: square brackets are no markup here
    Console().print(table)
