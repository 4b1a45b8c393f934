"""Erases closed reports' content after the `retention` period in `reports.yaml`, while the desk runs."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from idtone.core.errors import IdtoneError

from ..document_desk import DocumentDesk
from .report_desk import ReportDesk

LOOK_EVERY_S: Final = 3600.0

_log = logging.getLogger(__name__)


async def erase_reports_in_time(desk: DocumentDesk, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
    """Erase old reports every hour until cancelled, reading `reports.yaml` again each time."""
    while True:
        try:
            if count := await asyncio.to_thread(erase_due_reports, desk, now()):
                _log.info("%d reports whose time is over are forgotten", count)
        except IdtoneError as error:
            _log.error("reports whose time is over cannot be forgotten: %s", error)
        await asyncio.sleep(LOOK_EVERY_S)


def erase_due_reports(desk: DocumentDesk, now: datetime) -> int:
    """Erase reports whose retention period is over and return how many were erased. Raises IdtoneError."""
    reports = ReportDesk(desk)
    return 0 if reports.settings.retention is None else reports.forget(now - reports.settings.retention)
