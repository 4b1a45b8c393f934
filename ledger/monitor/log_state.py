"""The SQLite file in which a monitor stores what it knows about a log.

Each part of the work is one transaction. The file grows by about 25 bytes per call, because the monitor counts each
call's steps. Everything else is small and stays in memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from idtone.core.errors import LedgerError, ProofError
from idtone.core.signed_notes import Note
from idtone.core.translation import Message

from ..evidence.leaf_rules import ReadLeaf, StepOrder
from ..evidence.log_ends_given_up import KINDS, LIMIT, EndsGivenUp
from ..keys.private_files import make_parents
from ..tree.checkpoints import Checkpoint
from .alarms import IN_FILES, LASTING, Alarm, AlarmKind, Coverage

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS calls (call BLOB PRIMARY KEY, steps INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (call BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarms (kind TEXT, text TEXT, since TEXT NOT NULL, proof TEXT, PRIMARY KEY (kind, text));
CREATE TABLE IF NOT EXISTS known (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_PAGES_KB: Final = 8192
_NAME_BYTES: Final = 16
ALARMS_LIMIT: Final = 100
"""Maximum number of alarms of each kind that are kept for a log."""


@dataclass
class PendingHead:
    """A head that a witness or a copy has shown but the log itself has not reached yet."""

    note: Note
    since: datetime

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint.parse(self.note.text)


@dataclass
class Known:
    """The verified part of a monitored log."""

    head: Note | None = None
    """The newest head whose tree continues everything seen before."""
    checked: int = 0
    """Number of leaves that were compared with the signatures and checked against the rules."""
    audited: int = 0
    """Number of the next full tile to reread."""
    grown: datetime | None = None
    looked: datetime | None = None
    order: StepOrder = field(default_factory=StepOrder)
    has_ended: bool = False
    """True if the log's last leaf ends it."""
    gives_up: list[tuple[str, str, int, dict[str, Any]]] = field(default_factory=list)
    """Id, kind, time and details of the log's acts that give up earlier logs' ends or continue an earlier log."""
    coverage: dict[str, Coverage] = field(default_factory=dict)
    pending: dict[str, PendingHead] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Checkpoint | None:
        return Checkpoint.parse(self.head.text) if self.head else None

    @property
    def ends_given_up(self) -> EndsGivenUp:
        """Statements of the log about the ends of earlier logs."""
        found = EndsGivenUp()
        for act in self.gives_up:
            found.add_act(*act)
        return found

    def note_given_up(self, read: ReadLeaf) -> None:
        """Keep a leaf's act if it gives up an earlier log's end or continues an earlier log, up to `LIMIT` acts."""
        if read.kinds[0] in KINDS and read.act is not None and len(self.gives_up) < LIMIT:
            self.gives_up.append((read.call_id, read.kinds[0], read.times[0], dict(read.act)))


class _DamagedError(Exception):
    def __str__(self) -> str:
        return "it is damaged"


class LogState:
    """The state of a monitored log, stored in a file.

    Open it with `opened`. It contains the counts and requests for `LeafRules`, the verified part (`Known`), and the
    alarms.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.counts = _Counts(database)
        self.requests = _Requests(database)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[LogState]:
        """Open the state of a monitored log.

        Raises LedgerError if the file cannot be used, even later in the `with` block.
        """
        try:
            make_parents(path)
            with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as database:
                database.execute(f"PRAGMA cache_size=-{_PAGES_KB}")
                database.executescript(_SCHEMA)
                yield cls(database)
        except (OSError, sqlite3.Error, _DamagedError) as error:
            raise LedgerError(
                "{path}: what is known of the log cannot be kept: {error}; if the file is damaged, remove it, and "
                "the log is read from its beginning",
                path=path,
                error=error,
            ) from error

    @contextmanager
    def transaction(self, known: Known) -> Iterator[None]:
        """Store the block's changes and the final state of `known` in one transaction."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.executemany("REPLACE INTO known VALUES (?, ?)", _texts(known).items())
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def known(self) -> Known:
        texts = dict(self._database.execute("SELECT name, value FROM known"))
        try:
            return _known(texts)
        except (ValueError, LookupError, TypeError, ProofError) as error:
            raise _DamagedError from error

    def alarms(self) -> list[Alarm]:
        """Alarms about the log, worst kind first."""
        order = list(AlarmKind)
        rows = self._database.execute("SELECT kind, text, since, proof FROM alarms ORDER BY since").fetchall()
        found = [
            Alarm(AlarmKind(kind), _message(json.loads(text)), datetime.fromisoformat(since), proof)
            for kind, text, since, proof in rows
        ]
        return sorted(found, key=lambda alarm: order.index(alarm.kind))

    def raise_alarms(self, alarms: Iterable[Alarm], seen: Collection[AlarmKind] = ()) -> None:
        """Replace the alarms with those from the current round.

        `seen` contains the kinds in `IN_FILES` whose files this round has read. A continuing alarm keeps its `since`.
        All other alarms end, except for kinds in `LASTING` and kinds in `IN_FILES` that are not in `seen`.
        """
        now = {(str(each.kind), _text(each)): each for each in alarms}
        stay = LASTING | IN_FILES.difference(seen)
        over = [key for key in self._held() if key not in now and AlarmKind(key[0]) not in stay]
        self._database.executemany("DELETE FROM alarms WHERE kind = ? AND text = ?", over)
        self.add_alarms(now.values())

    def add_alarms(self, alarms: Iterable[Alarm]) -> None:
        """Add alarms from the current round.

        An existing alarm keeps its `since`.
        """
        now = {(str(each.kind), _text(each)): each for each in alarms}
        held = self._held()
        room = {kind: ALARMS_LIMIT - count for kind, count in Counter(kind for kind, _ in held).items()}
        for key, each in now.items():
            room.setdefault(each.kind, ALARMS_LIMIT)
            if key not in held and room[each.kind] > 0:
                room[each.kind] -= 1
                self._database.execute(
                    "INSERT INTO alarms VALUES (?, ?, ?, ?)", (*key, each.since.isoformat(), each.proof)
                )

    def _held(self) -> list[tuple[str, str]]:
        return self._database.execute("SELECT kind, text FROM alarms").fetchall()


def _name(call_id: str) -> bytes:
    """A call's name in the file. A log that creates two calls with the same name harms only its own evidence."""
    return sha256(call_id.encode(errors="surrogatepass")).digest()[:_NAME_BYTES]


class _Counts:
    """`leaf_rules.StepCounts`, stored on disk."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def get(self, call_id: str, default: int, /) -> int:
        found = self._database.execute("SELECT steps FROM calls WHERE call = ?", (_name(call_id),)).fetchone()
        return default if found is None else int(found[0])

    def __setitem__(self, call_id: str, count: int, /) -> None:
        self._database.execute("REPLACE INTO calls VALUES (?, ?)", (_name(call_id), count))


class _Requests:
    """`leaf_rules.RequestIds`, stored on disk."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def add(self, call_id: str, /) -> None:
        self._database.execute("INSERT OR IGNORE INTO requests VALUES (?)", (_name(call_id),))

    def __contains__(self, call_id: object, /) -> bool:
        found = self._database.execute("SELECT 1 FROM requests WHERE call = ?", (_name(str(call_id)),))
        return found.fetchone() is not None


# -- as text ----------------------------------------------------------------------------------------------------------


def _texts(known: Known) -> dict[str, str]:
    values: dict[str, Any] = {
        "head": str(known.head) if known.head else None,
        "checked": known.checked,
        "audited": known.audited,
        "grown": _iso(known.grown),
        "looked": _iso(known.looked),
        "reached": known.order.reached,
        "missing": known.order.missing,
        "has_ended": known.has_ended,
        "gives_up": known.gives_up,
        "coverage": {name: (each.size, each.waiting, _iso(each.since)) for name, each in known.coverage.items()},
        "pending": {name: (str(each.note), _iso(each.since)) for name, each in known.pending.items()},
    }
    return {name: json.dumps(value) for name, value in values.items()}


def _known(texts: dict[str, str]) -> Known:
    if not texts:
        return Known()
    values = {name: json.loads(text) for name, text in texts.items()}
    return Known(
        Note.parse(values["head"].encode()) if values["head"] else None,
        values["checked"],
        values["audited"],
        _moment(values["grown"]),
        _moment(values["looked"]),
        StepOrder(values["reached"], values["missing"]),
        values["has_ended"],
        [(call_id, kind, at, details) for call_id, kind, at, details in values.get("gives_up", [])],
        {name: Coverage(size, waiting, _moment(at)) for name, (size, waiting, at) in values["coverage"].items()},
        {
            name: PendingHead(Note.parse(note.encode()), datetime.fromisoformat(since))
            for name, (note, since) in values["pending"].items()
        },
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(alarm: Alarm) -> str:
    return json.dumps(_parts(alarm.text), ensure_ascii=False)


def _parts(text: object) -> object:
    """A message's template and fields, which are stored so that it can be shown in any language."""
    if not isinstance(text, Message):
        return text if isinstance(text, int | str) else str(text)
    return [text.template, {name: _parts(value) for name, value in text.fields.items()}]


def _message(parts: Any) -> Any:
    if not isinstance(parts, list):
        return parts
    template, fields = parts
    return Message(template, **{name: _message(value) for name, value in fields.items()})
