"""Ledger records of the actions on this node's own suspensions.

Each act is a `duty` record with the id of the suspension. The record contains no telephone number. If there are few
numbers, it contains a token for each, made with that day's key. Anyone with this key can check whether the act concerns
a certain number.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from idtone.core.numbers import Number, NumberKind
from idtone.core.persons import Person
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Scalar, Step
from idtone.ledger.keys.sealing import DayKey

from .own_suspension import OwnSuspension

ASKED: Final = "suspension-asked"
APPROVED: Final = "suspension-approved"
IN_FORCE: Final = "suspension-in-force"
TAKEN_OVER: Final = "suspension-taken-over"
WITHDRAWN: Final = "suspension-withdrawn"
LIFT_ASKED: Final = "suspension-lift-asked"
LIFTED: Final = "suspension-lifted"
LIFT_IN_FORCE: Final = "suspension-lift-in-force"
DUTY_CLOSED: Final = "suspension-duty-closed"
PAPER: Final = "suspension-paper"
TOKENS_LIMIT: Final = 100
"""Maximum number of numbers for which an act contains tokens."""


def act_details(one: OwnSuspension) -> dict[str, Scalar]:
    given: dict[str, Scalar] = {
        "reference": one.reference, "authority": one.authority, "customer": one.customer,
        "requested": one.requested.isoformat() if one.requested else "", "why": one.asked.why,
        "asked_by": one.asked.by, "asked_at": one.asked.at.isoformat(),
        "approved_by": one.approved.by if one.approved and one.persons > 1 else "", "ordered_on": one.home,
    }  # fmt: skip
    return {
        **{name: value for name, value in given.items() if value},
        "number_count": one.count,
        "persons": one.persons,
    }


def ordered_step(act_id: str, at: datetime, by: Person, one: OwnSuspension, key: DayKey | None) -> Step:
    """Ledger record for ordering a suspension. `key` is the day's key."""
    act = APPROVED if one.approved else ASKED
    details = act_details(one)
    if key and (tokens := [key.token(number) for number in single_numbers(one)]):
        details |= {"number_day": key.day, "number_tokens": ",".join(tokens)}
    return steps.duty(act_id, at, by, act, one.id, details)


def single_numbers(one: OwnSuspension) -> Iterator[Number]:
    """The suspension's numbers, or none if there are more than `TOKENS_LIMIT`."""
    if one.count <= TOKENS_LIMIT:
        for first, last in one.numbers:
            for each in range(first, last + 1):
                yield Number(NumberKind.FIXED, f"+{each}")
