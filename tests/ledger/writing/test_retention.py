import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.keys.day_keys import DayKeys
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.retention import forget_in_time, forget_older
from lab.lab import wait_until
from lab.ledger.sample_evidence import NOW, days_of
from lab.ledger.sample_ledger import records_of, verification_faults, writer_of

YEAR = timedelta(days=365)


async def forgetting(days: DayKeys, writer: LedgerWriter, done: Callable[[], object]) -> None:
    """Run the service's deletion of old keys until `done` returns True."""
    task = asyncio.create_task(forget_in_time(days, writer, YEAR, lambda: NOW))
    await wait_until(done, "what is due")
    task.cancel()
    await asyncio.wait({task})


async def test_days_older_than_that_are_forgotten_and_that_is_recorded(url):
    days = days_of(url)
    for day in ("2025-10-30", "2025-10-31", "2025-11-01", "2026-11-01"):
        days.writing(day)
    await asyncio.wait_for(forget_in_time(days, None, None), 60)  # without a retention nothing is forgotten
    assert len(days.days()) == 4
    with writer_of(url) as writer:
        assert forget_older(days, writer, NOW, YEAR) == ["2025-10-30", "2025-10-31"]
        assert forget_older(days, writer, NOW, YEAR) == []
        assert days.days() == ["2025-11-01", "2026-11-01"]
        days.writing("2025-10-29")
        await forgetting(days, writer, lambda: len(days.days()) == 2)
    recorded = [record.steps[0].details for record in records_of(url).values()]
    assert recorded == [{"before": "2025-11-01", "days": 2}, {"before": "2025-11-01", "days": 1}]
    assert verification_faults(url) == []


async def test_what_cannot_be_recorded_is_not_destroyed(url, caplog):
    days = days_of(url)
    days.writing("2025-10-30")
    writer = writer_of(url)
    writer.close()
    with pytest.raises(LedgerError, match="is closed"):
        forget_older(days, writer, NOW, YEAR)
    with caplog.at_level(logging.ERROR):
        await forgetting(days, writer, lambda: caplog.text)
    assert "numbers that are due cannot be forgotten" in caplog.text
    assert days.days() == ["2025-10-30"]
