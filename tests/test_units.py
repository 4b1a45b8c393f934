"""The systemd units: each is hardened like the service's, is installed by a package, and is started by the program that
is named here.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.repository import ROOT
from lab.unit_files import hardening, unit

CONFIG = ROOT / "config"
SERVICE = (CONFIG / "idtone.service").read_text("utf-8")
OFFICE = ("office-desk", "office-site", "office-console")
OF_THE_SERVICES_USER = ("backup", "canary", "console", "registry")
RULES = (ROOT / "debian/rules").read_text("utf-8")
PRERM = (ROOT / "debian/idtone.prerm").read_text("utf-8")


def text_of(name: str) -> str:
    return (CONFIG / f"idtone-{name}").read_text("utf-8")


@pytest.mark.parametrize("name", [*OF_THE_SERVICES_USER, *OFFICE, "public-figures"])
def test_each_is_hardened_as_the_service_is(name):
    assert len(hardening(SERVICE)) >= 18
    assert hardening(text_of(f"{name}.service")) == hardening(SERVICE)


@pytest.mark.parametrize("name", OF_THE_SERVICES_USER)
def test_each_runs_as_the_services_user(name):
    one, service = unit(text_of(f"{name}.service"))["Service"], unit(SERVICE)["Service"]
    for key in ("User", "Group", "UMask", "StateDirectory", "StateDirectoryMode", "LimitCORE"):
        assert one[key] == service[key], key


@pytest.mark.parametrize("name", OFFICE)
def test_each_of_the_office_belongs_to_its_target(name):
    one = unit(text_of(f"{name}.service"))
    assert (one["Service"]["User"], one["Service"]["Group"]) == ("idtone-office", "idtone-office")
    assert one["Unit"]["PartOf"] == "idtone-office.target"
    assert f"idtone-{name}.service" in unit(text_of("office.target"))["Unit"]["Wants"].split()


@pytest.mark.parametrize("name", ["office-desk", "office-console"])
def test_those_of_the_office_with_settings_read_the_offices(name):
    """/etc/idtone/idtone.yaml is a node's, and the office's user need not be able to read it."""
    assert " -c /etc/idtone-office/idtone.yaml" in unit(text_of(f"{name}.service"))["Service"]["ExecStart"]


def test_the_backup():
    backup = unit(text_of("backup.service"))
    assert backup["Service"]["ExecStart"] == "/usr/local/bin/idtone backup --due"
    assert "OnFailure" not in backup["Unit"], (
        "it is tried again every five minutes; the trouble `backup` is mailed once"
    )


def test_the_canary():
    canary, service = unit(text_of("canary.service"))["Service"], unit(SERVICE)["Service"]
    assert canary["ReadWritePaths"] == f"{service['ReadWritePaths']} -/var/spool/asterisk/outgoing"
    assert canary["ExecStart"] == "/usr/local/bin/idtone canary --due"
    assert canary["SuccessExitStatus"] == "1", "a sound that did not arrive is a result"


def test_what_brings_suspensions_to_asterisk():
    """The service starts the timer, and does not stop it."""
    update, service, timer = (unit(text) for text in (text_of("registry.service"), SERVICE, text_of("registry.timer")))
    assert update["Service"]["ReadWritePaths"] == service["Service"]["ReadWritePaths"]
    assert update["Service"]["ExecStart"] == "/usr/local/bin/idtone registry update --quiet"
    assert update["Service"]["Environment"] == "LANGUAGE=en"
    assert service["Unit"]["Wants"] == "idtone-registry.timer idtone-doctor.timer idtone-trouble.timer"
    assert not {"Requires", "BindsTo", "PartOf"} & {*timer["Unit"], *update["Unit"]}


@pytest.mark.parametrize(("name", "pause"), [("backup", "5min"), ("canary", "60s"), ("registry", "60s")])
def test_the_package_installs_a_timer_and_stops_it_when_it_is_removed(name, pause):
    assert unit(text_of(f"{name}.timer"))["Timer"]["OnUnitInactiveSec"] == pause
    assert f"config/idtone-{name}.service > debian/idtone.idtone-{name}.service" in RULES
    assert f"cp config/idtone-{name}.timer debian/idtone.idtone-{name}.timer" in RULES
    assert f"dh_installsystemd --name idtone-{name} --no-enable --no-start" in RULES
    assert f"idtone-{name}.timer idtone-{name}.service" in PRERM


@pytest.mark.parametrize("name", ["backup", "canary", "public-figures"])
def test_nothing_starts_the_timer_but_the_operator(name):
    assert name not in SERVICE


def test_the_packages_install_those_of_the_office_and_do_not_enable_them():
    for name, package in {"desk": "idtone-office", "site": "idtone-office", "console": "idtone-console"}.items():
        assert f"config/idtone-office-{name}.service > debian/{package}.idtone-office-{name}.service" in RULES
    assert "for each in desk site console" in RULES
    assert "dh_installsystemd --name idtone-office-$$each --no-enable --no-start" in RULES
    prerm = (ROOT / "debian/idtone-office.prerm").read_text("utf-8")
    assert "stop idtone-office.target idtone-office-desk.service idtone-office-site.service" in prerm


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="SKIPPED: this machine has no systemd-analyze")
def test_systemd_understands_them(tmp_path: Path):
    for file in CONFIG.glob("idtone*.[st]*"):
        as_root = re.sub(r"^(User|Group)=.*$", r"\1=root", file.read_text("utf-8"), flags=re.MULTILINE)
        (tmp_path / file.name).write_text(re.sub(r"(?<=^ExecStart=)\S+", "/bin/true", as_root, flags=re.MULTILINE))
    units = [each for each in tmp_path.iterdir() if "@" not in each.name]
    ran = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    said = [line for line in ran.stderr.splitlines() if "RestartMode" not in line]  # Debian 12's does not know it
    assert (ran.returncode, said) == (0, [])
