"""Nodes that share PostgreSQL, with their live states, faults, differences and replica progress."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from aiohttp import web

from idtone.core.settings.settings import LedgerSettings
from idtone.core.translation import capitalised, template, translated
from idtone.ledger.replication.node_ledgers import Ledgers
from idtone.ledger.store.postgresql import Server
from idtone.operations.fleet.findings import findings
from idtone.operations.fleet.node_rows import COLUMNS, is_bad, row_of, total_row
from idtone.operations.fleet.node_states import totals

from ..access.rights import Right
from ..event_stream import event, stream
from ..fleet_live import EVERY_S, FLEET, FleetLook
from ..page import Page, Visit

PATH: Final = "/nodes"


@dataclass(frozen=True, slots=True)
class NodeRow:
    node: str
    log: str
    steps: int
    signed: int | None
    lag: int
    heard: datetime
    newest: datetime | None
    """When the node's newest step was recorded."""


async def show(visit: Visit) -> web.StreamResponse:
    seen = await visit.request.app[FLEET].look()
    ledgers = await visit.in_thread(_ledgers, visit.console.settings.ledger)
    rows = await visit.in_thread(node_rows, ledgers)
    return visit.render("nodes.html", rows=rows, troubles=[*ledgers.unreadable, *ledgers.doubts], **_states(seen))


async def changes(visit: Visit) -> web.StreamResponse:
    """Stream the states every second."""

    async def events() -> AsyncIterator[bytes]:
        while True:
            seen = await visit.request.app[FLEET].look()
            yield event("states", visit.shared_fragment("nodes_states.html", seen, partial(_states, seen)))
            await asyncio.sleep(EVERY_S)

    return await stream(visit, events())


def _states(seen: FleetLook) -> dict[str, Any]:
    """Context for the template `nodes_states.html`."""
    fleet = seen.fleet
    if fleet is None:
        return {"fleet": None, "fleet_trouble": seen.trouble}
    return {
        "fleet": fleet,
        "columns": [(capitalised(translated(column.name)), column.is_number) for column in COLUMNS],
        "states": [(row_of(node), is_bad(node)) for node in fleet.nodes],
        "total": total_row(totals(fleet)),
        "findings": findings(fleet),
    }


def _ledgers(settings: LedgerSettings) -> Ledgers:
    """Read the nodes' ledgers in PostgreSQL. Raises LedgerError if no server responds."""
    return Ledgers.in_postgresql(Server.all_of(settings), {})


def node_rows(ledgers: Ledgers) -> list[NodeRow]:
    rows = []
    for each in ledgers.nodes:
        told = each.progress
        assert told is not None, "each ledger in PostgreSQL is a replica"
        newest = each.reader.records(limit=1)
        rows.append(
            NodeRow(
                each.node,
                each.origin,
                told.steps,
                told.signed,
                told.lag,
                told.heard,
                newest[0].steps[-1].at if newest else None,
            )
        )
    return rows


def pages(settings: LedgerSettings) -> Sequence[Page]:
    """The pages about nodes, or none if the ledger is a file on this node."""
    if not settings.is_shared():
        return ()
    return (
        Page(PATH, show, Right.LOOK, title=template("Nodes")),
        Page(f"{PATH}/changes", changes, Right.LOOK),
    )
