"""`idtone-fleet calls`: lists the calls in progress on all nodes, as their replicas show them."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from idtone.core.errors import UsageError
from idtone.core.terminal import command_line
from idtone.ledger.commands.options import NodeOption, ledgers_of, listed_time
from idtone.ledger.evidence.call_record import Record, iso_ms
from idtone.ledger.evidence.steps import StepKind

_COLUMNS: Final = ("node", "call", "decided", "outcome", "reason", "state")


def calls(
    config: command_line.ConfigOption = None,
    node: NodeOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most this many calls, oldest first.")] = 100,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List the calls in progress on all nodes, the oldest first.

    The list shows the calls whose end is not yet in PostgreSQL. A replica is about a second behind, and calls of a node
    that does not report may have ended. `idtone-fleet status` shows how many calls each node itself counts.
    """
    form = command_line.form(as_json, as_csv, as_tsv)
    ledgers = ledgers_of(config, None, node)
    if not ledgers.is_shared:
        raise UsageError("ledger.url names the file of one node; use `idtone status` there")
    found = [record for ledger in ledgers.nodes for record in ledger.reader.open_calls().records.values()]
    found.sort(key=lambda record: record.steps[0].at)
    rows = [_row(record, form) for record in found[:limit]]
    if form is command_line.Form.JSON:
        command_line.print_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    else:
        command_line.Rows(_COLUMNS, form, whole=("call",)).print(rows)


def _row(record: Record, form: command_line.Form) -> tuple[str, ...]:
    at = record.steps[0].at
    decided = iso_ms(at) if form is command_line.Form.JSON else listed_time(at, form)
    return record.node, record.call_id, decided, record.outcome or "", record.reason or "", _state(record)


def _state(record: Record) -> str:
    kinds = record.times
    if StepKind.CONNECTED in kinds:
        return "connected"
    return "answered" if StepKind.ANSWERED in kinds else "dialling"
