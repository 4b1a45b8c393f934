"""The systemd unit and timer of the public site's figures. The package has them, and the office starts them."""

import json
import shlex
from datetime import timedelta

from idtone.office.site.site_package import read_site_package
from lab.japan_today import today
from lab.repository import ROOT
from lab.unit_files import unit

FIGURES, TIMER = (
    (ROOT / "config" / f"idtone-public-figures.{kind}").read_text("utf-8") for kind in ("service", "timer")
)


def test_it_writes_the_associations_folder_alone():
    made = unit(FIGURES)
    assert made["Service"]["StateDirectory"] == "idtone-office"
    sysusers = (ROOT / "debian" / "idtone-office.sysusers").read_text("utf-8")
    assert f"u {made['Service']['User']} " in sysusers
    assert made["Unit"]["OnFailure"] == "idtone-failed@%n.service"
    assert unit(TIMER)["Timer"]["OnCalendar"] == "*-*-02 06:00 Asia/Tokyo"
    installed = (ROOT / "debian" / "idtone-office.install").read_text("utf-8")
    assert "config/idtone-public-figures.* usr/lib/systemd/system" in installed


def test_what_it_starts_makes_the_last_months_figures_and_replaces_only_what_nobody_signed(office):
    (office.folder / "authority.yaml").write_text("public: {address: http://127.0.0.1:8711}\n")
    month = today().replace(day=1) - timedelta(days=1)
    command = shlex.split(
        unit(FIGURES)["Service"]["ExecStart"].replace("/var/lib/idtone-office/office", str(office.folder))
    )
    assert command[0] == "idtone-office"
    for _ in range(2):
        office.output(*command[1:])
    package = office.folder / "public-package"
    figures = read_site_package(package).figures
    assert figures is not None
    assert json.loads(figures)["month"] == f"{month:%Y-%m}"
    office.run("site sign", package, *office.keys("duty-1"), "--trust", office.root, "--yes")
    signed = read_site_package(package).statement.signatures
    assert len(signed) == 1
    assert "holders have signed this package" in office.error(*command[1:])
    assert read_site_package(package).statement.signatures == signed
