"""Observes a running fleet and its calls, and returns figures for the picture and for JSON."""

import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import psycopg

from lab.carrier import CarriedCall, Carrier
from lab.fleet import Fleet, Node
from lab.kamailio import Kamailio
from lab.postgresql import PostgreSQL

WINDOW_S: Final = 5.0
"""Seconds over which the rates are measured."""
LOST_S: Final = 10.0
"""Seconds without an answer after which a call counts as lost."""
_LAG: Final = "SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), -1) FROM pg_stat_replication"


@dataclass(frozen=True)
class SeenNode:
    """Figures of a node.

    `calls_per_s` is None if the service does not answer. `waiting` is the number of steps that are not in PostgreSQL
    yet.
    """

    name: str
    calls_per_s: float | None
    in_progress: int
    registry_version: int
    waiting: int
    replicated: bool
    cosigned_s: float | None
    """Age of its newest cosigned head in seconds, or None without one."""


@dataclass(frozen=True)
class SeenProxy:
    """A proxy.

    `states` maps each node to its state, in the notation of Kamailio's dispatcher. It is None if the proxy does not
    answer.
    """

    name: str
    states: dict[str, str] | None


@dataclass(frozen=True)
class SeenDatabase:
    """A database server. `role` is primary, standby or gone.

    `lag_bytes` is the number of bytes that the standby has not replayed yet, or None without a standby.
    """

    name: str
    role: str
    lag_bytes: int | None


@dataclass(frozen=True)
class SeenCalls:
    """Counts of the calls since the beginning, and rates over the last seconds."""

    offered: int
    answered: int
    refused: int
    busy: int
    """Number of calls refused because all nodes were busy."""
    lost: int
    offered_per_s: float
    answered_per_s: float


@dataclass(frozen=True)
class Seen:
    calls: SeenCalls
    nodes: list[SeenNode]
    proxies: list[SeenProxy]
    databases: list[SeenDatabase]
    registry: bool
    witnesses: list[bool]


@dataclass
class Observer:
    fleet: Fleet
    carriers: Sequence[Carrier]
    _before: dict[str, deque[tuple[float, float]]] = field(default_factory=dict)

    def look(self) -> Seen:
        """Present figures. Takes some milliseconds, and two seconds more for each part that does not answer."""
        fleet = self.fleet
        return Seen(
            self._calls(),
            [self._node(node) for node in fleet.nodes],
            [self._proxy(f"sip-{number}", proxy) for number, proxy in enumerate(fleet.proxies, 1)],
            [self._database(name, each) for name, each in (("db-1", fleet.primary), ("db-2", fleet.standby))],
            fleet.registry.running,
            [witness.running for witness in fleet.witnesses],
        )

    def _rate(self, name: str, count: float) -> float:
        """Rate of a counter per second, from its values within `WINDOW_S`."""
        known = self._before.setdefault(name, deque())
        now_s = time.monotonic()
        known.append((now_s, count))
        while len(known) > 2 and known[0][0] < now_s - WINDOW_S:
            known.popleft()
        (from_s, before), (to_s, after) = known[0], known[-1]
        return max(0.0, after - before) / (to_s - from_s) if to_s > from_s else 0.0

    def _calls(self) -> SeenCalls:
        every = [call for carrier in self.carriers for call in list(carrier.calls().values())]
        now_s = time.time()
        kinds = Counter(kind_of(call, now_s) for call in every)
        return SeenCalls(
            len(every),
            kinds["answered"],
            kinds["refused"],
            kinds["busy"],
            kinds["lost"],
            self._rate("offered", len(every)),
            self._rate("answered", kinds["answered"]),
        )

    def _node(self, node: Node) -> SeenNode:
        told = node.metrics()
        seen_s: float | None = None
        with suppress(OSError):
            seen_s = time.time() - node.service.seen_ledger.with_name("ledger.key.cosigned").stat().st_mtime
        return SeenNode(
            node.name,
            self._rate(node.name, told.get("idtone_decisions_total", 0.0)) if told else None,
            int(told.get("idtone_calls_in_progress", 0)),
            int(told.get("idtone_registry_version", 0)),
            int(told.get("idtone_ledger_unreplicated_steps", 0)),
            bool(told.get("idtone_ledger_replicated", 0)),
            seen_s,
        )

    def _proxy(self, name: str, proxy: Kamailio) -> SeenProxy:
        try:
            states = proxy.states()
        except OSError:
            return SeenProxy(name, None)
        return SeenProxy(name, {node.name: states.get(node.asterisk.sip_address, "") for node in self.fleet.nodes})

    def _database(self, name: str, one: PostgreSQL) -> SeenDatabase:
        try:
            ((standby,),) = one.execute("SELECT pg_is_in_recovery()")
            if standby:
                return SeenDatabase(name, "standby", None)
            ((lag,),) = one.execute(_LAG)
        except psycopg.Error:
            return SeenDatabase(name, "gone", None)
        return SeenDatabase(name, "primary", None if lag < 0 else int(lag))


def kind_of(call: CarriedCall, now_s: float) -> str:
    """Kind of a call: answered, refused, busy (503), lost, or going-on."""
    if call.final_s is None:
        return "lost" if now_s - call.sent_s > LOST_S else "going-on"
    if call.status == 200:
        return "answered"
    return {403: "refused", 503: "busy"}.get(call.status, "lost")
