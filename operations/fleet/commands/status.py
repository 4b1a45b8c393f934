"""`idtone-fleet status`: shows the state of all nodes, their faults and their differences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from idtone.core.errors import LedgerError, UsageError
from idtone.core.terminal.command_line import ConfigOption, JsonOption, exit_negative
from idtone.core.translation import translated
from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.service.live_display import WatchOption, show

from ..findings import NodeFinding, findings
from ..node_rows import COLUMNS, row_of, total_row
from ..node_states import Fleet, fleet_of, totals
from .find_postgresql import reports_reader

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class FleetReading:
    """One reading of the fleet's state.

    `fleet` is None while PostgreSQL cannot be read, and `trouble` says why.
    """

    fleet: Fleet | None
    trouble: str = ""

    @property
    def is_good(self) -> bool:
        return self.fleet is not None and not self.fleet.unreadable and not findings(self.fleet)


def status(config: ConfigOption = None, as_json: JsonOption = False, watch: WatchOption = False) -> None:
    """Show the state of all nodes that share a PostgreSQL database, and what is wrong or differs. --watch updates it.

    Each node reports once a second. Clocks are compared with PostgreSQL's. With --watch, --json prints one line per
    second. Exit 1: something is wrong or differs.
    """
    with reports_reader(config) as reader:
        found = show(lambda: read_fleet(reader, watch), screen, as_object, as_json=as_json, watch=watch)
    if not found.is_good:
        exit_negative()


def read_fleet(reader: NodeReportsReader, is_patient: bool) -> FleetReading:
    """Read the state of all nodes.

    Unless `is_patient` is True, raises UsageError if no node has reported yet, and LedgerError if PostgreSQL cannot be
    read.
    """
    try:
        fleet = fleet_of(reader.read())
    except LedgerError as error:
        if not is_patient:
            raise
        return FleetReading(None, str(error))
    if not fleet.nodes and not fleet.unreadable and not is_patient:
        raise UsageError("no node has reported to this PostgreSQL yet; start `idtone serve` on one")
    return FleetReading(fleet)


def as_object(seen: FleetReading) -> dict[str, Any]:
    """The fleet's state as a JSON object.

    Each node's `state` is exactly what the node reported.
    """
    fleet = seen.fleet
    if fleet is None:
        return {"trouble": seen.trouble}
    total = totals(fleet)
    return {
        "at": fleet.now.isoformat(timespec="milliseconds"),
        "trouble": "",
        "nodes": [
            {
                "node": node.name,
                "log": node.origin,
                "condition": node.condition.name.lower().replace("_", "-"),
                "heard": node.heard and node.heard.isoformat(timespec="milliseconds"),
                "silent_seconds": node.silent_for and round(node.silent_for.total_seconds(), 3),
                "state": node.raw,
            }
            for node in fleet.nodes
        ],
        "totals": asdict(total) | {"sent_ratio": total.sent_ratio and round(total.sent_ratio, 4)},
        "findings": [asdict(each) for each in findings(fleet)],
        "unreadable": list(fleet.unreadable),
    }


def screen(seen: FleetReading) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    if seen.fleet is None:
        return Text(translated(seen.trouble), "red")
    fleet = seen.fleet
    lines = [Text(translated(each), "red") for each in fleet.unreadable]
    return Group(_table(fleet), *lines, *_finding_lines(findings(fleet)))


def _table(fleet: Fleet) -> RenderableType:
    from rich.table import Column, Table
    from rich.text import Text

    columns = (
        Column(translated(column.name), justify="right" if column.is_number else "left", no_wrap=True)
        for column in COLUMNS
    )
    shown = Table(*columns, box=None, pad_edge=False)
    for node in fleet.nodes:
        shown.add_row(*(Text(translated(cell)) for cell in row_of(node)))
    shown.add_row(*(Text(translated(cell), "bold") for cell in total_row(totals(fleet))))
    return shown


def _finding_lines(found: list[NodeFinding]) -> Iterator[RenderableType]:
    from rich.text import Text

    if not found:
        yield Text(translated("nothing is wrong, and no node differs"), "green")
        return
    yield Text(translated("what is wrong or differs"), "bold")
    for each in found:
        words = translated("{found}. {remedy}", found=each.found, remedy=each.remedy)
        yield Text.assemble((f"{each.node}: ", "bold red"), words)
