"""The console's unit: its memory, and how the package installs it. `tests/test_units.py` has what units share."""

import re
from pathlib import Path

import pytest

from idtone.console.access.password_proof import MIB, NICE
from idtone.console.threads import LIMITS, Reads
from idtone.core.settings.console import ConsoleSettings
from lab.repository import ROOT
from lab.unit_files import unit

CONSOLE_MIB = 160
"""Memory of the console in MiB, with the server of the reads: `make bench-console-attack` found 130."""


def test_it_starts_the_console_and_needs_no_service():
    console = unit((ROOT / "config" / "idtone-console.service").read_text("utf-8"))
    assert "idtone.service" in console["Unit"]["After"]
    assert not {"Requires", "BindsTo", "PartOf"} & {*console["Unit"]}, "it shows that the service does not run"
    assert console["Service"]["ExecStart"] == "/usr/local/bin/idtone console"
    state = Path("/var/lib", console["Service"]["StateDirectory"])
    assert ConsoleSettings().users.parent == state, "where users can change their passwords"


@pytest.mark.parametrize("name", ["idtone-console.service", "idtone-office-console.service"])
def test_the_console_and_all_long_reads_at_their_limits_fit_into_its_memory(name):
    """Before, ten processes had 700 MiB each, of 1 GiB. A console verifies packs of one kind only."""
    reads = sum(limits.count * limits.mib for kind, limits in LIMITS.items() if kind is not Reads.PACK)
    given = unit((ROOT / "config" / name).read_text("utf-8"))["Service"]["MemoryMax"]
    assert CONSOLE_MIB + reads + len(NICE) * MIB <= int(given.removesuffix("M"))


def test_the_package_installs_it_and_does_not_enable_it():
    rules = (ROOT / "debian" / "rules").read_text("utf-8")
    assert "config/idtone-console.service > debian/idtone-console.service" in rules
    assert re.search(r"dh_installsystemd --no-enable --no-start --no-stop-on-upgrade", rules)
    prerm, postinst = (
        (ROOT / "debian" / f"idtone-console.{name}").read_text("utf-8") for name in ("prerm", "postinst")
    )
    assert "stop idtone-console.service" in prerm
    assert "for unit in idtone-console idtone-office-console" in postinst
