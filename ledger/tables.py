"""The tables of the ledger, and a step as one row of them. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, Row, Table, Text

from idtone.errors import LedgerError

from .steps import Step, StepKind

SCHEMA_VERSION: Final = 1

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""`schema_version` is the one key so far."""

steps = Table(
    "steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("node", Text, nullable=False),
    Column("call_id", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("details", Text, nullable=False),
)
"""One row for each step, in the order of their writing. `at` is in µs since 1970 UTC, `details` a JSON object."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Exact, unlike `timestamp()`."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """The time of `microseconds`. Raises OverflowError."""
    return _EPOCH + at * _MICROSECOND


def row_of(node: str, step: Step) -> dict[str, Any]:
    return {
        "node": node,
        "call_id": step.call_id,
        "kind": step.kind.value,
        "at": microseconds(step.at),
        "details": json.dumps(dict(step.details), allow_nan=False, separators=(",", ":")),
    }


def step_of(row: Row[Any]) -> Step:
    """The step that `row_of` wrote, its time in UTC. Raises LedgerError where it is none of this version's."""
    try:
        return Step(row.call_id, StepKind(row.kind), moment(row.at), json.loads(row.details))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise LedgerError(
            f"step {row.id} of the ledger cannot be read; it is damaged, or a newer idtone wrote it"
        ) from error
