"""Searches a ledger for calls by time, in resumable parts.

A caller can continue a search for as long as necessary, so even rare calls are found. Calls are sorted by their first
steps. The ledger has no index of decisions, so a search reads from the newest call to the oldest. The database selects
matching decisions (`CallFilter.decision_details`), and Python interprets only those calls.

A call has two decisions if the hook acted although the service had decided. Both decisions have the time of the
request. The call's position is that of the first matching decision.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from idtone.core.calls import Delivery

from ..evidence.call_filter import CallFilter
from ..evidence.call_record import SENT_BY, Record
from ..evidence.leaves import ACTS
from ..evidence.steps import FIRST, Step, StepKind
from .database import Connection, literals
from .ledger_reader import LedgerReader
from .step_rows import microseconds, moment

FIRST_STEPS: Final = 320
"""Number of steps that are read first. They usually suffice for a page of calls."""
MOST_STEPS: Final = 2500
"""Maximum number of steps read in one transaction, which takes about ten milliseconds."""
AT_ONCE: Final = 25
"""Maximum number of calls read at once."""


class CallPlace(NamedTuple):
    """The position of a call in the search order.

    `step` is the id of the call's first step, and `at` is its time in µs since 1970.
    """

    at: int
    step: int

    @property
    def moment(self) -> datetime:
        return moment(self.at)


NEWEST: Final = CallPlace(2**62, 0)
OLDEST: Final = CallPlace(-(2**62), 0)


@dataclass(slots=True)
class FoundCalls:
    """Calls found by a search, newest first, with their positions.

    All calls up to the position `reached` were examined. `reached` is None if no calls remain.
    """

    records: list[Record] = field(default_factory=list)
    places: list[CallPlace] = field(default_factory=list)
    reached: CallPlace | None = None


class _Candidate(NamedTuple):
    step: int
    at: int
    call_id: str
    kind: str


def search_calls(
    reader: LedgerReader,
    wanted: CallFilter,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    place: CallPlace | None = None,
    newer: bool = False,
    limit: int,
    enough: Callable[[], bool] = lambda: False,
) -> FoundCalls:
    """Find at most `limit` calls that began at or after `start` and before `end`.

    The search returns the next calls before `place`, or after `place` if `newer`; the call at `place` is left out.
    `enough` is called repeatedly, and the search stops early when it returns True. Raises LedgerError.
    """
    first = OLDEST if start is None else CallPlace(microseconds(start), 0)
    last = NEWEST if end is None else CallPlace(microseconds(end), 0)
    place = place or (first if newer else last)
    looking = _Looking(wanted, max(place, first) if newer else min(place, last), last if newer else first, newer)
    found, seen = FoundCalls(), set[str]()
    for reached, candidates in looking.windows(reader):
        for begin in range(0, len(candidates), AT_ONCE):
            part = candidates[begin : begin + AT_ONCE]
            records = {record.call_id: record for record in reader.records_of([each.call_id for each in part])}
            for each in part:
                record = records[each.call_id]
                step = _sought(record, wanted)
                is_here = step.at == moment(each.at) and step.kind == each.kind
                if is_here and each.call_id not in seen and wanted.accepts(record):
                    seen.add(each.call_id)
                    found.records.append(record)
                    found.places.append(CallPlace(each.at, each.step))
                if len(found.records) == limit:
                    found.reached = CallPlace(each.at, each.step)
                    return _newest_first(found, newer)
            if begin + AT_ONCE < len(candidates) and enough():
                found.reached = CallPlace(part[-1].at, part[-1].step)
                return _newest_first(found, newer)
        found.reached = reached
        if reached is None or enough():
            break
    return _newest_first(found, newer)


def _sought(record: Record, wanted: CallFilter) -> Step:
    """The step by which the search finds a call, which is its first step or the first matching decision."""
    words = wanted.decision_details.items()
    decisions = (step for step in record.steps if step.kind in FIRST and step.details.items() >= words)
    return next(decisions, record.steps[0]) if words else record.steps[0]


def _newest_first(found: FoundCalls, newer: bool) -> FoundCalls:
    if newer:
        found.records.reverse()
        found.places.reverse()
    return found


@dataclass(slots=True)
class _Looking:
    """The progress of a search from `place` to `stop`."""

    wanted: CallFilter
    place: CallPlace
    stop: CallPlace
    newer: bool

    def windows(self, reader: LedgerReader) -> Iterator[tuple[CallPlace | None, Sequence[_Candidate]]]:
        """Yield groups of candidate calls, each with the position that the search has reached; None at the end."""
        count, reached = FIRST_STEPS, self.place
        while True:
            with reader.database.reading() as connection:
                edge = self._edge(connection, reached, count)
                candidates = self._candidates(connection, reached, edge, reader.database.is_sqlite)
            yield edge, candidates
            if edge is None:
                return
            reached, count = edge, min(2 * count, MOST_STEPS)

    @property
    def _order(self) -> str:
        return "ORDER BY at, id" if self.newer else "ORDER BY at DESC, id DESC"

    @property
    def _between(self) -> str:
        return "(at, id) > (?, ?) AND (at, id) < (?, ?)" if self.newer else "(at, id) < (?, ?) AND (at, id) >= (?, ?)"

    def _edge(self, connection: Connection, reached: CallPlace, count: int) -> CallPlace | None:
        query = f"SELECT at, id FROM steps WHERE {self._between} {self._order} LIMIT 1 OFFSET ?"  # noqa: S608
        row = connection.execute(query, (*reached, *self.stop, count - 1)).fetchone()
        return CallPlace(*row) if row else None

    def _candidates(
        self, connection: Connection, reached: CallPlace, edge: CallPlace | None, is_sqlite: bool
    ) -> list[_Candidate]:
        until = self.stop if edge is None else CallPlace(edge.at, edge.step + 1) if self.newer else edge
        conditions, values = _conditions(self.wanted, is_sqlite)
        query = f"SELECT id, at, call_id, kind FROM steps WHERE {self._between} AND {conditions} {self._order}"  # noqa: S608
        return [_Candidate._make(row) for row in connection.execute(query, (*reached, *until, *values)).fetchall()]


def _conditions(wanted: CallFilter, is_sqlite: bool) -> tuple[str, list[Any]]:
    """SQL conditions that a wanted call's first step meets.

    Some other steps and calls also meet the conditions.
    """
    has = f"{'instr' if is_sqlite else 'strpos'}(details, ?) > 0"  # which takes a third of the time of LIKE
    # Canonical JSON writes a member in one way only.
    texts = [
        f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}" for name, value in wanted.decision_details.items()
    ]
    conditions = [f"kind IN ({_FIRST})", *[has] * len(texts)] if texts else [_BEGINNING]
    if wanted.fallback:
        conditions.append(_has(StepKind.FALLBACK))
    if wanted.delivery == Delivery.NOT_KNOWN:
        conditions.append(f"NOT ({_SENT})")
    return " AND ".join(conditions), list(texts)


def _has(kind: StepKind, *more: str) -> str:
    conditions = " AND ".join(("other.call_id = steps.call_id", f"other.kind = '{kind}'", *more))
    return f"EXISTS (SELECT 1 FROM steps AS other WHERE {conditions})"  # noqa: S608 - of our own words


_FIRST: Final = literals(FIRST)
_BEGINNING: Final = (
    f"(kind IN ({_FIRST}) OR (kind NOT IN ({literals(ACTS)}) AND NOT EXISTS (SELECT 1 FROM steps AS opening "  # noqa: S608
    f"WHERE opening.call_id = steps.call_id AND opening.kind IN ({_FIRST}))))"
)
"""SQL condition for a call's first step, or for any step of a call whose beginning is missing."""
_SOUND: Final = (
    'other.details LIKE \'%"party":"called"%\'',
    f'other.details LIKE \'%"known_by":"{SENT_BY}"%\'',
    "other.details NOT LIKE '%\"instead\"%'",
)
_SENT: Final = (
    f'details LIKE \'%"parties":"called"%\' AND {_has(StepKind.SOUND_ENDED, *_SOUND)} AND NOT {_has(StepKind.FALLBACK)}'
)
"""SQL condition for calls whose sound was sent if, as in most calls, only the called party was to hear one."""
