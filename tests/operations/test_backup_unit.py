"""The unit and the timer of backups: hardened like the service, as its user, in the package, not started alone."""

import re

from lab.repository import ROOT
from lab.unit_files import hardening, unit

BACKUP, TIMER, SERVICE = (
    (ROOT / "config" / name).read_text("utf-8")
    for name in ("idtone-backup.service", "idtone-backup.timer", "idtone.service")
)


def test_it_is_hardened_as_the_service_is_and_runs_as_its_user() -> None:
    assert hardening(BACKUP) == hardening(SERVICE)
    backup, service = unit(BACKUP), unit(SERVICE)
    for key in ("User", "Group", "UMask", "StateDirectory", "StateDirectoryMode", "LimitCORE"):
        assert backup["Service"][key] == service["Service"][key], key
    assert backup["Service"]["ExecStart"] == "/usr/local/bin/idtone backup --due"
    assert backup["Unit"]["OnFailure"] == "idtone-failed@%n.service"


def test_nothing_starts_the_timer_but_the_operator() -> None:
    assert "backup" not in SERVICE
    assert unit(TIMER)["Timer"]["OnUnitInactiveSec"] == "5min"
    rules, prerm = ((ROOT / "debian" / name).read_text("utf-8") for name in ("rules", "idtone.prerm"))
    assert "config/idtone-backup.service > debian/idtone.idtone-backup.service" in rules
    assert "cp config/idtone-backup.timer debian/idtone.idtone-backup.timer" in rules
    assert re.search(r"dh_installsystemd --name idtone-backup --no-enable --no-start", rules)
    assert "idtone-backup.timer idtone-backup.service" in prerm
