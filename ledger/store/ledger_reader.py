"""Read access to one ledger's calls, acts and proofs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from types import TracebackType
from typing import Any, Final, Self

from idtone.core.errors import LedgerError, UsageError
from idtone.core.numbers import Number
from idtone.core.signed_notes import Note, VerifierKey

from ..evidence.call_record import Record, record_of_steps
from ..evidence.leaves import ACT_ID, ACTS, AFTER_ACTS, CLOSING, StoredStep, search_digits, search_key
from ..evidence.steps import DAY, FIRST, Step, StepKind
from ..keys.day_keys import DayKeys
from ..keys.sealing import DayKey, day_of
from ..keys.step_key import StepKey
from ..tree.checkpoints import Checkpoint
from ..tree.merkle import consistency_proof
from .database import Database, literals, placeholders
from .meta import CHECKPOINT, facts
from .proven_leaf import ProvenLeaf, prove
from .schema import check_version, log_unexpected_entries
from .sqlite import READER_PATIENCE_S
from .step_rows import microseconds, moment, step_of
from .stored_tree import STEP, count_leaves, read_hashes, signed_leaves

_CANDIDATES: Final = 5
"""Maximum number of call ids shown in an error."""

OF_THE_LEDGER: Final = frozenset(map(StepKind, ACTS)) - {StepKind.DUTY}
"""Keepers' acts that concern the ledger, and events in the ledger itself."""
PAGE_ROWS: Final = 500
"""Number of rows that a reader fetches per transaction. Reading them can delay the writer's commit."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Number of a ledger's steps, in total and since a given time.

    `first_at` is the time of the first step in that period.
    """

    steps: int
    recent: int
    first_at: datetime


@dataclass(frozen=True, slots=True)
class OpenCalls:
    """Calls without a recorded end, by call id, oldest first.

    The records contain all steps up to the id `place`. Steps after that may be missing.
    """

    place: int
    records: Mapping[str, Record]


def newest(records: Iterable[Record], limit: int | None) -> list[Record]:
    """The first `limit` of `records`, reordered with the newest last.

    `records` must be sorted with the newest first.
    """
    found = list(islice(records, limit))
    found.reverse()  # calls of one instant stay in the order of their writing
    return sorted(found, key=lambda record: record.steps[0].at)


class LedgerReader:
    """Reads a ledger's calls, acts and proofs, even while the ledger is being written.

    Without `days`, telephone numbers stay sealed. `node` overrides the node in all records. The reader keeps no
    connection open between reads. Thread-safe. Raises LedgerError if this version cannot read the ledger.
    """

    def __init__(self, database: Database, days: DayKeys | None = None, node: str | None = None) -> None:
        """Open the ledger.

        Without `days`, the numbers stay sealed. `node` overrides the node in all records. If it is None, each step
        names its own node.

        Raises LedgerError if this version cannot read the ledger.
        """
        self.database = database
        self._days = days
        self._node = node
        with database.reading() as connection:
            check_version(connection, database.name)
            log_unexpected_entries(connection, database.name)

    @classmethod
    def open(cls, url: str, days: DayKeys | None = None, patience_s: float = READER_PATIENCE_S) -> Self:
        """Open a node's own ledger for reading.

        Each read waits up to `patience_s` seconds for the writer's lock. Raises LedgerError if the ledger does not
        exist, or if this version cannot read it.
        """
        return cls(Database.in_file(url, patience_s), days)

    @contextmanager
    def on_one_connection(self) -> Iterator[Self]:
        """Reuse one connection for several short reads of one thread.

        Raises LedgerError.
        """
        with self.database.on_one_connection() as database:
            held = copy(self)
            held.database = database
            yield held

    def record(self, call_id: str) -> Record | None:
        """The evidence about one call; None if the ledger has no such call."""
        return next(iter(self.records_of([call_id])), None)

    def acts(self, kinds: frozenset[StepKind] = OF_THE_LEDGER) -> list[Step]:
        """Acts of the given kinds, in the order in which they were written."""
        # Their ids are indexed, and their kinds are not.
        query = (
            f"SELECT {STEP} FROM steps WHERE call_id >= ? AND call_id < ? AND kind IN ({literals(kinds)}) ORDER BY id"  # noqa: S608
        )
        return [step_of(StoredStep._make(row), self._key_of) for row in self._all(query, ACT_ID, AFTER_ACTS)]

    def decided_by_minute(self, since: datetime, until: datetime) -> list[tuple[datetime, str, int]]:
        """The number of calls decided in each minute, by outcome, as (minute, outcome, count).

        `since` is inclusive, and `until` is exclusive. Calls that ended before a decision have the outcome ''. Works
        only with a node's own ledger in SQLite.
        """
        query = (
            "SELECT at / 60000000, coalesce(json_extract(details, '$.outcome'), ''), count(*) FROM steps "  # noqa: S608
            f"WHERE at >= ? AND at < ? AND kind IN ({_FIRST}) GROUP BY 1, 2"
        )
        rows = self._all(query, microseconds(since), microseconds(until))
        return [(moment(minute * 60_000_000), outcome, count) for minute, outcome, count in rows]

    def knows(self, call_id: str) -> bool:
        return bool(self._all("SELECT 1 FROM steps WHERE call_id = ? LIMIT 1", call_id))

    def tokens(self, numbers: Iterable[Number], day: str) -> frozenset[str]:
        """Search tokens for telephone numbers on a day; empty if the day key is not available."""
        key = self._key_of(day)
        return frozenset(map(key.token, numbers)) if key else frozenset()

    @property
    def days(self) -> DayKeys | None:
        """The keys that open sealed numbers; None if the reader has no keys."""
        return self._days

    def step_key(self, origin: str) -> StepKey | None:
        """The key for MACs on the steps in the tree `origin`; None if the reader has no keys."""
        return self._days.ledger_key.step_key(origin) if self._days else None

    def call_ids(self, beginning: str, limit: int) -> list[str]:
        """The last `limit` call ids that begin with `beginning`, in descending order.

        Ids created by Asterisk sort by time, so these are the newest calls.
        """
        query = "SELECT DISTINCT call_id FROM steps WHERE call_id >= ? AND call_id <= ? ORDER BY call_id DESC LIMIT ?"
        return [call_id for (call_id,) in self._all(query, beginning, f"{beginning}\U0010ffff", limit)]

    def ended_since(self, place: int) -> tuple[int, list[Record]]:
        """Calls that ended after the step `place`, in order, and the place from which to continue.

        A place beyond the end belongs to a ledger that was set aside, and is treated as 0.
        """
        last = self.newest_place()
        rows = self._all(_OVER_BETWEEN, (place if place <= last else 0) + 1, last)
        ids = list(dict.fromkeys(call_id for (call_id,) in rows))
        found = {record.call_id: record for record in self.records_of(ids)}
        return last, [found[call_id] for call_id in ids if call_id in found]

    def first_at(self) -> datetime | None:
        """Time of the earliest step; None if the ledger is empty."""
        ((first,),) = self._all("SELECT min(at) FROM steps")
        return None if first is None else moment(first)

    def newest_place(self) -> int:
        """Id of the latest step; 0 if the ledger is empty."""
        ((newest,),) = self._all("SELECT max(id) FROM steps")
        return newest or 0

    def place_before(self, at: datetime) -> int:
        """Id of the step that precedes the first step written since `at`.

        Equals `newest_place` if no step was written since `at`.
        """
        since = self.extent(at)
        return since.steps - since.recent if since else self.newest_place()

    def steps_in_order(self, after: int, until: int, kinds: frozenset[StepKind]) -> Iterator[StoredStep]:
        """Stored steps of the given kinds, in the order in which they were written.

        `after` is exclusive, and `until` is inclusive.
        """
        query = f"SELECT {STEP} FROM steps WHERE id > ? AND id <= ? AND kind IN ({literals(kinds)}) ORDER BY id LIMIT ?"  # noqa: S608
        while rows := self._all(query, after, until, PAGE_ROWS):
            yield from map(StoredStep._make, rows)
            after = rows[-1][0]

    def changed_records(self, after: int, until: int) -> Iterator[tuple[Record | None, Record]]:
        """Yield each call that changed between two steps, as its earlier and its later record.

        The earlier record shows the call as of the step `after`, or is None for a new call. The later record shows it
        as of the step `until`.
        """
        calls = iter(dict.fromkeys(call_id for (call_id,) in self._all(_CALLS_BETWEEN, after, until)))
        while part := list(islice(calls, PAGE_ROWS // 5)):
            query = f"SELECT call_id, {_UP_TO}, {_UP_TO} FROM steps WHERE call_id IN ({placeholders(part)}) GROUP BY 1"  # noqa: S608
            counts = {name: (old, new) for name, old, new in self._all(query, after, until, *part)}
            for record in self.records_of(part):
                old, new = counts[record.call_id]
                steps = record.steps
                now = record if new == len(steps) else record_of_steps(record.node, steps[:new])
                yield (record_of_steps(record.node, steps[:old]) if old else None), now

    def records(
        self,
        call_id: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        until: datetime | None = None,
        keep: Callable[[Record], bool] = lambda record: True,
    ) -> list[Record]:
        """Complete calls with a step at or after `since` and before `until`, newest last.

        `keep` filters the records. With `limit`, only the newest calls are returned.
        """
        return newest(filter(keep, self.each_record(call_id, since, until)), limit)

    def each_record(
        self, call_id: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Record]:
        """Yield complete calls one by one, starting with the call that has the latest step.

        `since` is inclusive, and `until` is exclusive. Clock records are yielded only if their id is given.
        """
        conditions = [] if call_id else [f"kind <> '{StepKind.CLOCK}'"]
        values: list[object] = []
        for condition, value in (
            ("call_id = ?", call_id),
            ("at >= ?", None if since is None else microseconds(since)),
            ("at < ?", None if until is None else microseconds(until)),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        calls = self._newest_calls(conditions, values)
        while part := list(islice(calls, PAGE_ROWS // 5)):
            records = {record.call_id: record for record in self.records_of(part)}
            for name in part:
                if name not in records:
                    raise self._misled(name)
                yield records[name]

    def find(
        self,
        number: Number,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
    ) -> list[Record]:
        """A number's calls that began at or after `start` and before `end`, newest last.

        With `limit`, only the newest calls are returned. Calls on days whose key is destroyed are not found. Raises
        LedgerError if the reader has no keys.
        """
        return self._find(
            lambda key: key.token(number), lambda record, _: number in record.clear_numbers.values(), start, end, limit
        )

    def find_sip_call_id(
        self, sip_call_id: str, start: datetime | None = None, end: datetime | None = None
    ) -> list[Record]:
        """Calls in which the caller's channel had the given SIP Call-ID, newest last.

        `start` is inclusive, and `end` is exclusive. Calls on days whose key is destroyed are not found. Raises
        LedgerError if the reader has no keys.
        """
        return self._find(
            lambda key: key.sip_call_id_token(sip_call_id),
            lambda record, tokens: record.sip_call_id_token in tokens,
            start,
            end,
        )

    def _find(
        self,
        token_of: Callable[[DayKey], str],
        has: Callable[[Record, Sequence[str]], bool],
        start: datetime | None,
        end: datetime | None,
        limit: int | None = None,
    ) -> list[Record]:
        """Find calls that have one of the tokens.

        `token_of` computes the token for a day. `has` decides whether a record matches.
        """
        if self._days is None:
            raise LedgerError("numbers can be found with the ledger's key only: run this as a user who may read it")
        keys = [
            self._days.get(day)
            for day in self._days.days()
            if (start is None or day >= day_of(start)) and (end is None or day <= day_of(end))
        ]
        tokens = [token_of(key) for key in keys if key]
        found: dict[str, Record] = {}
        for call_ids in chain([self._in_progress_with(tokens)], self._over_with(tokens, limit)):
            found |= {
                record.call_id: record
                for record in self.records_of(call_ids)
                if has(record, tokens)
                and (start is None or record.steps[0].at >= start)
                and (end is None or record.steps[0].at < end)
            }
            if limit is not None and len(found) >= limit:
                break
        ordered = sorted(found.values(), key=lambda record: record.steps[0].at)
        return ordered if limit is None else ordered[-limit:]

    def _in_progress_with(self, tokens: Sequence[str]) -> list[str]:
        query = f"SELECT call_id, details FROM steps WHERE call_id IN ({_IN_PROGRESS}) AND kind IN ({_FIRST})"  # noqa: S608
        digits = {token[:16] for token in tokens}
        return [call_id for call_id, details in self._all(query) if not digits.isdisjoint(search_digits(details))]

    def _over_with(self, tokens: Sequence[str], limit: int | None) -> Iterator[list[str]]:
        """Yield ids of finished calls that have one of the tokens, in parts, newest first.

        The tokens must be in the order of their days. `limit` is the number of calls that usually suffices.
        """
        days, calls = (PAGE_ROWS, PAGE_ROWS // 5) if limit is None else (_WEEK, min(limit, PAGE_ROWS // 5))
        for last in range(len(tokens), 0, -days):
            part = [search_key(token) for token in tokens[max(last - days, 0) : last]]
            tokens_here = placeholders(part)
            within = f"SELECT step FROM sought WHERE token IN ({tokens_here}) AND step < ? ORDER BY step DESC LIMIT ?"  # noqa: S608
            query = f"SELECT id, call_id FROM steps WHERE id IN ({within}) ORDER BY id DESC"  # noqa: S608
            before = _NO_STEP
            while rows := self._all(query, *part, before, calls):
                yield [call_id for _, call_id in rows]
                before = rows[-1][0]

    def open_calls(self, earlier: OpenCalls | None = None) -> OpenCalls:
        """Calls without a recorded end, however old.

        Because a record takes 0.2 ms to read, calls without a new step are copied from the `earlier` result.
        """
        place = self.newest_place()
        known = dict(earlier.records) if earlier and earlier.place <= place else {}
        if earlier and known:
            for (call_id,) in self._all(_CALLS_BETWEEN, earlier.place, place):
                known.pop(call_id, None)
        wanted = [call_id for (call_id,) in self._all(_IN_PROGRESS)]
        read = {record.call_id: record for record in self.records_of(name for name in wanted if name not in known)}
        both = known | read
        begun = sorted((both[name] for name in wanted if name in both), key=lambda record: record.steps[0].at)
        return OpenCalls(place, {record.call_id: record for record in begun})

    def times(self, call_ids: Iterable[str]) -> dict[str, dict[str, datetime]]:
        """For each call, the time of the first step of each kind."""
        found: dict[str, dict[str, datetime]] = {name: {} for name in call_ids}
        wanted = list(found)
        for first in range(0, len(wanted), PAGE_ROWS):
            part = wanted[first : first + PAGE_ROWS]
            query = f"SELECT call_id, kind, at FROM steps WHERE call_id IN ({placeholders(part)}) ORDER BY id"  # noqa: S608
            for call_id, kind, at in self._all(query, *part):
                found[call_id].setdefault(kind, moment(at))
        return found

    def extent(self, since: datetime) -> Extent | None:
        """Number of the ledger's steps, in total and since a time; None if nothing was written since.

        The numbers are derived from step ids, without counting rows.
        """
        first = self._all("SELECT id, at FROM steps WHERE at >= ? ORDER BY at LIMIT 1", microseconds(since))
        if not first:
            return None
        newest, ((number, at),) = self.newest_place(), first
        return Extent(newest, newest - number + 1, moment(at))

    def signed_leaves(self, log: VerifierKey, kept: Iterable[Checkpoint]) -> int:
        """Number of leaves, returned after a quick check that the tree's head is signed.

        Raises LedgerError if a leaf is not signed or if the tree does not begin with each checkpoint in `kept`.
        """
        with self.database.reading() as connection:
            return signed_leaves(connection, log, kept)

    def consistency(self, old: int, size: int) -> Sequence[bytes]:
        """The proof that the tree of `size` leaves begins with the tree of `old` leaves.

        Raises LedgerError.
        """
        with self.database.reading() as connection:
            return consistency_proof(old, size, lambda places: read_hashes(connection, places))

    def proofs(self, call_id: str, cosigned: Note | None = None) -> list[ProvenLeaf]:
        """Inclusion proofs for a call's leaves, its main leaf first; empty if the call has no leaf yet.

        The proofs lead to the `cosigned` checkpoint if that tree contains all the call's leaves, and otherwise to the
        ledger's own checkpoint. Raises LedgerError if no signed checkpoint contains all leaves.
        """
        with self.database.reading() as connection:
            return prove(connection, call_id, cosigned)

    def origin(self) -> str | None:
        """The tree's name when it was last signed; None if it was never signed.

        Raises LedgerError.
        """
        held = self.checkpoint()
        return held.partition("\n")[0] if held else None

    def leaves(self) -> int:
        """Number of leaves in the tree, signed or not.

        Raises LedgerError.
        """
        with self.database.reading() as connection:
            return count_leaves(connection)

    def checkpoint(self) -> str | None:
        """The tree's signed head; None if it was never signed.

        Raises LedgerError.
        """
        with self.database.reading() as connection:
            return facts(connection).get(CHECKPOINT)

    def continuation(self) -> Step | None:
        """The step that names the previous log; None if the ledger does not continue another log.

        Raises LedgerError.
        """
        rows = self._all(f"SELECT {STEP} FROM steps WHERE id = 1 AND kind = ?", StepKind.CONTINUED.value)  # noqa: S608
        return step_of(StoredStep._make(rows[0]), self._key_of) if rows else None

    def log_end(self) -> Step | None:
        """The step that ends the log; None if the log has not ended.

        Raises LedgerError.
        """
        rows = self._all(
            f"SELECT {STEP} FROM steps WHERE call_id >= ? AND call_id < ? AND kind = ? ORDER BY id LIMIT 1",  # noqa: S608
            ACT_ID,
            AFTER_ACTS,
            StepKind.LOG_ENDED.value,
        )
        return step_of(StoredStep._make(rows[0]), self._key_of) if rows else None

    def close(self) -> None:
        """Do nothing, because each read has already closed its own connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _newest_calls(self, conditions: Sequence[str], values: Sequence[object]) -> Iterator[str]:
        """Yield the distinct call ids of steps that meet the conditions, starting with the latest step."""

        def page(*conditions: str) -> str:
            where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
            return f"SELECT id, at, call_id FROM steps {where}ORDER BY at DESC, id DESC LIMIT ?"  # noqa: S608

        seen: set[str] = set()
        rows = self._all(page(*conditions), *values, PAGE_ROWS)
        while rows:
            for _, _, call_id in rows:
                if call_id not in seen:
                    seen.add(call_id)
                    yield call_id
            number, at, _ = rows[-1]
            rows = self._all(page(*conditions, "(at, id) < (?, ?)"), *values, at, number, PAGE_ROWS)

    def records_of(self, call_ids: Iterable[str]) -> list[Record]:
        """Read the evidence about several calls, oldest first.

        Unknown calls are omitted.
        """
        wanted = list(call_ids)
        found: dict[str, list[StoredStep]] = {}
        for start in range(0, len(wanted), PAGE_ROWS // 5):
            part = wanted[start : start + PAGE_ROWS // 5]
            # By their ids: else SQLite has the call's id from the index, whatever the step says.
            query = (
                f"SELECT {STEP} FROM steps WHERE id IN "  # noqa: S608 - of our own words
                f"(SELECT named.id FROM steps AS named WHERE named.call_id IN ({placeholders(part)})) ORDER BY id"
            )
            for row in map(StoredStep._make, self._all(query, *part)):
                if row.call_id not in part:
                    raise self._misled(row.call_id)
                found.setdefault(row.call_id, []).append(row)
        calls = sorted(found.values(), key=lambda rows: (rows[0].at, rows[0].id))
        return [
            record_of_steps(self._node or rows[0].node, [step_of(row, self._key_of, self._held_key) for row in rows])
            for rows in calls
        ]

    def _misled(self, call_id: str) -> LedgerError:
        return LedgerError(
            "{name}: an index does not lead to the steps of its calls ({call_id}): run `idtone "
            "ledger verify`, and rebuild them: sqlite3 FILE REINDEX",
            name=self.database.name,
            call_id=call_id,
        )

    def record_key(self, call_id: str) -> bytes | None:
        """The key that opens a call's numbers; None if no key can open them.

        Also None for a call without numbers. A held call has a key even after the day key is destroyed. Raises
        LedgerError if the sealed numbers were changed.
        """
        query = f"SELECT details FROM steps WHERE call_id = ? AND kind IN ({_FIRST}) ORDER BY id LIMIT 1"  # noqa: S608
        for (text,) in self._all(query, call_id):
            details = json.loads(text)
            key = self._key_of(details.get(DAY, "")) if DAY in details else None
            return key.record_key(call_id, details) if key else self._held_key(call_id)
        return None

    def _key_of(self, day: str) -> DayKey | None:
        return self._days.get(day) if self._days else None

    def _held_key(self, call_id: str) -> bytes | None:
        return self._days.held.get(call_id) if self._days else None

    def _all(self, query: str, *values: object) -> list[Any]:
        with self.database.reading() as connection:
            rows: list[Any] = connection.execute(query, values).fetchall()
            return rows


_UP_TO: Final = "count(CASE WHEN id <= ? THEN 1 END)"
_WEEK: Final = 7
_NO_STEP: Final = 2**62
"""A number larger than the id of any step."""
_FIRST: Final = literals(FIRST)
_CLOSING: Final = literals(CLOSING)
_IN_PROGRESS: Final = "SELECT call_id FROM in_progress"
_CALLS_BETWEEN: Final = "SELECT call_id FROM steps WHERE id > ? AND id <= ? ORDER BY id"
"""Statement for call ids. With DISTINCT, SQLite would read the entire index of calls."""
_OVER_BETWEEN: Final = (
    f"SELECT call_id FROM steps WHERE id BETWEEN ? AND ? AND kind IN ({_CLOSING}) AND NOT EXISTS "  # noqa: S608
    f"(SELECT 1 FROM steps AS earlier WHERE earlier.call_id = steps.call_id AND earlier.kind IN ({_CLOSING}) "
    "AND earlier.id < steps.id) ORDER BY id"
)


def whole_id(readers: Sequence[LedgerReader], given: str) -> str:
    """Complete an abbreviated call id.

    If no call id begins with `given`, it is returned unchanged. Raises UsageError if several calls match.
    """
    if not given or any(reader.knows(given) for reader in readers):
        return given
    found = sorted({call for reader in readers for call in reader.call_ids(given, _CANDIDATES + 1)})
    if len(found) > 1:
        more = ", …" if len(found) > _CANDIDATES else ""
        raise UsageError(
            "several calls have ids that begin with {given}: {names}{more}; write more of it",
            given=given,
            names=", ".join(found[:_CANDIDATES]),
            more=more,
        )
    return found[0] if found else given
