"""Runs `idtone doctor` for visitors, one run at a time, and keeps the latest runs in memory."""

import asyncio
import logging
import os
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from idtone.core.log_output import in_words, unexpected
from idtone.core.settings.settings import Settings
from idtone.operations.doctor.findings import TOPICS, Finding, State

KEPT: Final = 10
"""Maximum number of runs kept in memory."""

_log = logging.getLogger(__name__)
Examine = Callable[[Settings, Callable[[Collection[str]], None]], Sequence[Finding]]
"""Function that runs the checks and calls its second argument with the unfinished topics."""


@dataclass(frozen=True, slots=True)
class DoctorRun:
    """A finished run."""

    began: datetime
    ended: datetime
    by: str
    findings: Sequence[Finding]

    @property
    def counts(self) -> Counter[State]:
        return Counter(finding.state for finding in self.findings)


def run_doctor(settings: Settings, waiting: Callable[[Collection[str]], None]) -> Sequence[Finding]:
    """Run all checks of `idtone doctor` and return their findings. Takes seconds."""
    from idtone.operations.doctor.check_inputs import CheckInputs
    from idtone.operations.doctor.checks import CHECKS  # loads modules that no page needs
    from idtone.operations.doctor.run_checks import run

    return run(CheckInputs(settings, None, None, os.environ, lambda: datetime.now(UTC)), CHECKS, waiting=waiting)


class DoctorRuns:
    """The latest doctor runs. Use only from the event loop."""

    def __init__(self, settings: Settings, do: Examine = run_doctor) -> None:
        self._settings = settings
        self._do = do
        self._changed = asyncio.Condition()
        self._running: asyncio.Task[None] | None = None
        self.unfinished: Sequence[str] = ()
        """Unfinished topics in the current run."""
        self.ended: deque[DoctorRun] = deque(maxlen=KEPT)
        """Finished runs, newest last."""
        self.has_failed = False
        """True if the last run failed. The error is logged."""

    @property
    def is_running(self) -> bool:
        return self._running is not None and not self._running.done()

    @property
    def finished(self) -> int:
        """Number of finished topics in the current run."""
        return len(TOPICS) - len(self.unfinished)

    def start(self, by: str) -> None:
        """Start a run unless one is in progress."""
        if not self.is_running:
            self.unfinished = [*TOPICS]
            self._running = asyncio.create_task(self._run(by))

    async def follow(self) -> AsyncIterator[bool]:
        """Yield True at the start and on every change during a run, and False when the run ends."""
        while self.is_running:
            yield True
            async with self._changed:
                if self.is_running:
                    await self._changed.wait()
        yield False

    async def _run(self, by: str) -> None:
        loop, began = asyncio.get_running_loop(), datetime.now(UTC)

        def waiting(topics: Collection[str]) -> None:
            if [*topics] != self.unfinished:
                asyncio.run_coroutine_threadsafe(self._advance([*topics]), loop)

        try:
            findings = await asyncio.to_thread(self._do, self._settings, waiting)
            self.ended.append(DoctorRun(began, datetime.now(UTC), by, findings))
            self.has_failed = False
        except Exception as error:
            self.has_failed = True
            _log.error("the doctor's run: %s", in_words(error), exc_info=unexpected(error))
        finally:
            self._running = None
            await self._advance(())

    async def _advance(self, unfinished: Sequence[str]) -> None:
        async with self._changed:
            self.unfinished = unfinished
            self._changed.notify_all()
