"""Example states of nodes for tests, in the format in which services report them."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from idtone.ledger.replication.node_reports import NodeReport, NodeReports
from idtone.operations.fleet.node_states import Fleet, fleet_of

NOW = datetime(2026, 11, 1, 9, 0, 0, tzinfo=UTC)
ISSUED = "2026-11-01T00:00:00+09:00"
GOOD: dict[str, Any] = {
    "format": 1,
    "at": "2026-11-01T08:59:59.500+00:00",
    "running": True,
    "clock": {"least_seconds": -0.002, "most_seconds": 0.001},
    "rivals": 0,
    "instance": {"version": "0.1.0", "since": "2026-11-01T00:00:00+00:00", "hand_overs": 1},
    "ari": {"connected": True, "asterisk": "22.5.0+deb"},
    "hook": {"loaded": "ab12", "current": True},
    "calls": {"in_progress": 2, "decided": 10, "a_second": 1.5, "over": 8, "with_sound": 8, "sent": 6, "confirmed": 0},
    "registry": {
        "version": 42, "trust": "signed", "issued": ISSUED, "expires": "2026-12-01T00:00:00+09:00",
        "suspensions_in_force": 3, "suspensions_sha256": "5e" * 32, "taken": "2026-11-01T08:00:00+00:00",
    },
    "fallback": {"current": True, "trouble": ""},
    "ledger": {"unwritten_steps": 0, "room_days": 300.0, "trouble": "", "witness_troubles": []},
    "replication": {"unreplicated_steps": 0, "trouble": ""},
    "settings": None,
}  # fmt: skip


def state(**changes: Any) -> dict[str, Any]:
    """A good state with changed values. The name of a value is its path, with two underscores for a dot."""
    made = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *above, name = path.split("__")
        place = made
        for each in above:
            place = place[each]
        place[name] = value
    return made


def report(node: str, state: object, age_s: float = 0.5, key: str = "") -> NodeReport:
    return NodeReport(node, f"{node}/idtone", key or f"{node}+0+{node}", NOW - timedelta(seconds=age_s), state)


def fleet(*states: object) -> Fleet:
    """A fleet of nodes a, b, c, … with these states."""
    return fleet_of(NodeReports(NOW, tuple(report(chr(97 + n), each) for n, each in enumerate(states)), ()))
