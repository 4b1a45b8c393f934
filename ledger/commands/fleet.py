"""`idtone ledger nodes`: how far the ledger of each node has come into PostgreSQL."""

from __future__ import annotations

from typing import Final

from idtone import console
from idtone.errors import UsageError

from ..fleet import NodeLedger
from ..records import iso_ms
from .shared import LedgerOption, fleet_of, local

_FACTS: Final = ("node", "log", "key", "steps", "leaves", "signed", "lag", "heard")


def nodes(
    config: console.ConfigOption = None,
    ledger: LedgerOption = None,
    as_json: console.JsonOption = False,
    as_csv: console.CsvOption = False,
    as_tsv: console.TsvOption = False,
) -> None:
    """List the nodes that ship their ledgers to PostgreSQL, and how far each has come.

    `lag` is how many steps the node had more than PostgreSQL when it was heard last; `signed` are the leaves of the
    head that it has signed there. Exit 1: a ledger that is there cannot be read.
    """
    form = console.form(as_json, as_csv, as_tsv)
    with fleet_of(config, ledger) as fleet:
        if not fleet.is_shared:
            raise UsageError("ledger.url names the file of one node; nodes are listed of a PostgreSQL")
        found = list(map(_facts, fleet.ledgers))
    if form is console.Form.JSON:
        console.print_json(found)
    elif form is not console.Form.TABLE:
        console.Rows(_FACTS, form).print([each[name] for name in _FACTS] for each in found)
    else:
        columns = ("node", "log", "steps", "leaves", "signed", "lag", "heard")
        lines: list[tuple[str, ...]] = []
        for each in fleet.ledgers:
            told = each.progress
            assert told is not None
            signed = "-" if told.signed is None else f"{told.signed:,}"
            lines.append(
                (
                    each.node, each.origin, f"{told.steps:,}", f"{told.leaves:,}", signed, f"{told.lag:,}",
                    local(told.heard),
                )
            )  # fmt: skip
        console.Rows(columns).print(lines)
    if fleet.unreadable:
        console.negative()


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
