"""Conversion between steps of evidence and database rows."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from idtone.core.errors import LedgerError
from idtone.core.numbers import Number

from ..evidence.canonical_json import canonical
from ..evidence.leaves import StoredStep
from ..evidence.steps import DAY, SEALED, SEALED_KEY, UNOPENED, UNSEALED, NumberRole, Step, StepKind
from ..keys.sealing import DayKey, day_of, open_with

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Microseconds since 1970. Unlike `timestamp()`, this is exact."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """The time in UTC that is `at` microseconds after the start of 1970.

    Raises OverflowError.
    """
    return _EPOCH + at * _MICROSECOND


def seal_numbers(step: Step, key_of: Callable[[str], DayKey]) -> Step:
    """Return the step with its telephone numbers sealed in its details.

    `key_of` returns the key for a day. Raises LedgerError if there is no key.
    """
    if not step.numbers and not step.sip_call_id:
        return step
    hidden = key_of(day_of(step.at)).seal(step.call_id, step.numbers, step.sip_call_id)
    return Step(step.call_id, step.kind, step.at, {**step.details, **hidden})


def row_of(node: str, step: Step, key_of: Callable[[str], DayKey]) -> dict[str, Any]:
    """Convert a step to a database row, with its numbers sealed.

    `key_of` returns the key for a day. Raises LedgerError if there is no key.
    """
    details = seal_numbers(step, key_of).details
    return {
        "node": node,
        "call_id": step.call_id,
        "kind": step.kind.value,
        "at": microseconds(step.at),
        "details": canonical(details),
    }


def step_of(
    row: StoredStep, key_of: Callable[[str], DayKey | None], held: Callable[[str], bytes | None] = lambda call_id: None
) -> Step:
    """Convert a database row to a step, with its time in UTC.

    `key_of` returns the key for a day, and `held` returns the key for a held call. Without either key, the step has no
    telephone numbers. Raises LedgerError if this version of idtone cannot read the row.
    """
    try:
        details = json.loads(row.details)
        key = key_of(details[DAY]) if DAY in details else None
        shown = {
            name: value for name, value in details.items() if name not in (DAY, SEALED, SEALED_KEY) or value == UNSEALED
        }
        numbers: dict[NumberRole, Number] = {}
        try:
            if key:
                numbers = key.open(row.call_id, details)
            elif SEALED_KEY in details and (own := held(row.call_id)):
                numbers = open_with(own, row.call_id, details)
        except LedgerError:
            shown[SEALED] = UNOPENED  # the rest is evidence all the same, and `record_of_steps` names this
        return Step(row.call_id, StepKind(row.kind), moment(row.at), shown, numbers)
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise LedgerError(
            "step {step} of the ledger cannot be read; it is damaged, or a newer idtone wrote it", step=row.id
        ) from error
