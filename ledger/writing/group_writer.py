"""Writes groups of steps to the ledger's database, each in one transaction."""

import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from idtone.core.errors import LedgerError
from idtone.core.log_output import call_extra
from idtone.core.signed_notes import Note
from idtone.core.translation import Message

from ..evidence.steps import SEALED, UNSEALED, Step, StepKind
from ..keys.key_ring import KeyRing
from ..keys.private_files import make_parents
from ..keys.successor_trees import DAMAGED, ENDED, NextKey, move_aside, name_aside
from ..store import sqlite
from ..store.file_identity import identity_of
from ..store.schema import log_unexpected_entries, make_or_upgrade
from ..store.sqlite import (
    WriteFailure,
    code_of,
    connect_for_writing,
    explain_error,
    lock_for_writing,
    mark_as_ledger,
    was_ledger,
    write_failure,
    writing,
)
from ..store.step_rows import row_of
from .database_recovery import calls_in_progress_in, continuation, empty_file_error, latest_checkpoint
from .disk_reserve import Reserve
from .earlier_log_ends import note_given_up_ends, note_unsigned_ends
from .log_store import LogAppend, LogStore
from .sign_log_end import EndCheck, sign_end

NEXT_AFTER_S: Final = 60.0
"""Minimum time in seconds between setting aside two databases. Otherwise, damaged files would fill a failing disk."""
PASSING: Final = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ)
"""Errors that are attributed to the disk, rather than the database, unless they occur twice in a row."""
LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
"""Errors after which no transaction has begun, although SQLite waited for the lock."""
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger(__name__)


class NotWrittenError(LedgerError):
    """A group of steps was not written, or it is unknown whether it was written."""

    def __init__(self, text: str, trouble: WriteFailure) -> None:
        super().__init__(text)
        self.trouble = trouble


class GroupWriter:
    """Writes groups of steps to the ledger, each in one transaction.

    Create it with `open`. Only the ledger writer's thread may use it, except for members marked thread-safe.
    """

    def __init__(
        self, path: Path, node: str, key_ring: KeyRing, reserve: Reserve, resources: ExitStack, follows: bool = True
    ) -> None:
        """Use `open`."""
        self._path = path
        self._node = node
        self._key_ring = key_ring
        self._reserve = reserve
        self._resources = resources
        self._lock = -1
        self._opened = ExitStack()
        """Resources for the current file."""
        self._connection: sqlite3.Connection | None = None
        self._descriptor = -1
        self._patience_s = sqlite.BUSY_TIMEOUT_S
        self._tree: LogStore | None = None
        self._doubtful: tuple[LogAppend, Sequence[Step]] | None = None
        """Steps from a commit that reported an error. They may nevertheless be on disk."""
        self._unclosed: list[dict[str, Any]] = []
        """Rows of calls that were in progress when the database was found to be damaged."""
        self._set_aside_s = -NEXT_AFTER_S
        self._follows = follows
        self._end_troubles: dict[str, str] = {}
        """Log whose end is unsigned → the reason."""
        self._end_checks: dict[str, EndCheck] = {}
        """Such a log whose database has changed → the state of its files."""

    @classmethod
    def open(cls, path: Path, node: str, key_ring: KeyRing, reserve_bytes: int | None, follows: bool = True) -> Self:
        """Open a ledger as its only writer.

        `reserve_bytes` is the size of the disk reserve, and None leaves it unchanged. If the log has ended and
        `follows` is True, a new log begins. Raises LedgerError if another process writes to the ledger or its file
        cannot be used.
        """
        with ExitStack() as resources:
            try:
                make_parents(path)
                lock = lock_for_writing(path)
                resources.callback(os.close, lock)
                # Only while the lock is held: the previous writer may have set a database aside.
                found = cls(path, node, key_ring.reloaded(), Reserve(path, reserve_bytes), resources, follows)
                found._lock = lock
                resources.callback(found._let_go)
                found._retrying(found._start)
            except OSError as error:
                raise LedgerError(
                    "{path}: the ledger cannot be opened: {reason}; check the path and its permissions",
                    path=path,
                    reason=error.strerror,
                ) from error
            found._resources = resources.pop_all()
            return found

    @property
    def reserve(self) -> Reserve:
        return self._reserve

    @property
    def stored_checkpoint(self) -> Note | None:
        """The signed head of the tree on disk; None if nothing was signed.

        Thread-safe.
        """
        tree = self._tree
        return tree.checkpoint if tree else None

    @property
    def refusal(self) -> str:
        """Reason why new leaves are not signed; empty if signing works.

        Thread-safe.
        """
        tree = self._tree
        return tree.refusal if tree else ""

    @property
    def quarantined(self) -> int:
        """Number of steps quarantined because the service did not write them.

        Thread-safe.
        """
        tree = self._tree
        return tree.quarantined if tree else 0

    @property
    def owes_signature(self) -> bool:
        """True if there are leaves on disk that the token has not signed yet."""
        return self._tree is not None and self._tree.owes_signature

    def sign_head(self) -> None:
        """Try again to sign the head of the tree on disk."""
        if self._connection is None or self._tree is None:
            return
        try:
            with writing(self._connection):
                note = self._tree.sign_head(self._connection)
        except sqlite3.Error as error:
            _log.error("the head is signed and cannot be written: %s", explain_error(error, self._path))
            return
        if note:
            self._tree.keep_note(note)

    @property
    def has_ended(self) -> bool:
        """True if the last leaf ends the log.

        This is possible only if the writer was opened without `follows`.
        """
        return self._tree is not None and self._tree.has_ended

    @property
    def unsigned_ends(self) -> dict[str, str]:
        """The node's earlier logs whose ends are not signed yet, each with the reason.

        Thread-safe.
        """
        ends = [each.after for each in self._key_ring.successor_trees.unsigned]
        away = Message("the token of its key has not signed it yet")
        return {name: self._end_troubles.get(name, away) for name in ends}

    @property
    def ends_given_up(self) -> list[str]:
        """The node's earlier logs whose ends were given up.

        Thread-safe.
        """
        return [each.after for each in self._key_ring.successor_trees.without_end if each.given_up]

    def sign_ends(self) -> None:
        """Try to sign the ends of earlier logs whose tokens were unavailable.

        Always call this from the same thread, which need not be the writer's.
        """
        ring = self._key_ring
        for each in ring.successor_trees.unsigned:
            known = self._end_troubles.get(each.after)
            try:
                with ring.successor_trees.ending:
                    if each not in ring.successor_trees.unsigned:
                        continue  # it was given up meanwhile
                    check = self._end_checks.setdefault(each.after, EndCheck())
                    note = sign_end(each, ring.successor_trees.database_of(each, self._path), ring, check)
                    ring.successor_trees.record_signed_end(each, note)
            except Exception as error:  # a cell of an old database may contain anything
                self._end_troubles[each.after] = trouble = _why(error)
                if trouble != known:
                    _log.error("%s: the end of the log %s is not signed: %s", each.file, each.after, trouble)
            else:
                self._end_troubles.pop(each.after, None)
                self._end_checks.pop(each.after, None)
                _log.warning("%s: the end of the log %s is signed now", each.file, each.after)

    def distrust(self, reason: str) -> None:
        """Stop signing, because another tree was signed under the log's name.

        Thread-safe.
        """
        if self._tree:
            self._tree.distrust(self._path, reason)

    def close(self) -> None:
        self._key_ring.close()
        self._resources.close()

    def write(self, group: Sequence[Step], patience_s: float | None = None) -> None:
        """Write a group of steps in one transaction, completely or not at all.

        If the disk is full, the reserve is used. If the database is damaged, it is set aside, and a new one begins.
        `patience_s` is the time in seconds to wait for another process's lock. Raises NotWrittenError.
        """
        self._wait_no_longer_than(sqlite.BUSY_TIMEOUT_S if patience_s is None else patience_s)
        try:
            self._retrying(lambda: self._write(group))
        except NotWrittenError:
            raise
        except OSError as error:
            full = error.errno in NO_ROOM
            remedy = "make room on its disk" if full else "check the disk and the system log"
            text = f"{self._path}: {error.strerror}; {remedy}"
            raise NotWrittenError(text, WriteFailure.FULL if full else WriteFailure.BLOCKED) from error
        except LedgerError as error:
            raise NotWrittenError(str(error), WriteFailure.BLOCKED) from error
        except Exception as error:  # An unforeseen error must fail this group and not end the writing.
            what = f"{self._path}: {type(error).__name__} while writing; report this as a fault of idtone"
            raise NotWrittenError(what, WriteFailure.OTHER) from error

    def _retrying(self, work: Callable[[], None]) -> None:
        """Call `work`, and retry it after failures.

        It is retried each time a piece of the reserve is released, once after the file is reopened, and once with a new
        database.
        """
        anew = False
        damaged: sqlite3.Error | None = None
        while True:
            try:
                if damaged:
                    self._set_aside(damaged)
                    damaged = None
                work()
            except sqlite3.Error as error:
                if self._connection is not None and self._connection.in_transaction:
                    self._let_go()  # it could not be rolled back
                found = write_failure(error, self._path)
                if found is WriteFailure.FULL and self._reserve.release(self._descriptor):
                    continue
                if found is WriteFailure.DAMAGED and (anew or code_of(error) not in PASSING) and self._may_set_aside():
                    damaged = error
                    continue
                if found is not WriteFailure.FULL and code_of(error) & 0xFF not in LOCKED:
                    self._let_go()
                    if not anew:
                        anew = True
                        continue
                if found is WriteFailure.DAMAGED:
                    found = WriteFailure.BLOCKED
                raise NotWrittenError(str(explain_error(error, self._path)), found) from error
            except OSError as error:
                if error.errno not in NO_ROOM or not self._reserve.release(self._descriptor):
                    raise
            except Exception:
                self._let_go()  # whatever state it is in
                raise
            else:
                return

    def _write(self, group: Sequence[Step]) -> None:
        if self._connection is None:
            self._start()
        assert self._connection is not None
        assert self._tree is not None
        rest = self._unwritten(group) if self._doubtful else group
        if not rest:
            return
        rows = [self._row(step) for step in rest]
        with writing(self._connection):
            appended = self._tree.append(self._connection, rows)
            self._doubtful = appended, rest
        self._doubtful = None
        self._tree.keep_committed(appended)
        if any(step.kind is StepKind.END_GIVEN_UP for step in rest):
            note_given_up_ends(self._key_ring, self._path)

    def _unwritten(self, group: Sequence[Step]) -> Sequence[Step]:
        """The group's steps that are not on disk.

        A commit that reported an error may have written them.
        """
        assert self._connection is not None
        assert self._tree is not None
        assert self._doubtful is not None
        appended, steps = self._doubtful
        with writing(self._connection):
            written = appended.is_in(self._connection)
        self._doubtful = None
        if not written:
            return group
        if self._tree.next_id < appended.next_id:  # it was not read again
            self._tree.keep_committed(appended)
        there = {id(step) for step in steps}
        return [step for step in group if id(step) not in there]

    def _wait_no_longer_than(self, patience_s: float) -> None:
        if patience_s == self._patience_s:
            return
        self._patience_s = patience_s
        if self._connection is not None:
            self._connection.execute(f"PRAGMA busy_timeout={round(1000 * patience_s)}")

    def _row(self, step: Step) -> dict[str, Any]:
        """Convert a step to a row. Its numbers are omitted if they cannot be sealed.

        Raises OSError if the disk has no room for a new day key.
        """
        try:
            return row_of(self._node, step, self._key_ring.days.writing)
        except LedgerError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_ROOM:
                raise error.__cause__ from None
            _log.error("the numbers of call %s are not kept: %s", step.call_id, error, extra=call_extra(step.call_id))
            bare = replace(step, details={**step.details, SEALED: UNSEALED}, numbers={}, sip_call_id="")
            return row_of(self._node, bare, self._key_ring.days.writing)

    # -- one database after the other ---------------------------------------------------------------------------------

    def _start(self) -> None:
        """Open the database.

        If it is being set aside, it is moved, and the next one is opened.
        """
        successor_trees = self._key_ring.successor_trees
        begun = successor_trees.tree_without_database(self._path)
        if begun:
            move_aside(self._path, Path(begun.file))
            if not self._unclosed and f".{ENDED}-" in Path(begun.file).name:
                # The process that ended that log was killed before it wrote them into the next one.
                self._unclosed = calls_in_progress_in(
                    Path(begun.file), self._key_ring.days.ledger_key.step_key(begun.after)
                )
        elif self._is_ours() and self._path.exists() and self._path.stat().st_size == 0:
            raise empty_file_error()
        with ExitStack() as opened:
            connection = connect_for_writing(self._path, self._patience_s)
            # It is closed after the connection: closing any descriptor of a file ends the locks on it.
            descriptor = os.open(self._path, os.O_RDWR)
            opened.callback(os.close, descriptor)
            opened.callback(connection.close)
            with writing(connection):
                make_or_upgrade(connection, str(self._path))
                log_unexpected_entries(connection, str(self._path))
            with writing(connection):
                tree = LogStore.open(connection, self._path, self._key_ring, self._node, identity_of(descriptor))
                told = tree.append(connection, ()) if tree.has_set_aside else None
            if told:
                tree.keep_committed(told)
            if begun and not tree.size:
                with writing(connection):
                    appended = tree.append(connection, [self._row(continuation(begun)), *self._unclosed])
                tree.keep_committed(appended)
            if begun:
                successor_trees.record_start(begun)
                self._unclosed = []
            mark_as_ledger(self._lock, successor_trees.origin)
            if self._tree:
                tree.continue_from(self._tree)
            self._connection, self._tree, self._descriptor = connection, tree, descriptor
            self._opened = opened.pop_all()
        note_unsigned_ends(self._key_ring, self._path)
        note_given_up_ends(self._key_ring, self._path)
        if not tree.has_ended:
            return
        if tree.owes_signature:
            self.sign_head()  # the token was away when the end was written
        if self._follows:
            _log.warning("%s: this log has ended; another one is begun, which continues it", self._path)
            self._begin_next(ENDED, self._latest(), self._next_key(tree.next_key), tree.unsigned_head)
            self._start()

    def _next_key(self, named: str) -> NextKey | None:
        """The key named at the log's end, if replacing the key was interrupted after that end was written."""
        key = self._key_ring.successor_trees.next_key(named) if named else None
        if named and key is None:
            _log.error(
                "%s: its last leaf names the key %s for the log that follows, and the replacement was interrupted; "
                "that log begins with the old key. Run `idtone-evidence log replace-key` again, and tell the "
                "association",
                self._path,
                named,
            )
        return key

    def _is_ours(self) -> bool:
        return was_ledger(self._lock, self._key_ring.successor_trees.origins)

    def _may_set_aside(self) -> bool:
        return self._is_ours() and time.monotonic() >= self._set_aside_s + NEXT_AFTER_S

    def _set_aside(self, error: sqlite3.Error) -> None:
        """Prepare a new database, which the next `_start` opens in place of the damaged one.

        Raises OSError if the next tree cannot be recorded, in which case nothing has changed.
        """
        aside = self._begin_next(DAMAGED, self._latest())
        self._set_aside_s = time.monotonic()
        _log.error(
            "%s: it is set aside as %s, and a new ledger is begun, whose tree is signed as %s; "
            "docs/how-to/damaged-evidence.md says what to do with the old one",
            explain_error(error, self._path),
            aside,
            self._key_ring.successor_trees.origin,
        )

    def _latest(self) -> Note | None:
        return latest_checkpoint(self._path, self._key_ring, self.stored_checkpoint)

    def _begin_next(self, why: str, head: Note | None, key: NextKey | None = None, unsigned: str = "") -> Path:
        """Record the name of the next tree, and return the path to which the database will be moved.

        The next `_start` moves the database and begins the new tree, which continues this one after `head`, or after
        all leaves if the end is still `unsigned`. The new tree takes over the calls in progress.
        """
        aside = name_aside(self._path, datetime.now(UTC), why)
        self._key_ring = self._key_ring.for_next_tree(head, self._path, aside, key, unsigned)
        if self._tree:
            self._unclosed = self._tree.unclosed()
        self._tree = self._doubtful = None
        self._let_go()
        return aside

    # -- the end of a log ---------------------------------------------------------------------------------------------

    def end(self, ending: Step) -> None:
        """End the log with `ending` as its last leaf.

        The next start begins another tree. Raises NotWrittenError and LedgerError.
        """
        self.write([ending])
        if self.refusal:
            raise LedgerError("the end is written and not signed: {why}", why=self.refusal)

    def replace_key(self, key: NextKey, ending: Step | None, trusted: Note | None) -> Path:
        """End the current tree, and begin one that the new key signs. Returns the old database's new path.

        `ending` is the old tree's last leaf. If it is None, the old key is compromised, and `trusted` is the last head
        that is still valid. Raises NotWrittenError, LedgerError and OSError.
        """
        if ending:
            self._key_ring.successor_trees.record_next_key(key)
            self.end(ending)
        aside = self._begin_next(ENDED, self._latest() if ending else trusted, key)
        self._start()
        return aside

    def _let_go(self) -> None:
        self._connection, self._descriptor = None, -1
        self._opened.close()


def _why(error: Exception) -> str:
    if isinstance(error, LedgerError | sqlite3.Error | OSError):
        return str(error)
    return Message("its database holds what idtone does not write ({error})", error=type(error).__name__)
