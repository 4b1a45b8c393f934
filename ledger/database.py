"""The ledger's database as its writer has it: groups of steps go in whole, into the room that there is."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from idtone.errors import LedgerError

from . import steps
from .continuity import Continued, move_aside, name_aside
from .custody import Custody
from .leaves import ACT_ID
from .log import Log, facts
from .private_files import make_parents
from .reserve import Reserve
from .schema import make_or_upgrade
from .sealing import SEALED, UNSEALED
from .sqlite import (
    Trouble,
    explained,
    is_marked,
    lock_for_writing,
    mark,
    reading_engine,
    trouble,
    writing_engine,
)
from .steps import Step
from .tables import CHECKPOINT, row_of
from .tree.checkpoints import Checkpoint, believed
from .tree.notes import Note

NEXT_AFTER_S: Final = 60.0
"""How long after a database was set aside none is set aside again: a disk that damages everything is not to be filled
with what it damaged.
"""
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger(__name__)


class NotWrittenError(LedgerError):
    """Nothing of a group was written."""

    def __init__(self, text: str, trouble: Trouble) -> None:
        super().__init__(text)
        self.trouble = trouble


class Database:
    """Belongs to the writer's thread, but for `checkpoint` and `distrust`."""

    def __init__(self, path: Path, node: str, custody: Custody, reserve: Reserve, resources: ExitStack) -> None:
        """Use `open`."""
        self._path = path
        self._node = node
        self._custody = custody
        self._reserve = reserve
        self._resources = resources
        self._lock = -1
        self._opened = ExitStack()
        """Holds what belongs to the file that is there now."""
        self._connection: Connection | None = None
        self._descriptor = -1
        self._tree: Log | None = None
        self._unclosed: list[dict[str, Any]] = []
        """Of the calls in progress when the database was damaged."""
        self._set_aside_s = -NEXT_AFTER_S

    @classmethod
    def open(cls, path: Path, node: str, custody: Custody, reserve_bytes: int | None) -> Self:
        """Become the one writer. `reserve_bytes` None leaves the reserve as it is.

        Raises LedgerError where another process writes to it, or the file cannot be used.
        """
        with ExitStack() as resources:
            try:
                make_parents(path)
                lock = lock_for_writing(path)
                resources.callback(os.close, lock)
                found = cls(path, node, custody, Reserve(path, reserve_bytes), resources)
                found._lock = lock
                resources.callback(found._let_go)
                found._retrying(found._start)
            except OSError as error:
                raise LedgerError(
                    f"{path}: the ledger cannot be opened: {error.strerror}; check the path and its permissions"
                ) from error
            found._resources = resources.pop_all()
            return found

    @property
    def reserve(self) -> Reserve:
        return self._reserve

    @property
    def checkpoint(self) -> Note | None:
        """The tree's signed head as it is on the disk; None where nothing was signed. From any thread."""
        tree = self._tree
        return tree.checkpoint if tree else None

    def distrust(self, reason: str) -> None:
        """Sign nothing any more: somebody has signed another tree by this name. From any thread."""
        if self._tree:
            self._tree.distrust(self._path, reason)

    def close(self) -> None:
        self._resources.close()

    def write(self, group: Sequence[Step]) -> None:
        """In one transaction: all of it or nothing. Where the disk is full, the reserve is drawn on; where the database
        is damaged, it is set aside and a new one begun.

        Raises NotWrittenError.
        """
        try:
            self._retrying(lambda: self._write(group))
        except NotWrittenError:
            raise
        except OSError as error:
            full = error.errno in NO_ROOM
            remedy = "make room on its disk" if full else "check the disk and the system log"
            text = f"{self._path}: {error.strerror}; {remedy}"
            raise NotWrittenError(text, Trouble.FULL if full else Trouble.BLOCKED) from error
        except LedgerError as error:
            raise NotWrittenError(str(error), Trouble.BLOCKED) from error
        except Exception as error:  # What nobody foresaw must fail this group and not end the writing.
            what = f"{self._path}: {type(error).__name__} while writing; report this as a fault of idtone"
            raise NotWrittenError(what, Trouble.OTHER) from error

    def _retrying(self, work: Callable[[], None]) -> None:
        """Do it again after each piece of the reserve that it takes, and once on a new database."""
        while True:
            try:
                work()
            except SQLAlchemyError as error:
                found = trouble(error)
                if found is Trouble.FULL and self._reserve.give(self._descriptor):
                    continue
                if found is Trouble.DAMAGED and self._set_aside(error):
                    continue
                if found is Trouble.DAMAGED:
                    found = Trouble.BLOCKED
                raise NotWrittenError(str(explained(error, self._path)), found) from error
            except OSError as error:
                if error.errno not in NO_ROOM or not self._reserve.give(self._descriptor):
                    raise
            else:
                return

    def _write(self, group: Sequence[Step]) -> None:
        if self._connection is None:
            self._start()
        assert self._connection is not None
        assert self._tree is not None
        rows = [self._row(step) for step in group]
        with self._connection.begin():
            grown = self._tree.grow(self._connection, rows)
        self._tree.keep(grown)

    def _row(self, step: Step) -> dict[str, Any]:
        """Where numbers cannot be sealed, the rest is evidence all the same. Raises OSError where there is no room for
        the key that seals them.
        """
        try:
            return row_of(self._node, step, self._custody.days.writing)
        except LedgerError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_ROOM:
                raise error.__cause__ from None
            _log.error("the numbers of call %s are not kept: %s", step.call_id, error)
            bare = replace(step, details={**step.details, SEALED: UNSEALED}, numbers={})
            return row_of(self._node, bare, self._custody.days.writing)

    # -- one database after the other ---------------------------------------------------------------------------------

    def _start(self) -> None:
        """Open the database that is there; or the one after it, where one was to be set aside."""
        continuity = self._custody.continuity
        begun = continuity.unfinished(self._path)
        if begun:
            move_aside(self._path, Path(begun.file))
        elif self._is_ours() and self._path.exists() and self._path.stat().st_size == 0:
            raise _emptied()
        with ExitStack() as opened:
            engine = writing_engine(self._path)
            # It is closed after the engine: with any descriptor of a file that is closed the locks on it would be gone.
            descriptor = os.open(self._path, os.O_RDWR)
            opened.callback(os.close, descriptor)
            opened.callback(engine.dispose)
            # The one for good: to fetch it from a pool for each group takes as long as to write one.
            connection = opened.enter_context(engine.connect())
            with connection.begin():
                make_or_upgrade(connection, str(self._path))
            with connection.begin():
                tree = Log.open(connection, self._path, self._custody)
            if begun and not tree.size:
                with connection.begin():
                    grown = tree.grow(connection, [self._row(_act(begun)), *self._unclosed])
                tree.keep(grown)
            if begun:
                continuity.finish(begun)
                self._unclosed = []
            mark(self._lock, continuity.origin)
            self._connection, self._tree, self._descriptor = connection, tree, descriptor
            self._opened = opened.pop_all()

    def _is_ours(self) -> bool:
        """Whether the file of this name has been opened as our ledger before."""
        return is_marked(self._lock, self._custody.continuity.origins)

    def _set_aside(self, error: SQLAlchemyError) -> bool:
        """Have the next start begin a new database in the place of the damaged one. False: it is not for us to do.

        Raises OSError where that cannot be noted.
        """
        now_s = time.monotonic()
        if not self._is_ours() or now_s < self._set_aside_s + NEXT_AFTER_S:
            return False
        if self._tree:
            self._unclosed = self._tree.unclosed()
        checkpoint = _latest(self._path, self._custody, self.checkpoint)
        self._let_go()
        aside = name_aside(self._path, datetime.now(UTC))
        self._custody = self._custody.go_on(checkpoint, self._path, aside)
        self._set_aside_s = now_s
        _log.error(
            "%s: it is set aside as %s, and a new ledger is begun, whose tree is signed as %s; docs/operating.md says "
            "what to do with the old one",
            explained(error, self._path), aside, self._custody.continuity.origin,
        )  # fmt: skip
        return True

    def _let_go(self) -> None:
        self._connection, self._tree, self._descriptor = None, None, -1
        self._opened.close()


def _act(begun: Continued) -> Step:
    origin, size, root = begun.ended
    return steps.continued(
        f"{ACT_ID}{secrets.token_hex(12)}", datetime.now(UTC), origin, size, root.hex(), Path(begun.file).name
    )


def _emptied() -> DBAPIError:
    """As SQLite would put it, which takes an empty file for a new database."""
    error = sqlite3.DatabaseError("the file is empty")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return DBAPIError("", None, error)


def _latest(path: Path, custody: Custody, known: Note | None) -> Note | None:
    """What was signed last of a ledger, as far as can be found: in memory, in its damaged database, beside its key."""
    found = [note for note in (known, *_kept(path, custody)) if note]
    return max(found, key=lambda note: Checkpoint.parse(note.text).size, default=None)


def _kept(path: Path, custody: Custody) -> Iterator[Note | None]:
    log = custody.signer.key
    for seen in (custody.seen, custody.cosigned):
        try:
            known = seen.latest(log)
            yield known[0] if known else None
        except LedgerError as error:
            _log.error("%s", error)
    engine = reading_engine(path)
    try:
        with engine.begin() as connection:
            note = Note.parse(facts(connection).get(CHECKPOINT, "").encode())
        believed(note, log)
        yield note
    except (SQLAlchemyError, LedgerError):
        yield None  # it is damaged, after all
    finally:
        engine.dispose()
