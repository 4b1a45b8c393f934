from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from idtone.errors import LedgerError
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.ledger.writing.retention import forget_in_time, forget_older

from ..sample_evidence import NOW, days_of, key_ring_of
from ..verification.test_verify_ledger import faults

YEAR = timedelta(days=365)


def test_days_older_than_that_are_forgotten_and_that_is_recorded(url: str) -> None:
    days = days_of(url)
    for day in ("2025-10-30", "2025-10-31", "2025-11-01", "2026-11-01"):
        days.writing(day)
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        assert forget_older(days, writer, NOW, YEAR) == ["2025-10-30", "2025-10-31"]
        assert forget_older(days, writer, NOW, YEAR) == []
    assert days.days() == ["2025-11-01", "2026-11-01"]
    with LedgerReader.open(url) as reader:
        assert [record.steps[0].details for record in reader.records()] == [{"before": "2025-11-01", "days": 2}]
    assert faults(url) == []


async def test_the_service_does_so_by_itself(url: str) -> None:
    days = days_of(url)
    days.writing("2025-10-30")
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        task = asyncio.create_task(forget_in_time(days, writer, YEAR, lambda: NOW))
        async with asyncio.timeout(5):
            while days.days():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})


async def test_without_a_retention_nothing_is_forgotten(url: str) -> None:
    days_of(url).writing("2025-10-30")
    await asyncio.wait_for(forget_in_time(days_of(url), None, None), 1)  # type: ignore[arg-type]
    assert days_of(url).days() == ["2025-10-30"]


async def test_what_cannot_be_recorded_is_not_destroyed(url: str, caplog: pytest.LogCaptureFixture) -> None:
    days = days_of(url)
    days.writing("2025-10-30")
    writer = LedgerWriter.open(url, "pbx-1", key_ring_of(url))
    writer.close()
    with pytest.raises(LedgerError, match="is closed"):
        forget_older(days, writer, NOW, YEAR)
    assert days.days() == ["2025-10-30"]
    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(forget_in_time(days, writer, YEAR, lambda: NOW))
        async with asyncio.timeout(5):
            while not caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
    assert "numbers that are due cannot be forgotten" in caplog.text
