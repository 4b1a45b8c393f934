"""The units of the association's office: hardened as the service's is, with a user of their own, under one target."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.repository import ROOT
from lab.unit_files import hardening, unit

TARGET: str = (ROOT / "config/idtone-office.target").read_text("utf-8")
UNITS = {
    name: (ROOT / "config" / f"idtone-office-{name}.service").read_text("utf-8") for name in ("desk", "site", "console")
}
SERVICE = (ROOT / "config/idtone.service").read_text("utf-8")


@pytest.mark.parametrize("name", UNITS)
def test_each_is_hardened_as_the_service_is_and_belongs_to_the_target(name: str) -> None:
    text = UNITS[name]
    assert hardening(text) == hardening(SERVICE)
    one = unit(text)
    assert (one["Service"]["User"], one["Service"]["Group"]) == ("idtone-office", "idtone-office")
    assert one["Unit"]["PartOf"] == "idtone-office.target"
    assert f"idtone-office-{name}.service" in unit(TARGET)["Unit"]["Wants"].split()


def test_the_packages_install_them_and_do_not_enable_them() -> None:
    rules = (ROOT / "debian/rules").read_text("utf-8")
    for name, package in {"desk": "idtone-office", "site": "idtone-office", "console": "idtone-console"}.items():
        assert f"config/idtone-office-{name}.service > debian/{package}.idtone-office-{name}.service" in rules
    assert "for each in desk site console" in rules
    assert "dh_installsystemd --name idtone-office-$$each --no-enable --no-start" in rules
    prerm = (ROOT / "debian/idtone-office.prerm").read_text("utf-8")
    assert "stop idtone-office.target idtone-office-desk.service idtone-office-site.service" in prerm


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="SKIPPED: this machine has no systemd-analyze")
def test_systemd_understands_them(tmp_path: Path) -> None:
    (tmp_path / "idtone-office.target").write_text(TARGET)
    for name, text in UNITS.items():
        root = re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.MULTILINE)
        (tmp_path / f"idtone-office-{name}.service").write_text(re.sub(r"/usr/local/bin/[\w-]+", "/bin/true", root))
    ran = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "idtone-office.target"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
