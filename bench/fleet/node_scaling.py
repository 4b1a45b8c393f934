"""One, two and three nodes under the same calls: the cost of each part, and the model's accuracy.

    python -m bench.fleet.node_scaling [--rate 20] [--seconds 30] [--json]

The model is made from the measurement with one node; it predicts the figures for two and three nodes. Only the ratios
of measured to predicted figures count, because other work on the machine changes all figures alike.
"""

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lab.asterisk_installation import find_or_get as find_asterisk
from lab.carrier import Carrier
from lab.fleet import Fleet, fleet, wait_until
from lab.kamailio import find_or_get as find_kamailio
from lab.lab import LICENSED
from lab.postgresql import postgresql_programs
from lab.processes import end_in_order, ended_children_s, processor_s

from ..bench_output import PROGRESS, options, print_table, report
from .fleet_sizing import PARTS, CallCost, PartCost, predict_load

NODES: Final = (1, 2, 3)
IDLE_S: Final = 10.0
_STORED: Final = """
    SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')
    FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid
    WHERE nspname LIKE 'idtone!_%' ESCAPE '!' AND relkind = 'r'
"""


@dataclass(frozen=True)
class Counters:
    """Counters of the fleet since its start.

    Processor time is in seconds.
    """

    at_s: float
    processor_s: dict[str, float]
    rows: int
    database_bytes: int
    wal_bytes: int
    ledger_bytes: int


@dataclass(frozen=True)
class ScalingRun:
    """The measurement of a fleet of `nodes` nodes.

    `idle` and `busy` are busy processors by part, without calls and at `calls_per_s`. `stored_per_s` has the stored
    rows and bytes.
    """

    nodes: int
    calls_per_s: float
    idle: dict[str, float]
    busy: dict[str, float]
    idle_wal_bytes_per_s: float
    stored_per_s: dict[str, float]


def read_counters(running: Fleet) -> Counters:
    """Read the fleet's current counters.

    PostgreSQL's counters are for all nodes together.
    """
    pids: dict[str, Iterable[int]] = {
        "kamailio": [pid for proxy in running.proxies for pid in proxy.pids],
        "asterisk": [node.asterisk.process.pid for node in running.nodes if node.asterisk.process],
        "service": [node.service.pid for node in running.nodes],
        "postgresql": [*running.primary.pids, *running.standby.pids],
    }
    spent_s = {name: sum(map(processor_s, each)) for name, each in pids.items()}
    spent_s["postgresql"] += sum(ended_children_s(each.pids[0]) for each in (running.primary, running.standby))
    ((octets, wal),) = running.primary.execute(_STORED, "idtone")
    return Counters(
        time.monotonic(),
        spent_s,
        _rows(running),
        int(octets),
        int(wal),
        sum(node.service.ledger.stat().st_size for node in running.nodes),
    )


def _rows(running: Fleet) -> int:
    """Number of rows in PostgreSQL. It is counted, because PostgreSQL's statistics lag behind."""
    schemas = running.primary.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'idtone!_%' ESCAPE '!'", "idtone"
    )
    tables = [f"{schema}.{table}" for (schema,) in schemas for table in ("steps", "hashes", "sought")]
    query = " + ".join(f"(SELECT count(*) FROM {table})" for table in tables)  # noqa: S608 - idtone's own names
    return int(running.primary.execute(f"SELECT {query}", "idtone")[0][0])


def measure(running: Fleet, rate: float, seconds: float, folder: Path) -> ScalingRun:
    """Measure a fleet without calls, then with calls."""
    before = read_counters(running)
    time.sleep(IDLE_S)
    idle = read_counters(running)
    half = rate / len(running.proxies)
    carriers = [
        Carrier(proxy.address, [LICENSED], half, seconds, folder / f"carrier-{number}", name=f"s{number}")
        for number, proxy in enumerate(running.proxies)
    ]
    calls = sum(len(carrier.finish()) for carrier in carriers)
    wait_until(
        lambda: all(node.metrics().get("idtone_ledger_unreplicated_steps") == 0 for node in running.nodes),
        "replicas",
        30,
    )
    after = read_counters(running)
    took_s = after.at_s - idle.at_s
    return ScalingRun(
        len(running.nodes),
        calls / took_s,
        _processors(before, idle),
        _processors(idle, after),
        (idle.wal_bytes - before.wal_bytes) / (idle.at_s - before.at_s),
        {
            "rows_per_s": (after.rows - idle.rows) / took_s,
            "database_bytes_per_s": (after.database_bytes - idle.database_bytes) / took_s,
            "wal_bytes_per_s": (after.wal_bytes - idle.wal_bytes) / took_s,
            "ledger_bytes_per_s": (after.ledger_bytes - idle.ledger_bytes) / took_s,
        },
    )


def _processors(before: Counters, after: Counters) -> dict[str, float]:
    took_s = after.at_s - before.at_s
    return {name: (after.processor_s[name] - before.processor_s[name]) / took_s for name in PARTS}


def call_cost(one: ScalingRun) -> CallCost:
    rate, stored = one.calls_per_s, one.stored_per_s
    parts = {
        name: PartCost(1000 * max(0.0, one.busy[name] - one.idle[name]) / rate, 1000 * one.idle[name] / one.nodes)
        for name in PARTS
    }
    return CallCost(
        parts,
        rows_per_call=stored["rows_per_s"] / rate,
        database_bytes_per_call=stored["database_bytes_per_s"] / rate,
        wal_bytes_per_call=max(0.0, stored["wal_bytes_per_s"] - one.idle_wal_bytes_per_s) / rate,
        wal_bytes_per_node_second=one.idle_wal_bytes_per_s / one.nodes,
        ledger_bytes_per_call=stored["ledger_bytes_per_s"] / rate,
    )


def model_ratios(model: CallCost, one: ScalingRun) -> dict[str, float]:
    """Ratio of each measured figure to the predicted figure."""
    told = predict_load(model, one.calls_per_s, one.nodes)
    return {name: value / told[name] for name, value in {**one.busy, **one.stored_per_s}.items() if told[name]}


def measure_scaling(rate: float, seconds: float, tell: Callable[[str], None]) -> list[ScalingRun]:
    found = []
    with postgresql_programs() as postgresql:
        asterisk, kamailio = find_asterisk(), find_kamailio()
        for nodes in NODES:
            tell(f"{nodes} nodes …")
            with (
                tempfile.TemporaryDirectory(prefix="idtone-scale-") as folder,
                fleet(Path(folder), asterisk, kamailio, postgresql, count=nodes) as running,
            ):
                found.append(measure(running, rate, seconds, Path(folder)))
    return found


def main() -> None:
    chosen = options(__doc__, rate=20.0, seconds=30.0).parse_args()
    end_in_order()
    found = measure_scaling(chosen.rate, chosen.seconds, PROGRESS.print)
    model = call_cost(found[0])
    compared = [{"nodes": one.nodes, **model_ratios(model, one)} for one in found[1:]]
    if chosen.json:
        measurements = [asdict(one) for one in found]
        report("", {"measured": asdict(model), "over_predicted": compared, "measurements": measurements}, True)
        return
    print_table("processors that were busy", [{"nodes": one.nodes, **one.busy} for one in found])
    print_table("measured over predicted", compared)


if __name__ == "__main__":
    main()
