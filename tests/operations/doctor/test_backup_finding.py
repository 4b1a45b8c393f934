"""Finding on this node's backups."""

from datetime import UTC, datetime, timedelta

from idtone.core.settings.backup import BackupSettings
from idtone.operations.doctor import backup_finding
from idtone.service.backup_result import BackupResult
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


def test_a_result_that_this_user_cannot_read():
    check(backup_finding.unreadable, [((SET,), UNKNOWN, "/var/lib/idtone/backup.json cannot be read", "as the user")])
