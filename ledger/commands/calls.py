"""`idtone ledger list | show | find | stats`: commands that read the evidence."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

import typer

from idtone.core.calls import Delivery, Outcome
from idtone.core.errors import UsageError
from idtone.core.numbers import Number, NumberKind, parse
from idtone.core.terminal import command_line
from idtone.core.terminal.standard_streams import reader_is_open
from idtone.core.translation import Message, translated

from ..disclosure.report_words import delivery_in_english
from ..evidence.call_filter import CallFilter
from ..evidence.call_record import Record, iso_ms
from ..evidence.leaves import ACTS, CLOSING
from ..evidence.record_fields import FIELDS, fields_of
from ..evidence.steps import FIRST, NumberRole, Step, StepKind, truncated_sip_call_id
from ..evidence.tally import EACH, Part, columns, tally_groups
from ..replication.node_ledgers import nodes_without_keys
from ..store.call_groups import call_groups
from ..store.ledger_reader import whole_id
from .options import (
    CallArgument,
    KeysOption,
    LedgerOption,
    NodeOption,
    ledgers_now,
    ledgers_of,
    local_time,
    parse_since,
    parse_until,
)
from .tally_plot import plot

_COLUMNS: Final = ("time", "call", "direction", "number", "outcome", "reason", "sound", "status")
_FOLLOW_S: Final = 0.5
"""Interval in seconds at which --follow looks for calls that have ended."""
_NEW_NODES_S: Final = 5.0
"""Interval in seconds at which --follow looks for new nodes."""


def list_calls(
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    keys: KeysOption = None,
    call_id: Annotated[str | None, typer.Option("--call-id", help="Only this call.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="T",
            help="Only calls since this time: a day in Japan, ISO 8601, or 2h for two hours ago.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="T",
            help="Only calls until the end of this day, or before this time, in the form of --since.",
        ),
    ] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", help="Only calls with this outcome.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Only calls decided for this reason.")] = None,
    member: Annotated[str | None, typer.Option("--member", metavar="ID", help="Only calls of this member.")] = None,
    licence: Annotated[str | None, typer.Option("--licence", metavar="ID", help="Only calls of this licence.")] = None,
    delivery: Annotated[
        Delivery | None,
        typer.Option(
            "--delivery",
            help="Only calls with this delivery. If a call has several sounds, the least certain one counts.",
        ),
    ] = None,
    fallback: Annotated[
        bool | None,
        typer.Option("--fallback/--no-fallback", help="Only calls that the hook decided by itself, or the others."),
    ] = None,
    odd: Annotated[bool, typer.Option("--odd", help="Only calls whose steps contradict each other.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most this many calls, the newest.")] = 50,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            "-f",
            help="List the calls that have ended, then each new call as it ends, until interrupted.",
        ),
    ] = False,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List calls, the newest last.

    With --follow, --json prints a line for each call. --since 0s leaves out calls that have already ended.
    """
    form = command_line.form(as_json, as_csv, as_tsv)
    if follow and until is not None:
        raise UsageError("--follow has no end, and --until names one; leave out one of them")
    start, end = _range(since, until)

    wanted = CallFilter(None, outcome, reason, member, licence, delivery, fallback, odd).accepts
    ledgers = ledgers_of(config, ledger, node, keys or ())
    if not follow:
        _print(ledgers.records(call_id, start, limit, end, wanted), form, ledgers.is_shared)
        return
    places = {(each.node, each.origin): each.reader.newest_place() for each in ledgers.nodes}
    shown = ledgers.records(call_id, start, limit, None, lambda record: wanted(record) and _is_over(record))
    known = {(record.node, record.call_id) for record in shown}
    tell = _printer(form, ledgers.is_shared)
    tell(shown)
    looked_s = time.monotonic()
    with suppress(KeyboardInterrupt):
        while reader_is_open(_FOLLOW_S):
            if ledgers.is_shared and time.monotonic() - looked_s >= _NEW_NODES_S:
                ledgers, looked_s = ledgers_now(config, ledger, node, keys or ()), time.monotonic()
            for each in ledgers.nodes:
                name = each.node, each.origin
                places[name], over = each.reader.ended_since(places.get(name, 0))
                fresh = [record for record in over if (record.node, record.call_id) not in known and wanted(record)]
                fresh = [record for record in fresh if record.steps[0].kind is not StepKind.CLOCK]
                if fresh:
                    tell(fresh)


def _is_over(record: Record) -> bool:
    return any(step.kind in CLOSING for step in record.steps)


def _print(records: Sequence[Record], form: command_line.Form, with_node: bool) -> None:
    if form is command_line.Form.JSON:
        command_line.print_json([record.to_json() for record in records])
    else:
        _printer(form, with_node)(records)


def _printer(form: command_line.Form, with_node: bool) -> Callable[[Sequence[Record]], None]:
    """Return a function that prints records as they arrive, as JSON lines or as rows under one heading."""

    def lines(records: Sequence[Record]) -> None:
        for record in records:
            command_line.print_json(record.to_json(), indent=None)
        sys.stdout.flush()

    if form is command_line.Form.JSON:
        return lines
    is_table = form is command_line.Form.TABLE
    columns = ("node",) * with_node + _COLUMNS if is_table else FIELDS
    printed = command_line.Rows(columns, form, whole=("call",))

    def rows(records: Sequence[Record]) -> None:
        if is_table:
            printed.print((record.node, *_line(record))[-len(columns) :] for record in records)
        else:
            printed.print(map(fields_of, records))
        sys.stdout.flush()

    return rows


def find(
    number: Annotated[
        str | None,
        typer.Option("--number", metavar="N", help="The number; leaving it out is safer."),
    ] = None,
    sip_call_id: Annotated[
        str | None,
        typer.Option("--sip-call-id", metavar="ID", help="The SIP Call-ID of the caller's side, instead of a number."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="T", help="Only calls that began then or later, like list --since.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="T", help="Only calls that began until then, like list --until."),
    ] = None,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    keys: KeysOption = None,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """Find the calls of a number, or of a SIP Call-ID; needs the ledger's key. Exit 1: no call was found.

    Every user of the machine can read a number on a command line, and the number stays in the shell's history. Without
    --number, the command asks for the number, or reads it from standard input. With --sip-call-id - it reads the
    Call-ID in the same way.
    """
    if number is not None and sip_call_id is not None:
        raise UsageError("--number and --sip-call-id are two searches; leave out one of them")
    wanted = _wanted_number(number) if sip_call_id is None else None
    wanted_id = _wanted_sip_call_id(sip_call_id) if sip_call_id is not None else ""
    first, last = _range(since, until)
    form = command_line.form(as_json, as_csv, as_tsv)
    ledgers = ledgers_of(config, ledger, node, keys or ())
    records = ledgers.find(wanted, first, last) if wanted else ledgers.find_sip_call_id(wanted_id, first, last)
    for name in nodes_without_keys(ledgers.nodes):
        print(
            translated("not searched: {name}, whose keys are not here (--keys {name}=FILE)", name=name),
            file=sys.stderr,
        )
    if form is not command_line.Form.TABLE or records:
        _print(records, form, ledgers.is_shared)
    else:
        print(
            translated("no call with this {what} was found", what=Message("number") if wanted else "SIP Call-ID"),
            file=sys.stderr,
        )
    if not records:
        command_line.exit_negative()


def stats(
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="Only calls since then, like list --since.")
    ] = "30d",
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="Only calls until then, like list --until.")
    ] = None,
    by: Annotated[
        list[Part] | None,
        typer.Option("--by", help="Count separately by this; may be repeated (default: by day, member and licence)."),
    ] = None,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    picture: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it, as PNG; needs the extra `plot`.")
    ] = None,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """Count calls by day (of this machine's clock), member and licence: played, noticed, refused, bypassed, turned
    away, sound sent, sound confirmed.

    The member is the holder of the number in the registry by which the call was decided; it is empty if no member
    held the number. The sent ratio counts connected calls on which a party was to hear a sound.
    """
    form = command_line.form(as_json, as_csv, as_tsv)
    start, end = _range(since, until)
    apart = frozenset(by) if by else EACH
    ledgers = ledgers_of(config, ledger, node)
    calls = chain.from_iterable(call_groups(ledger.reader, start, end) for ledger in ledgers.nodes)
    tallies = tally_groups(calls, lambda at: at.astimezone().date(), apart)
    if picture:
        plot(picture, tallies)
    if form is command_line.Form.JSON:
        command_line.print_json([each.to_json() for each in tallies])
        return
    rows = [list(each.to_json().values()) for each in tallies]
    if form is command_line.Form.TABLE:
        rows = [[*map(_cell, row)] for row in rows]
    command_line.Rows(columns(apart), form).print(rows)


def _wanted_number(text: str | None) -> Number:
    """Telephone number to search for, from the option or from a prompt.

    Raises UsageError.
    """
    wanted = parse(text if text is not None else _asked_for("telephone number"))
    if not wanted.known or wanted.kind is NumberKind.EMERGENCY:
        raise UsageError("only telephone numbers can be found; write it like 0312345678")
    return wanted


def _wanted_sip_call_id(text: str) -> str:
    """Shorten a SIP Call-ID to the part that the ledger keeps.

    Raises UsageError.
    """
    wanted = truncated_sip_call_id(_asked_for("SIP Call-ID") if text == "-" else text)
    if not wanted:
        raise UsageError("the SIP Call-ID is empty; copy it from the header Call-ID")
    return wanted


def _asked_for(what: str) -> str:
    return str(typer.prompt(translated(what), err=True)) if sys.stdin.isatty() else sys.stdin.readline().strip()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if isinstance(value, float) else str(value)


def _range(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    now = datetime.now(UTC)
    return None if since is None else parse_since(since, now), None if until is None else parse_until(until, now)


def show(
    call_id: CallArgument,
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    node: NodeOption = None,
    keys: KeysOption = None,
    as_json: command_line.JsonOption = False,
) -> None:
    """Show every step of one call. Exit 1: the ledger does not know it."""
    ledgers = ledgers_of(config, ledger, node, keys or ())
    call_id = whole_id([each.reader for each in ledgers.nodes], call_id)
    holder = ledgers.ledger_of_call(call_id)
    record = holder.reader.record(call_id) if holder else None
    if record is None:
        print(translated("the ledger holds no call {call_id}", call_id=call_id), file=sys.stderr)
        command_line.exit_negative()
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
        command_line.print_json(record.to_json() | {"steps": steps})
        return
    command_line.Rows(("time", "ms", "step", "details")).print(
        (
            local_time(step.at),
            f"{_after_ms(record, step):+.1f}",
            step.kind.value,
            " ".join(f"{key}={value}" for key, value in _details(record, step).items()),
        )
        for step in record.steps
    )
    if record.delivery:
        command_line.say("sound: {delivery}", delivery=delivery_in_english(record))
    for anomaly in record.anomalies:
        command_line.say("anomaly: {anomaly}", anomaly=anomaly)


def _line(record: Record) -> tuple[str, ...]:
    first = record.steps[0]
    if first.kind in ACTS:
        about = (first.details.get(name) for name in ("case", "basis", "receiver", "reference", "request", "purpose"))
        status = ", ".join((first.kind, *(str(each) for each in about if each is not None)))
    else:
        status = f"{record.status or '…'}{' (fallback)' * record.fallback}"
    return (
        local_time(record.steps[0].at),
        record.call_id,
        record.direction or "",
        str(record.numbers.get(NumberRole.FORWARDING, "")),
        record.outcome or "",
        record.reason or "",
        record.least_delivery or "-",
        # `show` lists the contradictions of a call.
        f"{status} !" if record.anomalies else status,
    )


def _details(record: Record, step: Step) -> dict[str, object]:
    """Details of a step for display, with masked numbers instead of tokens and without the nonce."""
    shown: dict[str, object] = {
        name: value for name, value in step.details.items() if not name.endswith(("_kind", "_token", "_last4", "nonce"))
    }
    return shown | (dict(record.numbers.items()) if step.kind in FIRST else {})


def _after_ms(record: Record, step: Step) -> float:
    return round((step.at - record.steps[0].at) / timedelta(milliseconds=1), 1)
