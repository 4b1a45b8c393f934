"""Suspensions by an operator: one in force on two of three nodes, one waiting for approval, and one lifted."""

from datetime import UTC, datetime, timedelta

from idtone.core.number_spans import NumberSpan
from idtone.core.persons import Person, console_person
from idtone.core.settings.settings import Settings
from idtone.registry.suspensions.own_suspension import Act, NodeConfirmation, approved, lifted, ordered, put_to_use
from idtone.registry.suspensions.suspension_file import changing, suspensions_path
from idtone.service.suspension_keeper import duty_terms

HELD, OTHERS = NumberSpan(81312345678, 81312345678), NumberSpan(81312345600, 81312345649)


def write_own_stops(settings: Settings) -> None:
    now = datetime.now(UTC)
    first, second = console_person("duty"), console_person("sato")

    def act(hours: float, person: Person, why: str = "") -> Act:
        return Act.of(person, now - timedelta(hours=hours), why)

    asked = ordered([HELD], "R-101", act(1, second, "the police called"), persons=2, authority="見本警察署")
    two = ordered(
        [OTHERS],
        "R-99",
        act(30, first, "the police called"),
        persons=2,
        authority="見本警察署",
        customer="c-0042",
        requested=now - timedelta(hours=31),
    )
    two = put_to_use(
        approved(two, act(29.8, second)), now - timedelta(hours=29.8), True, duty_terms(settings.policy, now)
    ).model_copy(
        update={
            "calls_ended": 2,
            "elsewhere": (
                NodeConfirmation(node="pbx-2", in_force=now - timedelta(hours=29.7), by_service=True, calls_ended=1),
                NodeConfirmation(node="pbx-3"),
            ),
        }
    )
    over = put_to_use(ordered([HELD], "R-98", act(90, first, "the police called")), now - timedelta(hours=90), True, ())
    over = lifted(over, act(60, first, "lifted by the police")).model_copy(update={"over": now - timedelta(hours=60)})
    with changing(suspensions_path(settings)) as draft:
        for each in (over, two, asked):
            draft.put(each)
