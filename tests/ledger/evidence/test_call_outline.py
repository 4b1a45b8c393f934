from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from idtone.core.calls import Outcome, Party, Reason
from idtone.core.errors import LedgerError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_outline import LATE, CallOutline, OutlinedDay, Outlines
from idtone.ledger.evidence.call_record import record_of_steps
from idtone.ledger.evidence.leaves import StoredStep
from idtone.ledger.evidence.steps import CallStatus, NumberRole, Step, StepKind
from idtone.ledger.store.step_rows import row_of
from lab.ledger.sample_evidence import (
    NOTICE,
    NOW,
    PLAY,
    RING,
    cancelled_call,
    decided,
    evidence,
    fallback,
    heard_call,
    time_after,
)

KEY, _ = RING.make("2026-11-01")
DAY_MS = timedelta(days=1) / timedelta(milliseconds=1)


def stored(told: Iterable[Step]) -> list[StoredStep]:
    return [
        StoredStep(number, "pbx-1", step.call_id, step.kind.value, row["at"], row["details"])
        for number, step in enumerate(told, 1)
        for row in [row_of("pbx-1", step, lambda day: KEY)]
    ]


def outlined(told: Iterable[Step]) -> tuple[list[OutlinedDay], int]:
    outlines = Outlines()
    return list(outlines.days(stored(told))), outlines.left_out


def said_by_record(told: list[Step]) -> CallOutline:
    record = record_of_steps("pbx-1", told)
    numbers = record.numbers
    times = {kind: at.timestamp() for kind, at in record.times.items()}
    return CallOutline(
        record.call_id,
        told[0].at.timestamp(),
        record.direction,
        record.outcome,
        record.reason,
        record.licence,
        *(None if role not in numbers else KEY.token(told[0].numbers[role]) for role in NumberRole),
        called_kind=numbers[NumberRole.CALLED].kind.value,
        connected_s=times.get(StepKind.CONNECTED),
        ended_s=times.get(StepKind.ENDED),
        status=record.status,
        suspended=StepKind.SUSPENDED in times,
    )


CALLS = {
    "heard": heard_call(),
    "cancelled": cancelled_call("c-1", 0),
    "refused, of the evidence": [step for step in evidence(4) if step.call_id.endswith(".2")],
    "interrupted": [decided(NOTICE), steps.interrupted("c-1", time_after(900))],
    "in progress": heard_call()[:4],
    "suspended": [*heard_call()[:5], steps.suspended("c-1", time_after(5000), 43), heard_call()[5]],
    "the hook decided": [
        fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED),
        steps.ended("c-1", time_after(9), CallStatus.BUSY),
    ],
    "both, the hook with an outcome": [decided(), fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED)],
    "both, the hook first": [fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED), decided()],
    "both, the hook without an outcome": [decided(), fallback(None, None)],
    "the hook without an outcome first": [fallback(None, None), decided(PLAY)],
    "ended twice": [*heard_call(), steps.ended("c-1", time_after(70_000), CallStatus.FAILED)],
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_an_outline_says_what_the_record_says(name):
    days, left_out = outlined(CALLS[name])
    assert (days, left_out) == ([OutlinedDay("2026-11-01", [said_by_record(CALLS[name])])], 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("details", "{"), ("details", "[]"), ("details", b"\xff"), ("details", 7), ("at", -1), ("at", 2**62), ("at", "x")],
)
def test_a_step_that_was_damaged_is_an_error(field, value):
    with pytest.raises(LedgerError, match="step 1 of the ledger cannot be read"):
        list(Outlines().days([stored([decided()])[0]._replace(**{field: value})]))


def test_details_of_another_type_are_not_known():
    details = '{"direction":7,"outcome":[],"forwarding_token":{},"called_token":null,"called_kind":1.5}'
    (day,) = Outlines().days([stored([decided()])[0]._replace(details=details)])
    assert day.calls == [CallOutline("c-1", NOW.timestamp())]


def test_a_call_belongs_to_the_day_of_its_decision_and_a_day_is_given_when_it_is_over():
    last_minute = DAY_MS - 30_000
    late_ms = DAY_MS + LATE / timedelta(milliseconds=1) - 1000
    told = [
        *heard_call("over midnight", last_minute),
        *heard_call("second day", DAY_MS + 1),
        *heard_call("known late", late_ms)[:1],
        decided(PLAY, "told late", last_minute - 1000),
        *heard_call("fourth day", 2 * DAY_MS + late_ms),
        decided(PLAY, "told too late", last_minute),
    ]
    days, left_out = outlined(told)
    assert {day.day: [call.call_id for call in day.calls] for day in days} == {
        "2026-11-01": ["told late", "over midnight"],
        "2026-11-02": ["second day", "known late"],
        "2026-11-04": ["fourth day"],
    }
    assert left_out == 1
    assert days[0].calls[1].talk_s == pytest.approx(56.594)
    assert NOW.date().isoformat() == days[0].day


def test_a_canary_call_is_left_out() -> None:
    first, *later = heard_call()
    marked = replace(first, details={**first.details, "canary": True})
    assert record_of_steps("pbx-1", [marked, *later]).canary
    assert outlined([marked, *later]) == ([], 0)
