"""Automatically destroys the keys to telephone numbers that are older than `ledger.retention`."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from idtone.core.errors import LedgerError

from ..evidence import steps
from ..evidence.act_ids import new_act_id
from ..evidence.evidence import Evidence
from ..keys.day_keys import DayKeys
from ..keys.sealing import day_of

LOOK_EVERY_S: Final = 3600.0

_log = logging.getLogger(__name__)


async def forget_in_time(
    days: DayKeys,
    evidence: Evidence,
    retention: timedelta | None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Destroy old day keys every hour, until cancelled.

    If `retention` is None, numbers are kept forever, and the function returns immediately.
    """
    while retention is not None:
        try:
            await asyncio.to_thread(forget_older, days, evidence, now(), retention)
        except LedgerError as error:
            _log.error("numbers that are due cannot be forgotten: %s", error)
        await asyncio.sleep(LOOK_EVERY_S)


def forget_older(days: DayKeys, evidence: Evidence, now: datetime, retention: timedelta) -> list[str]:
    """Destroy the keys for days that ended more than `retention` ago, and return those days.

    The ledger records the destruction. Blocks. Raises LedgerError.
    """
    first = day_of(now - retention)
    doomed = [day for day in days.days() if day < first]
    if not doomed:
        return []
    evidence.append(steps.forgotten(new_act_id(), now, first, len(doomed))).result()
    _log.info("the numbers of %d days until %s are forgotten", len(doomed), doomed[-1])
    return days.destroy(first)
