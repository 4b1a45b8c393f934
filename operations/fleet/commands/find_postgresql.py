"""Opens the nodes' reports in PostgreSQL for all `idtone-fleet` commands."""

from pathlib import Path

from idtone.core.errors import UsageError
from idtone.core.settings.settings import load_settings
from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.ledger.store.postgresql import Server


def reports_reader(config: Path | None) -> NodeReportsReader:
    """Open a reader for the nodes' reports.

    Raises UsageError if the nodes do not share a PostgreSQL database.
    """
    ledger = load_settings(config).ledger
    if not ledger.is_shared():
        raise UsageError(
            "ledger.url names the file of one node; several nodes report to the PostgreSQL that ledger.url names "
            "on each of them (docs/how-to/several-nodes.md)"
        )
    return NodeReportsReader(*Server.all_of(ledger))
