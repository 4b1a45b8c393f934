"""Readers of a ledger, which change nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, exists, func, or_, select, tuple_

from idtone.errors import LedgerError
from idtone.numbers import Number

from .day_keys import DayKeys
from .leaves import ACT_ID, ACTS, CLOSING, search_key
from .log import Proven, proofs, read_hashes, signed_leaves
from .records import Record, fold
from .schema import check_version, tell_strange
from .sealing import DAY, DayKey, day_of
from .source import Source
from .steps import FIRST, Step, StepKind
from .tables import CHECKPOINT, meta, microseconds, moment, sought, step_of, steps
from .tree.checkpoints import Checkpoint
from .tree.merkle import consistency_proof
from .tree.notes import Note, VerifierKey
from .verifying import Verdict, verify

PAGE_ROWS: Final = 500
"""Rows that a reader fetches in one transaction, which is how long it can hold up the writer's commit."""
OPEN_FOR: Final = timedelta(hours=1)
"""A call without an end is taken to be still going on for this long after its decision."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The ledger's size in steps: in all, and since a moment, of which `first_at` is the first."""

    steps: int
    recent: int
    first_at: datetime


def newest(records: Iterable[Record], limit: int | None) -> list[Record]:
    """The first `limit` of records that come with the latest first, by their beginnings, the newest last."""
    found = list(islice(records, limit))
    found.reverse()  # calls of one instant stay in the order of their writing
    return sorted(found, key=lambda record: record.steps[0].at)


class LedgerReader:
    """Reads a ledger, also while it is being written. Can be used from any thread."""

    def __init__(self, database: Source, days: DayKeys | None = None, node: str | None = None) -> None:
        """Without `days` the numbers stay sealed. `node` is whose all records are; None: whose each step says.

        Raises LedgerError where this version cannot read it.
        """
        self._database = database
        self._days = days
        self._node = node
        with database.reading() as connection:
            check_version(connection, database.name)
            tell_strange(connection, database.name)

    @classmethod
    def open(cls, url: str, days: DayKeys | None = None) -> Self:
        """A node's own ledger. Raises LedgerError where there is none, or none that this version can read."""
        return cls(Source.in_file(url), days)

    def record(self, call_id: str) -> Record | None:
        """The evidence of one call, or None where the ledger does not know it."""
        return next(iter(self._records([call_id])), None)

    def acts(self) -> list[Step]:
        """What the keepers of the ledger have done with it, in the order of writing."""
        named = steps.c.call_id.between(ACT_ID, f"{ACT_ID}~")  # their ids are indexed, and their kinds are not
        query = select(steps).where(named, steps.c.kind.in_(ACTS)).order_by(steps.c.id)
        return [step_of(row, self._key_of) for row in self._fetch(query)]

    def knows(self, call_id: str) -> bool:
        return bool(self._fetch(select(steps.c.id).where(steps.c.call_id == call_id).limit(1)))

    def call_ids(self, beginning: str, limit: int) -> list[str]:
        """Those that begin so: the `limit` last ones by their order, which for Asterisk's are the newest."""
        # No BETWEEN: PostgreSQL takes none with a collation.
        named = steps.c.call_id >= beginning, steps.c.call_id <= f"{beginning}\U0010ffff"
        query = select(steps.c.call_id).distinct().where(*named).order_by(steps.c.call_id.desc()).limit(limit)
        return [row.call_id for row in self._fetch(query)]

    def over_since(self, place: int) -> tuple[int, list[Record]]:
        """The calls of which a step after this one says that they are over, in this order, and the place to go on from.

        Each is among them once. A place that the ledger has not come to is that of one that was set aside.
        """
        last = self.newest_place()
        before = steps.alias()
        earlier = exists().where(
            before.c.call_id == steps.c.call_id, before.c.kind.in_(CLOSING), before.c.id < steps.c.id
        )
        after = steps.c.id.between((place if place <= last else 0) + 1, last)
        query = select(steps.c.call_id).where(after, steps.c.kind.in_(CLOSING), ~earlier).order_by(steps.c.id)
        ids = list(dict.fromkeys(row.call_id for row in self._fetch(query)))
        found = {record.call_id: record for record in self._records(ids)}
        return last, [found[call_id] for call_id in ids if call_id in found]

    def newest_place(self) -> int:
        """The id of the latest step, 0 where there is none."""
        (newest,) = self._fetch(select(func.max(steps.c.id).label("id")))
        return newest.id or 0

    def records(
        self,
        call_id: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        until: datetime | None = None,
        keep: Callable[[Record], bool] = lambda record: True,
    ) -> list[Record]:
        """Whole calls of which a step happened from `since` on and before `until`, where `keep` says so of the record.

        The `limit` newest, newest last.
        """
        return newest(filter(keep, self.each(call_id, since, until)), limit)

    def each(
        self, call_id: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Record]:
        """The same calls one by one, that with the latest step first."""
        query = select(steps.c.id, steps.c.at, steps.c.call_id)
        if call_id is not None:
            query = query.where(steps.c.call_id == call_id)
        if since is not None:
            query = query.where(steps.c.at >= microseconds(since))
        if until is not None:
            query = query.where(steps.c.at < microseconds(until))
        calls = self._newest_calls(query)
        while part := list(islice(calls, PAGE_ROWS // 5)):
            records = {record.call_id: record for record in self._records(part)}
            for name in part:
                if name not in records:
                    raise self._misled(name)
                yield records[name]

    def find(
        self, number: Number, now: datetime, start: datetime | None = None, end: datetime | None = None
    ) -> list[Record]:
        """Calls that this number had a part in and that began from `start` on and before `end`, newest last.

        Those of days whose key is destroyed are not found. Raises LedgerError where there are no keys here.
        """
        if self._days is None:
            raise LedgerError("numbers can be found with the ledger's key only: run this as a user who may read it")
        keys = [
            self._days.get(day)
            for day in self._days.days()
            if (start is None or day >= day_of(start)) and (end is None or day <= day_of(end))
        ]
        wanted = [search_key(key.token(number)) for key in keys if key]
        closing: list[str] = []
        for first in range(0, len(wanted), PAGE_ROWS):
            part = sought.c.token.in_(wanted[first : first + PAGE_ROWS])
            query = select(steps.c.call_id).join(sought, sought.c.step == steps.c.id).where(part)
            closing += (row.call_id for row in self._fetch(query))
        young = steps.c.at > microseconds(now - OPEN_FOR)
        theirs = [
            steps.c.details.contains(key.token(number)) for key in keys if key and key.day >= day_of(now - OPEN_FOR)
        ]
        in_progress = self._endless(and_(young, or_(*theirs))) if theirs else []
        found = {record.call_id: record for record in self._records([*closing, *in_progress])}
        return [
            record
            for record in sorted(found.values(), key=lambda record: record.steps[0].at)
            if number in record.opened.values()
            and (start is None or record.steps[0].at >= start)
            and (end is None or record.steps[0].at < end)
        ]

    def open_calls(self, now: datetime) -> list[Record]:
        """Calls decided less than `OPEN_FOR` before `now` whose end nobody has written, for the service to take up."""
        return self._records(self._endless(steps.c.at > microseconds(now - OPEN_FOR)))

    def lost_calls(self, now: datetime) -> list[str]:
        """Calls without an end that are too old for `open_calls`, of the last day on which anything was written.

        The service that decided them has not lived to see their end, and no other takes them up.
        """
        newest = self._fetch(select(func.max(steps.c.at).label("at")))[0].at
        if newest is None:
            return []
        first = newest - timedelta(days=1) // timedelta(microseconds=1)
        return self._endless(steps.c.at.between(first, microseconds(now - OPEN_FOR)))

    def _endless(self, when: ColumnElement[bool]) -> list[str]:
        """The calls that began then of which nobody has written the end."""
        over = steps.alias()
        query = select(steps.c.call_id).where(
            when,
            steps.c.kind.in_(FIRST),
            ~exists().where(over.c.call_id == steps.c.call_id, over.c.kind.in_(CLOSING)),
        )
        return list(dict.fromkeys(row.call_id for row in self._fetch(query)))

    def times(self, call_ids: Iterable[str]) -> dict[str, dict[str, datetime]]:
        """Of each of these calls when each kind of step that is in the ledger happened first."""
        found: dict[str, dict[str, datetime]] = {name: {} for name in call_ids}
        wanted = list(found)
        for first in range(0, len(wanted), PAGE_ROWS):
            part = steps.c.call_id.in_(wanted[first : first + PAGE_ROWS])
            query = select(steps.c.call_id, steps.c.kind, steps.c.at).where(part).order_by(steps.c.id)
            for row in self._fetch(query):
                found[row.call_id].setdefault(row.kind, moment(row.at))
        return found

    def extent(self, since: datetime) -> Extent | None:
        """How much was written, without counting rows; None where nothing was since then."""
        (newest,) = self._fetch(select(func.max(steps.c.id).label("id")))
        first = self._fetch(
            select(steps.c.id, steps.c.at).where(steps.c.at >= microseconds(since)).order_by(steps.c.at).limit(1)
        )
        if not first:
            return None
        return Extent(newest.id, newest.id - first[0].id + 1, moment(first[0].at))

    def verify(
        self,
        log: VerifierKey,
        notes: Iterable[tuple[str, Note]] = (),
        with_days: bool = True,
        progress: Callable[[int, int], None] = lambda steps, all_of_them: None,
    ) -> Verdict:
        """Whether all of it is what `log` signed (`verifying`); `notes` are checkpoints and where they come from.

        `with_days`: also whether the keys of its days are there, where this reader has keys. `progress` is told how
        many steps have been read, and of how many.
        """
        knows = self._days.knows if self._days and with_days else lambda day: True
        with self._database.explaining():
            return verify(self._database.engine, log, notes, knows, progress)

    def signed_leaves(self, log: VerifierKey, kept: Iterable[Checkpoint]) -> int:
        """How many leaves the tree has, all signed, where it begins with the checkpoints that were kept.

        A quick look at its head alone. Raises LedgerError where it is not so.
        """
        with self._database.reading() as connection:
            return signed_leaves(connection, log, kept)

    def consistency(self, old: int, size: int) -> Sequence[bytes]:
        """The proof that the tree of `old` leaves is the beginning of that of `size`. Raises LedgerError."""
        with self._database.reading() as connection:
            return consistency_proof(old, size, lambda places: read_hashes(connection, places))

    def proofs(self, call_id: str, cosigned: Note | None = None) -> list[Proven]:
        """The proof of each leaf of a call, its record first; empty where none of it is in the tree yet.

        They lead to the `cosigned` checkpoint where that holds them all, else to the ledger's own.
        Raises LedgerError where the ledger has no signed checkpoint that holds them.
        """
        with self._database.reading() as connection:
            return proofs(connection, call_id, cosigned)

    def origin(self) -> str | None:
        """By which name the tree was signed last, whoever did it; None where it was not. Raises LedgerError."""
        held = self._fetch(select(meta.c.value).where(meta.c.key == CHECKPOINT))
        return str(held[0].value).partition("\n")[0] if held else None

    def continues(self) -> Step | None:
        """What the ledger's first step says of the one before it; None where it is the first. Raises LedgerError."""
        rows = self._fetch(select(steps).where(steps.c.id == 1, steps.c.kind == StepKind.CONTINUED.value))
        return step_of(rows[0], self._key_of) if rows else None

    def close(self) -> None:
        self._database.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _newest_calls(self, query: Select[Any]) -> Iterator[str]:
        """The distinct call ids of a query over steps, the latest step's first."""
        page = query.order_by(steps.c.at.desc(), steps.c.id.desc()).limit(PAGE_ROWS)
        seen: set[str] = set()
        rows = self._fetch(page)
        while rows:
            for row in rows:
                if row.call_id not in seen:
                    seen.add(row.call_id)
                    yield row.call_id
            last = rows[-1]
            rows = self._fetch(page.where(tuple_(steps.c.at, steps.c.id) < (last.at, last.id)))

    def _records(self, call_ids: Iterable[str]) -> list[Record]:
        wanted = list(call_ids)
        found: dict[str, list[Row[Any]]] = {}
        for start in range(0, len(wanted), PAGE_ROWS // 5):
            part = wanted[start : start + PAGE_ROWS // 5]
            for row in self._fetch(_OF_CALLS.params(calls=part)):
                if row.call_id not in part:
                    raise self._misled(row.call_id)
                found.setdefault(row.call_id, []).append(row)
        calls = sorted(found.values(), key=lambda rows: (rows[0].at, rows[0].id))
        return [fold(self._node or rows[0].node, [step_of(row, self._key_of) for row in rows]) for rows in calls]

    def _misled(self, call_id: str) -> LedgerError:
        return LedgerError(
            f"{self._database.name}: an index does not lead to the steps of its calls ({call_id}): "
            "run `idtone ledger verify`, and rebuild them: sqlite3 FILE REINDEX"
        )

    def record_key(self, call_id: str) -> bytes | None:
        """The key that opens the numbers of this call alone; None where there is none, or its day's is destroyed.

        Raises LedgerError where the numbers are not what was sealed.
        """
        query = select(steps.c.details).where(steps.c.call_id == call_id, steps.c.kind.in_(FIRST))
        for row in self._fetch(query.order_by(steps.c.id).limit(1)):
            details = json.loads(row.details)
            key = self._key_of(details.get(DAY, "")) if DAY in details else None
            return key.record_key(call_id, details) if key else None
        return None

    def _key_of(self, day: str) -> DayKey | None:
        return self._days.get(day) if self._days else None

    def _fetch(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._database.reading() as connection:
            return connection.execute(query).fetchall()


_named: Final = steps.alias()
# By their ids: else SQLite has the call's id from the index, whatever the step says.
_OF_CALLS: Final = (
    select(steps)
    .where(steps.c.id.in_(select(_named.c.id).where(_named.c.call_id.in_(bindparam("calls", expanding=True)))))
    .order_by(steps.c.id)
)
