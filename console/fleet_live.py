"""The states of all nodes, read from PostgreSQL once a second at most, however many pages show them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from idtone.errors import LedgerError
from idtone.fleet.node_states import Fleet, fleet_of
from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.ledger.store.postgresql import Server
from idtone.settings import LedgerSettings

EVERY_S: Final = 1.0
LATEST_S: Final = 0.9
"""What is younger than this is not read again."""


@dataclass(frozen=True, slots=True)
class FleetLook:
    """`fleet` is None if PostgreSQL cannot be read; `trouble` says why."""

    fleet: Fleet | None
    trouble: LedgerError | None = None


class FleetLive:
    """Used by the event loop alone. It asks while somebody looks."""

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings
        self._reader: NodeReportsReader | None = None
        self._reading = asyncio.Lock()
        self._newest: FleetLook | None = None
        self._at_s = 0.0

    async def look(self) -> FleetLook:
        async with self._reading:
            if self._newest is None or time.monotonic() - self._at_s >= LATEST_S:
                self._newest = await asyncio.to_thread(self._read)
                self._at_s = time.monotonic()
            return self._newest

    def _read(self) -> FleetLook:
        try:
            if self._reader is None:
                self._reader = NodeReportsReader(Server.of(self._settings))
            return FleetLook(fleet_of(self._reader.read()))
        except LedgerError as error:
            return FleetLook(None, error)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
