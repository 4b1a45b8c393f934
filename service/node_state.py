"""This node's state for the other nodes: a JSON object that is written to PostgreSQL every second.

The replicator writes the object. `STATE` is the table of its fields. Most are status feed fields with the same names.
No field contains a telephone number, a call id or a member.
"""

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from idtone.ledger.replication.replica_connection import ReportResult

from .instance_parts import InstanceParts
from .status_feed import FEED, decided_calls, nested

FORMAT: Final = 1
"""The object's version. New fields do not change it."""
RATE_S: Final = 10
"""Period over which the call rate is computed, in seconds. It uses the last reports, about one per second."""


@dataclass(frozen=True, slots=True)
class ReportValues:
    """Values that a report is built from."""

    parts: InstanceParts
    running: bool
    exchange: ReportResult | None
    calls_a_second: float | None
    rivals: int


@dataclass(frozen=True, slots=True)
class StateField:
    """A field of the node's state. `meaning` is empty for a status feed field."""

    name: str
    meaning: str
    read: Callable[[ReportValues], Any]


def _clock(values: ReportValues) -> dict[str, float] | None:
    if values.exchange is None:
        return None
    least_s, most_s = values.exchange.ahead_least_s, values.exchange.ahead_most_s
    return {"least_seconds": round(least_s, 3), "most_seconds": round(most_s, 3)}


def _from_feed(*names: str) -> tuple[StateField, ...]:
    """Status feed fields, as fields of the node's state."""
    by_name = {field.name: field.read for field in FEED}

    def reader(name: str) -> Callable[[ReportValues], Any]:
        return lambda values: by_name[name](values.parts)

    return tuple(StateField(name, "", reader(name)) for name in names)


STATE: Final = (
    StateField("format", "The version of this format. It changes if a field changes or is removed.", lambda _: FORMAT),
    StateField("at", "When it was made, by the node's clock.", lambda _: _now()),
    StateField("running", "Whether the service runs; false when it was told to stop.", lambda it: it.running),
    StateField(
        "clock",
        "By how much PostgreSQL's clock is ahead of the node's, at least and at most, by the sending and the answer of "
        "the report before; null in the first one.",
        _clock,
    ),
    StateField(
        "rivals",
        "How many of the last ten reports replaced that of another service, which says that it is this node.",
        lambda it: it.rivals,
    ),
    *_from_feed(
        "instance.version", "instance.since", "instance.hand_overs", "ari.connected", "ari.asterisk", "hook.loaded",
        "hook.current", "calls.in_progress", "calls.decided",
    ),
    StateField(
        "calls.a_second", "Decided calls a second, over the last ten seconds; null at first.",
        lambda it: it.calls_a_second,
    ),
    StateField("calls.over", "Ended calls.", lambda it: sum(dict(it.parts.counts.ended).values())),
    *_from_feed(
        "calls.with_sound", "calls.sent", "calls.confirmed",
        "registry.version", "registry.trust", "registry.issued", "registry.expires",
        "registry.suspensions_in_force", "registry.suspensions_sha256", "registry.taken", "fallback.current",
        "fallback.trouble", "ledger.unwritten_steps", "ledger.room_days", "ledger.trouble",
    ),
    StateField(
        "ledger.witness_troubles",
        "A list of the witnesses that do not cosign: name, trouble.",
        lambda it: [
            {"name": each.key.name, "trouble": each.trouble}
            for each in it.parts.cosigning.witnesses
            if each.trouble
        ],
    ),
    StateField(
        "brake",
        "What the brake has stopped and what was released, for the other nodes: `told`, a JSON text of tokens, and "
        "`mac`, by the fleet's key; null without one.",
        lambda it: it.parts.keeper.stops_to_share() if it.parts.keeper else None,
    ),
    StateField(
        "suspensions",
        "This node's own suspensions (`idtone suspend`) for the other nodes, sealed with the fleet's key; null without "
        "one, or without suspensions.",
        lambda it: it.parts.suspensions.told,
    ),
    *_from_feed("replication", "settings"),
)  # fmt: skip


class NodeStateReport:
    """Builds this node's reports for the other nodes.

    Reading the disk may block, so do not use an instance in the event loop.
    """

    def __init__(self, parts: InstanceParts, is_running: Callable[[], bool]) -> None:
        self._observed = parts
        self._is_running = is_running
        self._decided: deque[tuple[float, int]] = deque(maxlen=RATE_S + 1)
        self._writers: deque[str | None] = deque(maxlen=RATE_S)
        """Writers of the reports that this node's latest reports replaced."""

    def __call__(self, exchange: ReportResult | None) -> str:
        """Build the next report as JSON text. `exchange` is the result of the previous report."""
        self._decided.append((time.monotonic(), decided_calls(self._observed)))
        if exchange is not None:
            self._writers.append(exchange.before)
        own = exchange.writer if exchange else None
        rivals = sum(each not in (own, None) for each in self._writers)
        values = ReportValues(self._observed, self._is_running(), exchange, self._rate(), rivals)
        return json.dumps(nested((field.name, field.read(values)) for field in STATE), default=str)

    def _rate(self) -> float | None:
        (first_s, before), (last_s, now) = self._decided[0], self._decided[-1]
        return round((now - before) / (last_s - first_s), 2) if last_s > first_s else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
