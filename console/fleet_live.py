"""State of all nodes, read from PostgreSQL at most once per second for all pages together."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from idtone.core.errors import LedgerError
from idtone.core.settings.settings import LedgerSettings
from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.ledger.store.postgresql import Server
from idtone.operations.fleet.node_states import Fleet, fleet_of

from .shared_reads import Shared

EVERY_S: Final = 1.0
LATEST_S: Final = 0.9
"""Maximum age of a reused state, in seconds."""


@dataclass(frozen=True, slots=True)
class FleetLook:
    """State of the fleet. If PostgreSQL cannot be read, `fleet` is None and `trouble` says why."""

    fleet: Fleet | None
    trouble: LedgerError | None = None


class FleetLive:
    """The fleet's state, read only while a page shows it. Use only from the event loop."""

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings
        self._reader: NodeReportsReader | None = None
        self.look = Shared(self._read, LATEST_S).get

    def _read(self) -> FleetLook:
        try:
            if self._reader is None:
                self._reader = NodeReportsReader(*Server.all_of(self._settings))
            return FleetLook(fleet_of(self._reader.read()))
        except LedgerError as error:
            return FleetLook(None, error)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


FLEET: Final = web.AppKey("fleet", FleetLive)
"""Key for the fleet's state, present only if `settings.ledger.is_shared()`."""
