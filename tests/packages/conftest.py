"""Fixtures: the packages under test, and a Debian for each, with a real Asterisk. Also the output of passed tests."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from lab.asterisk import Asterisk
from lab.asterisk_installation import AsteriskInstallation
from lab.machine.machine import CHOSEN, Machine, image
from lab.machine.pbx import PbxInMachine
from lab.unpacked_packages import cache_directory
from tools.deb import build

_SHOWED: Final = "showed"


@pytest.fixture
def showed(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Function for a line about the result of a test. pytest prints the line beside the name of the passed test."""
    return partial(record_property, _SHOWED)


def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """Status of a passed test: its seconds and its line. pytest prints them when the test ends, because such a run is
    long.
    """
    if not isinstance(report, pytest.TestReport) or report.when != "call" or not report.passed:
        return None
    lines = [str(words) for name, words in report.user_properties if name == _SHOWED]
    return "passed", ".", ": ".join([f"PASSED in {report.duration:.0f} s", *lines])


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Packages of each release, built now: node, console, office and sounds, in this order.

    All releases are built at the same time, because most of a build, and lintian, uses only one processor.
    """
    with ThreadPoolExecutor() as pool:
        building = {release: pool.submit(build, release, tmp_path_factory.mktemp("packages")) for release in CHOSEN}
    return {release: each.result() for release, each in building.items()}


@pytest.fixture(scope="module", params=CHOSEN)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """Folder that the machine sees too. It is not in /tmp, because each machine has its own /tmp."""
    with tempfile.TemporaryDirectory(prefix="packages-", dir=cache_directory(os.environ, print)) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def machine(
    release: str, packages: dict[str, list[Path]], scratch: Path, installation: AsteriskInstallation
) -> Iterator[Machine]:
    """A fresh Debian with Asterisk's user. It has never had idtone."""
    assert installation.origin.startswith("Debian "), f"{installation.origin} cannot be lent to another Debian"
    tree = installation.data_directory.parents[2]
    for each in packages.values():
        for made in each:
            shutil.copy(made, scratch)
    with Machine(image(release), scratch, tree) as machine:
        machine.run("adduser", "--system", "--group", "--home", "/var/lib/asterisk", "--quiet", "asterisk")
        folders = [str(each) for each in (*scratch.parents, *tree.parents) if each != Path("/")]
        machine.run("chmod", "o+x", *folders, str(scratch))
        machine.run("apt-get", "update", "--quiet")
        yield machine
        print(machine.run("journalctl", "--unit", "idtone", "--no-pager"))  # pytest shows it beside a failure


@pytest.fixture(scope="module")
def all_four(release: str, packages: dict[str, list[Path]], scratch: Path) -> list[Path]:
    """The release's packages, where the machine sees them."""
    return [scratch / each.name for each in packages[release]]


@pytest.fixture(scope="module")
def node_package(all_four: list[Path]) -> Path:
    """The release's package `idtone`, where the machine sees it."""
    return all_four[0]


@pytest.fixture(scope="module")
def pbx(machine: Machine, scratch: Path, installation: AsteriskInstallation) -> Iterator[Asterisk]:
    """An Asterisk in the machine. It does not run until a test starts it."""
    one = PbxInMachine(installation, scratch / "pbx", machine)
    yield one
    one.stop()
