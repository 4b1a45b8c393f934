"""Decisions that are on their way to disk and survive a crash of the service.

Asterisk acts on a verdict immediately, but the evidence waits, because it is written to disk together with other steps.
Until then, the decision is in a file next to the ledger, which is written but not synced.

The file survives the end of the process. If the machine fails, its calls end too. Numbers in the file are sealed as in
the ledger, and lines without the right MAC are ignored. While one file's decisions are on their way, new decisions go
to a second file.
"""

import errno
import hmac
import json
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from idtone.core.errors import LedgerBehindError, LedgerClosedError, LedgerError

from ..evidence.evidence import Evidence
from ..evidence.steps import Step, StepKind
from ..keys.day_keys import DayKeys
from ..keys.private_files import PRIVATE_FILE, open_private
from ..keys.step_key import StepKey
from ..store.ledger_reader import LedgerReader
from ..store.sqlite import path_of
from ..store.step_rows import seal_numbers

_SUFFIXES: Final = (".pending", ".pending-2")
_QUARANTINE: Final = ".pending-quarantine"
"""Ending of the file with lines that idtone did not write. They are kept but ignored."""
ENOUGH_BYTES: Final = 64 * 1024
"""Size in bytes from which the other file is used if it is free."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""Maximum file size in bytes, enough for about 50,000 decisions. The writer keeps as many steps in memory."""
TOLD_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)


class PendingEvidence(Evidence, Protocol):
    """A writer of evidence that is closed before the files of its pending decisions."""

    def close(self) -> None: ...


class _File:
    """A file of decisions that are not on disk yet.

    `waiting` counts the decisions that the ledger has not acknowledged.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.waiting = 0
        self.bytes = os.fstat(descriptor).st_size
        self.free = True
        """True if the file can be written to. It is False while the file is being emptied."""
        self._descriptor = descriptor
        self._torn = False

    def write(self, line: bytes) -> None:
        """Write a line.

        Raises OSError if the line could not be written completely.
        """
        if self.bytes >= MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        line = b"\n" * self._torn + line
        written = os.write(self._descriptor, line)
        self.bytes += written
        self._torn = written < len(line)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def empty(self) -> None:
        os.ftruncate(self._descriptor, 0)
        self.bytes, self._torn = 0, False


class PendingDecisions:
    """A writer of evidence whose decisions survive a crash of the process.

    Create it with `open`. Thread-safe.
    """

    def __init__(self, evidence: PendingEvidence, days: DayKeys, files: Sequence[_File], resources: ExitStack) -> None:
        """Use `open` instead. `resources` is closed at the end."""
        self._evidence = evidence
        self._days = days
        self._key = days.ledger_key.pending_key()
        self._now, self._other = files
        self._resources = resources
        self._lock = threading.Lock()
        self._behind = any(file.bytes for file in files)
        """True if the ledger holds some decisions only in memory. It writes them before any new step."""
        self._told_s = 0.0

    @classmethod
    def open(cls, url: str, evidence: PendingEvidence, days: DayKeys) -> Self:
        """Open the writer, after entering a crashed process's pending decisions into the ledger.

        Raises LedgerError.
        """
        path = path_of(url)
        with ExitStack() as resources:
            try:
                files: list[_File] = []
                for suffix in _SUFFIXES:
                    path = path.with_name(f"{path_of(url).name}{suffix}")
                    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
                    resources.callback(os.close, descriptor)
                    files.append(_File(path, descriptor))
                key = days.ledger_key.pending_key()
                read = [_read(file.path, key) for file in files]
                _keep_foreign(path_of(url), [line for _, foreign in read for line in foreign])
                left = [step for found, _ in read for step in found]
                with LedgerReader.open(url) as reader:
                    known = reader.times(step.call_id for step in left)
                behind = False
                entered = [evidence.append(step) for step in left if step.kind not in known[step.call_id]]
                evidence.hurry()
                for written in entered:
                    try:
                        written.result()
                    except LedgerBehindError:  # the ledger has it in memory, until there is room
                        behind = True
                for file in files:
                    if not behind:
                        file.empty()
            except OSError as error:
                raise LedgerError(
                    "{path}: cannot be used: {reason}; check the path and its permissions",
                    path=path,
                    reason=error.strerror,
                ) from error
            return cls(evidence, days, files, resources.pop_all())

    def append(self, step: Step) -> Future[None]:
        """Append a step of evidence to the ledger.

        For a decision, the future is done as soon as the decision is in the file of pending decisions. If that file
        cannot be written, the future is done when the ledger has written the decision. For any other step, the ledger's
        own future is returned.
        """
        if step.kind is not StepKind.DECIDED:
            return self._evidence.append(step)
        with suppress(LedgerError):  # the writer logs it, and leaves the numbers out as is done here
            step = seal_numbers(step, self._days.writing)
        with self._lock:
            if self._now.bytes >= ENOUGH_BYTES and self._other.free and not self._other.bytes:
                self._now, self._other = self._other, self._now
            file = self._now
            file.waiting += 1
        kept: Future[None] = Future()
        try:
            file.write(_line(step, self._key))
            kept.set_result(None)
        except OSError as error:
            self._complain(file.path, error)
        written = self._evidence.append(step)
        written.add_done_callback(lambda done: self._written(file, done))
        if kept.done():
            return kept  # whether the ledger has written it too, the ledger reports
        self._evidence.hurry()
        return written

    def hurry(self) -> None:
        self._evidence.hurry()

    @property
    def full(self) -> bool:
        return self._evidence.full

    def _written(self, file: _File, done: Future[None]) -> None:
        """Note the ledger's answer for a decision, and empty files whose decisions are all on disk."""
        error = done.exception()
        if error and not isinstance(error, LedgerBehindError):  # which the ledger logs once for all
            _log.error("a decision is not in the ledger: %s", error)
        with self._lock:
            file.waiting -= 1
            # A decision after the ledger was closed waits in the file for the next instance.
            late = isinstance(error, LedgerBehindError | LedgerClosedError)
            self._behind = late or (self._behind and error is not None)
            over = [each for each in (self._now, self._other) if each.bytes and each.free and not each.waiting]
            if self._behind or not over:
                return
            if self._now in over and self._other.free and not self._other.bytes:
                self._now, self._other = self._other, self._now
            elif self._now in over:
                self._now.empty()
                over.remove(self._now)
            for each in over:
                each.free = False
        for each in over:
            each.empty()
            each.free = True

    def _complain(self, path: Path, error: OSError) -> None:
        now_s = time.monotonic()
        if not self._told_s or now_s >= self._told_s + TOLD_EVERY_S:
            self._told_s = now_s
            _log.error("%s: decisions are in memory only until they are written: %s", path, error.strerror)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._evidence.close()
        self._resources.close()


def _line(step: Step, key: StepKey) -> bytes:
    """A line of JSON whose last member is the MAC over the rest."""
    text = json.dumps({"call": step.call_id, "at": step.at.isoformat(), "details": dict(step.details)}).encode()
    return text[:-1] + b', "mac": "' + key.line_mac(text).encode() + b'"}\n'


def _read(path: Path, key: StepKey) -> tuple[list[Step], list[bytes]]:
    """Read a file's decisions and its lines with a wrong MAC.

    Wrong and unreadable lines are logged, without their content.
    """
    found: dict[str, Step] = {}
    foreign: list[bytes] = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            fields = json.loads(line)
            mac = str(fields.pop("mac", ""))
            if not hmac.compare_digest(mac, key.line_mac(json.dumps(fields).encode())):
                foreign.append(line)
                _log.error("%s:%d: was not written by idtone with this ledger's key, and does not count", path, number)
                continue
            step = _step(fields)
            found[step.call_id] = step
        except (LedgerError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("%s:%d: is not a decision, and is left out: %s", path, number, type(error).__name__)
    return list(found.values()), foreign


def _keep_foreign(ledger: Path, lines: Sequence[bytes]) -> None:
    """Append foreign lines to the quarantine file.

    Raises OSError.
    """
    if lines:
        descriptor = open_private(ledger.with_name(f"{ledger.name}{_QUARANTINE}"))
        try:
            os.lseek(descriptor, 0, os.SEEK_END)
            os.write(descriptor, b"".join(line + b"\n" for line in lines))
        finally:
            os.close(descriptor)


def _step(fields: Any) -> Step:
    return Step(fields["call"], StepKind.DECIDED, datetime.fromisoformat(fields["at"]), fields["details"])
