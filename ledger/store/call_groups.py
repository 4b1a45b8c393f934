"""Call counts for statistics, grouped by quarter of an hour.

Calls that began in the same quarter of an hour and have the same counted details form one group. The database reads
only the details on which counting depends (`evidence.tally.COUNTED_BY`). Each call takes about eight microseconds, and
no number is opened. `call_record.record_of_steps` interprets the details.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from idtone.core.errors import LedgerError

from ..evidence.call_record import Record, record_of_steps
from ..evidence.leaves import ACTS
from ..evidence.steps import Step, StepKind
from ..evidence.tally import COUNTED_BY
from .database import Connection, literals, scalar
from .ledger_reader import LedgerReader
from .step_rows import microseconds, moment

QUARTER_US: Final = 15 * 60 * 1_000_000
"""A quarter of an hour in µs.

Time zones differ by whole quarters, so each quarter lies within one day and one hour everywhere.
"""
PAGE_ROWS: Final = 600
"""Number of steps read per transaction. Reading them can delay the writer's commit."""
_BEFORE_ALL: Final = (-(2**62), 0)
_AFTER_ALL: Final = (2**62, 0)
_LAST_STEP: Final = 2**62
_ANY: Final = "any"
"""Value used instead of a name that does not matter."""


class CallGroup(NamedTuple):
    """Calls with the same counted details that began in the same quarter of an hour.

    `begun` is the start of the quarter. `record` contains only the counted details, which all calls in the group share.
    """

    begun: datetime
    record: Record
    times: int


def call_groups(
    reader: LedgerReader,
    start: datetime | None = None,
    end: datetime | None = None,
    last: int = _LAST_STEP,
    progress: Callable[[int], None] = lambda steps: None,
) -> Iterator[CallGroup]:
    """Group the calls that began at or after `start` and before `end`.

    Steps after the step `last` are ignored. `progress` receives the number of steps read so far. Raises LedgerError.
    """
    counted: Counter[tuple[int, str]] = Counter()
    first: dict[str, int] = {}
    passed = 0
    with reader.database.paged() as connection:
        pages = _pages(connection, start, end, last, reader.database.is_sqlite)
        for rows in pages:
            counted.update((at // QUARTER_US, text) for at, text, _ in rows)
            first.update((text, step) for _, text, step in rows)
            passed += PAGE_ROWS
            progress(passed)
    records: dict[str, Record] = {}
    for (quarter, text), times in counted.items():
        if text not in records:
            records[text] = _record(reader, text, first[text])
        yield CallGroup(moment(quarter * QUARTER_US), records[text], times)


def _pages(
    connection: Connection, start: datetime | None, end: datetime | None, last: int, is_sqlite: bool
) -> Iterator[list[tuple[int, str, int]]]:
    """Yield pages of calls, each given as its first step's time, the counted details, and its first step's id."""
    reached = _BEFORE_ALL if start is None else (microseconds(start), 0)
    stop = _AFTER_ALL if end is None else (microseconds(end), 0)
    query = _CALLS if is_sqlite else _CALLS_IN_POSTGRESQL
    while reached < stop:
        edge = connection.execute(_EDGE, (*reached, *stop, PAGE_ROWS)).fetchone() or stop
        yield connection.execute(query, (last, *reached, *edge, last)).fetchall()
        reached = tuple(edge)


def _record(reader: LedgerReader, text: str, first: int) -> Record:
    """Interpret a call's counted details.

    `first` is the first step of such a call, which is named in a LedgerError.
    """
    try:
        return _folded(text)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        with reader.database.reading() as connection:
            call_id = scalar(connection, "SELECT call_id FROM steps WHERE id = ?", (first,))
        reader.record(call_id)  # says which step it is
        raise LedgerError(
            "step {step} of the ledger cannot be read; it is damaged, or a newer idtone wrote it", step=first
        ) from error


def _folded(text: str) -> Record:
    steps = []
    for line in text.split("\n"):
        kind, bracket, values = line.partition("[")
        names = COUNTED_BY.get(StepKind(kind), ())
        found: list[Any] = json.loads(bracket + values) if bracket else []
        details = {name: value for name, value in zip(names, found, strict=True) if value is not None}
        steps.append(Step(_ANY, StepKind(kind), moment(0), details))
    return record_of_steps(_ANY, steps)


def _counted(array: Callable[[tuple[str, ...]], str]) -> str:
    """SQL for a step's kind and an array of the details on which counting depends."""
    cases = (f"WHEN {literals([kind])} THEN {array(names)}" for kind, names in COUNTED_BY.items())
    return f"step.kind || CASE step.kind {' '.join(cases)} ELSE '' END"


def _array(names: tuple[str, ...]) -> str:
    """SQL for the values as an array, with null for missing details."""
    paths = ", ".join(f"'$.{name}'" for name in names)
    return f"json_extract(step.details, {paths})"


def _array_in_postgresql(names: tuple[str, ...]) -> str:
    values = (f"CAST(step.details AS json) -> '{name}'" for name in names)
    return f"CAST(json_build_array({', '.join(values)}) AS text)"


_EDGE: Final = (
    "SELECT at, id FROM steps WHERE (at, id) >= (?, ?) AND (at, id) < (?, ?) ORDER BY at, id LIMIT 1 OFFSET ?"
)
_BEGIN: Final = (
    f"FROM steps WHERE (at, id) >= (?, ?) AND (at, id) < (?, ?) AND id <= ? AND kind NOT IN ({literals(ACTS)}) "  # noqa: S608
    "AND NOT EXISTS (SELECT 1 FROM steps AS earlier WHERE earlier.call_id = steps.call_id AND earlier.id < steps.id)"
)
# This index has the steps of a call in their order, in which SQLite puts them together.
_CALLS: Final = (
    f"SELECT at, (SELECT group_concat({_counted(_array)}, char(10)) FROM steps AS step "  # noqa: S608 - our own words
    f"INDEXED BY ix_steps_call_id WHERE step.call_id = steps.call_id AND step.id <= ?), id {_BEGIN}"
)
_CALLS_IN_POSTGRESQL: Final = (
    f"SELECT at, (SELECT string_agg({_counted(_array_in_postgresql)}, chr(10) ORDER BY step.id) FROM steps AS step "  # noqa: S608
    f"WHERE step.call_id = steps.call_id AND step.id <= ?), id {_BEGIN}"
)
