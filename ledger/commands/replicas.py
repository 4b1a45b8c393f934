"""`idtone-evidence log replicas`: shows how current each ledger's PostgreSQL replica is."""

from typing import Final

from idtone.core.errors import UsageError
from idtone.core.terminal import command_line

from ..evidence.call_record import iso_ms
from ..replication.node_ledgers import NodeLedger
from .options import LedgerOption, ledgers_of, local_time

_FACTS: Final = ("node", "log", "key", "steps", "leaves", "signed", "lag", "heard")


def replicas(
    config: command_line.ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: command_line.JsonOption = False,
    as_csv: command_line.CsvOption = False,
    as_tsv: command_line.TsvOption = False,
) -> None:
    """List the nodes whose ledgers have replicas in PostgreSQL, and how current each replica is.

    `lag`: how many steps the replica was behind when the node last reported. `signed`: how many leaves the replica's
    signed head covers. Exit 1: a replica cannot be read.
    """
    form = command_line.form(as_json, as_csv, as_tsv)
    ledgers = ledgers_of(config, ledger)
    if not ledgers.is_shared:
        raise UsageError("ledger.url names the file of one node; replicas are in a PostgreSQL")
    found = list(map(_facts, ledgers.nodes))
    if form is command_line.Form.JSON:
        command_line.print_json(found)
    elif form is not command_line.Form.TABLE:
        command_line.Rows(_FACTS, form).print([each[name] for name in _FACTS] for each in found)
    else:
        columns = ("node", "log", "steps", "leaves", "signed", "lag", "heard")
        lines: list[tuple[str, ...]] = []
        for each in ledgers.nodes:
            told = each.progress
            assert told is not None
            signed = "-" if told.signed is None else f"{told.signed:,}"
            lines.append(
                (
                    each.node, each.origin, f"{told.steps:,}", f"{told.leaves:,}", signed, f"{told.lag:,}",
                    local_time(told.heard),
                )
            )  # fmt: skip
        command_line.Rows(columns).print(lines)
    if ledgers.unreadable:
        command_line.exit_negative()


def _facts(ledger: NodeLedger) -> dict[str, object]:
    told = ledger.progress
    assert told is not None
    return {
        "node": ledger.node,
        "log": ledger.origin,
        "key": str(ledger.key),
        "steps": told.steps,
        "leaves": told.leaves,
        "signed": told.signed,
        "lag": told.lag,
        "heard": iso_ms(told.heard),
    }
