"""Reads the contents of a ledger's leaves from the database, one after another."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from idtone.core.errors import LedgerError

from ..evidence.leaves import StoredStep, leaf
from .database import Connection
from .stored_tree import STEP, leaf_closed_by, newest_id, open_call

PAGE_ROWS: Final = 500
"""Number of rows read per transaction. Reading them can delay the writer's commit."""


class LeafContent(NamedTuple):
    """A leaf in the ledger's tree.

    `number` counts from 0. `content` are the octets that the leaf hash covers.
    """

    number: int
    call_id: str
    content: bytes


def leaf_contents(connection: Connection, first: int, size: int) -> Iterator[LeafContent]:
    """Yield the leaves from `first` up to, but not including, `size`.

    Only unfinished calls' steps are kept in memory. `connection` must come from `Database.paged`. Raises LedgerError if
    steps are missing or damaged.
    """
    open_texts: defaultdict[str, list[str]] = defaultdict(list)
    place = _closing_step(connection, first - 1) if first else 0
    index = first
    while index < size:
        rows = connection.execute(_STEPS, (place, PAGE_ROWS)).fetchall()
        if not rows:
            raise LedgerError("leaf {index} is missing; run: idtone ledger verify", index=index)
        counts = dict(connection.execute(_COUNTS, (place, rows[-1][0])).fetchall())
        for *columns, closed in rows:
            step = StoredStep._make(columns)
            try:
                texts = open_texts[step.call_id]
                texts.append(step.text)
                if closed is None:
                    continue
                del open_texts[step.call_id]
                if len(texts) == counts[step.id]:
                    content = leaf(step.call_id, texts, 0)
                else:  # the call has steps before `first`, or in a leaf before
                    call = open_call(connection, step.call_id, step.id + 1, closed)
                    content = leaf_closed_by(call.steps, call.before)
            except (TypeError, ValueError) as error:  # a value of another type, which SQLite would accept
                raise LedgerError("step {step} is damaged; run: idtone ledger verify", step=step.id) from error
            yield LeafContent(index, step.call_id, content)
            index += 1
            if index == size:
                return
        place = rows[-1][0]


def _closing_step(connection: Connection, index: int) -> int:
    """Id of the step that closed a leaf. The step is found by bisection.

    Leaves have no index but are in the order of their closing steps.
    """
    low, high = 0, newest_id(connection)
    while low < high:
        middle = (low + high) // 2
        closing = connection.execute(_NEXT_CLOSING, (middle,)).fetchone()
        if closing is None or closing[1] >= index:
            high = middle
        else:
            low = closing[0]
    closing = connection.execute(_NEXT_CLOSING, (low,)).fetchone()
    if closing is None or closing[1] != index:
        raise LedgerError("leaf {index} is missing; run: idtone ledger verify", index=index)
    return int(closing[0])


_STEPS: Final = f"SELECT {STEP}, leaf FROM steps WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - of our own words
_COUNTS: Final = (
    "SELECT id, (SELECT count(*) FROM steps AS own WHERE own.call_id = steps.call_id AND own.id <= steps.id) "
    "FROM steps WHERE id > ? AND id <= ? AND leaf IS NOT NULL"
)
_NEXT_CLOSING: Final = "SELECT id, leaf FROM steps WHERE id > ? AND leaf IS NOT NULL ORDER BY id LIMIT 1"
