"""The phases of `make test` with programs in place of pytest: the codes that they return, and the processes that are
left.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.lab import wait_until
from lab.repository import ROOT

PHASES = """
import signal, sys
from lab import test_phases
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests themselves run under nohup
def of(markers, workers, *paths):
    name = "alone" if not workers else "calls" if paths == ("tests/calls",) else "loud" if paths else "computing"
    return [sys.executable, "-c", {script!r}, {folder!r}, name]
test_phases._pytest = of
test_phases.OUTPUT = test_phases.Path({folder!r}, "output")
sys.argv[1:] = [""]
sys.exit(test_phases.main())
"""
AWAITED = """
import pathlib, sys, time
place = pathlib.Path(sys.argv[1], sys.argv[2])
try:
    place.with_suffix(".began").touch()
    time.sleep(600)
except KeyboardInterrupt:
    time.sleep(0.5)
    place.with_suffix(".ended").touch()
"""
ENDING = """
import pathlib, sys
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
(folder / f"{name}.ended").touch()
print(name, "said this", flush=True)
sys.exit(3 * (folder / f"{name}.fails").exists())
"""


def phases(script: str, folder: Path) -> subprocess.Popen[str]:
    program = PHASES.format(script=script, folder=str(folder))
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def those(folder: Path, what: str) -> set[str]:
    return {each.stem for each in folder.glob(f"*.{what}")}


@pytest.mark.parametrize("signalled", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_what_runs_ends_in_order_before_an_interrupted_run_returns(tmp_path, signalled):
    with phases(AWAITED, tmp_path) as run:
        await wait_until(lambda: those(tmp_path, "began") == {"computing", "calls"}, "both to run")
        run.send_signal(signalled)
        code = run.wait()
    assert code == 128 + (signal.SIGINT if signalled == signal.SIGINT else signal.SIGTERM)
    assert those(tmp_path, "ended") == {"computing", "calls"}


@pytest.mark.parametrize("failing", ["computing", "calls", "loud", "alone", None])
def test_each_phase_can_fail_the_run(tmp_path, failing):
    (tmp_path / f"{failing}.fails").touch()
    with phases(ENDING, tmp_path) as run:
        said, _ = run.communicate()
    assert run.returncode == (3 if failing else 0)
    ended = {"computing", "calls", "loud"} | ({"alone"} if failing in ("alone", None) else set())
    assert those(tmp_path, "ended") == ended
    assert "computing said this" in said
