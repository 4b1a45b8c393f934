"""The end of an own suspension is in the file before the next instance begins."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from idtone.core.number_spans import NumberSpan
from idtone.core.persons import AccountKnownBy, Person
from idtone.core.settings.settings import Settings
from idtone.registry.suspensions.own_suspension import Act, ordered
from idtone.registry.suspensions.suspension_file import StopsInUse, changing, read_suspensions
from idtone.service.suspension_keeper import SuspensionKeeper
from lab.call_control.memory_evidence import MemoryEvidence


async def test_calls_that_ended_before_a_hand_over_are_counted(tmp_path: Path) -> None:
    settings = Settings.model_validate({"node": "pbx-1", "ledger": {"url": f"sqlite:///{tmp_path / 'ledger.sqlite3'}"}})
    stops = StopsInUse(tmp_path / "ledger.sqlite3.suspensions")
    by = Act.of(Person(1001, "sato", AccountKnownBy.LOGIN), datetime(2026, 12, 1, tzinfo=UTC))
    one = ordered([NumberSpan(81312345678, 81312345678)], "R-1", by)
    with changing(stops.path) as draft:
        draft.put(one)
    fallback: Any = SimpleNamespace(update=lambda registry: True)
    for ended_before, ended_late in ((3, 1), (0, 2)):
        ended: Counter[str] = Counter({one.id: ended_before})
        settled = asyncio.Event()

        async def end_calls(within_s: float, settled: asyncio.Event = settled) -> None:
            settled.set()

        keeper = SuspensionKeeper(settings, stops, lambda: None, fallback, end_calls, ended, MemoryEvidence())
        running = asyncio.create_task(keeper.run())
        async with asyncio.timeout(60):
            await settled.wait()
        ended[one.id] += ended_late  # while the file is written, or after it
        running.cancel()
        await asyncio.wait({running})
    [kept] = read_suspensions(stops.path).suspensions
    assert kept.calls_ended == 6
