"""The replicas of several nodes on one PostgreSQL and on two: cost of writing and reading, and a server's failure.

    python -m bench.fleet.replica_servers [--calls 2000] [--json]

With two servers, each node has its replica on one of them.

Both servers run on this machine. Each node replicates from a separate process. The layouts take turns, because other
work on the machine changes all figures alike. So only the ratios and the processor time count.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from idtone.ledger.replication.node_ledgers import Ledgers
from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.ledger.store.postgresql import Server
from lab.ledger.replication.nodes import Node, rows
from lab.ledger.sample_evidence import heard_call
from lab.postgresql import PostgreSQL, postgresql_programs
from lab.processes import ended_children_s, processor_s

from ..bench_output import PROGRESS, options, report

CALLS: Final = 2000
"""Number of calls of each node."""
NODES: Final = ("a-1", "a-2", "b-1", "b-2")
ROUNDS: Final = 3
READS: Final = 10
MEANWHILE: Final = 200
"""Number of calls of a node during the other server's failure, and before it."""

Layout = Sequence[Node]
"""The nodes, each with the server that it replicates to."""


def write_calls(node: Node, first: int, calls: int) -> None:
    node.write(*(heard_call(f"{node.name}-{number}", number * 20) for number in range(first, first + calls)))


def replicate(node: Node) -> float:
    """Replicate a node's ledger until no step waits; returns its steps per second."""
    began_s = time.perf_counter()
    steps = node.replicate()
    return steps / (time.perf_counter() - began_s)


def server_time_s(server: PostgreSQL) -> float:
    """Processor time of all processes of a server in seconds, including ended processes."""
    while True:
        try:
            return sum(map(processor_s, server.pids)) + ended_children_s(server.pids[0])
        except FileNotFoundError:
            continue  # one has ended meanwhile, and counts among the ended ones now


@contextmanager
def databases(servers: Sequence[PostgreSQL], nodes: Sequence[Node]) -> Iterator[Layout]:
    """Create empty databases on the servers for the block, and spread the nodes evenly over them."""
    with ExitStack() as opened:
        urls = [opened.enter_context(server.database()) for server in servers]
        share = len(nodes) // len(servers)
        yield [node.changed(url=urls[at // share]) for at, node in enumerate(nodes)]


def fill_replicas(servers: Sequence[PostgreSQL], layout: Layout, processes: Executor) -> dict[str, float]:
    """Fill all replicas in parallel; returns the calls per second, and the processor time of a call."""
    before_s, began_s = [server_time_s(each) for each in servers], time.perf_counter()
    list(processes.map(Node.replicate, layout))
    took_s = time.perf_counter() - began_s
    spent = [server_time_s(each) - before for each, before in zip(servers, before_s, strict=True)]
    calls = sum(_calls(node) for node in layout)
    return {
        "calls_per_s": calls / took_s,
        "postgresql_ms": 1000 * sum(spent) / calls,
        "busiest_server_ms": 1000 * max(spent) / calls,
    }


def _calls(node: Node) -> int:
    with node.own() as reader:
        return len(reader.records())


def median_ratio(one: Callable[[], object], two: Callable[[], object]) -> tuple[float, float]:
    """Median time of `one` in milliseconds, and the median ratio of `two` to `one`.

    Both run in turns.
    """

    def took_ms(work: Callable[[], object]) -> float:
        began_s = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - began_s)

    pairs = [(took_ms(one), took_ms(two)) for _ in range(READS)]
    return statistics.median(first for first, _ in pairs), statistics.median(other / first for first, other in pairs)


def servers_of(layout: Layout) -> list[Server]:
    return list(dict.fromkeys(node.server for node in layout))


def compare_reading(one: Layout, two: Layout) -> dict[str, float]:
    def newest(layout: Layout) -> object:
        return Ledgers.in_postgresql(servers_of(layout), {}).records(limit=50)

    list_ms, list_ratio = median_ratio(lambda: newest(one), lambda: newest(two))
    with NodeReportsReader(*servers_of(one)) as from_one, NodeReportsReader(*servers_of(two)) as from_two:
        state_ms, state_ratio = median_ratio(from_one.read, from_two.read)
    return {"list_ms": list_ms, "list_ratio": list_ratio, "states_ms": state_ms, "states_ratio": state_ratio}


def measure_failure(second: PostgreSQL, layout: Layout, calls: int) -> dict[str, float]:
    """Kill the second PostgreSQL server, and measure the nodes of both servers.

    A node of the first server continues, and the nodes of the second server wait.
    """
    beside, waiting = layout[0], layout[len(layout) // 2 :]
    with_s, without_s = list[float](), list[float]()
    for number in range(ROUNDS):
        for times in (with_s, without_s):
            if times is without_s:
                second.kill()
            write_calls(beside, 10**6 + 10_000 * number + 1000 * (times is without_s), MEANWHILE)
            times.append(1 / replicate(beside))
            if times is without_s:
                second.start()
    second.kill()
    began_s = time.perf_counter()
    ledgers = Ledgers.in_postgresql(servers_of(layout), {})
    read_s = time.perf_counter() - began_s
    for node in waiting:
        write_calls(node, 10**7, calls)
    second.start()
    before_s = server_time_s(second)
    rates = [replicate(node) for node in waiting]
    return {
        "others_ratio": statistics.median(b / a for a, b in zip(with_s, without_s, strict=True)),
        "nodes_still_read": len(ledgers.nodes),
        "read_while_away_s": read_s,
        "waiting_calls": calls * len(waiting),
        "replayed_steps_per_s": statistics.mean(rates),
        "replay_postgresql_ms": 1000 * (server_time_s(second) - before_s) / (calls * len(waiting)),
        "lost_rows": sum(rows(node.ledger) != rows(node.replica) for node in waiting),
    }


def measure_move(first: PostgreSQL, second: PostgreSQL, layout: Layout) -> dict[str, float]:
    """Move a node to the other server by its settings alone, and return the times.

    The replica is filled again on the other server.
    """
    node = layout[0].changed(url=layout[-1].settings.url)
    began_s = time.perf_counter()
    steps = node.replicate()
    took_s = time.perf_counter() - began_s
    together = Ledgers.in_postgresql(servers_of(layout), {})
    return {
        "steps": steps,
        "steps_per_s": steps / took_s,
        "ledgers_before_the_old_replica_is_dropped": len(together.nodes),
        "lost_rows": float(rows(node.ledger) != rows(node.replica)),
    }


def measure(calls: int) -> dict[str, Any]:
    dice, found = random.Random(1), dict[str, Any]()
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="idtone-servers-")))
        first = opened.enter_context(PostgreSQL(opened.enter_context(postgresql_programs())))
        second = opened.enter_context(first.another())
        processes = opened.enter_context(ProcessPoolExecutor(len(NODES), mp_context=get_context("spawn")))
        nodes = [Node.of(folder, name, first.url(), first.password) for name in NODES]
        PROGRESS.print(f"writing {calls:,} calls on each of {len(nodes)} nodes …")
        list(processes.map(write_calls, nodes, [0] * len(nodes), [calls] * len(nodes)))
        ways = {"one": [first], "two": [first, second]}
        figures: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for number in range(ROUNDS):
            PROGRESS.print(f"replicating to one server and to two, round {number + 1} of {ROUNDS} …")
            for way in dice.sample(list(ways), len(ways)):
                with databases(ways[way], nodes) as layout:
                    figures[way].append(fill_replicas(ways[way], layout, processes))
        found["nodes"], found["calls_of_node"] = len(nodes), calls
        for way, each in figures.items():
            found[way] = {name: statistics.median(one[name] for one in each) for name in each[0]}
        pairs = list(zip(figures["one"], figures["two"], strict=True))
        found["two_to_one"] = {name: statistics.median(b[name] / a[name] for a, b in pairs) for name in pairs[0][0]}
        with databases(ways["one"], nodes) as one, databases(ways["two"], nodes) as two:
            for layout in (one, two):
                list(processes.map(Node.replicate, layout))
            PROGRESS.print("reading …")
            found["read"] = compare_reading(one, two)
            PROGRESS.print("one server away …")
            found["away"] = measure_failure(second, two, calls)
            PROGRESS.print("moving a node …")
            found["moved"] = measure_move(first, second, two)
    return found


def main() -> None:
    chosen = options(__doc__, calls=CALLS).parse_args()
    report("replicas on one PostgreSQL and on two", measure(chosen.calls), chosen.json)


if __name__ == "__main__":
    main()
