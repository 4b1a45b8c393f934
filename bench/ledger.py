"""Speed of writing, proving, verifying, finding and publishing evidence, beside an equally durable INSERT loop.

    python -m bench.ledger [--calls N] [--records N] [--large FOLDER] [--json]

Each call hears a sound and has six steps. The goals: 20 000 steps/s, or 80 % of the bare loop; a proof within 10 ms;
100 000 records verified in a second by one core; a number found within 50 ms among 10 000 000 records. By default the
ledger for the searches is smaller (--records) and is made within a minute; 10 000 000 records take 18 GB and some
twenty minutes. With --large it stays in that folder for the next run. Times are valid for this machine and run only;
those of verifying are processor time.
"""

import json
import random
import resource
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

from idtone.core.numbers import parse
from idtone.core.signed_notes import Note, Signer
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.keys.checkpoint_file import CheckpointFile
from idtone.ledger.keys.day_keys import DayKeys
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.keys.sealing import LedgerKey
from idtone.ledger.keys.successor_trees import SuccessorTrees
from idtone.ledger.store.call_groups import call_groups
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import journal_mode
from idtone.ledger.store.step_rows import microseconds
from idtone.ledger.tiles.tile_source import TileFolder
from idtone.ledger.tiles.tile_writer import write_tiles
from idtone.ledger.tiles.tiles_verification import verify_tiles
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.sample_evidence import FORWARDING, NOW, heard_call

from .bench_output import PROGRESS, options, report
from .fill_ledger import fill

CALLS: Final = 30_000
RECORDS: Final = 300_000
KNOWN: Final = 100
"""Number of records of the number that is searched."""
ONE_BY_ONE: Final = 1500
"""Number of steps that are written with a wait for each. A decision that does not fit into its file waits in the same
way.
"""
PROOFS: Final = 300
FINDS: Final = 30
NEWEST: Final = 50
ORIGIN: Final = "pbx-1/idtone"
MONTH: Final = timedelta(days=31)
GROUP: Final = 1000


def key_ring(folder: Path) -> KeyRing:
    days = DayKeys(folder / "key.days", LedgerKey(bytes(range(32))))
    return KeyRing(
        days,
        Signer(ORIGIN, bytes(32)),
        CheckpointFile(folder / "key.seen"),
        CheckpointFile(folder / "key.cosigned"),
        SuccessorTrees(folder / "key.continued", ORIGIN),
    )


def calls(count: int) -> list[Step]:
    """Steps of `count` overlapping calls, 50 calls per second."""
    return sorted(
        (step for number in range(count) for step in heard_call(f"pbx-1-1793491200.{number}", number * 20)),
        key=lambda step: step.at,
    )


def bare_loop(folder: Path, told: list[Step], group: int) -> float:
    """Steps per second of bare INSERTs of the same rows, without tree and keys.

    The journal mode is the ledger's, and a transaction has `group` steps.
    """
    connection = sqlite3.connect(folder / f"bare-{group}.sqlite3", isolation_level=None)
    connection.execute(f"PRAGMA journal_mode={journal_mode()}")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, node, call_id, kind, at, details)")
    connection.execute("CREATE INDEX a ON steps (call_id)")
    connection.execute("CREATE INDEX b ON steps (at)")
    began = time.perf_counter()
    for start in range(0, len(told), group):
        connection.execute("BEGIN IMMEDIATE")
        for step in told[start : start + group]:
            connection.execute(
                "INSERT INTO steps (node, call_id, kind, at, details) VALUES (?, ?, ?, ?, ?)",
                ("pbx-1", step.call_id, step.kind.value, microseconds(step.at), json.dumps(dict(step.details))),
            )
        connection.execute("COMMIT")
    took_s = time.perf_counter() - began
    connection.close()
    return len(told) / took_s


def measure_writing(folder: Path, told: list[Step]) -> dict[str, float]:
    """Steps per second through the ledger's writer, without waiting and with a wait for each step."""
    url = f"sqlite:///{folder}/ledger.sqlite3"
    with LedgerWriter.open(url, "pbx-1", key_ring(folder)) as writer:
        began = time.perf_counter()
        for step in told:
            last = writer.append(step)
        last.result()
        grouped = len(told) / (time.perf_counter() - began)
        before, closing = [], []
        for step in calls(ONE_BY_ONE // 6):
            again = Step(f"one-{step.call_id}", step.kind, step.at, step.details, step.numbers)
            started = time.perf_counter()
            waited_for = writer.append(again)
            writer.hurry()
            waited_for.result()
            (closing if step.kind is StepKind.ENDED else before).append(1000 * (time.perf_counter() - started))
    return {
        "steps_s": grouped,
        "before_connected_ms": statistics.median(before),
        "before_connected_p99_ms": statistics.quantiles(before, n=100)[98],
        "closing_ms": statistics.median(closing),
    }


def measure_proofs(folder: Path, count: int) -> dict[str, float]:
    """Milliseconds to read a proof with its leaf."""
    dice = random.Random(1)
    took = []
    with LedgerReader.open(f"sqlite:///{folder}/ledger.sqlite3") as reader:
        for _ in range(PROOFS):
            call_id = f"pbx-1-1793491200.{dice.randrange(count)}"
            began = time.perf_counter()
            (found,) = reader.proofs(call_id)
            took.append(1000 * (time.perf_counter() - began))
    p99_ms = statistics.quantiles(took, n=100)[98]
    return {"median_ms": statistics.median(took), "p99_ms": p99_ms, "hashes": len(found.proof.hashes)}


def measure_verification(folder: Path) -> dict[str, float]:
    held = key_ring(folder)
    with LedgerReader.open(f"sqlite:///{folder}/ledger.sqlite3", held.days) as reader:
        began, began_s = time.process_time(), time.perf_counter()
        verdict = verify_ledger(reader, held.signer.key)
        took_s, lasted_s = time.process_time() - began, time.perf_counter() - began_s
    assert verdict.faults == [], verdict.faults
    return {
        "records_s_core": verdict.leaves / took_s,
        "records_s": verdict.leaves / lasted_s,
        "records": verdict.leaves,
        "most_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure_tiles(folder: Path, records_s_core: float) -> dict[str, float]:
    """Size and processor time of the ledger's tiles.

    The times for writing and verifying are ratios to that of verifying the ledger (`records_s_core`).
    """
    out, log = folder / "tiles", key_ring(folder).signer.key
    with LedgerReader.open(f"sqlite:///{folder}/ledger.sqlite3") as reader:
        note = Note.parse(str(reader.checkpoint()).encode())
        began = time.process_time()
        made = write_tiles(reader.database, log, note, out)
        written_s = time.process_time() - began
    began = time.process_time()
    verdict = verify_tiles(TileFolder(out), log)
    verified_s = time.process_time() - began
    assert verdict.faults == [], verdict.faults
    verify_s = made.leaves / records_s_core
    return {
        "leaves": made.leaves,
        "files": made.files,
        "bytes_a_leaf": made.octets / made.leaves,
        "written_of_verify": written_s / verify_s,
        "verified_of_verify": verified_s / verify_s,
    }


def measure_search(folder: Path) -> dict[str, float]:
    """Milliseconds to find all calls of a number in a month.

    Both a number with `KNOWN` calls and other numbers are searched.
    """
    took: dict[bool, list[float]] = {True: [], False: []}
    with LedgerReader.open(f"sqlite:///{folder}/ledger.sqlite3", key_ring(folder).days) as reader:
        for number in range(FINDS):
            for known, digits in ((True, FORWARDING), (False, f"03123{40000 + number}")):
                began = time.perf_counter()
                calls_of_it = reader.find(parse(digits), NOW, NOW + MONTH)
                took[known].append(1000 * (time.perf_counter() - began))
                assert len(calls_of_it) == KNOWN * known, calls_of_it
    known_ms, others_ms = statistics.median(took[True]), statistics.median(took[False])
    return {"median_ms": others_ms, "most_ms": max(took[False]), f"with_{KNOWN}_calls_median_ms": known_ms}


def measure_common_acts(folder: Path, records: int) -> dict[str, float]:
    """Times of common operations on a large ledger.

    They are opening the writer, reading the newest calls, making the statistics of all calls, and destroying a day's
    key.
    """
    url, held = f"sqlite:///{folder}/ledger.sqlite3", key_ring(folder)
    began = time.perf_counter()
    with LedgerWriter.open(url, "pbx-1", held):
        start_ms = 1000 * (time.perf_counter() - began)
    with LedgerReader.open(url, held.days) as reader:
        began = time.perf_counter()
        assert len(reader.records(limit=NEWEST)) == min(NEWEST, records)
        newest_ms = 1000 * (time.perf_counter() - began)
        began_s = time.process_time()
        assert sum(each.times for each in call_groups(reader)) == records
        stats_us = 1e6 * (time.process_time() - began_s) / records
    with tempfile.TemporaryDirectory(dir=folder) as copied:
        copy = Path(shutil.copy(folder / "key.days", copied))
        began = time.perf_counter()
        destroyed = DayKeys(copy, LedgerKey(bytes(range(32)))).destroy((NOW + timedelta(days=1)).date().isoformat())
        forget_ms = 1000 * (time.perf_counter() - began)
        assert destroyed
    return {"start_ms": start_ms, "newest_50_ms": newest_ms, "stats_us_a_call": stats_us, "forget_ms": forget_ms}


def measure_storage(folder: Path, records: int) -> dict[str, float]:
    """Bytes per call in the ledger's file, by table and index."""
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as connection:
        rows = connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY 1 ORDER BY 2 DESC").fetchall()
    whole = sum(octets for _, octets in rows)
    return {"whole": whole / records} | {name: octets / records for name, octets in rows if octets > whole / 200}


def measure(
    count: int, records: int, tell: Callable[[str], None], kept: Path | None = None
) -> dict[str, dict[str, float]]:
    """Measure writing with `count` calls, and searching in a ledger of `records` records.

    `records` is a multiple of `KNOWN`, and `KNOWN` records are of one number. If `kept` is given, that folder keeps the
    ledger.
    """
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="idtone-ledger-") as folder:
        place, large = Path(folder), kept or Path(folder, "large")
        tell(f"{count:,} calls …")
        told = calls(count)
        tell("the bare loop …")
        bare_s = bare_loop(place, told, GROUP)
        measured["bare"] = {"steps_s": bare_s, "one_a_commit_steps_s": bare_loop(place, told[: 2 * ONE_BY_ONE], 1)}
        tell("the ledger …")
        measured["written"] = measure_writing(place, told)
        measured["written"]["of_bare"] = measured["written"]["steps_s"] / bare_s
        tell("proofs …")
        measured["proof"] = measure_proofs(place, count)
        tell("verifying …")
        measured["verify"] = measure_verification(place)
        tell("tiles …")
        measured["tiles"] = measure_tiles(place, measured["verify"]["records_s_core"])
        if not large.exists():
            tell(f"a ledger of {records:,} records …")
            filling = large.with_name(f"{large.name}.filling")
            filling.mkdir(parents=True)
            every = records // KNOWN
            fill(filling / "ledger.sqlite3", key_ring(filling), records, MONTH, lambda call: call % every == 0)
            filling.rename(large)
        tell("using, finding, proving and verifying in it …")
        measured |= {"bytes_a_call": measure_storage(large, records), "use_among": measure_common_acts(large, records)}
        measured |= {
            "find_among": measure_search(large),
            "proof_among": measure_proofs(large, records),
            "verify_among": measure_verification(large),
        }
        tell("its tiles …")
        measured["tiles_among"] = measure_tiles(large, measured["verify_among"]["records_s_core"])
    return measured


def main() -> None:
    parser = options(__doc__, calls=CALLS, records=RECORDS)
    parser.add_argument("--large", type=Path, help="where the large ledger is kept; default nowhere")
    chosen = parser.parse_args()
    if chosen.records < KNOWN or chosen.records % KNOWN:
        parser.error(f"--records {chosen.records} is not a multiple of {KNOWN}")
    measured = measure(chosen.calls, chosen.records, PROGRESS.print, chosen.large)
    report("evidence", {"calls": chosen.calls, "journal": journal_mode(), **measured}, chosen.json)


if __name__ == "__main__":
    main()
