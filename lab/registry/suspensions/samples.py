"""A member's own suspensions, and the persons who request, approve and lift them."""

from datetime import UTC, date, datetime

from idtone.core.number_spans import NumberSpan
from idtone.core.persons import AccountKnownBy, Person
from idtone.registry.suspensions.own_suspension import Act, OwnSuspension, ordered, put_to_use
from idtone.registry.suspensions.suspension_states import DutyKind

NOW = datetime(2026, 12, 1, 3, tzinfo=UTC)
SATO, SUZUKI = (Person(uid, name, AccountKnownBy.LOGIN) for uid, name in ((1001, "sato"), (1002, "suzuki")))
ONE, RANGE = NumberSpan(81312345678, 81312345678), NumberSpan(81612345000, 81612345099)
DUE = [(DutyKind.CONTRACT_END, date(2026, 12, 31))]


def act(by: Person = SATO) -> Act:
    return Act.of(by, NOW, "the police called")


def stop(persons: int = 1) -> OwnSuspension:
    return ordered([ONE, RANGE], "R-1", act(), persons=persons)


def in_force() -> OwnSuspension:
    return put_to_use(stop(), NOW, True, DUE)
