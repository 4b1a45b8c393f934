"""Finding on this node's backups."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idtone.core.settings.backup import BackupSettings
from idtone.core.settings.canary import CanarySettings
from idtone.core.settings.settings import Settings
from idtone.operations.doctor import backup_finding
from idtone.operations.doctor.check_inputs import CheckInputs
from idtone.operations.doctor.checks import CHECKS
from idtone.service import backup_result, canary_result
from idtone.service.backup_result import BackupResult
from idtone.service.canary_result import CanaryResult
from lab.operations.backed_up_node import SECRET
from lab.operations.doctor.check_tables import BAD, GOOD, UNKNOWN, WARNING, check

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SET = BackupSettings(recipients=(str(SECRET.to_public()),))


def test_no_backup_an_old_one_and_one_that_no_drill_has_restored():
    def last(age, drilled=None, failed=None):
        return BackupResult(
            NOW - age, drilled=NOW - drilled if drilled else None, drill_failed=NOW - failed if failed else None
        )

    drill = "idtone restore --drill -i -"
    check(
        backup_finding.judge,
        [
            ((BackupSettings(), None, NOW), WARNING, "none is set up", "backup.recipients"),
            ((BackupSettings(), last(HOUR, DAY), NOW), WARNING, "none is set up", "backup.recipients"),
            ((SET, None, NOW), BAD, "none was made yet", "idtone-backup.timer"),
            ((SET, last(8 * HOUR, DAY), NOW), GOOD, "from 2026-11-30 04:00, the last drill from 2026-11-29 12:00"),
            ((SET, last(10 * HOUR, DAY), NOW), BAD, "overdue: the last one is from 2026-11-30 02:00", "journalctl"),
            ((SET, last(-HOUR, DAY), NOW), BAD, "overdue", "journalctl"),
            ((SET, last(HOUR, DAY, HOUR), NOW), BAD, "the last drill failed, at 2026-11-30 11:00", "another drill"),
            ((SET, last(HOUR), NOW), WARNING, "no drill has tried any", drill),
            ((SET, last(HOUR, 36 * DAY), NOW), WARNING, "from 2026-10-25 12:00, more than a month ago", drill),
            ((SET, last(HOUR, 34 * DAY), NOW), GOOD, "the last drill"),
        ],
    )


@pytest.fixture
def in_japan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_japan")
def test_times_are_shown_in_the_time_zone_of_the_machine(tmp_path: Path) -> None:
    """Without a zone, an operator in Japan would take a time of UTC for one nine hours earlier."""
    backup = SET.model_copy(update={"result": tmp_path / "backup.json"})
    canary = CanarySettings(
        forwarding_number="0312345678", called_number="0312345690", trunk="t", result=tmp_path / "canary.json"
    )
    backup_result.write(BackupResult(NOW - HOUR, drilled=NOW - DAY), backup.result)
    canary_result.write(CanaryResult(NOW, "conforms", expected="sample"), canary.result)
    settings = Settings(backup=backup, canary=canary)
    inputs = CheckInputs(settings, tmp_path / "idtone.yaml", tmp_path, {}, lambda: NOW)
    found = {}
    for each in CHECKS:
        if each.topics in (("backup",), ("canary",)):
            found |= {finding.topic: str(finding.found) for finding in each.look(inputs)}
    assert found == {
        "backup": "the last one is from 2026-11-30 20:00, the last drill from 2026-11-29 21:00",
        "canary": "conforms, at 2026-11-30 21:00",
    }


def test_a_result_that_this_user_cannot_read():
    check(backup_finding.unreadable, [((SET,), UNKNOWN, "/var/lib/idtone/backup.json cannot be read", "as the user")])
