"""The tests in phases, as `make test` runs them: python -m lab.test_phases MARKERS [--workers N] [--callers N]

What computes runs beside the calls, in the idle class: it takes what they leave of the processors, and no phone is late
for it. What measures times has the machine for itself afterwards.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .repository import ROOT

CALLS: Final = "tests/calls"
LOUD: Final = ("tests/hostile", "tests/agi/test_plain_agi_on_asterisk.py", "tests/lab/test_sipp.py")
"""Attacks, and what else would make the phones of other calls late."""
IDLE: Final = ("chrt", "--idle", "0")
_LOOK_S: Final = 0.2


def main() -> int:
    """The exit code: 0 if all tests passed. No test is alone on the machine after another one has failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("markers", help="in addition to those of the phases, as for pytest -m; empty for all tests")
    parser.add_argument("--workers", type=int, default=3, help="of the tests that compute")
    parser.add_argument("--callers", type=int, default=4, help="workers of the calls")
    chosen = parser.parse_args()
    beside = " and ".join(filter(None, ("not alone", chosen.markers)))
    ignored = [f"--ignore={path}" for path in (CALLS, *LOUD)]
    with _computing([*IDLE, *_pytest(beside, chosen.workers), *ignored]) as (computing, output):
        codes = [
            subprocess.call(_pytest(beside, chosen.callers, CALLS), cwd=ROOT),
            subprocess.call(_pytest(beside, 2, *LOUD), cwd=ROOT),
        ]
        for text in _followed(output, computing):
            print(text, end="", flush=True)
        codes.append(computing.wait())
    if not any(codes):
        alone = " and ".join(filter(None, ("alone", chosen.markers)))
        codes.append(subprocess.call(_pytest(alone, 0, *_that_have_the_machine_alone()), cwd=ROOT))
    return max(map(abs, codes))


def _pytest(markers: str, workers: int, *paths: str) -> list[str]:
    # In the order of tests/conftest.py.
    by_file = ["-n", f"{workers}", "--dist", "loadfile", "--no-loadscope-reorder"] if workers else []
    return [sys.executable, "-m", "pytest", *by_file, "-m", markers, *paths]


def _that_have_the_machine_alone() -> list[str]:
    """The files that have such tests. To read all the others takes longer than some of the tests."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [f"{path.relative_to(ROOT)}" for path in files if "pytest.mark.alone" in path.read_text("utf-8")]


@contextmanager
def _computing(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Context beside which the command runs; it writes into the file."""
    output = ROOT / "build" / "test-computing.txt"
    output.parent.mkdir(exist_ok=True)
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process, output
    finally:
        process.send_signal(signal.SIGINT)  # pytest then ends what its tests started
        process.wait()


def _followed(path: Path, writer: subprocess.Popen[bytes]) -> Iterator[str]:
    """What the process has written and writes, until its end."""
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            has_ended = writer.poll() is not None
            if text := file.read():
                yield text
            elif has_ended:
                return
            else:
                time.sleep(_LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
