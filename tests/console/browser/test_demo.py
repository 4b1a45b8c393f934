"""`make console` prints the address and how to sign in. Calls appear by themselves, and no process remains."""

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.console.browser.browser import Browser
from lab.repository import ROOT

LASTS_S = 15
APPEAR_WITHIN_S = 8


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, because the paths of sockets have a length limit."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@pytest.mark.nightly
def test_calls_appear_in_the_browser_and_nothing_stays(browser: Browser, folder: Path, year: Path):
    started = subprocess.Popen(
        [sys.executable, "-m", "lab.console.demo", "--seconds", str(LASTS_S), "--year", year], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env=os.environ | {"TMPDIR": str(folder), "LANGUAGE": "en"},
    )  # fmt: skip
    with started as process:
        assert process.stdout
        told = dict(line.split() for line in itertools.islice(process.stdout, 3))
        assert told, process.communicate()[1]
        browser.keep(told["address"], {})
        browser.look(1200, "light")
        browser.open(told["address"] + "now?lang=en")
        browser.sign_in(told["name"], told["password"])
        browser.wait_for(r"Calls in progress\n[1-9]", APPEAR_WITHIN_S)
        browser.wait_for(r"Calls a second\n[1-9]", APPEAR_WITHIN_S)
        assert not browser.errors()
        browser.open("about:blank")
        _, said = process.communicate(timeout=LASTS_S + 30)
        assert process.returncode == 0, said
    assert not [line for line in processes() if str(folder) in line]
    assert [*folder.iterdir()] == []


def processes() -> list[str]:
    return subprocess.check_output(["ps", "-eo", "args"], text=True).splitlines()
