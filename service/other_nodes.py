"""Reads the reports of the fleet's other nodes from PostgreSQL (`node_state`) every second.

No call waits for PostgreSQL. While it is unreachable, each node acts alone, and the suspensions from other nodes that
it already applies stay in force.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from idtone.core.daemon_thread import in_daemon
from idtone.core.log_output import in_words, unexpected
from idtone.core.settings.settings import Settings
from idtone.ledger.replication.node_reports import NodeReport, NodeReportsReader
from idtone.ledger.store.postgresql import Server

log = logging.getLogger(__name__)

READ_EVERY_S: Final = 1.0
AGAIN_S: Final = 30.0
"""Maximum pause after a PostgreSQL failure, in seconds."""
GONE_AFTER: Final = timedelta(days=30)
"""Time without a report after which a node is considered no longer used."""


class OtherNodes:
    """Reads the other nodes' reports while the service is running."""

    def __init__(self, settings: Settings, hear: Sequence[Callable[[Sequence[NodeReport]], None]]) -> None:
        """Set the functions that receive all other nodes' reports. They are called in a thread."""
        self._settings, self._hear = settings, hear
        self._reader: NodeReportsReader | None = None
        self.trouble = ""
        """Why some reports are missing; empty if none are missing or there are no other nodes."""
        self._pause_s = READ_EVERY_S

    async def run(self) -> None:
        """Read reports until cancelled. Returns immediately if no other node shares with this node."""
        while shares_with_nodes(self._settings):
            await asyncio.wrap_future(in_daemon(self._read, "reading what the other nodes say"))
            await asyncio.sleep(self._pause_s)

    def _read(self) -> None:
        try:
            self._reader = self._reader or NodeReportsReader(*Server.all_of(self._settings.ledger))
            read = self._reader.read()
            others = [
                each
                for each in read.reports
                if each.node != self._settings.node and each.heard and read.now - each.heard < GONE_AFTER
            ]
            for hear in self._hear:
                hear(others)
            self._pause_s = READ_EVERY_S
            trouble = "; ".join(read.silent)
            if trouble and trouble != self.trouble:
                log.error("what the nodes of one PostgreSQL have stopped is not known: %s", trouble)
            self.trouble = trouble
        except Exception as error:
            self._pause_s = AGAIN_S
            trouble = in_words(error) or type(error).__name__
            if trouble != self.trouble:
                log.error(
                    "what other nodes have stopped is not known, and this node acts by itself: %s",
                    trouble,
                    exc_info=unexpected(error),
                )
            self.trouble = trouble


def shares_with_nodes(settings: Settings) -> bool:
    """True if this node can share with other nodes, which requires PostgreSQL and a fleet key."""
    return settings.ledger.is_shared() and settings.fleet.key_file is not None
