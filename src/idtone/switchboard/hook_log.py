"""The file in which the hook leaves what it did without the service, and how that gets into the ledger.

The hook opens the file for each line, appends it in one write, and closes it. The service puts an empty file in its
place, waits until nobody can still be writing to the one that it took, enters what stands in it, and removes it when
that is on the disk. What it has entered already, when it died in between, the ledger knows by call and kind of step.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from idtone import dialplan
from idtone.errors import LedgerError
from idtone.ledger.reader import LedgerReader
from idtone.ledger.steps import Step, StepKind

from .unattended import LONGEST_LINE, read

LOOK_EVERY_S: Final = 1.0
SETTLE_S: Final = 1.0
"""Between taking a file and reading it: a service that stood still hears first what happened meanwhile."""
QUIET_S: Final = 5.0
"""Where the kernel cannot tell whether a file is open for writing: how long ago it must have been written last."""
CHUNK_LINES: Final = 50
REST: Final = 9
"""How many times as long as a chunk took nothing is entered: the calls have the processors for themselves."""
FOLDER_MODE: Final = 0o710
FILE_MODE: Final = 0o620
"""Asterisk, by the group, can write to the end of it and not read it: the numbers in it are in clear."""
TAKEN: Final = "taken-"
"""How the names of files begin that are being entered."""
_REFUSED: Final = "refused"
_REFUSED_MODE: Final = 0o600

_log = logging.getLogger(__name__)


class Evidence(Protocol):
    def append(self, step: Step) -> Future[None]: ...
    def hurry(self) -> None: ...


class HookLog:
    """The file beside the sounds in `directory`. Several processes may have it; each line is entered once."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / dialplan.UNATTENDED_FILE
        self._directory = directory

    def make(self) -> None:
        """Have a file for the hook, and a folder that nobody else looks into. Raises LedgerError."""
        try:
            group = self._directory.stat().st_gid
            if not self.path.parent.exists():
                self.path.parent.mkdir(FOLDER_MODE)
                os.chown(self.path.parent, -1, group)
                self.path.parent.chmod(FOLDER_MODE)
            with self._locked():
                if not self.path.exists():
                    os.replace(self._empty(group), self.path)
        except OSError as error:
            raise self._unusable(error) from error

    def take(self) -> list[Path]:
        """The files that are to be entered, oldest first; what the hook writes from now on is in none of them.

        Raises LedgerError.
        """
        try:
            with self._locked():
                waiting = sorted(self.path.parent.glob(f"{TAKEN}*"))
                status = self.path.stat()
                if not status.st_size:
                    return waiting
                # One that was taken, and not yet replaced when we died, has two names.
                if not any(path.stat().st_ino == status.st_ino for path in waiting):
                    taken = self.path.with_name(f"{TAKEN}{time.time_ns()}")
                    os.link(self.path, taken)
                    waiting.append(taken)
                os.replace(self._empty(status.st_gid), self.path)
                return waiting
        except OSError as error:
            raise self._unusable(error) from error

    def quiet(self, taken: Path) -> bool:
        """Whether nobody can write to it any more. Raises OSError."""
        descriptor = os.open(taken, os.O_RDONLY)
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # which does not end a process
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)  # fails while it is open for writing
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return False
            # Another's file, or a file system without leases.
            return time.time() - os.fstat(descriptor).st_mtime > QUIET_S
        finally:
            os.close(descriptor)
        return True

    def refuse(self, lines: Sequence[tuple[bytes, LedgerError]]) -> None:
        """Set lines aside, and tell of each where it stands now. Raises OSError."""
        path = self.path.with_name(_REFUSED)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _REFUSED_MODE)
        with os.fdopen(descriptor, "a+b") as file:
            file.seek(0)
            before = sum(1 for _ in file)
            for number, (line, error) in enumerate(lines, before + 1):
                file.write(line + b"\n")
                _log.error("%s:%d: what the hook did cannot be entered into the ledger: %s", path, number, error)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """An instance that takes over runs beside the one before."""
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _empty(self, group: int) -> str:
        descriptor, name = tempfile.mkstemp(prefix=".calls.", dir=self.path.parent)
        try:
            os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, FILE_MODE)
        except OSError:
            os.unlink(name)
            raise
        finally:
            os.close(descriptor)
        return name

    def _unusable(self, error: OSError) -> LedgerError:
        return LedgerError(
            f"{self.path}: what Asterisk does without the service cannot be taken from it: {error.strerror}; let the "
            "user that runs idtone own this folder"
        )


async def enter_for_ever(hook_log: HookLog, url: str, evidence: Evidence) -> None:
    """Enter into the ledger what the hook leaves, now and then."""
    told = ""
    while True:
        trouble = ""
        try:
            await asyncio.to_thread(hook_log.make)
            taken = await asyncio.to_thread(hook_log.take)
            if taken:
                await asyncio.sleep(SETTLE_S)
            for path in taken:
                await _enter(hook_log, path, url, evidence)
        except (LedgerError, OSError) as error:
            trouble = str(error) if isinstance(error, LedgerError) else f"{hook_log.path.parent}: {error.strerror}"
        if trouble and trouble != told:
            _log.error("what Asterisk did alone is not in the ledger yet: %s", trouble)
        told = trouble
        await asyncio.sleep(LOOK_EVERY_S)


async def _enter(hook_log: HookLog, path: Path, url: str, evidence: Evidence) -> None:
    """Raises LedgerError or OSError where it is to be tried again later."""
    try:
        if not await asyncio.to_thread(hook_log.quiet, path):
            return
        held = await asyncio.to_thread(path.read_bytes)
    except FileNotFoundError:
        return  # the instance before us has finished it
    lines = held.removesuffix(b"\n").split(b"\n") if held else []
    for start in range(0, len(lines), CHUNK_LINES):
        began_s = time.monotonic()
        await asyncio.to_thread(_enter_lines, hook_log, lines[start : start + CHUNK_LINES], url, evidence)
        if start + CHUNK_LINES < len(lines):
            await asyncio.sleep(REST * (time.monotonic() - began_s))
    await asyncio.to_thread(path.unlink, missing_ok=True)


def _enter_lines(hook_log: HookLog, lines: Sequence[bytes], url: str, evidence: Evidence) -> None:
    """All of them, durably. Raises LedgerError or OSError."""
    found: list[Step] = []
    refused: list[tuple[bytes, LedgerError]] = []
    for line in lines:
        try:
            found += read(line[: LONGEST_LINE + 1].decode("ascii", "replace"))
        except LedgerError as error:
            refused.append((line, error))
    with LedgerReader.open(url) as reader:
        known = reader.kinds(step.call_id for step in found)
    written = [evidence.append(step) for step in found if _is_news(step, known[step.call_id])]
    evidence.hurry()
    for each in written:
        each.result()
    if refused:
        hook_log.refuse(refused)


def _is_news(step: Step, known: set[str]) -> bool:
    """Whether the ledger, which has these kinds of steps of the call, is to get this one; notes that it has it then.

    What the service decided it tells the end of; what was decided by nobody when the call ended may have been decided
    since, by a service that stood still.
    """
    by_the_service = StepKind.DECIDED in known and StepKind.INTERRUPTED not in known
    if step.kind in known or (by_the_service and (step.kind is StepKind.ENDED or "outcome" not in step.details)):
        return False
    known.add(step.kind)
    return True
