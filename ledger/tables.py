"""The tables of the ledger, and a step as one row of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Executable, Integer, LargeBinary, MetaData, Row, Table, Text, text

from idtone.errors import LedgerError
from idtone.numbers import Number

from .canonical import canonical
from .sealing import DAY, SEALED, SEALED_KEY, UNOPENED, UNSEALED, DayKey, day_of
from .steps import Role, Step, StepKind

SCHEMA_VERSION: Final = 2

metadata = MetaData()

_NAME: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared octet by octet, as SQLite does, whatever language a PostgreSQL sorts by."""
_WHOLE: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite's have 64 bits by any name, and only an INTEGER is the row's own number."""

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
SCHEMA, TREE_FROM, CHECKPOINT = "schema_version", "tree_from", "checkpoint"
"""The keys of `meta`. Steps up to the id `tree_from` are older than the tree; `checkpoint` is its signed head."""
ORIGIN, LOG_KEY, NODE, NODE_STEPS, HEARD_AT, COSIGNED = (
    "origin",
    "log_key",
    "node",
    "node_steps",
    "heard_at",
    "cosigned",
)
"""In PostgreSQL also: whose copy it is, its verifier key, and what the node has told: its name, how many steps it has,
when (µs since 1970, by PostgreSQL's clock), and the head that witnesses have cosigned."""

steps = Table(
    "steps",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=False),
    Column("node", Text, nullable=False),
    Column("call_id", _NAME, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("details", Text, nullable=False),
    Column("leaf", _WHOLE),
)
"""One row for each step, in the order of their writing. `at` is in µs since 1970 UTC, `details` a JSON object in the
form of RFC 8785, in which numbers are sealed. `leaf` is the index, from 0, of the leaf that the step closed."""

hashes = Table(
    "hashes",
    metadata,
    Column("place", _WHOLE, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)
"""The tree's complete subtrees (`tree.merkle`)."""

sought = Table(
    "sought",
    metadata,
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("step", _WHOLE, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""By which tokens calls that are over are found (`leaves.search_keys`): of each the step that closed its leaf."""


def upsert_meta(key: str, value: str) -> Executable:
    """Set a key of `meta`, in the words that SQLite and PostgreSQL share."""
    return text(UPSERT_META).bindparams(key=key, value=value)


UPSERT_META: Final = (
    "INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
"""The same, as SQLite's driver takes it too."""


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Exact, unlike `timestamp()`."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """The time of `microseconds`. Raises OverflowError."""
    return _EPOCH + at * _MICROSECOND


def sealed(step: Step, key_of: Callable[[str], DayKey]) -> Step:
    """The step with its numbers among its details, as they are written. `key_of` gives the key of a day.

    Raises LedgerError where it has none.
    """
    if not step.numbers:
        return step
    hidden = key_of(day_of(step.at)).seal(step.call_id, step.numbers)
    return replace(step, details={**step.details, **hidden}, numbers={})


def row_of(node: str, step: Step, key_of: Callable[[str], DayKey]) -> dict[str, Any]:
    """`key_of` gives the key of a day. Raises LedgerError where it has none."""
    details = sealed(step, key_of).details
    return {
        "node": node,
        "call_id": step.call_id,
        "kind": step.kind.value,
        "at": microseconds(step.at),
        "details": canonical(details),
    }


def step_of(row: Row[Any], key_of: Callable[[str], DayKey | None]) -> Step:
    """The step that `row_of` wrote, its time in UTC, and its numbers where `key_of` has the key of their day.

    Raises LedgerError where it is none of this version's.
    """
    try:
        details = json.loads(row.details)
        key = key_of(details[DAY]) if DAY in details else None
        shown = {
            name: value for name, value in details.items() if name not in (DAY, SEALED, SEALED_KEY) or value == UNSEALED
        }
        numbers: dict[Role, Number] = {}
        try:
            numbers = key.open(row.call_id, details) if key else {}
        except LedgerError:
            shown[SEALED] = UNOPENED  # the rest is evidence all the same, and `fold` tells
        return Step(row.call_id, StepKind(row.kind), moment(row.at), shown, numbers)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise LedgerError(
            f"step {row.id} of the ledger cannot be read; it is damaged, or a newer idtone wrote it"
        ) from error
