"""`idtone ledger list | show | find | stats`: read the evidence."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from idtone import console
from idtone.calls import Outcome
from idtone.errors import UsageError
from idtone.numbers import NumberKind, parse

from ..fleet import without_keys
from ..leaves import ACTS
from ..plotting import plot
from ..records import Record, iso_ms
from ..report.words import heard_in_english
from ..statistics import EACH, Part, columns, tally
from ..steps import FIRST, Role, Step
from .shared import KeysOption, LedgerOption, NodeOption, fleet_of, local, parse_since, print_table


def list_calls(
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    keys: KeysOption = None,
    call_id: Annotated[str | None, typer.Option("--call-id", help="Only this call.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T", help="Only calls since then: ISO 8601, or 2h for two hours ago."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="Only calls before then, written like --since.")
    ] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", help="Only calls with this outcome.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only calls decided for this reason.")] = None,
    member: Annotated[str | None, typer.Option("--member", metavar="ID", help="Only calls of this member.")] = None,
    licence: Annotated[str | None, typer.Option("--licence", metavar="ID", help="Only calls of this licence.")] = None,
    heard: Annotated[
        bool | None, typer.Option("--heard/--unheard", help="Only calls on which all heard their sound, or did not.")
    ] = None,
    unattended: Annotated[
        bool | None,
        typer.Option("--unattended/--attended", help="Only calls that the dialplan handled alone, or did not."),
    ] = None,
    odd: Annotated[bool, typer.Option("--odd", help="Only calls whose steps cannot be right.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many calls, the newest.")] = 50,
    as_json: console.JsonOption = False,
) -> None:
    """List calls, the newest last."""
    start, end = _range(since, until, "--since", "--until")

    def wanted(record: Record) -> bool:
        return (
            (outcome is None or record.outcome == outcome)
            and (reason is None or record.reason == reason)
            and (member is None or record.member == member)
            and (licence is None or record.licence == licence)
            and (heard is None or record.heard is heard)
            and (unattended is None or record.unattended is unattended)
            and (not odd or bool(record.anomalies))
        )

    with fleet_of(config, ledger, node, keys or ()) as fleet:
        _print(fleet.records(call_id, start, limit, end, wanted), as_json, fleet.is_shared)


def _print(records: list[Record], as_json: bool, with_node: bool) -> None:
    if as_json:
        console.print_json([record.to_json() for record in records])
        return
    columns: tuple[str, ...] = ("time", "call", "direction", "number", "outcome", "reason", "heard", "status")
    rows = [_line(record) for record in records]
    if with_node:
        columns, rows = ("node", *columns), [(record.node, *row) for record, row in zip(records, rows, strict=True)]
    print_table(columns, rows)


def find(
    number: Annotated[
        str | None,
        typer.Option("--number", metavar="N", help="The number; better left out, then it is asked for (see below)."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="T", help="Only calls that began then or later, like list --since.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="T", help="Only calls that began before then.")] = None,
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    keys: KeysOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Find the calls that a telephone number had a part in; needs the ledger's key. Exit 1: there are none.

    A number on a command line can be read by every user of the machine and stays in the shell's history: without
    --number it is asked for, or read from standard input.
    """
    wanted = parse(number if number is not None else _asked_for())
    if not wanted.known or wanted.kind is NumberKind.EMERGENCY:
        raise UsageError("that is not a telephone number that could be found; write it like 0312345678")
    first, last = _range(start, end, "--from", "--to")
    with fleet_of(config, ledger, node, keys or ()) as fleet:
        records = fleet.find(wanted, datetime.now(UTC), first, last)
        for name in without_keys(fleet.ledgers):
            print(f"not searched: {name}, whose keys are not here (--keys {name}=FILE)", file=sys.stderr)
    if as_json or records:
        _print(records, as_json, fleet.is_shared)
    else:
        print("no call with this number was found", file=sys.stderr)
    if not records:
        console.negative()


def stats(
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="Only calls since then, like list --since.")
    ] = "30d",
    until: Annotated[str | None, typer.Option("--until", metavar="T", help="Only calls before then.")] = None,
    by: Annotated[
        list[Part] | None,
        typer.Option("--by", help="Count apart by this; may be repeated (default: by day, member and licence)."),
    ] = None,
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV (RFC 4180) for spreadsheets.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it, as PNG; needs the extra `plot`.")
    ] = None,
    as_json: console.JsonOption = False,
) -> None:
    """Count calls by day (of this machine's clock), member and licence: played, noticed, refused, heard.

    The member is who held the number by the registry that the call was decided by; it is empty where nobody did, and
    in records of versions that did not record it. The heard ratio is of calls on which somebody was to hear a sound and
    that were connected.
    """
    if as_csv and as_json:
        raise UsageError("--csv and --json cannot go together; choose one")
    start, end = _range(since, until, "--since", "--until")
    apart = frozenset(by) if by else EACH
    with fleet_of(config, ledger, node) as fleet:
        tallies = tally(
            (record for record in fleet.each(since=start, until=end) if start is None or record.steps[0].at >= start),
            lambda at: at.astimezone().date(),
            apart,
        )
    if picture:
        plot(picture, tallies)
    if as_json:
        console.print_json([each.to_json() for each in tallies])
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(columns(apart))
        writer.writerows(each.to_json().values() for each in tallies)
    else:
        print_table(columns(apart), [tuple(map(_cell, each.to_json().values())) for each in tallies])


def _asked_for() -> str:
    return str(typer.prompt("telephone number", err=True)) if sys.stdin.isatty() else sys.stdin.readline().strip()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if isinstance(value, float) else str(value)


def _range(
    start: str | None, end: str | None, start_option: str, end_option: str
) -> tuple[datetime | None, datetime | None]:
    now = datetime.now(UTC)
    return (
        None if start is None else parse_since(start, now, start_option),
        None if end is None else parse_since(end, now, end_option),
    )


def show(
    call_id: Annotated[str, typer.Argument(help="The call's id, as IDTONE_CALL_ID gives it.")],
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    keys: KeysOption = None,
    as_json: console.JsonOption = False,
) -> None:
    """Show every step of one call; exit code 1 where the ledger does not know it."""
    with fleet_of(config, ledger, node, keys or ()) as fleet:
        holder = fleet.with_call(call_id)
        record = holder.reader.record(call_id) if holder else None
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
    print_table(
        ("time", "ms", "step", "details"),
        [
            (
                local(step.at),
                f"{_after_ms(record, step):+.1f}",
                step.kind.value,
                " ".join(f"{key}={value}" for key, value in _details(record, step).items()),
            )
            for step in record.steps
        ],
    )
    heard = heard_in_english(record)
    if heard:
        print(f"heard by {heard}")
    for anomaly in record.anomalies:
        print(f"anomaly: {anomaly}")


def _line(record: Record) -> tuple[str, ...]:
    act = record.steps[0].kind if record.steps[0].kind in ACTS else None
    status = f"{act or record.status or '…'}{' (unattended)' * record.unattended}"
    return (
        local(record.steps[0].at),
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
    """For people: numbers as they may be shown, in the place of tokens; and no nonce, which tells them nothing."""
    shown: dict[str, object] = {
        name: value for name, value in step.details.items() if not name.endswith(("_kind", "_token", "_last4", "nonce"))
    }
    return shown | (dict(record.numbers.items()) if step.kind in FIRST else {})


def _after_ms(record: Record, step: Step) -> float:
    return round((step.at - record.steps[0].at) / timedelta(milliseconds=1), 1)
