"""Times of the office's commands with the reports of a year, each beside the bare SQLite query of the same rows.

    python -m bench.reports [--reports N] [--rounds N] [--json]

Command and query take turns, because this machine has other work as well.

Every report is sealed as a real one. A tenth of them waits for a member, and half of that tenth is overdue.
"""

import contextlib
import io
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress

from idtone.core.numbers import parse
from idtone.core.terminal import command_line
from idtone.member.reports.report_documents import report_id_of
from idtone.office.desk.reports.call_traceback import Finding, ReportResult, Stage
from idtone.office.desk.reports.number_holder import Basis, Holder
from idtone.office.desk.reports.report_store import FILE, PAGE, KeptReport, KeptRequest
from idtone.office_cli import app
from lab.office.desk.reports.members import NUMBER, Members, authority, report

from .bench_output import PROGRESS, options
from .bench_output import report as print_report

REPORTS: Final = 50_000
ROUNDS: Final = 5
WAITING: Final = 10
"""One report of this many waits for a member."""
SEED: Final = 1
MEMBER: Final = "m-0001"


def make_reports(members: Members, count: int, now: datetime) -> str:
    """Write the reports of a year; returns the id of a closed report."""
    chance = random.Random(SEED)
    reports = (
        _made(members, number, count, now, chance) for number in _shown(range(count), f"sealing {count:,} reports")
    )
    more = []
    with members.reports.store.opened() as database:
        for kept, called, request in reports:
            row = (
                kept.id, kept.sealed.receipt, members.reports.key.token(parse(called)),
                _micros(kept.received), kept.via, kept.holder.member, kept.holder.basis, kept.stage, kept.finding,
                kept.result, kept.why, kept.closed and _micros(kept.closed), kept.sealed.report, kept.sealed.reporter,
                kept.sealed.disclose,
            )  # fmt: skip
            database.execute(f"INSERT INTO reports VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608  marks alone
            more.append(
                (request.id, kept.id, 1, MEMBER, _micros(request.asked), _micros(request.due),
                 None if kept.stage is Stage.MEMBER else _micros(request.due))
            )  # fmt: skip
        database.executemany(
            "INSERT INTO requests (id, report, hop, member, asked, due, answered) VALUES (?, ?, ?, ?, ?, ?, ?)", more
        )
    return report_id_of(members.sealed(report(), "R0001").receipt)


def _made(
    members: Members, number: int, count: int, now: datetime, chance: random.Random
) -> tuple[KeptReport, str, KeptRequest]:
    called = f"03{chance.randrange(10_000_000, 99_999_999)}" if number else NUMBER
    received = now - timedelta(days=364) * (1 - number / count)
    sealed = members.sealed(report(called, named=number % 2 == 0), f"R{number:04}")
    waits = number % WAITING == 0
    result = None if waits else chance.choice(list(ReportResult))
    kept = KeptReport(
        report_id_of(sealed.receipt),
        received,
        PAGE,
        Holder(MEMBER, Basis.EDITION),
        Stage.MEMBER if waits else Stage.CLOSED,
        None if waits else chance.choice(list(Finding)),
        result,
        None if waits else "done",
        None if waits else now,
        sealed,
    )
    due = now + timedelta(days=1) * (1 if number % (2 * WAITING) else -1)
    return kept, called, KeptRequest(f"Q-{number:016x}", kept.id, 1, MEMBER, received, due)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def _shown(numbers: range, what: str) -> Iterator[int]:
    with Progress(console=PROGRESS, transient=True, disable=not PROGRESS.is_terminal) as bar:
        yield from bar.track(numbers, description=what)


def commands(folder: Path, one: str) -> dict[str, tuple[list[str], str]]:
    """Words of each command, and the bare query of the same rows."""
    recent = "SELECT * FROM reports ORDER BY received DESC LIMIT 50"
    since = _micros(datetime.now(UTC) - timedelta(days=365))
    return {
        "list the newest 50": (["report list", "--folder", str(folder)], recent),
        "list the reports about a number": (
            ["report list", "--folder", str(folder), "--number"],
            "SELECT * FROM reports WHERE token = (SELECT token FROM reports ORDER BY received LIMIT 1)",
        ),
        "list who is late": (
            ["report overdue", "--folder", str(folder)],
            f"SELECT * FROM requests WHERE answered IS NULL AND due < {since + 365 * 86_400_000_000} ORDER BY due",  # noqa: S608  number of ours
        ),
        "count": (
            ["report stats", "--folder", str(folder), "--by", "result"],
            f"SELECT coalesce(result, stage), count(*) FROM reports WHERE received >= {since} GROUP BY 1",  # noqa: S608  number of ours
        ),
        "show one": (["report show", "--folder", str(folder), one], f"SELECT * FROM reports WHERE id = '{one}'"),  # noqa: S608  id of ours
    }


def measure(folder: Path, one: str, rounds: int, members: Members) -> dict[str, Any]:
    """Median times of each command and of its bare query, and their ratio."""
    found: dict[str, Any] = {}
    for name, (words, query) in commands(folder, one).items():
        ours, bare = [], []
        for _ in range(rounds):
            ours.append(time_of(lambda words=words: run(words)))  # type: ignore[misc]
            bare.append(time_of(lambda query=query: run_query(folder, query)))  # type: ignore[misc]
        found[name] = _figures(ours, bare)
    query = f"SELECT * FROM requests WHERE member = '{MEMBER}' AND answered IS NULL ORDER BY due LIMIT 200"  # noqa: S608  of ours
    with members.desk.ledger.open():
        ours = [time_of(lambda: members.fetch(MEMBER)) for _ in range(rounds)]
        bare = [time_of(lambda: run_query(folder, query)) for _ in range(rounds)]
    found["a member fetches 200 requests"] = _figures(ours, bare)
    return found


def _figures(ours: list[float], bare: list[float]) -> dict[str, float]:
    mine, theirs = statistics.median(ours), statistics.median(bare)
    return {"s": mine, "bare_s": theirs, "times": mine / theirs}


def run(words: list[str]) -> str:
    """Run an office command on the reports, and return its output.

    Raises RuntimeError if the command fails. A negative verdict is not a failure.
    """
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        try:
            app([*words[0].split(), *words[1:], "--json"])
        except SystemExit as ended:
            if int(ended.code or 0) >= command_line.UNUSABLE:
                raise RuntimeError(words) from ended
    return said.getvalue()


def run_query(folder: Path, query: str) -> None:
    with closing(sqlite3.connect(folder / FILE)) as database:
        database.execute(query).fetchall()


def time_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    given = options(__doc__, reports=REPORTS, rounds=ROUNDS).parse_args()
    os.environ.pop("IDTONE_CONFIG", None)
    with tempfile.TemporaryDirectory(prefix="idtone-bench-") as scratch:
        members = Members(authority(Path(scratch) / "authority"))
        one = make_reports(members, given.reports, datetime.now(UTC))
        sys.stdin = io.StringIO(f"{NUMBER}\n" * 2 * given.rounds)
        found = measure(members.desk.folder, one, given.rounds, members)
    print_report(f"{given.reports:,} reports", found, given.json)


if __name__ == "__main__":
    main()
