"""The watch of a registry that changes, fails, or never answers."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from idtone.core.errors import DocumentError, FallbackError, Fault
from idtone.service import source_watch as module
from idtone.service.source_watch import SourceWatch
from lab.lab import wait_until


@asynccontextmanager
async def watching(refresh: Callable[[], None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(SourceWatch(refresh, "the registry", "registry.source").run())
    try:
        yield task
    finally:
        task.cancel()
        async with asyncio.timeout(60):
            await asyncio.wait({task})


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (FallbackError("/sounds: the suspended numbers cannot be written for Asterisk"), logging.CRITICAL),
        (DocumentError([Fault("registry.yaml", 3, 1, "members", "is missing", "Add it")]), logging.ERROR),
    ],
    ids=["fallback", "registry"],
)
async def test_a_registry_that_fails_is_logged_and_read_again(monkeypatch, caplog, error, level):
    """The registry is read twice a second; a lasting failure is logged once a minute."""
    monkeypatch.setattr(module, "POLL_S", 0.005)
    looks: list[int] = []

    def refresh() -> None:
        looks.append(1)
        if len(looks) < 6:
            raise error

    async with watching(refresh) as task:
        await wait_until(lambda: len(looks) >= 8, "further reads")
        assert not task.done()
    logged = [(record.levelno, record.getMessage()) for record in caplog.records if record.levelno >= logging.ERROR]
    assert logged == [(level, str(error)), (level, f"{error} (4 times more within 60 s)")]


async def test_a_source_that_never_answers_is_logged_and_blocks_nothing(monkeypatch, caplog):
    """The source is, for example, a network share that hangs. The event loop, which serves calls, does not wait for it,
    and neither does the end of the watch.
    """
    monkeypatch.setattr(module, "POLL_S", 0.001)
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    never = threading.Event()
    try:
        async with watching(lambda: never.wait(60)):
            await wait_until(lambda: "the source of the registry does not answer" in caplog.text, "the log message")
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 30
        assert sum("does not answer" in line and "more within" not in line for line in caplog.messages) == 1
    finally:
        never.set()


async def test_a_fault_of_the_program_ends_the_watch(monkeypatch):
    monkeypatch.setattr(module, "POLL_S", 0.001)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(60):
            await SourceWatch(lambda: 1 / 0, "the registry", "registry.source").run()
