"""The tests in phases, as `make test` runs them: python -m lab.test_phases MARKERS [--workers N] [--callers N]

Tests without calls run beside the calls, which mostly wait, and give way to them. Tests that measure times run
afterwards, alone on the machine.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from .processes import end_in_order
from .repository import ROOT

CALLS: Final = "tests/calls"
CALLS_FIRST: Final = ("nice", "-n", "5")
LOUD: Final = ("tests/hostile", "tests/agi/test_plain_agi_on_asterisk.py", "tests/lab/test_sipp.py")
"""Attacks, and other tests that would delay the phones of other calls."""
ENDS_WITH_US: Final = ("setpriv", "--pdeathsig", "INT")
OUTPUT: Final = ROOT / "build" / "test-computing.txt"
"""File with the output of the computing tests until it is shown."""
INTERRUPTED: Final = 128 + signal.SIGINT
_LOOK_S: Final = 0.2


def main() -> int:
    """Run the phases, and return 0 if all tests passed. A failed test skips the tests that run alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("markers", help="in addition to those of the phases, as for pytest -m; empty for all tests")
    parser.add_argument("--workers", type=int, default=3, help="of the tests that compute")
    parser.add_argument("--callers", type=int, default=4, help="workers of the calls")
    chosen = parser.parse_args()
    end_in_order()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes its background jobs ignore this signal
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # not after nohup
        signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    try:
        return _run(chosen.markers, chosen.workers, chosen.callers)
    except KeyboardInterrupt:
        print(f"interrupted; the tests that compute wrote into {OUTPUT}", file=sys.stderr)
        return INTERRUPTED


def _run(markers: str, workers: int, callers: int) -> int:
    beside = " and ".join(filter(None, ("not alone", markers)))
    ignored = [f"--ignore={path}" for path in (CALLS, *LOUD)]
    OUTPUT.parent.mkdir(exist_ok=True)
    with (
        OUTPUT.open("wb") as output,
        started([*CALLS_FIRST, *_pytest(beside, workers), *ignored], output) as computing,
    ):
        codes = [_code(_pytest(beside, callers, CALLS)), _code(_pytest(beside, 2, *LOUD))]
        for octets in _followed(OUTPUT, computing):
            sys.stdout.buffer.write(octets)
            sys.stdout.buffer.flush()
        codes.append(computing.wait())
    if not any(codes):
        alone = " and ".join(filter(None, ("alone", markers)))
        codes.append(_code(_pytest(alone, 0, *_that_have_the_machine_alone())))
    return max(map(abs, codes))


def _pytest(markers: str, workers: int, *paths: str) -> list[str]:
    # In the order of tests/conftest.py
    by_file = ["-n", f"{workers}", "--dist", "loadfile", "--no-loadscope-reorder"] if workers else []
    return [sys.executable, "-m", "pytest", *by_file, "-m", markers, *paths]


def _that_have_the_machine_alone() -> list[str]:
    """Files with tests that run alone. pytest gets only these: collecting the others takes longer than some tests."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [f"{path.relative_to(ROOT)}" for path in files if "pytest.mark.alone" in path.read_text("utf-8")]


def _code(command: Sequence[str]) -> int:
    with started(command) as process:
        return process.wait()


@contextmanager
def started(command: Sequence[str], output: IO[bytes] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Context with a pytest in a separate process group.

    A signal that ends this process interrupts the whole group once, like Ctrl-C, so that the tests end the processes
    that they started. SIGKILL of this process interrupts only pytest.
    """
    process = subprocess.Popen(
        [*ENDS_WITH_US, *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()


def _followed(path: Path, writer: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield the output of a process while it is written, until the process ends."""
    with path.open("rb") as file:
        while True:
            has_ended = writer.poll() is not None
            if octets := file.read():
                yield octets
            elif has_ended:
                return
            else:
                time.sleep(_LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
