"""The cost of a scan for misuse, beside `idtone ledger list --json` of the same ledger.

    python -m bench.misuse [--calls N] [--json]

Each command runs in a separate process, whose processor time and peak memory are measured. `list` holds all its output
in memory, so it lists at most `LISTED` calls, and times are compared per call. Each call of the ledger has its own
numbers, so the scan reads and groups much and judges little. The cost of judging is measured separately, per call, with
the days of `lab/member/misuse/traffic.py`.
"""

import multiprocessing
import os
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from idtone.core.misuse_limits import load_limits
from idtone.member.misuse.findings import DayJudge
from lab.asterisk import IDTONE, OFFICE
from lab.member.misuse.traffic import FRAUDS, OFFICES, day_of

from .bench_output import PROGRESS, options, report
from .fill_ledger import NODE, fill
from .ledger import key_ring

CALLS: Final = 1_000_000
LISTED: Final = 50_000
MONTH: Final = timedelta(days=31)
SEEDS: Final = 20


def costs(config: Path, calls: int, program: Path, *command: str) -> dict[str, float]:
    """Processor time in µs per call, and peak memory, of a command that reads `calls` calls."""
    with subprocess.Popen([program, *command, "-c", str(config)], stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1), command
    return {
        "calls": calls,
        "us_a_call": 1e6 * (used.ru_utime + used.ru_stime) / calls,
        "peak_mb": used.ru_maxrss / 1024,
    }


def make_ledger(folder: Path, calls: int) -> None:
    fill(folder / "l.sqlite3", key_ring(folder), calls, MONTH, lambda call: False)


def judging_time() -> dict[str, float]:
    """Processor time of judging generated days, in µs per call."""
    limits = load_limits(None)
    days = [
        day_of(traffic, seed)
        for traffic in (*(traffic for traffic, _ in FRAUDS.values()), *OFFICES.values())
        for seed in range(SEEDS)
    ]
    calls = sum(len(day.calls) for day in days)
    began = time.process_time()
    for day in days:
        list(DayJudge(NODE, limits, {}).day(day))
    return {"calls": calls, "us_a_call": 1e6 * (time.process_time() - began) / calls}


def main() -> None:
    asked = options(__doc__, calls=CALLS).parse_args()
    with tempfile.TemporaryDirectory(prefix="idtone-misuse-") as name:
        folder = Path(name)
        (folder / "key").write_bytes(bytes(range(32)))
        (folder / "key").chmod(0o600)
        PROGRESS.print(f"making a ledger of {asked.calls:,} calls …")
        # In a separate process: the kernel counts the peak memory of a process to those that it starts.
        filling = multiprocessing.get_context("spawn").Process(target=make_ledger, args=(folder, asked.calls))
        filling.start()
        filling.join()
        assert filling.exitcode == 0
        config = folder / "idtone.yaml"
        config.write_text(
            f"node: {NODE}\nledger: {{url: 'sqlite:///{folder}/l.sqlite3', key_file: {folder}/key}}\n", "utf-8"
        )
        since = ("--since", "2026-01-01T00:00:00+09:00")
        PROGRESS.print("scanning …")
        scan = costs(config, asked.calls, OFFICE, "misuse", "scan", "--json", *since)
        PROGRESS.print("listing …")
        listed = min(asked.calls, LISTED)
        listing = costs(config, listed, IDTONE, "ledger", "list", "--json", "--limit", str(listed), *since)
    found = {
        "scan": scan,
        "list": listing,
        "scan_of_list": {"": scan["us_a_call"] / listing["us_a_call"]},
        "judging": judging_time(),
    }
    report("A scan for misuse", found, asked.json)


if __name__ == "__main__":
    main()
