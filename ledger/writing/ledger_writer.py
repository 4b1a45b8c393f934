"""The only writer of a node's ledger, with its own thread."""

import logging
import os
import select as polling
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Self

from idtone.core.errors import LedgerBehindError, LedgerClosedError, LedgerError
from idtone.core.signed_notes import Note
from idtone.core.translation import Message, joined

from ..evidence import steps
from ..evidence.act_ids import new_act_id
from ..evidence.leaves import KEEPERS_ACTS
from ..evidence.steps import Step
from ..keys.key_ring import KeyRing
from ..store.ledger_reader import LedgerReader
from ..store.sqlite import BUSY_TIMEOUT_S, WriteFailure, path_of
from .disk_reserve import Reserve
from .group_writer import GroupWriter, NotWrittenError
from .maintenance_thread import MaintenanceThread
from .missing_steps_file import MissingFile
from .unwritten_steps import MissingSteps, UnwrittenSteps

GROUP_LIMIT: Final = 1000
"""Maximum number of steps per transaction. Writing them takes about 20 ms."""
LINGER_S: Final = 0.15
"""Time in seconds that a step may wait for others if nothing is waiting for it.

Steps are written together because a commit takes as much processor time as a hundred steps. Until then, decisions are
in the file of pending decisions, and everything else is in the journal.
"""
RETRY_S: Final = 1.0
"""Pause in seconds before writing is retried after a failure."""
PATIENCE_S: Final = 0.1
"""Time in seconds that a retry waits for a lock.

It is short, because callers that append steps meanwhile must learn about the delay.
"""
TOLD_EVERY_S: Final = 60.0

_log = logging.getLogger(__name__)

_Appended = tuple[Step, Future[None]]


class LedgerWriter:
    """The only writer of a node's ledger, with its own thread.

    Create it with `open`. Steps that are appended during a commit, or in quick succession, are committed together.
    Steps that cannot be written are kept and written later. Beyond a limit, additional steps are only counted, and a
    `gap` step records their number.
    """

    def __init__(self, path: Path, key_ring: KeyRing, database: GroupWriter, resources: ExitStack) -> None:
        """Use `open` instead. Everything opened here is added to `resources`. Raises OSError."""
        self._path = path
        self._database = database
        self._resources = ExitStack()
        """Resources to close after the last commit."""
        self._queue: SimpleQueue[_Appended | None] = SimpleQueue()
        self._hurried = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        resources.callback(os.close, self._hurried)
        self._missing_file = MissingFile(path)
        resources.callback(self._missing_file.close)
        self._unwritten = UnwrittenSteps(_gap)
        if self._missing_file.before:
            self._unwritten.keep([_gap(self._missing_file.before)])
        self._trouble: NotWrittenError | None = None
        self._retry_s = self._told_s = 0.0
        self._told = False
        """True if a failure to write steps has been logged but their eventual writing has not."""
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="idtone-ledger", daemon=True)
        self._housekeeping = MaintenanceThread(database, key_ring.seen)

    @classmethod
    def open(cls, url: str, node: str, key_ring: KeyRing, reserve_bytes: int | None = None) -> Self:
        """Open a ledger for writing. A missing ledger is created, including its directories.

        A ledger from an earlier version is upgraded. If the node's ledger is damaged, it is set aside, and a new one
        begins. `reserve_bytes` is the size of the disk reserve, and None leaves it unchanged. Raises LedgerError if
        another process writes to the ledger or its file cannot be used.
        """
        path = path_of(url)
        with ExitStack() as resources:
            database = GroupWriter.open(path, node, key_ring, reserve_bytes)
            resources.callback(database.close)
            try:
                found = cls(path, key_ring, database, resources)
            except OSError as error:
                raise LedgerError(
                    "{path}: the ledger cannot be opened: {reason}; check the path and its permissions",
                    path=path,
                    reason=error.strerror,
                ) from error
            found._resources = resources.pop_all()
        found._thread.start()
        found._housekeeping.begin()
        return found

    def append(self, step: Step) -> Future[None]:
        """Queue a step for writing, without waiting.

        The future is done when the step is on disk. It fails with LedgerBehindError if the step will be written later,
        and with another LedgerError if the step will never be written. It cannot be cancelled. Thread-safe.
        """
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        with self._closing:
            if not self._closed:
                self._queue.put((step, future))
                return future
        text = f"{self._path}: the ledger is closed; the step {step.kind} is not written"
        future.set_exception(LedgerClosedError(text))
        return future

    def hurry(self) -> None:
        """Write the queued steps immediately. Use this when a caller is waiting for them.

        Does not block. Thread-safe.
        """
        with self._closing:
            if not self._closed:
                os.eventfd_write(self._hurried, 1)

    def close(self) -> None:
        """Write the queued steps, then close the ledger.

        Afterwards, `unwritten` counts the steps that could not be written.
        """
        with self._closing:
            if not self._closed:
                self._queue.put(None)
                os.eventfd_write(self._hurried, 1)
                self._closed = True
        self._thread.join()
        self._housekeeping.close()
        self._resources.close()

    @property
    def full(self) -> bool:
        """True if the disk has no room for evidence and the reserve is used up.

        Thread-safe.
        """
        trouble = self._trouble
        return self._unwritten.owed is not None and trouble is not None and trouble.trouble is WriteFailure.FULL

    @property
    def unwritten(self) -> MissingSteps | None:
        """Count of steps that are not in the ledger yet or, after `close`, are lost; None if all are written.

        Thread-safe.
        """
        return self._unwritten.owed

    @property
    def words(self) -> str:
        """Describe the state of the evidence to the operator. Empty if all is well.

        Thread-safe.
        """
        owed, refusal = self._unwritten.owed, self._database.refusal
        steps, strange = owed.steps if owed else 0, self.quarantined
        late = Message("{steps} steps of evidence are not written", steps=steps) if steps else ""
        unsigned = Message("evidence is NOT signed: {refusal}", refusal=refusal) if refusal else ""
        ends = (
            Message("the end of the log {log} is NOT signed: {reason}", log=log, reason=reason)
            for log, reason in self._database.unsigned_ends.items()
        )
        aside = Message("{steps} steps that idtone did not write are in quarantine", steps=strange) if strange else ""
        return joined(", ", filter(None, (unsigned, *ends, self._database.reserve.words, late, aside)))

    @property
    def quarantined(self) -> int:
        """Number of steps quarantined because the service did not write them.

        Thread-safe.
        """
        return self._database.quarantined

    @property
    def signs(self) -> bool:
        """True if new leaves are signed.

        Thread-safe.
        """
        return not self._database.refusal

    @property
    def unsigned_ends(self) -> int:
        """Number of the node's earlier logs whose ends await their signatures.

        Thread-safe.
        """
        return len(self._database.unsigned_ends)

    @property
    def ends_given_up(self) -> list[str]:
        """The node's earlier logs whose ends were given up.

        Thread-safe.
        """
        return self._database.ends_given_up

    @property
    def reserve(self) -> Reserve:
        """The disk space reserved for evidence. Thread-safe."""
        return self._database.reserve

    @property
    def stored_checkpoint(self) -> Note | None:
        """The signed head of the tree on disk; None if nothing was signed.

        Thread-safe.
        """
        return self._database.stored_checkpoint

    def distrust(self, reason: str) -> None:
        """Stop signing, because another tree was signed under the log's name.

        Thread-safe.
        """
        self._database.distrust(reason)

    def consistency(self, old: int, size: int) -> Sequence[bytes]:
        """The proof that the tree of `size` leaves begins with the tree of `old` leaves.

        Blocks. Thread-safe. Raises LedgerError.
        """
        with LedgerReader.open(f"sqlite:///{self._path}") as reader:
            return reader.consistency(old, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        for group in self._groups():
            # In order: kept steps are written first.
            if not self._catch_up():
                self._keep(group)
            elif group:
                self._write(group)
            elif self._database.owes_signature:
                self._database.sign_head()
        self._retry_s = 0.0
        if not self._catch_up(BUSY_TIMEOUT_S):
            owed = self._unwritten.owed
            assert owed
            _log.error(
                "%s: %d steps of evidence, the decisions of %d calls among them, could not be written until the end; "
                "the next start enters a gap in their place",
                self._path,
                owed.steps,
                owed.calls,
            )

    def _groups(self) -> Iterator[list[_Appended]]:
        """Yield the queued steps in groups, in order, until `close`.

        While any kept steps or a signature are outstanding, empty groups are yielded from time to time.
        """
        while True:
            try:
                head = self._queue.get(timeout=RETRY_S if self._is_owing else None)
            except Empty:
                yield []
                continue
            if head is None:
                return
            self._linger()
            group = [head]
            while len(group) < GROUP_LIMIT and not self._queue.empty():
                pending = self._queue.get()
                if pending is None:
                    yield group
                    return
                group.append(pending)
            yield group

    @property
    def _is_owing(self) -> bool:
        return bool(self._unwritten) or self._database.owes_signature

    def _linger(self) -> None:
        """Wait until `hurry` is called, for at most `LINGER_S`.

        poll() is used because its timeout does not depend on the wall clock.
        """
        waiting = polling.poll()
        waiting.register(self._hurried, polling.POLLIN)
        if waiting.poll(1000 * LINGER_S):
            os.eventfd_read(self._hurried)

    def _write(self, group: Sequence[_Appended]) -> None:
        try:
            self._database.write([step for step, _ in group])
        except NotWrittenError as error:
            self._failed(error, 0.0 if error.trouble is WriteFailure.OTHER else RETRY_S)
            self._keep(group, lost=error.trouble is WriteFailure.OTHER)
        else:
            for _, future in group:
                future.set_result(None)

    def _catch_up(self, patience_s: float = PATIENCE_S) -> bool:
        """Write as many kept steps as possible. Returns True if none are left."""
        lost = False
        while self._unwritten and time.monotonic() >= self._retry_s:
            kept = self._unwritten.first(GROUP_LIMIT)
            try:
                self._database.write(kept, patience_s)
            except NotWrittenError as error:
                # The steps kept after these were not tried yet; but after a second such error we wait.
                again_s = 0.0 if error.trouble is WriteFailure.OTHER and not lost else RETRY_S
                self._failed(error, again_s)
                if error.trouble is WriteFailure.OTHER:
                    lost = True
                    self._unwritten.drop_first(len(kept))
                    self._unwritten.count_lost(kept)
                    self._missing_file.write(self._unwritten.owed)
            else:
                self._unwritten.drop_first(len(kept))
                self._missing_file.write(self._unwritten.owed)
        if self._unwritten:
            return False
        self._trouble = None
        if self._told:
            self._told = False
            _log.warning("%s: evidence is written again", self._path)
        return True

    def _failed(self, error: NotWrittenError, again_s: float) -> None:
        now_s = time.monotonic()
        self._trouble, self._retry_s = error, now_s + again_s
        if not self._told_s or now_s >= self._told_s + TOLD_EVERY_S:
            self._told, self._told_s = True, now_s
            # Not every caller waits for its future, and missing evidence must be logged.
            _log.error("evidence is not written: %s", error)

    def _keep(self, group: Sequence[_Appended], lost: bool = False) -> None:
        """Keep call steps that could not be written.

        A keeper's act fails instead, because no act may be carried out without a record. `lost` is True if writing
        these steps failed permanently.
        """
        if not group:
            return
        trouble = self._trouble
        text = str(trouble) if trouble else f"{self._path}: the steps before it are not written yet"
        kept = [step for step, _ in group if step.kind not in KEEPERS_ACTS]
        if lost:
            self._unwritten.count_lost(kept)
        else:
            self._unwritten.keep(kept)
        self._missing_file.write(self._unwritten.owed)
        for step, future in group:
            late = step.kind not in KEEPERS_ACTS and not lost
            future.set_exception(LedgerBehindError(text) if late else LedgerError(text))


def _gap(missing: MissingSteps) -> Step:
    return steps.gap(new_act_id(), datetime.now(UTC), missing.to_json())
