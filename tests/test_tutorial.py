"""The tutorial's commands run in order on a real Asterisk, with the output that it shows."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from lab.asterisk import IDTONE, free_ports
from lab.repository import ROOT

PAGES = [ROOT / "docs" / "tutorial.md", ROOT / "docs" / "ja" / "tutorial.md"]
PORT = "18088"
"""The port of ARI in the tutorial."""

FIRST = """
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true; ~/idtone-tutorial/asterisk -rx "core stop now" >/dev/null 2>&1 || true' EXIT
: > ~/starts
calls=0
channels() { ./asterisk -rx 'core show channels count' 2>/dev/null; }
# A reader waits for seconds; this, until no call is left and the service is ready.
sleep() {
    [ -x ./asterisk ] || { command sleep 1; return; }
    # Only a call is waited for so long; it is over when it has begun, and no channel is left.
    if [ "$1" = 5 ]; then
        until [ "$(channels | sed -n 's/ calls\\? processed$//p')" -gt "$calls" ]; do command sleep 0.1; done
    fi
    for _ in $(seq 200); do
        local ready=$(cat idtone.log 2>/dev/null | grep -c 'ready: Asterisk' || true)
        if [ "$ready" -ge "$(wc -l < ~/starts)" ] &&
            channels | grep -q '^0 active channels'; then break; fi
        command sleep 0.1
    done
    calls=$(channels | sed -n 's/ calls\\? processed$//p')
    [ "$1" != 5 ] || command sleep 0.3
}
idtone() {
    if [ "$*" = serve ]; then echo >> ~/starts; exec "$PROGRAM" "$@"; fi
    "$PROGRAM" "$@"
}
"""
RECORDS = """
until [ "$(idtone ledger list --json | tee ~/records | grep -c '"complete": true')" = 5 ]; do command sleep 0.1; done
"""


def blocks(page: Path, language: str = "sh") -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


@pytest.fixture(scope="module")
def commands() -> list[str]:
    return blocks(PAGES[0])


@pytest.mark.nightly
def test_every_command_of_the_tutorial_runs(commands, tmp_path):
    *steps, cleaning = commands
    (port,) = free_ports(1)
    script = "\n".join((FIRST, *steps, RECORDS, cleaning)).replace(PORT, str(port))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDTONE_")}
    environment |= {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "PATH": f"{IDTONE.parent}{os.pathsep}{os.environ['PATH']}",
        "PROGRAM": str(IDTONE),
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count("passed every test") == 3
    records = json.loads((tmp_path / "records").read_text())
    assert [(each["outcome"], each["reason"], each["status"], each["sent"], each["fallback"]) for each in records] == [
        ("PLAY", "licence-valid", "CONNECTED", False, False),
        ("NOTICE", "chain-unchecked", "CONNECTED", False, False),
        ("REFUSE", "number-of-another-member", "REFUSED", False, False),
        ("REFUSE", "number-suspended", "REFUSED", False, False),
        ("NOTICE", "service-unavailable", "CONNECTED", False, True),
    ]
    assert not (tmp_path / "idtone-tutorial").exists()


def test_what_is_not_run_only_prepares():
    """The steps that are not run only prepare the machine. `make` unpacks what the tests already have, and takes
    minutes the first time.
    """
    assert blocks(PAGES[0], language="") == blocks(PAGES[1], language="") == ["make venv lab\n"]


def test_both_languages_have_the_same_commands(commands):
    def without_comments(block: str) -> str:
        return re.sub(r"^;.*\n", "", block, flags=re.MULTILINE)

    assert list(map(without_comments, blocks(PAGES[1]))) == list(map(without_comments, commands))
