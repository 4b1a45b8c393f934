"""Speed of replication beside PostgreSQL's own COPY and INSERT of the same rows, and its effect on calls.

    python -m bench.replication [--calls N] [--json]

One run measures, on one PostgreSQL, the rates and the wait for a step. The wait is measured without PostgreSQL in the
settings, and with a replica that is up to date, that is being filled, or whose server is down. The goals: replication
is faster than PostgreSQL's INSERT loop, so that the steps of a day need less than an hour; and a step is as fast as
without PostgreSQL.
"""

import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import psycopg

from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.replication.replicator import Replicator
from idtone.ledger.store.postgresql import Server
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.replication.nodes import Node, rows
from lab.ledger.sample_evidence import heard_call
from lab.postgresql import PostgreSQL, postgresql_programs

from .bench_output import options, report

CALLS: Final = 10_000
WAITED: Final = 60
"""Number of steps in a round that waits for each step."""
FILLING: Final = 2000
"""Number of calls that are replicated during the round `filling`."""
ROUNDS: Final = 30
PIECE: Final = 1000
WAYS: Final = ("none", "none again", "up", "filling", "down")
"""The conditions of the wait. The second one repeats the first, and their difference shows the random variation."""
TABLES: Final = (
    "CREATE TABLE steps (id bigint PRIMARY KEY, node text, call_id text, kind text, at bigint, details text, "
    "leaf bigint)",
    "CREATE INDEX ON steps (call_id)",
    "CREATE INDEX ON steps (at)",
    "CREATE TABLE hashes (place bigint PRIMARY KEY, hash bytea)",
    "CREATE TABLE sought (token bigint, step bigint, PRIMARY KEY (token, step))",
)


def bare_speed(server: PostgreSQL, told: dict[str, list[tuple[object, ...]]], way: str) -> float:
    """Steps per second to write the same rows into the same tables by PostgreSQL's own means.

    The bare way has no tree, no comparison and no stored position.
    """
    with psycopg.connect(
        host="127.0.0.1", port=server.port, user=server.user, password=server.password, dbname="postgres"
    ) as connection:
        for statement in ("CREATE SCHEMA bare", "SET search_path TO bare", *TABLES):
            connection.execute(statement)
        connection.commit()
        began = time.perf_counter()
        pieces = -(-len(told["steps"]) // PIECE)
        for number in range(pieces):
            for table in ("steps", "hashes", "sought"):
                size = -(-len(told[table]) // pieces)
                piece = told[table][number * size : (number + 1) * size]
                if way == "copy":
                    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:  # type: ignore[arg-type]
                        for row in piece:
                            copy.write_row(row)
                else:
                    marks = ", ".join(["%s"] * len(piece[0]))
                    for row in piece:
                        connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # type: ignore[arg-type]  # noqa: S608  own names
            connection.commit()
        took_s = time.perf_counter() - began
        connection.execute("DROP SCHEMA bare CASCADE")
    return len(told["steps"]) / took_s


def write_waits_ms(node: Node, name: str) -> list[float]:
    """Milliseconds until a step is on the disk, for each step of complete calls."""
    took = []
    with LedgerWriter.open(node.settings.own_url(), node.name, KeyRing.of(node.settings, node.name)) as writer:
        for number in range(WAITED // 6):
            for step in heard_call(f"{name}-{number}", number):
                began = time.perf_counter()
                future = writer.append(step)
                writer.hurry()
                future.result()
                took.append(1000 * (time.perf_counter() - began))
    return took


def median_wait_ms(folder: Path, name: str, way: str, server: Server) -> float:
    """Median wait of a round under the condition `way`, in milliseconds."""
    node = Node.at(folder, name, server)
    if way.startswith("none"):
        return statistics.median(write_waits_ms(node, way))
    if way == "filling":
        node.write(*(heard_call(f"c-{each}", each * 20) for each in range(FILLING)))
    replicating = Replicator(node.settings, node.name)
    replicating.begin()
    took = write_waits_ms(node, way)
    replicating.close()
    return statistics.median(took)


def measure(calls: int) -> dict[str, Any]:
    measured: dict[str, Any] = {"calls": calls}
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="idtone-replication-")))
        postgresql = opened.enter_context(PostgreSQL(opened.enter_context(postgresql_programs())))
        away = Server.named(postgresql.url(port=1), postgresql.password)
        server = Server.named(postgresql.url(), postgresql.password)
        full = Node.at(folder, "full", server)
        full.write(*(heard_call(f"c-{number}", number * 20) for number in range(calls)))
        told = rows(full.ledger)
        began = time.perf_counter()
        replicated = full.replicate()
        measured["replicated_steps_s"] = replicated / (time.perf_counter() - began)
        measured["copy_steps_s"] = bare_speed(postgresql, told, "copy")
        measured["insert_steps_s"] = bare_speed(
            postgresql, {name: each[: len(each) // 10] for name, each in told.items()}, "insert"
        )
        measured["of_copy"] = measured["replicated_steps_s"] / measured["copy_steps_s"]
        measured["of_insert"] = measured["replicated_steps_s"] / measured["insert_steps_s"]
        # In turns, in any order, so that other work of the machine slows all alike.
        dice = random.Random(1)
        ratios: dict[str, list[float]] = {way: [] for way in WAYS}
        for number in range(ROUNDS):
            medians = {}
            for way in dice.sample(WAYS, len(WAYS)):
                medians[way] = median_wait_ms(folder, f"{way} {number}", way, away if way == "down" else server)
            for way, median in medians.items():
                ratios[way].append(median / medians["none"])
        measured["of_none"] = {way: statistics.median(each) for way, each in ratios.items()}
    return measured


def main() -> None:
    chosen = options(__doc__, calls=CALLS).parse_args()
    report("replication", measure(chosen.calls), chosen.json)


if __name__ == "__main__":
    main()
