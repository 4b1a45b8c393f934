"""The one writer of a ledger: it acknowledges what is durable."""

from __future__ import annotations

import logging
import os
import select as polling
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from idtone.errors import LedgerError

from .custody import Custody
from .log import Log
from .private_files import make_parents
from .reader import LedgerReader
from .sealing import SEALED, UNSEALED
from .sqlite import explained, lock_for_writing, make_tables, path_of, writing_engine
from .steps import Step
from .tables import row_of
from .tree.notes import Note

GROUP_LIMIT: Final = 1000
"""Steps in one transaction at most; about 20 ms of work."""
REMEMBER_EVERY_S: Final = 10.0
"""How far a database that is put back by less than this may go unnoticed."""
LINGER_S: Final = 0.02
"""How long a step that nobody waits for may wait for others to go to the disk with it: a commit costs the processors as
much as a hundred steps.
"""

_log = logging.getLogger(__name__)

_Pending = tuple[Step, Future[None]]


class LedgerWriter:
    """The one writer of a ledger, with a thread of its own.

    Steps that are appended while a commit is under way, or within a moment, go into the next one together.
    """

    def __init__(self, engine: Engine, path: Path, node: str, custody: Custody, log: Log, resources: ExitStack) -> None:
        """Use `open`. `resources` is closed after the last commit."""
        self._engine = engine
        self._path = path
        self._node = node
        self._custody = custody
        self._tree = log
        self._resources = resources
        self._queue: SimpleQueue[_Pending | None] = SimpleQueue()
        self._hurried = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        resources.callback(os.close, self._hurried)
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="idtone-ledger", daemon=True)
        self._thread.start()
        self._over = threading.Event()
        self._remembering = threading.Thread(target=self._remember_now_and_then, name="idtone-ledger-seen", daemon=True)
        self._remembering.start()

    @classmethod
    def open(cls, url: str, node: str, custody: Custody) -> Self:
        """Open the ledger, making it and its directories where there is none, closed to other users.

        A ledger of an earlier version is upgraded.

        Raises LedgerError where another process writes to it, or the file cannot be used.
        """
        path = path_of(url)
        with ExitStack() as resources:
            try:
                make_parents(path)
                resources.callback(os.close, lock_for_writing(path))
                engine = writing_engine(path)
                resources.callback(engine.dispose)
                make_tables(engine, path)
                with engine.begin() as connection:
                    log = Log.open(connection, path, custody)
            except OSError as error:
                raise LedgerError(
                    f"{path}: the ledger cannot be opened: {error.strerror}; check the path and its permissions"
                ) from error
            except SQLAlchemyError as error:
                raise explained(error, path) from error
            return cls(engine, path, node, custody, log, resources.pop_all())

    def append(self, step: Step) -> Future[None]:
        """Hand over a step; from any thread, at once.

        The future is done when the step is on the disk, and fails with LedgerError where it is not.
        It cannot be cancelled: what happened, happened.
        """
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        with self._closing:
            if not self._closed:
                self._queue.put((step, future))
                return future
        future.set_exception(LedgerError(f"{self._path}: the ledger is closed; the step {step.kind} is not written"))
        return future

    def hurry(self) -> None:
        """Somebody waits for what was appended: write it now. From any thread, at once."""
        with self._closing:
            if not self._closed:
                os.eventfd_write(self._hurried, 1)

    def close(self) -> None:
        """Write what was appended, then let go of the file."""
        with self._closing:
            if not self._closed:
                self._queue.put(None)
                os.eventfd_write(self._hurried, 1)
                self._closed = True
        self._thread.join()
        self._over.set()
        self._remembering.join()
        self._resources.close()

    @property
    def checkpoint(self) -> Note | None:
        """The tree's signed head as it is on the disk; None where nothing was signed. From any thread."""
        return self._tree.checkpoint

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        for group in self._groups():
            failure = self._commit([step for step, _ in group])
            for _, future in group:
                if failure:
                    future.set_exception(failure)
                else:
                    future.set_result(None)

    def distrust(self, reason: str) -> None:
        """Sign nothing any more: somebody has signed another tree by this name. From any thread."""
        self._tree.distrust(self._path, reason)

    def consistency(self, old: int, size: int) -> Sequence[bytes]:
        """The proof that the tree of `old` leaves is the beginning of that of `size`. From any thread; blocks.

        Raises LedgerError.
        """
        with LedgerReader.open(f"sqlite:///{self._path}") as reader:
            return reader.consistency(old, size)

    def _remember_now_and_then(self) -> None:
        """Keep what was signed beside the database, in a thread of its own: nobody's evidence waits for it."""
        remembered: Note | None = None
        last = False
        while not last:
            last = self._over.wait(REMEMBER_EVERY_S)
            checkpoint = self._tree.checkpoint
            if checkpoint is None or checkpoint == remembered:
                continue
            try:
                self._custody.seen.remember(checkpoint)
                remembered = checkpoint
            except OSError as error:
                _log.error("%s: what was signed cannot be kept: %s", self._custody.seen.path, error.strerror)

    def _groups(self) -> Iterator[list[_Pending]]:
        """Whatever is waiting, in order; ends with `close`."""
        while (head := self._queue.get()) is not None:
            self._linger()
            group = [head]
            while len(group) < GROUP_LIMIT and not self._queue.empty():
                pending = self._queue.get()
                if pending is None:
                    yield group
                    return
                group.append(pending)
            yield group

    def _linger(self) -> None:
        """Until somebody hurries; by poll(), whose time no step of any clock makes longer."""
        waiting = polling.poll()
        waiting.register(self._hurried, polling.POLLIN)
        if waiting.poll(1000 * LINGER_S):
            os.eventfd_read(self._hurried)

    def _row(self, step: Step) -> dict[str, Any]:
        """Where numbers cannot be sealed, the rest is evidence all the same."""
        try:
            return row_of(self._node, step, self._custody.days.writing)
        except LedgerError as error:
            _log.error("the numbers of call %s are not kept: %s", step.call_id, error)
            bare = replace(step, details={**step.details, SEALED: UNSEALED}, numbers={})
            return row_of(self._node, bare, self._custody.days.writing)

    def _commit(self, group: Sequence[Step]) -> LedgerError | None:
        """Write a group in one transaction: all of it or nothing. The error is for those who wait."""
        try:
            rows = [self._row(step) for step in group]
            with self._engine.begin() as connection:
                grown = self._tree.grow(connection, rows)
        except SQLAlchemyError as error:
            failure = explained(error, self._path)
            failure.__cause__ = error
        except Exception as error:  # What nobody foresaw must fail this group and not end the writing.
            failure = LedgerError(
                f"{self._path}: {type(error).__name__} while writing; report this as a fault of idtone"
            )
            failure.__cause__ = error
        else:
            self._tree.keep(grown)
            return None
        # Not everybody waits for his future, and evidence must not go missing without a word.
        _log.error("%d steps are not in the ledger: %s", len(group), failure)
        return failure
