"""The unit and the timer that bring suspensions to Asterisk: hardened like the service, as its user, in the package."""

import re
import shutil
import subprocess

import pytest

from lab.repository import ROOT
from lab.unit_files import hardening, unit

UPDATE, TIMER, SERVICE = (
    (ROOT / "config" / name).read_text("utf-8")
    for name in ("idtone-registry.service", "idtone-registry.timer", "idtone.service")
)


def test_it_is_hardened_as_the_service_is_and_runs_as_its_user():
    assert hardening(UPDATE) == hardening(SERVICE)
    update, service = unit(UPDATE), unit(SERVICE)
    for key in ("User", "Group", "UMask", "StateDirectory", "StateDirectoryMode", "ReadWritePaths", "LimitCORE"):
        assert update["Service"][key] == service["Service"][key], key
    assert update["Service"]["ExecStart"] == "/usr/local/bin/idtone registry update --quiet"
    assert update["Service"]["Environment"] == "LANGUAGE=en"


def test_the_service_starts_the_timer_and_does_not_stop_it():
    assert unit(SERVICE)["Unit"]["Wants"] == "idtone-registry.timer idtone-doctor.timer idtone-trouble.timer"
    assert not {"Requires", "BindsTo", "PartOf"} & {*unit(TIMER)["Unit"], *unit(UPDATE)["Unit"]}
    assert unit(TIMER)["Timer"]["OnUnitInactiveSec"] == "60s"


def test_the_package_installs_both_and_stops_them_when_it_is_removed():
    rules = (ROOT / "debian" / "rules").read_text("utf-8")
    assert "config/idtone-registry.service > debian/idtone.idtone-registry.service" in rules
    assert "cp config/idtone-registry.timer debian/idtone.idtone-registry.timer" in rules
    assert re.search(r"dh_installsystemd --name idtone-registry --no-enable --no-start", rules)
    prerm = (ROOT / "debian" / "idtone.prerm").read_text("utf-8")
    assert "idtone-registry.timer idtone-registry.service idtone.service" in prerm


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="SKIPPED: this machine has no systemd-analyze")
def test_systemd_understands_them(tmp_path):
    text = re.sub(r"^(User|Group)=.*$", r"\1=root", UPDATE, flags=re.MULTILINE)
    (tmp_path / "idtone-registry.service").write_text(re.sub("/usr/local/bin/idtone", "/bin/true", text))
    (tmp_path / "idtone-registry.timer").write_text(TIMER)
    ran = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "idtone-registry.timer"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
