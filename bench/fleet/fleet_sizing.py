"""The size of a fleet, calculated from the cost of one call on the lab's fleet.

Processor time and WAL have two components: one for each node and second, and one for each call. Rows and bytes depend
only on the calls. Transactions and witness requests depend only on the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

PARTS: Final = ("kamailio", "asterisk", "service", "postgresql")
DAY_S, YEAR_DAYS = 86_400, 365
PACKETS_PER_S: Final = 50
WRITTEN_EVERY_S: Final = 1.0
"""Interval in seconds at which each node writes its state and, in another transaction, its new evidence."""


@dataclass(frozen=True, slots=True)
class PartCost:
    """The cost of one part of a fleet, in milliseconds of processor time."""

    per_call_ms: float
    per_node_second_ms: float
    """Processor time without calls, for probes, watchdogs and timers."""

    def processors(self, calls_per_s: float, nodes: int) -> float:
        return (self.per_call_ms * calls_per_s + self.per_node_second_ms * nodes) / 1000


@dataclass(frozen=True, slots=True)
class CallCost:
    """The cost of one call on a fleet.

    Bytes in PostgreSQL include tables and indexes. `parts` has the processor time by part.
    """

    parts: Mapping[str, PartCost]
    rows_per_call: float
    database_bytes_per_call: float
    wal_bytes_per_call: float
    wal_bytes_per_node_second: float
    """Bytes of WAL that a node without calls causes each second by writing its state."""
    ledger_bytes_per_call: float
    """Bytes that a call adds to the node's own ledger file."""

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        parts = {name: PartCost(**cost) for name, cost in found["parts"].items()}
        return cls(**{**found, "parts": parts})


@dataclass(frozen=True, slots=True)
class TalkCost:
    """The cost of a call in progress on its node, while both parties talk (`talking_calls`)."""

    asterisk_ms_per_s: float
    """Asterisk's processor time for each second of the call. The service has no work meanwhile."""
    asterisk_mb: float
    open_files: float


@dataclass(frozen=True, slots=True)
class FleetDemand:
    """The demand on a fleet.

    `busy_share` is the busiest hour's share of the day's calls. Each of the registered witnesses sends a request every
    `witness_every_s`.
    """

    calls_per_day: float
    nodes: int
    busy_share: float = 0.12
    witnesses: int = 2
    witness_every_s: float = 60.0

    @property
    def busy_calls_per_s(self) -> float:
        return self.calls_per_day * self.busy_share / 3600


@dataclass(frozen=True, slots=True)
class FleetSize:
    """The size of a fleet, in processors of the lab's machine.

    Busy processors are those of the busiest hour.
    """

    busy_calls_per_s: float
    busy_calls_per_s_of_node: float
    processors: Mapping[str, float]
    """Part → busy processors, of all nodes together."""
    processors_of_node: float
    """Busy processors of Asterisk and service on one node."""
    schemas: int
    """Schemas in PostgreSQL: one for each node."""
    transactions_per_s: float
    rows_per_s: float
    rows_per_year: float
    database_bytes_per_year: float
    ledger_bytes_per_year_of_node: float
    wal_bytes_per_s: float
    wal_bytes_per_day: float
    witness_requests_per_hour: float


@dataclass(frozen=True, slots=True)
class MillionCallsCost:
    processor_hours: Mapping[str, float]
    database_bytes: float
    ledger_bytes: float
    wal_bytes: float


@dataclass(frozen=True, slots=True)
class TalkLoad:
    """The load of long calls on a node in the busiest hour.

    Processors are counted as in `FleetSize`.
    """

    in_progress: float
    """Calls in progress on all nodes."""
    in_progress_of_node: float
    packets_per_s_of_node: float
    """Packets per second that Asterisk receives, and as many that it sends: each party sends one every 20 ms."""
    set_up_processors_of_node: float
    talk_processors_of_node: float
    asterisk_mb_of_node: float
    open_files_of_node: float


def talk_load(measured: CallCost, talk: TalkCost, demand: FleetDemand, talk_s: float) -> TalkLoad:
    """Load from calls of `talk_s` seconds in the busiest hour."""
    in_progress = demand.busy_calls_per_s * talk_s
    each = in_progress / demand.nodes
    return TalkLoad(
        in_progress,
        each,
        each * 2 * PACKETS_PER_S,
        size_fleet(measured, demand).processors_of_node,
        each * talk.asterisk_ms_per_s / 1000,
        each * talk.asterisk_mb,
        each * talk.open_files,
    )


def nodes_for(measured: CallCost, talk: TalkCost, demand: FleetDemand, talk_s: float, processors: float) -> int:
    """Smallest number of nodes with at most `processors` busy processors on each node."""
    nodes = 1
    while True:
        needed = talk_load(measured, talk, replace(demand, nodes=nodes), talk_s)
        if needed.set_up_processors_of_node + needed.talk_processors_of_node <= processors:
            return nodes
        nodes += 1


@dataclass(frozen=True, slots=True)
class ServerSizing:
    """The load of one of several PostgreSQL servers, each with its share of the nodes.

    Processors are counted as in `FleetSize`.
    """

    nodes: float
    rows_per_s: float
    processors: float
    bytes_per_year: float
    replay_hours: float
    """Hours of one of the server's processors to replay the evidence of a whole day for which it was down."""


def size_server(measured: CallCost, demand: FleetDemand, servers: int, replay_ms_per_call: float) -> ServerSizing:
    """Load on each of several PostgreSQL servers that share the nodes."""
    whole = size_fleet(measured, demand)
    return ServerSizing(
        demand.nodes / servers,
        whole.rows_per_s / servers,
        whole.processors["postgresql"] / servers,
        whole.database_bytes_per_year / servers,
        demand.calls_per_day / servers * replay_ms_per_call / 1000 / 3600,
    )


def size_fleet(measured: CallCost, demand: FleetDemand) -> FleetSize:
    busy, nodes = demand.busy_calls_per_s, demand.nodes
    yearly = demand.calls_per_day * YEAR_DAYS
    processors = {name: measured.parts[name].processors(busy, nodes) for name in PARTS}
    return FleetSize(
        busy_calls_per_s=busy,
        busy_calls_per_s_of_node=busy / nodes,
        processors=processors,
        processors_of_node=(processors["asterisk"] + processors["service"]) / nodes,
        schemas=nodes,
        transactions_per_s=nodes / WRITTEN_EVERY_S + min(busy, nodes / WRITTEN_EVERY_S),
        rows_per_s=busy * measured.rows_per_call,
        rows_per_year=yearly * measured.rows_per_call,
        database_bytes_per_year=yearly * measured.database_bytes_per_call,
        ledger_bytes_per_year_of_node=yearly * measured.ledger_bytes_per_call / nodes,
        wal_bytes_per_s=busy * measured.wal_bytes_per_call + nodes * measured.wal_bytes_per_node_second,
        wal_bytes_per_day=demand.calls_per_day * measured.wal_bytes_per_call
        + DAY_S * nodes * measured.wal_bytes_per_node_second,
        witness_requests_per_hour=nodes * demand.witnesses * 3600 / demand.witness_every_s,
    )


def million_calls_cost(measured: CallCost) -> MillionCallsCost:
    """Cost of a million calls, without the constant cost of the nodes."""
    return MillionCallsCost(
        {name: measured.parts[name].per_call_ms * 1e6 / 1000 / 3600 for name in PARTS},
        1e6 * measured.database_bytes_per_call,
        1e6 * measured.ledger_bytes_per_call,
        1e6 * measured.wal_bytes_per_call,
    )


def predict_load(measured: CallCost, calls_per_s: float, nodes: int) -> dict[str, float]:
    """Predicted load of a fleet: busy processors by part, and rows, bytes and WAL per second."""
    return {
        **{name: measured.parts[name].processors(calls_per_s, nodes) for name in PARTS},
        "rows_per_s": calls_per_s * measured.rows_per_call,
        "database_bytes_per_s": calls_per_s * measured.database_bytes_per_call,
        "wal_bytes_per_s": calls_per_s * measured.wal_bytes_per_call + nodes * measured.wal_bytes_per_node_second,
        "ledger_bytes_per_s": calls_per_s * measured.ledger_bytes_per_call,
    }
