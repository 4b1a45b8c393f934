"""Erases applicants' old submissions while the desk runs."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

from idtone.core.errors import IdtoneError

from ..document_desk import DocumentDesk
from .submissions import Submissions

LOOK_EVERY_S: Final = 3600.0

_log = logging.getLogger(__name__)


async def erase_submissions_in_time(desk: DocumentDesk) -> None:
    """Erase applicants' old submissions every hour until cancelled."""
    while True:
        try:
            if count := await asyncio.to_thread(erase_due_submissions, desk, datetime.now(UTC)):
                _log.info("%d applications of applicants whose time is over are erased", count)
        except IdtoneError as error:
            _log.error("applications of applicants whose time is over cannot be erased: %s", error)
        await asyncio.sleep(LOOK_EVERY_S)


def erase_due_submissions(desk: DocumentDesk, now: datetime) -> int:
    """Erase submissions whose retention period is over and return how many were erased. Raises IdtoneError."""
    return Submissions(desk.folder, desk.ledger).forget(now - desk.workspace.terms().applications.keep)
