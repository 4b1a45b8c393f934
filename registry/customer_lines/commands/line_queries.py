"""The commands `idtone lines check`, `idtone lines show` and `idtone lines decide`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from idtone.core.calls import Direction, ForwardedCall
from idtone.core.errors import DocumentError, UsageError
from idtone.core.numbers import WITHHELD
from idtone.core.settings.settings import load_settings
from idtone.core.terminal import command_line
from idtone.core.terminal.prompts import ask_number
from idtone.core.translation import Message, translated

from ...number_notation import masked
from ..index import compile_lines
from ..lines_document import ALWAYS, Entry, masked_name
from ..read_line_table import UnparsedTable, read, read_as_set

FileArgument = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="A table of lines (default: lines.source of the settings).")
]


def _unread(file: Path | None, config: Path | None) -> UnparsedTable:
    return read(str(file), None, None) if file else read_as_set(load_settings(config).lines)


def check(
    file: FileArgument = None, config: command_line.ConfigOption = None, as_json: command_line.JsonOption = False
) -> None:
    """Find all faults of the table of lines, each with its place and remedy.

    For a database, the place is the row and the column of the query's result. Exit 0: good. 1: there are faults. 2: the
    table cannot be read.
    """
    unread = _unread(file, config)
    try:
        with _reading():
            totals = compile_lines(unread.entries()).totals._asdict()
    except DocumentError as error:
        if as_json:
            faults = [asdict(fault) for fault in error.faults]
            command_line.print_json({"source": unread.name, "good": False, "faults": faults})
        else:
            print(*error.faults, sep="\n")
            print(f"{unread.name}: {translated(command_line.count_with_unit(len(error.faults), 'fault'))}")
        command_line.exit_negative()
    if as_json:
        command_line.print_json({"source": unread.name, "good": True, "faults": [], **totals})
    else:
        command_line.say("{name}: good", name=unread.name)
        for name, total in totals.items():
            print(f"  {name:<11} {total:,}")


def show(
    customer: Annotated[str | None, typer.Argument(metavar="CUSTOMER", help="Only this customer's entries.")] = None,
    number: Annotated[bool, typer.Option("--number", help="Ask for a number, and show who may present it.")] = False,
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show the table of lines: all entries, those of one customer, or those of one number (last four digits only).

    Exit 1: no entry was found.
    """
    if number and customer is not None:
        raise UsageError("CUSTOMER and --number cannot go together; choose one")
    unread = _unread(None, config)
    wanted = int(ask_number().e164) if number else None
    with _reading():
        found = [
            _report(entry)
            for entry in unread.entries()
            if customer in (None, entry.customer) and (wanted is None or any(wanted in span for span in entry.spans))
        ]
    if as_json:
        command_line.print_json({"source": unread.name, "entries": found})
    else:
        for entry in found:
            names = ", ".join(entry["endpoints"] + entry["accounts"]) or "(all its lines)"
            numbers, note = ", ".join(entry["numbers"]) or "-", "" if entry["checked"] else "  (no check)"
            print(f"{entry['customer'] or '-':<12} {names}: {numbers}{note}")
        if not found:
            command_line.say("no entry")
    if not found:
        command_line.exit_negative()


def _report(entry: Entry) -> dict[str, Any]:
    start, until = (
        None if moment in ALWAYS else datetime.fromtimestamp(moment, UTC).isoformat() for moment in entry.period
    )
    return {
        "customer": entry.customer,
        "endpoints": [*map(masked_name, entry.endpoints)],
        "accounts": [*map(masked_name, entry.accounts)],
        "numbers": [*map(masked, entry.spans)],
        "checked": entry.is_checked,
        "from": start,
        "until": until,
    }


def decide(
    endpoint: Annotated[str, typer.Option(help="The caller's endpoint, such as 6001 for PJSIP/6001-0000002a.")] = "",
    account: Annotated[str, typer.Option(help="The caller's account code.")] = "",
    config: command_line.ConfigOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Ask for a number, and show whether a line may present it, and why. Nothing is dialled or recorded.

    The command checks only the table of lines, as for an outgoing call; for all rules see `idtone registry decide`.
    Exit 0: it may. 1: it may not.
    """
    if not endpoint and not account:
        raise UsageError("name the line by --endpoint or --account")
    unread = _unread(None, config)
    number = ask_number()
    call = ForwardedCall("question", Direction.OUTGOING, number, WITHHELD, WITHHELD, endpoint=endpoint, account=account)
    with _reading():
        index = compile_lines(unread.entries())
    now = datetime.now(UTC)
    reason, customer = index.presentation(call, now)
    answer = {"allowed": reason is None, "reason": reason, "customer": customer, "number": str(number)}
    if as_json:
        command_line.print_json(answer)
    else:
        for name, value in answer.items():
            print(f"{name:<9} {'-' if value is None else str(value).lower() if value in (True, False) else value}")
    if reason:
        command_line.exit_negative()


def _reading() -> Any:
    return command_line.working(Message("reading the table of lines"))
