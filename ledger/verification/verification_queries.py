"""SQL queries for verifying a ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from json.encoder import encode_basestring as quoted
from typing import Any, Final, NamedTuple

from idtone.core.translation import Message

from ..evidence.canonical_json import WHOLE_LIMIT
from ..evidence.leaf_rules import JUDGED_ACTS
from ..evidence.leaves import ACT_ID, AFTER_ACTS, CLOSING, OPENING, StoredStep
from ..evidence.steps import StepKind
from ..keys.step_key import StepKey
from ..store.database import Connection, Database, literals
from ..store.meta import CHECKPOINT, NODE_STEPS
from ..store.schema import CATALOGUE, unexpected_entries
from ..store.step_macs import StepMacs
from ..store.stored_tree import open_call

ENTRIES_AT_ONCE: Final = 5000
LED_TO_LIMIT: Final = 1000
"""Maximum number of a call's steps that are counted in the index.

In a longer call with many leaves, the same steps would be counted over and over.
"""
COUNTED_LIMIT: Final = 100_000
"""Maximum number of calls whose step counts are kept. For other calls, counting starts over."""
_LAST: Final = 2**63 - 2
"""The largest integer that a database id can have."""
_BEFORE_ALL: Final = (-(2**63), -1)
OPENS: Final = -1
"""Value used instead of a leaf's index if the step is one of `OPENING`."""

Text = tuple[int | None, str, str | None]


class Extent(NamedTuple):
    """The range of rows that a ledger had when its verification started.

    `last` is the last step's id. `hashes` is the number of hashes up to the last place. `last_mac` is the last step
    that has a MAC. `checkpoint` is the stored checkpoint, of any type, or None. `node_steps` is the number of steps
    that the node reported to its replica.
    """

    last: int
    hashes: int
    last_mac: int
    checkpoint: Any
    node_steps: Any

    @property
    def is_under_way(self) -> bool:
        """True for a replica that still lacks some of its node's steps.

        Such a replica's checkpoint arrives together with the last of its leaves.
        """
        return isinstance(self.node_steps, str) and self.node_steps.isdecimal() and int(self.node_steps) > self.last


class LedgerRows:
    """A ledger's rows, read over a single connection for verification.

    Create it with `reading`. `indexed` is True if the database's indexes can be examined. In PostgreSQL, all queries
    see a single state. All queries except the one in `texts` are portable.
    """

    def __init__(self, connection: Connection, texts: str, indexed: bool) -> None:
        """Use `reading`. `indexed` is True if the database's indexes can be examined."""
        self._connection = connection
        self._texts = texts
        self._counted: dict[str, tuple[int, int]] = {}
        """Call with several leaves → one of its steps, and how many steps the call has up to that one."""
        self._indexed = indexed

    @classmethod
    @contextmanager
    def reading(cls, database: Database) -> Iterator[LedgerRows]:
        """Open the rows of a database.

        Raises LedgerError for database errors.
        """
        with database.paged() as connection:
            texts = _TEXTS if database.is_sqlite else _TEXTS_IN_POSTGRESQL
            yield cls(connection, texts, indexed=database.is_sqlite)

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows returned by a query.

        A half-read statement would delay the ledger's writer.
        """
        rows: list[Any] = self._connection.execute(query, tuple(values)).fetchall()
        return rows

    def extent(self) -> Extent:
        found = Extent._make(self._all(_EXTENT)[0])
        return found._replace(node_steps=None) if self._indexed else found

    def unexpected_entries(self) -> list[Message]:
        """Differences from the tables that idtone creates. Empty in PostgreSQL."""
        return unexpected_entries(self._all(CATALOGUE)) if self._indexed else []

    def ids_below_one(self, limit: int) -> list[tuple[int, str]]:
        """Steps with an id below 1, which idtone never writes, as (id, call_id)."""
        return self._all("SELECT id, call_id FROM steps WHERE id < 1 ORDER BY id LIMIT ?", (limit,))

    def quarantined(self, limit: int) -> list[tuple[int, str]]:
        """Steps in quarantine, as (id, call_id)."""
        return self._all("SELECT id, call_id FROM quarantine ORDER BY number LIMIT ?", (limit,))

    def judged_acts(self, last: int) -> Iterator[tuple[str, str, int, Mapping[str, Any], int]]:
        """Acts whose details are checked, in order, as (call_id, kind, at, details, leaf)."""
        for call_id, kind, at, details, leaf in self._all(_JUDGED_ACTS, (ACT_ID, AFTER_ACTS, last)):
            with suppress(ValueError, TypeError, RecursionError):  # the leaf is named by the rules for leaves
                read = json.loads(details)
                # A leaf or a time of another type is named by the page in which it is.
                if isinstance(read, dict) and isinstance(leaf, int) and isinstance(at, int) and abs(at) < WHOLE_LIMIT:
                    yield call_id, kind, at, read, leaf

    def first_leaf(self, call_id: str, last: int) -> int | None:
        """Index of the first leaf among a call's steps up to `last`; None if the call has no leaf."""
        query = "SELECT leaf FROM steps WHERE call_id = ? AND id <= ? AND leaf IS NOT NULL ORDER BY id LIMIT 1"
        return next((leaf for (leaf,) in self._all(query, (call_id, last))), None)

    def after_end(self, last: int) -> list[tuple[str, int]]:
        """The first leaf after the end of the log, as (call_id, leaf); empty if no leaf follows.

        Only steps up to `last` are searched.
        """
        ends = self._all(_LOG_ENDS, (ACT_ID, AFTER_ACTS, last))
        return self._all(_FIRST_LEAF, (*ends[0], last)) if ends else []

    def macs(self, key: StepKey) -> StepMacs:
        """The MACs that prove which steps the service wrote."""
        return StepMacs(self._connection, key)

    def closing(self, first: int, last: int, limit: int) -> list[tuple[int, str, int]]:
        """The last steps that close the leaf `first` or a later leaf, as (id, call_id, leaf).

        At most `limit` steps up to the step `last` are returned, in ascending order.
        """
        return self._all(_CLOSING, (first, last, limit))[::-1]

    def open_steps(self, call_id: str, last: int) -> Sequence[StoredStep]:
        """A call's steps, up to `last`, that are in no leaf."""
        return open_call(self._connection, call_id, min(last, _LAST) + 1).steps

    def leaf_steps(self, call_id: str, number: int, leaf: int) -> Sequence[StoredStep]:
        """The steps in one of a call's leaves, read from the ledger.

        `number` is the step that closes the leaf.
        """
        return open_call(self._connection, call_id, min(number, _LAST) + 1, leaf).steps

    def steps(self, after: int, last: int, limit: int) -> list[tuple[Any, ...]]:
        """Steps after `after` up to `last`, as (id, node, call_id, kind, at, details, leaf)."""
        return self._all(_STEPS, (after, last, limit))

    def texts(self, after: int, until: int, node: str) -> list[Text]:
        """Step texts computed in the database, as (leaf, call_id, `leaves.step_text`).

        A step is omitted if its `at` is not an integer, or if its `details` or `call_id` are bytes. The text is None if
        the node differs from `node`, if the kind is unknown, or if the kind does not match the leaf. An opening step's
        leaf is `OPENS`. A stored leaf below 0 is not a valid number.
        """
        ends = (f',"kind":{quoted(kind)},"node":{quoted(node)}}}' for kind in StepKind)
        return self._all(self._texts, (node, *ends, after, until))

    def index_counts(self, after: int, until: int) -> list[tuple[int]] | None:
        """For each step that closes a leaf, the number of its call's steps that the index finds.

        Steps after `after` up to `until` are examined. Counts stop at `LED_TO_LIMIT`. Returns None in PostgreSQL,
        because its indexes are trusted.
        """
        return self._all(_LED_TO, (after, until)) if self._indexed else None

    def missing_from_indexes(self, after: int, until: int) -> list[tuple[int, str]]:
        """Steps that are missing from an index, as (id, call_id). Empty in PostgreSQL.

        Steps after `after` up to `until` are examined.
        """
        return self._all(_NOT_LED_TO, (after, until)) if self._indexed else []

    def hashes(self, place: int, count: int) -> list[tuple[bytes]]:
        """Up to `count` stored hashes starting at `place`; fewer if some are missing."""
        return self._all(_HASHES, (place, place + count))

    def count_steps(self, call_id: str, until: int) -> int:
        """Number of a call's steps up to the step `until`.

        If queries for a few calls are made in ascending order, each step is counted only once.
        """
        after, before = self._counted.get(call_id, (-(2**63), 0))
        if until < after:
            after, before = -(2**63), 0
        query = "SELECT count(*) FROM steps WHERE call_id = ? AND id > ? AND id <= ?"
        ((count,),) = self._all(query, (call_id, after, until))
        if len(self._counted) >= COUNTED_LIMIT:
            del self._counted[next(iter(self._counted))]
        self._counted[call_id] = until, before + int(count)
        return before + int(count)

    def indexed_steps(self, call_id: str, until: int) -> list[tuple[str, int | None, int]]:
        """Steps that the call index finds for a call, as (kind, leaf, True if in the time index).

        Only steps up to `until` are included.
        """
        return self._all(_OF_CALL if self._indexed else _OF_CALL_IN_POSTGRESQL, (call_id, until))

    def wrongly_in_progress(self, limit: int) -> list[str]:
        """Calls that are in the table `in_progress` although they are over or have no steps."""
        return [call_id for (call_id,) in self._all(_WRONGLY_OPEN, (limit,))]

    def was_in_progress(self, call_id: str, last: int) -> bool:
        """True if the call is in the table `in_progress`, or if a step after `last` ended it."""
        return bool(self._all(_KNOWN_AS_OPEN, (call_id, call_id, last)))

    def entries(self, last: int) -> Iterator[list[tuple[int, int]]]:
        """Yield the search entries (token, step) up to the step `last`, part by part."""
        reached = _BEFORE_ALL
        while part := self._all(_ENTRIES, (*reached, last, ENTRIES_AT_ONCE)):
            yield part
            reached = part[-1]

    def openings_and_ends(self, after: int, last: int, limit: int) -> list[tuple[int, str, str, Any, int | None]]:
        """The next steps that open a call or close a leaf, as (id, call_id, kind, details, leaf).

        Only steps after `after` up to `last` are read, and only opening steps have `details`.
        """
        return self._all(_OPENINGS_AND_ENDS, (after, last, limit))

    def entries_of_later_steps(self, last: int, limit: int) -> list[int]:
        """Steps after `last` that have search entries although they close no leaf."""
        return [step for (step,) in self._all(_PLANTED, (last, limit))]

    def call_of(self, step: int) -> str | None:
        return next((row[0] for row in self._all("SELECT call_id FROM steps WHERE id = ?", (step,))), None)


def _end(kind: str) -> str:
    """SQL for the end of a step's text; NULL if the kind does not match the leaf."""
    text = "?"
    if kind in CLOSING or kind in OPENING:
        text = f"CASE WHEN leaf IS {'NOT ' if kind in CLOSING else ''}NULL THEN {text} END"
    return f"WHEN {literals([kind])} THEN {text}"


_EXTENT: Final = (
    "SELECT (SELECT coalesce(max(id), 0) FROM steps), (SELECT coalesce(max(place) + 1, 0) FROM hashes), "  # noqa: S608
    f"(SELECT coalesce(max(last), 0) FROM macs), (SELECT value FROM meta WHERE key = '{CHECKPOINT}'), "
    f"(SELECT value FROM meta WHERE key = '{NODE_STEPS}')"
)
_LOG_ENDS: Final = (
    "SELECT id FROM steps WHERE call_id >= ? AND call_id < ? AND id <= ? "  # noqa: S608 - our own word
    f"AND kind = '{StepKind.LOG_ENDED}' ORDER BY id LIMIT 1"
)
_FIRST_LEAF: Final = "SELECT call_id, leaf FROM steps WHERE id > ? AND id <= ? AND leaf IS NOT NULL ORDER BY id LIMIT 1"
_JUDGED_ACTS: Final = (
    "SELECT call_id, kind, at, details, leaf FROM steps WHERE call_id >= ? AND call_id < ? AND id <= ? "  # noqa: S608
    f"AND leaf IS NOT NULL AND kind IN ({literals(JUDGED_ACTS)}) ORDER BY id"
)
_CLOSING: Final = "SELECT id, call_id, leaf FROM steps WHERE leaf >= ? AND id <= ? ORDER BY id DESC LIMIT ?"
_STEPS: Final = (
    "SELECT id, node, call_id, kind, at, details, leaf FROM steps WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
)
_OPENING_KINDS: Final = literals(OPENING)
_ENDS: Final = " ".join(map(_end, StepKind))
_TEXT: Final = f"""
    ('{{"at":' || at || ',"details":') || (details || (',"id":' || id
    || CASE WHEN node = ? THEN CASE kind {_ENDS} END END))
"""
# In SQLite's order of types texts come before x''. The plus keeps away from an index.
# With the brackets, long texts are copied only twice.
_TEXTS: Final = f"""
    SELECT CASE WHEN kind IN ({_OPENING_KINDS}) THEN {OPENS} WHEN leaf < 0 THEN '' ELSE leaf END, call_id, {_TEXT}
    FROM steps WHERE id > ? AND id <= ? AND typeof(at) = 'integer' AND +details < x'' AND +call_id < x''
    ORDER BY id
"""  # noqa: S608 - of our own words
# PostgreSQL's columns accept only their types; a leaf below 0 has no place, and must not be OPENS.
_TEXTS_IN_POSTGRESQL: Final = f"""
    SELECT CASE WHEN kind IN ({_OPENING_KINDS}) THEN {OPENS} WHEN leaf < 0 THEN leaf - 1 ELSE leaf END, call_id, {_TEXT}
    FROM steps WHERE id > ? AND id <= ? ORDER BY id
"""  # noqa: S608 - of our own words
_BY_CALL: Final = "FROM steps AS i INDEXED BY ix_steps_call_id WHERE i.call_id = steps.call_id"
# A forged entry may have two row numbers: one by which it is found, and one to which it leads, which the plus reads.
_BY_TIME: Final = (
    "FROM steps AS i INDEXED BY ix_steps_at WHERE i.at = steps.at AND i.id = steps.id AND +i.id = steps.id"
)
_LED_TO: Final = f"""
    SELECT (SELECT count(*) FROM (SELECT 1 {_BY_CALL} AND i.id <= steps.id LIMIT {LED_TO_LIMIT})) FROM steps
    WHERE id > ? AND id <= ? AND leaf IS NOT NULL ORDER BY id
"""  # noqa: S608 - of our own words
_NOT_LED_TO: Final = f"""
    SELECT id, call_id FROM steps WHERE id > ? AND id <= ?
    AND NOT (EXISTS (SELECT 1 {_BY_CALL} AND i.id = steps.id) AND EXISTS (SELECT 1 {_BY_TIME})) ORDER BY id
"""  # noqa: S608 - of our own words
_OF_CALL: Final = f"""
    SELECT kind, leaf, EXISTS (SELECT 1 {_BY_TIME}) FROM steps INDEXED BY ix_steps_call_id
    WHERE call_id = ? AND id > 0 AND id <= ? ORDER BY id
"""  # noqa: S608 - of our own words
_OF_CALL_IN_POSTGRESQL: Final = "SELECT kind, leaf, 1 FROM steps WHERE call_id = ? AND id > 0 AND id <= ? ORDER BY id"
_HASHES: Final = "SELECT hash FROM hashes WHERE place >= ? AND place < ? ORDER BY place"
_ENTRIES: Final = (
    "SELECT token, step FROM sought WHERE (token, step) > (?, ?) AND step <= ? ORDER BY token, step LIMIT ?"
)
_OPENINGS_AND_ENDS: Final = f"""
    SELECT id, call_id, kind, CASE WHEN kind IN ({_OPENING_KINDS}) THEN details END, leaf FROM steps
    WHERE id > ? AND id <= ? AND (kind IN ({_OPENING_KINDS}) OR leaf IS NOT NULL) ORDER BY id LIMIT ?
"""  # noqa: S608 - of our own words
_PLANTED: Final = (
    "SELECT DISTINCT step FROM sought WHERE step > ? AND NOT EXISTS "
    "(SELECT 1 FROM steps WHERE steps.id = sought.step AND leaf IS NOT NULL) LIMIT ?"
)
_WRONGLY_OPEN: Final = (
    "SELECT call_id FROM in_progress AS held WHERE "  # noqa: S608 - of our own words
    "NOT EXISTS (SELECT 1 FROM steps WHERE steps.call_id = held.call_id) OR EXISTS "
    f"(SELECT 1 FROM steps WHERE steps.call_id = held.call_id AND kind IN ({literals(CLOSING)})) LIMIT ?"
)
_KNOWN_AS_OPEN: Final = (
    "SELECT 1 FROM in_progress WHERE call_id = ? UNION ALL "  # noqa: S608 - of our own words
    f"SELECT 1 FROM steps WHERE call_id = ? AND id > ? AND kind IN ({literals(CLOSING)})"
)
