"""Decisions on their way to the disk, so that a service that is killed has told nobody what it does not remember.

Asterisk acts on a verdict at once; its evidence takes the disk a few milliseconds. Meanwhile it stands in a file beside
the ledger that is written and not synced: that outlives the process, and with the machine the call ends too. Numbers
stand there as in the ledger, sealed.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from idtone.errors import LedgerBehindError, LedgerError

from .day_keys import DayKeys
from .private_files import PRIVATE_FILE
from .reader import LedgerReader
from .sqlite import path_of
from .steps import Step, StepKind
from .tables import sealed

_SUFFIX: Final = ".pending"

_log = logging.getLogger(__name__)


class Evidence(Protocol):
    def append(self, step: Step) -> Future[None]: ...
    def hurry(self) -> None: ...
    @property
    def full(self) -> bool: ...
    def close(self) -> None: ...


class Pending:
    """Evidence whose decisions a killed process does not take with it. Can be used from any thread."""

    def __init__(self, evidence: Evidence, days: DayKeys, path: Path, descriptor: int) -> None:
        """Use `open`."""
        self._evidence = evidence
        self._days = days
        self._path = path
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._waiting = 0

    @classmethod
    def open(cls, url: str, evidence: Evidence, days: DayKeys) -> Self:
        """Enter first what an instance that was killed has left. Raises LedgerError."""
        path = path_of(url)
        path = path.with_name(f"{path.name}{_SUFFIX}")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
            left = _read(path)
            with LedgerReader.open(url) as reader:
                known = reader.kinds(step.call_id for step in left)
            for written in [evidence.append(step) for step in left if step.kind not in known[step.call_id]]:
                with suppress(LedgerBehindError):  # the ledger has it in memory, until there is room
                    written.result()
            os.ftruncate(descriptor, 0)
        except OSError as error:
            raise LedgerError(
                f"{path}: cannot be used: {error.strerror}; check the path and its permissions"
            ) from error
        return cls(evidence, days, path, descriptor)

    def append(self, step: Step) -> Future[None]:
        """As the ledger's; a decision outlives this process when this returns."""
        if step.kind is not StepKind.DECIDED:
            return self._evidence.append(step)
        with suppress(LedgerError):  # the writer tells of it, and leaves the numbers out as is done here
            step = sealed(step, self._days.writing)
        with self._lock:
            self._waiting += 1
            try:
                os.write(self._descriptor, _line(step))
            except OSError as error:
                _log.error("%s: a decision is in memory only until it is written: %s", self._path, error.strerror)
        written = self._evidence.append(step)
        written.add_done_callback(self._written)
        return written

    def hurry(self) -> None:
        self._evidence.hurry()

    @property
    def full(self) -> bool:
        return self._evidence.full

    def _written(self, _: Future[None]) -> None:
        with self._lock:
            self._waiting -= 1
            if not self._waiting:
                os.ftruncate(self._descriptor, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The ledger is closed first: what it has yet to write is among this."""
        self._evidence.close()
        os.close(self._descriptor)


def _line(step: Step) -> bytes:
    fields = {"call": step.call_id, "at": step.at.isoformat(), "details": dict(step.details)}
    return json.dumps(fields).encode() + b"\n"


def _read(path: Path) -> list[Step]:
    """What cannot be read is told, without what stands in it, and left out."""
    found: dict[str, Step] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            step = _step(json.loads(line))
            found[step.call_id] = step
        except (LedgerError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.error("%s:%d: is not a decision, and is left out: %s", path, number, type(error).__name__)
    return list(found.values())


def _step(fields: Any) -> Step:
    return Step(fields["call"], StepKind.DECIDED, datetime.fromisoformat(fields["at"]), fields["details"])
