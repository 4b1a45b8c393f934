"""Stores the Merkle tree, writing steps and the leaves that they close in one transaction."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from idtone.core.errors import LedgerError, TokenAwayError
from idtone.core.signed_notes import Note, VerifierKey
from idtone.core.translation import Message

from ..evidence.act_ids import new_act_id
from ..evidence.leaves import CLOSING, OPENING, StoredStep, search_keys
from ..evidence.steps import StepKind, quarantined
from ..keys.checkpoint_file import CheckpointFile
from ..keys.hardware_token_signer import TokenSigner
from ..keys.key_ring import KeyRing
from ..keys.sealing import DayKey
from ..store.calls_in_progress import update_calls_in_progress
from ..store.database import scalar
from ..store.meta import CHECKPOINT, HOME, SET_META, facts
from ..store.quarantine import SetAside, set_aside_end, set_aside_steps
from ..store.step_macs import INSERT_MACS, StepMacs
from ..store.step_rows import microseconds, row_of
from ..store.stored_tree import (
    STEP,
    OpenCall,
    check_beginning,
    count_leaves,
    leaf_closed_by,
    newest_id,
    open_call,
    read_frontier,
    read_hashes,
)
from ..tree.checkpoints import Checkpoint, RenamedError, check_name, verified_checkpoint
from ..tree.merkle import Frontier, leaf_hash, stored_hashes

OPEN_LIMIT: Final = 50_000
"""Maximum number of calls in progress whose steps are kept in memory. Steps of other calls are reread."""

_RESTORE: Final = "restore the newest copy of this file, or move it away and let ledger.origin be another name"


class CopiedError(LedgerError):
    """The ledger's file is a copy, and the original may have been signed since it was made.

    `remedy` tells the operator what to do before evidence is signed again.
    """

    def __init__(self) -> None:
        super().__init__(Message("it is a copy of a ledger whose original may have been signed on since"))
        self.remedy = Message(
            "run `idtone restore --here -c FILE`, which begins a ledger that continues this one; FILE has the settings "
            "of this ledger"
        )


CALLS_TOLD: Final = 5
"""Maximum number of calls named in the log when steps are set aside."""

_log = logging.getLogger(__name__)


_INSERT_STEPS: Final = f"INSERT INTO steps ({STEP}, leaf) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own words
_INSERT_HASHES: Final = "INSERT INTO hashes (place, hash) VALUES (?, ?)"
_INSERT_SOUGHT: Final = "INSERT INTO sought (token, step) VALUES (?, ?) ON CONFLICT DO NOTHING"
"""Statement for adding a search entry.

It ignores an existing entry, which only a foreign program can have written, so that the step is still written.
"""


@dataclass
class LogAppend:
    """A transaction's changes, kept in memory after the commit."""

    frontier: Frontier | None
    next_id: int
    calls: dict[str, OpenCall] = field(default_factory=dict)
    """Calls in their state after the transaction."""
    checkpoint: Note | None = None
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    """Rows of the steps, as written."""
    macs: list[bytes] = field(default_factory=list)
    """The MACs of these steps."""
    hashes: list[tuple[int, bytes]] = field(default_factory=list)
    sought: list[tuple[int, int]] = field(default_factory=list)
    aside: SetAside = field(default_factory=SetAside)
    """Steps found that the service did not write."""

    def is_in(self, connection: sqlite3.Connection) -> bool:
        """True if the transaction's steps are the last steps in the database."""
        query = f"SELECT {STEP}, leaf FROM steps WHERE id >= ? ORDER BY id"  # noqa: S608 - of our own words
        return connection.execute(query, (self.rows[0][0],)).fetchall() == self.rows


class LogStore:
    """The Merkle tree in a ledger database, with the calls in progress.

    Create it with `open`. `checkpoint` is the last signed checkpoint. If there is a `refusal`, nothing is signed. `mac`
    is the last step's MAC. Only the ledger writer's thread may use it, except for members marked thread-safe.
    """

    def __init__(
        self,
        key_ring: KeyRing,
        frontier: Frontier | None,
        next_id: int,
        checkpoint: Note | None,
        refusal: str,
        path: Path,
        node: str,
        mac: bytes,
    ) -> None:
        """Use `open` instead.

        `checkpoint` is the last signed checkpoint. If there is a `refusal`, nothing is signed. `mac` is the last step's
        MAC.
        """
        self._signer = key_ring.signer
        self._key = key_ring.step_key
        self._path = path
        self._node = node
        self._mac = mac
        self._aside = SetAside()
        """Steps that were set aside but are not recorded in an act yet."""
        self._is_known_key = True
        """True if the latest steps have MACs made with the node's key. Otherwise, foreign steps cannot be detected."""
        self.quarantined = 0
        """Number of steps in quarantine."""
        self._frontier = frontier
        self._next_id = next_id
        self._open: dict[str, OpenCall] = {}
        self._refusal = refusal
        self._away = ""
        """Reason why the token currently does not sign; empty if it does, or if the key is in a file."""
        self._checkpoint = checkpoint
        self.has_ended = False
        """True if the last leaf ends the log, so that no leaf may follow."""
        self.next_key = ""
        """The next log's key as named in that leaf; empty if it names none."""

    @classmethod
    def open(cls, connection: sqlite3.Connection, path: Path, key_ring: KeyRing, node: str, home: str) -> LogStore:
        """Open an existing database's tree.

        Steps after the service's last step are set aside. If the database differs from what was signed, evidence is
        still written but no longer signed. A damaged tree also receives no more leaves. `home` is the identity of the
        database file. Raises LedgerError if the file with the latest checkpoint cannot be read.
        """
        log, macs = key_ring.signer.key, StepMacs(connection, key_ring.step_key)
        frontier, checkpoint, refusal, aside, unknown_key = None, None, "", None, None
        try:
            held = facts(connection).get(CHECKPOINT)
            kept = _latest(log, held, (key_ring.seen, key_ring.cosigned))
            signed = max((each.size for each in kept.found), default=kept.least)
            try:
                aside = set_aside_end(connection, macs, signed, _now())
            except LedgerError as error:
                unknown_key = error
            size = count_leaves(connection)
            frontier = read_frontier(connection, size)
            if kept.trouble:
                raise kept.trouble
            is_never_signed = held is None and kept.least is None and not kept.found
            # With a token, the leaves may be older than the first signature; their MACs are looked at below.
            if size and not (is_never_signed and isinstance(key_ring.signer, TokenSigner)):
                checkpoint = Note.parse((held or "").encode())
                check_name(Checkpoint.parse(checkpoint.text).origin, log.name)
                verified_checkpoint(checkpoint, log)
            for each in kept.found:
                check_beginning(connection, size, each)
            if unknown_key:
                raise unknown_key
            check_unsigned(connection, macs, signed or 0, frontier)
            _check_home(connection, size, home)
        except (RenamedError, CopiedError) as error:
            checkpoint, refusal = None, _refusing(path, str(error), error.remedy)
        except LedgerError as error:
            checkpoint, refusal = None, _refusing(path, str(error), _RESTORE)
        newest = newest_id(connection)
        query = "SELECT details FROM steps WHERE id = ? AND kind = ?"
        ended = scalar(connection, query, (newest, StepKind.LOG_ENDED.value))
        opened = cls(key_ring, frontier, newest + 1, checkpoint, refusal, path, node, macs.of(newest))
        opened.has_ended = ended is not None
        opened.next_key = "" if ended is None else _next_key(ended)
        opened._aside, opened._is_known_key = aside or SetAside(), aside is not None
        opened._read_calls_in_progress(connection)
        # Steps set aside now are counted after the commit.
        opened.quarantined = int(scalar(connection, "SELECT count(*) FROM quarantine")) - opened._aside.steps
        return opened

    @property
    def has_set_aside(self) -> bool:
        """True if steps were set aside and no act has recorded this yet.

        The caller must then append that act.
        """
        return bool(self._aside)

    def _read_calls_in_progress(self, connection: sqlite3.Connection) -> None:
        """Load the calls in progress into memory, where other programs cannot change them.

        A late decision may still arrive for a call handled by the dialplan.
        """
        macs = StepMacs(connection, self._key)
        for (call_id,) in connection.execute("SELECT call_id FROM in_progress").fetchall():
            call = self._open_call(connection, macs, call_id, self._aside)
            if call.steps and len(self._open) < OPEN_LIMIT:
                self._open[call_id] = call

    def _open_call(self, connection: sqlite3.Connection, macs: StepMacs, call_id: str, aside: SetAside) -> OpenCall:
        call = open_call(connection, call_id)
        if not self._is_known_key:
            return call
        foreign = [step for step in call.steps if not macs.confirms(step, None)]
        if not foreign:
            return call
        aside.add(set_aside_steps(connection, foreign, _now()))
        return call._replace(steps=tuple(step for step in call.steps if step not in foreign))

    @property
    def refusal(self) -> str:
        """Reason why new leaves are not signed; empty if signing works.

        Thread-safe.
        """
        return self._refusal or self._away

    @property
    def checkpoint(self) -> Note | None:
        """The last signed checkpoint on disk; None after signing has stopped.

        Thread-safe.
        """
        return None if self._refusal else self._checkpoint

    @property
    def owes_signature(self) -> bool:
        """True if there are leaves on disk whose head the token has not signed yet."""
        if self._refusal or not self.size:
            return False
        return self._checkpoint is None or Checkpoint.parse(self._checkpoint.text).size < self.size

    @property
    def unsigned_head(self) -> str:
        """Text of the checkpoint that the token has not signed yet; empty if there is none."""
        return self._head(self._frontier).text if self._frontier and self.owes_signature else ""

    def sign_head(self, connection: sqlite3.Connection) -> Note | None:
        """Sign the head of the tree on disk, and write it; None if the token is unavailable.

        Pass the result to `keep_note` after the commit.
        """
        note = self._sign(self._frontier) if self._frontier and not self._refusal else None
        if note:
            connection.execute(SET_META, (CHECKPOINT, str(note)))
        return note

    def keep_note(self, note: Note) -> None:
        """Keep a signed head in memory after its commit."""
        self._checkpoint = note
        if self._away:
            _log.warning("%s: the token signs again: %d leaves are signed", self._path, self.size)
            self._away = ""

    @property
    def next_id(self) -> int:
        return self._next_id

    @property
    def size(self) -> int:
        """Number of leaves; 0 if the tree is damaged."""
        return self._frontier.size if self._frontier else 0

    def unclosed(self) -> list[dict[str, Any]]:
        """Rows, in order, of calls in progress that are in no leaf yet."""
        kept = sorted(step for call in self._open.values() for step in call.steps)
        return [{"node": s.node, "call_id": s.call_id, "kind": s.kind, "at": s.at, "details": s.details} for s in kept]

    def append(self, connection: sqlite3.Connection, rows: Sequence[dict[str, Any]]) -> LogAppend:
        """Write step rows, in order, and the leaves that these steps close.

        If steps were set aside, the act that records this is also written. Pass the result to `keep_committed` after
        the commit.
        """
        appended = LogAppend(self._frontier and self._frontier.copy(), self._next_id)
        appended.aside.add(self._aside)
        for row in rows:
            self._add(connection, appended, row)
        kinds = {row["kind"] for row in rows}
        if appended.aside:
            act = quarantined(new_act_id(), datetime.now(UTC), appended.aside.steps, appended.aside.missing)
            self._add(connection, appended, row_of(self._node, act, _no_key))
            kinds.add(act.kind.value)
        frontier = appended.frontier
        appended.checkpoint = self._sign(frontier) if frontier and appended.hashes and not self._refusal else None
        connection.executemany(_INSERT_STEPS, appended.rows)
        if appended.macs:
            connection.execute(INSERT_MACS, (appended.next_id - 1, b"".join(appended.macs)))
        update_calls_in_progress(connection, self._next_id - 1, kinds)
        connection.executemany(_INSERT_HASHES, appended.hashes)
        connection.executemany(_INSERT_SOUGHT, appended.sought)
        if appended.checkpoint:
            connection.execute(SET_META, (CHECKPOINT, str(appended.checkpoint)))
        return appended

    def _add(self, connection: sqlite3.Connection, appended: LogAppend, row: dict[str, Any]) -> None:
        frontier = appended.frontier
        step = StoredStep(appended.next_id, row["node"], row["call_id"], row["kind"], row["at"], row["details"])
        call = self._call(connection, appended, step) if frontier else OpenCall()
        closes = frontier is not None and (call.over or step.kind in CLOSING)
        leaf = frontier.size if frontier and closes else None
        before = appended.macs[-1] if appended.macs else self._mac
        appended.next_id += 1
        appended.rows.append((*step, leaf))
        appended.macs.append(self._key.mac(before, step, leaf))
        if frontier is None:
            return
        unclosed = (*call.steps, step)
        if not closes:
            appended.calls[step.call_id] = OpenCall(unclosed, call.before)
            return
        place = stored_hashes(frontier.size)
        hashed = frontier.append(leaf_hash(leaf_closed_by(unclosed, call.before)))
        appended.hashes += enumerate(hashed, place)
        keys = {key for each in unclosed for key in search_keys(each.kind, each.details)}
        appended.sought += ((key, step.id) for key in keys)
        appended.calls[step.call_id] = OpenCall((), call.before + len(unclosed), True)

    def continue_from(self, before: LogStore) -> None:
        """Take over the previous log store's memory after the database was reopened."""
        if before._next_id == self._next_id:
            self._open = before._open
        self._away = self._away or before._away
        self._refusal = before._refusal or self._refusal

    def distrust(self, path: Path, reason: str) -> None:
        """Stop signing for the given reason.

        Thread-safe.
        """
        if not self._refusal:
            self._refusal = _refusing(path, reason, _RESTORE)

    def keep_committed(self, appended: LogAppend) -> None:
        """Keep a transaction's changes in memory after its commit."""
        self._frontier, self._next_id = appended.frontier, appended.next_id
        self._mac = appended.macs[-1] if appended.macs else self._mac
        if appended.aside:
            self._aside = SetAside()
            self.quarantined += appended.aside.steps
            _tell_set_aside(self._path, appended.aside)
        if appended.checkpoint:
            self.keep_note(appended.checkpoint)
        for call_id, call in appended.calls.items():
            self._open.pop(call_id, None)
            if not call.over:
                self._open[call_id] = call
        while len(self._open) > OPEN_LIMIT:
            del self._open[next(iter(self._open))]

    def _call(self, connection: sqlite3.Connection, appended: LogAppend, step: StoredStep) -> OpenCall:
        known = appended.calls.get(step.call_id) or self._open.get(step.call_id)
        if known is not None:
            return known
        if step.kind in OPENING and not scalar(
            connection, "SELECT 1 FROM steps WHERE call_id = ? LIMIT 1", (step.call_id,)
        ):
            return OpenCall()
        return self._open_call(connection, StepMacs(connection, self._key), step.call_id, appended.aside)

    def _sign(self, frontier: Frontier) -> Note | None:
        """Sign the tree's head; None if the key is in a token that is unavailable."""
        text = self._head(frontier).text
        try:
            return Note(text, (self._signer.sign(text),))
        except TokenAwayError as error:
            if not self._away:
                _log.error("%s: evidence is written and not signed: %s", self._path, error)
            self._away = str(error)
            return None

    def _head(self, frontier: Frontier) -> Checkpoint:
        return Checkpoint(self._signer.key.name, frontier.size, frontier.root())


class _Latest(NamedTuple):
    """A tree's trusted signed heads.

    `trouble` is the reason why another head cannot be read. If there is no head, `least` is the known number of signed
    leaves, or None if it is possible that none are signed.
    """

    found: list[Checkpoint]
    trouble: LedgerError | None
    least: int | None


def _latest(log: VerifierKey, held: str | None, files: Iterable[CheckpointFile]) -> _Latest:
    found: list[Checkpoint] = []
    trouble: LedgerError | None = None
    for file in files:
        try:
            if latest := file.latest(log):
                found.append(latest[1])
        except LedgerError as error:
            trouble = error
    if held is not None:
        with suppress(LedgerError):  # the next reader reports why
            found.append(verified_checkpoint(Note.parse(held.encode()), log))
    return _Latest(found, trouble, None if held is None and trouble is None else 0)


def check_unsigned(connection: sqlite3.Connection, macs: StepMacs, signed: int, frontier: Frontier) -> None:
    """Raise LedgerError unless the service wrote all steps in the leaves that follow the first `signed` leaves."""
    if frontier.size <= signed:
        return
    closed = "SELECT id FROM steps WHERE leaf = ? ORDER BY id DESC LIMIT 1"
    after = scalar(connection, closed, (signed - 1,)) if signed else 0
    query = "SELECT id, call_id, leaf FROM steps WHERE id > ? AND leaf IS NOT NULL ORDER BY id"
    grown = Frontier.read(signed, partial(read_hashes, connection))
    for number, call_id, leaf in connection.execute(query, (after or 0,)).fetchall():
        call = open_call(connection, call_id, number + 1, leaf)
        if not all(macs.confirms(step, leaf if step.id == number else None) for step in call.steps):
            break
        grown.append(leaf_hash(leaf_closed_by(call.steps, call.before)))
    if (grown.size, grown.root()) != (frontier.size, frontier.root()):
        raise LedgerError(
            "its leaves after the first {signed}, which are signed, are not what was written", signed=signed
        )


def _check_home(connection: sqlite3.Connection, size: int, home: str) -> None:
    """Raise CopiedError if the tree was signed in another file.

    Signing may have continued there.
    """
    made_in = facts(connection).get(HOME)
    if made_in == home:
        return
    if made_in is not None and size:
        raise CopiedError
    connection.execute(SET_META, (HOME, home))


def _now() -> int:
    return microseconds(datetime.now(UTC))


def _no_key(day: str) -> DayKey:
    raise LedgerError(day)


def _tell_set_aside(path: Path, aside: SetAside) -> None:
    _log.error(
        "%s: %d steps were not written by idtone, or were changed (%s); %d more were written and are gone. They are "
        "set aside and not signed: somebody else can write this file. docs/how-to/damaged-evidence.md says what to do",
        path,
        aside.steps,
        ", ".join(list(aside.calls)[:CALLS_TOLD]) or "no call",
        aside.missing,
    )


def _next_key(details: Any) -> str:
    """The next key named at the end of a log; empty if none is named or the end is unreadable.

    Verifiers report an unreadable end.
    """
    with suppress(ValueError, AttributeError, TypeError):
        return str(json.loads(details).get("next_key", ""))
    return ""


def _refusing(path: Path, reason: str, remedy: str) -> str:
    _log.error("%s: %s. Evidence is written and no longer signed: %s", path, reason, remedy)
    return reason
