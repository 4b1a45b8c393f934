"""The unit and the timer of the canary: hardened like the service, as its user, in the package, not started alone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.repository import ROOT
from lab.unit_files import hardening, unit

CANARY, TIMER, SERVICE = (
    (ROOT / "config" / name).read_text("utf-8")
    for name in ("idtone-canary.service", "idtone-canary.timer", "idtone.service")
)


def test_it_is_hardened_as_the_service_is_and_runs_as_its_user() -> None:
    assert hardening(CANARY) == hardening(SERVICE)
    canary, service = unit(CANARY), unit(SERVICE)
    for key in ("User", "Group", "UMask", "StateDirectory", "StateDirectoryMode", "LimitCORE"):
        assert canary["Service"][key] == service["Service"][key], key
    assert canary["Service"]["ReadWritePaths"] == (
        f"{service['Service']['ReadWritePaths']} -/var/spool/asterisk/outgoing"
    )
    assert canary["Service"]["ExecStart"] == "/usr/local/bin/idtone canary --due"
    assert canary["Service"]["SuccessExitStatus"] == "1", "a sound that did not arrive is a result"


def test_nothing_starts_the_timer_but_the_operator() -> None:
    assert "canary" not in SERVICE
    assert unit(TIMER)["Timer"]["OnUnitInactiveSec"] == "60s"
    rules, prerm = ((ROOT / "debian" / name).read_text("utf-8") for name in ("rules", "idtone.prerm"))
    assert "config/idtone-canary.service > debian/idtone.idtone-canary.service" in rules
    assert "cp config/idtone-canary.timer debian/idtone.idtone-canary.timer" in rules
    assert re.search(r"dh_installsystemd --name idtone-canary --no-enable --no-start", rules)
    assert "idtone-canary.timer idtone-canary.service" in prerm


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="SKIPPED: this machine has no systemd-analyze")
def test_systemd_understands_them(tmp_path: Path) -> None:
    text = re.sub(r"^(User|Group)=.*$", r"\1=root", CANARY, flags=re.MULTILINE)
    (tmp_path / "idtone-canary.service").write_text(re.sub("/usr/local/bin/idtone", "/bin/true", text))
    (tmp_path / "idtone-canary.timer").write_text(TIMER)
    ran = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "idtone-canary.timer"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
