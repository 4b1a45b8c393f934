"""The database table of calls whose end has not been recorded.

Calls can last for days. Without the table, a search for calls in progress would have to read every call. Every
transaction that writes steps updates the table.
"""

from collections.abc import Set
from typing import Final

from ..evidence.leaves import CLOSING, OPENING
from .database import Connection, literals

_CLOSING: Final = literals(CLOSING)
_BEGUN: Final = (
    "INSERT INTO in_progress SELECT call_id FROM steps WHERE id > ? "  # noqa: S608 - of our own words
    f"AND kind IN ({literals(OPENING)}) AND NOT EXISTS "
    f"(SELECT 1 FROM steps AS closing WHERE closing.call_id = steps.call_id AND closing.kind IN ({_CLOSING})) "
    "ON CONFLICT DO NOTHING"
)
_OVER: Final = (
    f"DELETE FROM in_progress WHERE call_id IN (SELECT call_id FROM steps WHERE id > ? AND kind IN ({_CLOSING}))"  # noqa: S608
)


def update_calls_in_progress(connection: Connection, after: int, kinds: Set[str]) -> None:
    """Update the table of calls in progress for newly written steps.

    The current transaction wrote the steps with ids greater than `after`. `kinds` are the kinds of those steps.
    """
    if kinds & OPENING:
        connection.execute(_BEGUN, (after,))
    if kinds & CLOSING:
        connection.execute(_OVER, (after,))
