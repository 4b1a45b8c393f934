"""The doctor's check of the node's backups."""

from datetime import datetime, timedelta
from typing import Final

from idtone.core.settings.backup import BackupSettings
from idtone.core.translation import Message
from idtone.service.backup_result import BackupResult, is_old

from .findings import Finding, bad, good, unknown, warning

TOPIC: Final = "backup"
DRILL_EVERY: Final = timedelta(days=35)
"""Maximum interval between drills. The page on backups asks for one drill per month."""
_DRILL: Final = Message("On the machine with the secret key: ssh root@NODE idtone restore --drill -i - < KEY-FILE")
_START: Final = Message("idtone backup; then systemctl enable --now idtone-backup.timer")


def unreadable(settings: BackupSettings) -> Finding:
    return unknown(
        TOPIC,
        Message("{path} cannot be read", path=settings.result),
        Message("Run this as the user that `idtone serve` runs as"),
    )


def judge(settings: BackupSettings, last: BackupResult | None, now: datetime) -> Finding:
    """Check that the node's backups are recent and can be restored.

    `last` is the last result, or None if there is none. Times are shown in the time zone of `now`.
    """
    if not settings.is_on:
        return warning(
            TOPIC,
            Message("none is set up: if this disk fails, the evidence and its keys are lost"),
            Message("Name a key in backup.recipients (docs/how-to/backup.md)"),
        )
    if last is None:
        return bad(TOPIC, Message("none was made yet"), _START)
    made = _shown(last.at, now)
    if is_old(last, settings.every.total_seconds(), now):
        return bad(
            TOPIC,
            Message("overdue: the last one is from {at}", at=made),
            Message("journalctl -u idtone-backup says why; correct that, then run idtone backup"),
        )
    if last.drill_failed:
        return bad(
            TOPIC,
            Message("the last drill failed, at {at}", at=_shown(last.drill_failed, now)),
            Message("idtone restore --drill says why; then idtone backup, and another drill (docs/how-to/backup.md)"),
        )
    if last.drilled is None:
        return warning(TOPIC, Message("the last one is from {at}, and no drill has tried any", at=made), _DRILL)
    if now - last.drilled > DRILL_EVERY:
        found = Message("the last drill is from {at}, more than a month ago", at=_shown(last.drilled, now))
        return warning(TOPIC, found, _DRILL)
    drilled = _shown(last.drilled, now)
    return good(TOPIC, Message("the last one is from {at}, the last drill from {drilled}", at=made, drilled=drilled))


def _shown(at: datetime, now: datetime) -> str:
    return f"{at.astimezone(now.tzinfo):%Y-%m-%d %H:%M}"
