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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from stat import S_IMODE
from typing import Final, Protocol

from idtone import dialplan
from idtone.errors import LedgerError
from idtone.ledger.reader import LedgerReader
from idtone.ledger.steps import Step, StepKind

from .unattended import LONGEST_LINE, blotted, pieces, read

LOOK_EVERY_S: Final = 1.0
SETTLE_S: Final = 1.0
"""Between taking a file and reading it: a service that stood still hears first what happened meanwhile."""
QUIET_S: Final = 5.0
"""Where the kernel cannot tell whether a file is open for writing: how long ago it must have been written last."""
CHUNK_LINES: Final = 50
REST: Final = 9
"""How many times as long as a chunk took nothing is entered: the calls have the processors for themselves."""
LONGEST_REST_S: Final = 2.0
"""What took longer waited for the disk."""
PATIENCE_S: Final = 60.0
"""Who decided a call tells its end; how long nothing is entered while Asterisk cannot be asked what became of it."""
APART: Final = timedelta(minutes=10)
"""Between the first that is known of a call and when it began by the hook's line: that is another call, or invented."""
FOLDER_MODE: Final = 0o710
FILE_MODE: Final = 0o620
"""Asterisk, by the group, can write to it, and empty it, and not read it: the numbers in it are in clear."""
TAKEN: Final = "taken-"
"""How the names of files begin that are being entered."""
_EMPTY: Final = ".calls."
_REFUSED: Final = "refused"
_REFUSED_MODE: Final = 0o600
MOST_REFUSED: Final = 1000
"""Lines of one file that are kept; a file that whoever runs as Asterisk filled is no reason to fill the disk."""
MOST_REFUSED_BYTES: Final = 1024 * 1024

_log = logging.getLogger(__name__)


class Evidence(Protocol):
    @property
    def unwritten(self) -> object | None:
        """What is in memory only, or lost, since there is no room for it; None where all is on the disk."""
        ...

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
            self.path.parent.mkdir(FOLDER_MODE, exist_ok=True)
            folder = self.path.parent.stat()
            if (folder.st_gid, S_IMODE(folder.st_mode)) != (group, FOLDER_MODE):
                os.chown(self.path.parent, -1, group)
                self.path.parent.chmod(FOLDER_MODE)
            with self._locked():
                for left in self.path.parent.glob(f"{_EMPTY}*"):
                    left.unlink()  # by one that was killed before it was in its place
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

    def refuse(self, lines: Sequence[str], why: LedgerError, number: int) -> None:
        """Set aside what may be kept of lines that stand there not yet, and tell how many. Raises OSError."""
        path = self.path.with_name(_REFUSED)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _REFUSED_MODE)
        with os.fdopen(descriptor, "a+", encoding="ascii") as file:
            file.seek(0)
            held = file.read().splitlines()
            new = [line for line in dict.fromkeys(lines) if line not in held]
            if not new:
                return
            if os.fstat(descriptor).st_size < MOST_REFUSED_BYTES:
                file.writelines(f"{line}\n" for line in new)
                file.flush()
                os.fsync(descriptor)
        _log.error(
            "%s:%d: what the hook did cannot be entered into the ledger: %s (%d lines in all)",
            path, len(held) + 1, why, number,
        )  # fmt: skip

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
        descriptor, name = tempfile.mkstemp(prefix=_EMPTY, dir=self.path.parent)
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


@dataclass
class _Begun:
    """How much of a file is in the ledger, and what of that cannot be."""

    offset: int = 0
    refused: list[tuple[str, LedgerError]] = field(default_factory=list)
    number: int = 0

    def refuse(self, refused: Sequence[tuple[str, LedgerError]]) -> None:
        self.refused += refused[: MOST_REFUSED - len(self.refused)]
        self.number += len(refused)


async def enter_for_ever(hook_log: HookLog, url: str, evidence: Evidence, informed: Callable[[], bool]) -> None:
    """Enter into the ledger what the hook leaves, now and then.

    `informed`: we know of each call that we decided whether it is over. What waits in memory for room in the ledger
    cannot be told from what the ledger does not have: then nothing more is entered.
    """
    told = ""
    begun: dict[Path, _Begun] = {}
    informed_s = time.monotonic()
    while True:
        trouble = ""
        if informed():
            informed_s = time.monotonic()
        due = informed() or time.monotonic() - informed_s > PATIENCE_S
        try:
            await asyncio.to_thread(hook_log.make)
            if evidence.unwritten is None and due:
                taken = await asyncio.to_thread(hook_log.take)
                if taken:
                    await asyncio.sleep(SETTLE_S)
                for path in taken:
                    await _enter(hook_log, path, begun.setdefault(path, _Begun()), url, evidence)
                begun = {path: begun[path] for path in taken if path.exists()}
        except (LedgerError, OSError) as error:
            trouble = str(error) if isinstance(error, LedgerError) else f"{hook_log.path.parent}: {error.strerror}"
        if trouble and trouble != told:
            _log.error("what Asterisk did alone is not in the ledger yet: %s", trouble)
        told = trouble
        await asyncio.sleep(LOOK_EVERY_S)


async def _enter(hook_log: HookLog, path: Path, begun: _Begun, url: str, evidence: Evidence) -> None:
    """Raises LedgerError or OSError where it is to be tried again later."""
    try:
        if not await asyncio.to_thread(hook_log.quiet, path):
            return
        while lines := await asyncio.to_thread(_lines, path, begun.offset):
            began_s = time.monotonic()
            begun.refuse(await asyncio.to_thread(_enter_lines, lines, url, evidence))
            begun.offset += sum(map(len, lines))
            if len(lines) == CHUNK_LINES:
                await asyncio.sleep(min(REST * (time.monotonic() - began_s), LONGEST_REST_S))
    except FileNotFoundError:
        return  # the instance before us has finished it
    if begun.refused:
        (_, why), *_ = begun.refused
        await asyncio.to_thread(hook_log.refuse, [line for line, _ in begun.refused], why, begun.number)
    await asyncio.to_thread(path.unlink, missing_ok=True)


def _lines(path: Path, offset: int) -> list[bytes]:
    """As many as are entered at a time, each with its end; what is too long for one counts as several."""
    with path.open("rb") as file:
        file.seek(offset)
        return list(islice(iter(lambda: file.readline(LONGEST_LINE + 1), b""), CHUNK_LINES))


def _enter_lines(lines: Sequence[bytes], url: str, evidence: Evidence) -> list[tuple[str, LedgerError]]:
    """All of them, durably; what cannot be, as far as it may be kept. Raises LedgerError."""
    found: list[tuple[str, tuple[Step, ...]]] = []
    refused: list[tuple[str, LedgerError]] = []

    def enter(line: str) -> None:
        try:
            found.append((line, read(line)))
        except LedgerError as error:
            glued = pieces(line)
            if not glued:
                refused.append((blotted(line), error))
                return
            for piece in glued:
                enter(piece)

    for each in lines:
        enter(each.removesuffix(b"\n").decode("ascii", "replace"))
    with LedgerReader.open(url) as reader:
        known = reader.times(of_one[0].call_id for _, of_one in found)
    written: list[Future[None]] = []
    for line, of_one in found:
        call = known[of_one[0].call_id]
        if call and abs(min(call.values()) - of_one[0].at) > APART:
            refused.append((blotted(line), LedgerError("the call whose id stands in it was at another time")))
        else:
            written += [evidence.append(step) for step in of_one if _is_news(step, call)]
    evidence.hurry()
    for future in written:
        future.result()
    return refused


def _is_news(step: Step, known: dict[str, datetime]) -> bool:
    """Whether the ledger, which has these kinds of steps of the call, is to get this one; notes that it has it then.

    What the service decided it tells the end of; what was decided by nobody when the call ended may have been decided
    since, by a service that stood still.
    """
    by_the_service = StepKind.DECIDED in known and StepKind.INTERRUPTED not in known
    if step.kind in known or (by_the_service and (step.kind is StepKind.ENDED or "outcome" not in step.details)):
        return False
    known[step.kind] = step.at
    return True
