"""Long-running, cancellable work in a lowest-priority process outside the event loop."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any, Final, Generic, TypeVar

from idtone.core.errors import IdtoneError
from idtone.core.translation import Message

R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Callback that receives the amount of work done and the total amount."""
TELL_EVERY_S: Final = 0.2
NICE: Final = 19
_DONE, _TOLD, _FAILED = "done", "told", "failed"


@dataclass(slots=True)
class Task(Generic[R]):
    """One run of the work. `done` and `total` count units of work, and `rate` is units per second."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    first: tuple[float, int] | None = None
    """Time of the first progress report (monotonic clock) and the work done by then."""
    done: int = 0
    total: int = 0
    is_running: bool = True
    trouble: str | None = None
    """Why the work failed, or an empty string if it was cancelled."""

    @property
    def rate(self) -> float | None:
        """Units per second, or None if not known yet."""
        if self.first is None or self.done <= self.first[1]:
            return None
        return (self.done - self.first[1]) / max(time.monotonic() - self.first[0], 0.001)

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 0

    @property
    def left_s(self) -> float | None:
        """Remaining time in seconds, or None if not known yet."""
        return (self.total - self.done) / self.rate if self.rate else None


class Work(Generic[R]):
    """Runs one kind of work. Use only from the event loop."""

    def __init__(self, do: Callable[..., R], take: Callable[[R], object]) -> None:
        """`do` receives the arguments of `start` plus `progress`. `take` receives the result.

        The process must be able to import `do` by name.
        """
        self._do = do
        self._take = take
        self._process: Any = None
        self.task: Task[R] | None = None
        """Latest run."""

    @property
    def is_running(self) -> bool:
        return self.task is not None and self.task.is_running

    def start(self, *given: Any) -> None:
        """Start the work unless it is running."""
        if self.is_running:
            return
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(theirs, self._do, given), daemon=True)
        task = self.task = Task[R]()
        loop = asyncio.get_running_loop()
        process = self._process

        def begin_and_listen() -> None:
            process.start()
            theirs.close()
            _listen(ours, lambda kind, what: loop.call_soon_threadsafe(self._hear, task, process, kind, what))
            process.join()

        threading.Thread(target=begin_and_listen, name="work", daemon=True).start()

    def cancel(self) -> None:
        if self.is_running:
            assert self.task
            self.task.is_running, self.task.trouble = False, ""
            if self._process.pid is not None:
                self._process.kill()

    def _hear(self, task: Task[R], process: Any, kind: str, what: Any) -> None:
        """Handle a message from `process`, which runs the task. The next task may already have begun."""
        if not task.is_running:
            if process.is_alive():  # it was cancelled before it began
                process.kill()
        elif kind == _TOLD:
            task.done, task.total = what
            task.first = task.first or (time.monotonic(), task.done)
        else:
            task.is_running = False
            if kind == _DONE:
                self._take(what)
            else:
                task.trouble = what


def _listen(connection: Connection, tell: Callable[[str, Any], object]) -> None:
    """Pass the process's messages to `tell` until the process ends."""
    with connection, suppress(RuntimeError):  # the console has ended
        try:
            while True:
                tell(*connection.recv())
        except (EOFError, OSError):
            tell(_FAILED, Message("The work ended before it was done; the log says why."))


def _run(connection: Connection, do: Callable[..., Any], given: tuple[Any, ...]) -> None:
    """Entry point of the process, which does the work and sends its progress and result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the console, which ends this process
    os.nice(NICE)
    told_s = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= TELL_EVERY_S:
            connection.send((_TOLD, (done, total)))
            told_s = time.monotonic()

    with suppress(BrokenPipeError):  # the console has ended
        try:
            connection.send((_DONE, do(*given, progress=progress)))
        except IdtoneError as error:
            connection.send((_FAILED, str(error)))
