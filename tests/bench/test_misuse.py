"""The bench of the scan for misuse runs the commands that it names."""

import json
import subprocess
import sys

from lab.repository import ROOT


def test_a_small_ledger_is_scanned_and_listed():
    command = [sys.executable, "-m", "bench.misuse", "--calls", "20", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["scan"]["calls"], found["list"]["calls"]) == (20, 20)
