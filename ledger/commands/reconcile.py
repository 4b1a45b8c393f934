"""`idtone-evidence reconcile`: compares the ledger with call detail records."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from idtone.core.errors import LedgerError, UsageError
from idtone.core.terminal import command_line
from idtone.core.translation import Message, template, translated

from ..evidence.call_record import iso_ms
from ..replication.node_ledgers import nodes_without_keys
from ..verification.cdr_file import CdrFile
from ..verification.reconciliation import ComparisonCounts, MissingCall, MissingRow, Reconciliation, extent
from .options import KeysOption, LedgerOption, NodeOption, ledgers_of, local_time, parse_since


def reconcile(
    file: Annotated[Path, typer.Argument(metavar="CDR.csv", help="The records, as CSV.")],
    call_id: Annotated[
        str,
        typer.Option("--call-id", metavar="COLUMN", help="The column with the SIP Call-ID: its name or number."),
    ] = "1",
    start: Annotated[
        str, typer.Option("--start", metavar="COLUMN", help="The column with the time when the call began.")
    ] = "2",
    zone: Annotated[
        str | None,
        typer.Option("--zone", metavar="ZONE", help="The zone of times without an offset (default: this machine's)."),
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option(
            "--time-format",
            metavar="FORMAT",
            help="The format of times (strptime), unless they look like 2026-11-30 09:00:00 or are seconds since 1970.",
        ),
    ] = None,
    encoding: Annotated[
        str, typer.Option("--encoding", metavar="NAME", help="The encoding of the file, such as cp932.")
    ] = "utf-8-sig",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T", help="Only calls since then, like list (default: the first record's)."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="Only calls before then (default: the last record's).")
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", min=0, metavar="N", help="List at most this many calls from each side."),
    ] = 1000,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    keys: KeysOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Compare the ledger with the call detail records of Asterisk or a carrier, by SIP Call-ID.

    Rows without a Call-ID are skipped, so make sure that only the hook's calls have one (docs/how-to/reconcile.md).
    Numbers and Call-IDs are not printed. Needs the ledger's key. Exit 1: one side lacks calls. 2: the file or an option
    cannot be used.
    """
    records = CdrFile(file, call_id, start, _zone(zone), time_format, encoding)
    now = datetime.now(UTC)
    first = parse_since(since, now) if since else None
    last = parse_since(until, now, "--until") if until else None
    if first is None or last is None:
        within = extent(records.rows())
        if within is None:
            raise UsageError("{path}: no record has a SIP Call-ID; name the column with --call-id", path=file)
        first, last = first or within[0], last or within[1]
    ledgers = ledgers_of(config, ledger, node, keys or ())
    for name in nodes_without_keys(ledgers.nodes):
        print(
            translated("not compared: {name}, whose keys are not here (--keys {name}=FILE)", name=name),
            file=sys.stderr,
        )
    with Reconciliation.opened(first, last) as comparison:
        compared_nodes = 0
        for each in ledgers.nodes:
            if each.has_keys and (days := each.reader.days):
                comparison.add_ledger(each.node, each.reader, days)
                compared_nodes += 1
        if not compared_nodes:
            raise LedgerError(
                "SIP Call-IDs are compared with the ledger's key only: run this as a user who may read it"
            )
        for row in records.rows():
            comparison.add_row(row)
        compared = comparison.compared()
        rows, calls = list(comparison.missing_rows(limit)), list(comparison.missing_calls(limit))
    if as_json:
        command_line.print_json(_report(compared, rows, calls))
    else:
        print(*_lines(file, compared, rows, calls), sep="\n")
    if compared.not_in_ledger or compared.not_in_csv:
        command_line.exit_negative()


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError("--zone {name!r} is not known; write it like Asia/Tokyo", name=name) from error


def _report(compared: ComparisonCounts, rows: list[MissingRow], calls: list[MissingCall]) -> dict[str, object]:
    return {
        "good": not (compared.not_in_ledger or compared.not_in_csv),
        **asdict(compared),
        "since": iso_ms(compared.since),
        "until": iso_ms(compared.until),
        "missing_in_ledger": [{"line": each.line, "at": iso_ms(each.at)} for each in rows],
        "missing_in_csv": [asdict(each) | {"at": iso_ms(each.at)} for each in calls],
    }


def _lines(file: Path, compared: ComparisonCounts, rows: list[MissingRow], calls: list[MissingCall]) -> list[str]:
    name = file.name
    said = [
        Message("calls that began {first} … {last}", first=local_time(compared.since), last=local_time(compared.until)),
        Message(
            "  in {file}: {calls:,} calls ({rows:,} rows)", file=name, calls=compared.calls_in_csv, rows=compared.rows
        ),
        Message("  in the ledger: {calls:,} calls", calls=compared.calls_in_ledger),
    ]
    for count, words in (
        (compared.rows_without_call_id, template("  {count:,} rows have no SIP Call-ID")),
        (
            compared.rows_without_key,
            template("  {count:,} rows are of days without a key, and cannot be compared"),
        ),
        (compared.rows_outside, template("  {count:,} rows are of another time")),
        (
            compared.without_call_id,
            template("  {count:,} calls of the ledger have no SIP Call-ID, and cannot be compared"),
        ),
        (compared.in_progress, template("  {count:,} calls of the ledger are in progress")),
        (
            compared.interrupted,
            template("  {count:,} calls of the ledger are interrupted: the journal has no end of them"),
        ),
    ):
        said += [Message(words, count=count)] * (count > 0)
    said.append(Message("the ledger lacks {count:,} calls of {file}", count=compared.not_in_ledger, file=name))
    lines = [translated(each) for each in said]
    lines += [f"  {name}:{each.line}  {local_time(each.at)}" for each in rows]
    lines += _more(compared.not_in_ledger - len(rows))
    lines.append(translated("{file} lacks {count:,} calls of the ledger", file=name, count=compared.not_in_csv))
    lines += [f"  {each.call_id}  {local_time(each.at)}  {each.outcome}, {each.ends}" for each in calls]
    return [*lines, *_more(compared.not_in_csv - len(calls))]


def _more(count: int) -> list[str]:
    return [translated("  … and {count:,} more", count=count)] * (count > 0)
