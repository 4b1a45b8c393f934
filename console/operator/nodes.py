"""The nodes whose ledgers are replicated into one PostgreSQL, and how far each replica has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from idtone.ledger.replication.node_ledgers import Ledgers
from idtone.ledger.store.postgresql import Server
from idtone.settings import LedgerSettings
from idtone.translation import template

from ..access.rights import Right
from ..page import Page, Visit

SILENT: Final = timedelta(minutes=5)
"""A node that PostgreSQL has not heard for so long stands out; it speaks each second while its service runs."""


@dataclass(frozen=True, slots=True)
class NodeRow:
    node: str
    log: str
    steps: int
    signed: int | None
    lag: int
    heard: datetime
    is_silent: bool
    newest: datetime | None
    """The time of its newest step."""


async def show(visit: Visit) -> web.StreamResponse:
    ledgers = await visit.in_thread(_ledgers, visit.console.settings.ledger)
    rows = await visit.in_thread(node_rows, ledgers, datetime.now(UTC))
    return visit.render("nodes.html", rows=rows, troubles=[*ledgers.unreadable, *ledgers.doubts])


def _ledgers(settings: LedgerSettings) -> Ledgers:
    """Raises LedgerError if PostgreSQL does not answer."""
    return Ledgers.in_postgresql(Server.of(settings), {})


def node_rows(ledgers: Ledgers, now: datetime) -> list[NodeRow]:
    rows = []
    for each in ledgers.nodes:
        told = each.progress
        assert told is not None, "each ledger in PostgreSQL is a replica"
        newest = each.reader.records(limit=1)
        rows.append(
            NodeRow(
                each.node, each.origin, told.steps, told.signed, told.lag, told.heard, now - told.heard > SILENT,
                newest[0].steps[-1].at if newest else None,
            )
        )  # fmt: skip
    return rows


def pages(settings: LedgerSettings) -> Sequence[Page]:
    """None if the ledger is this node's own file."""
    return (Page("/nodes", show, Right.LOOK, title=template("Nodes")),) if settings.is_shared() else ()
