from datetime import UTC, date, datetime

import pytest

from idtone.core.calls import Outcome, Party, Reason
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_record import Record, record_of_steps
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.evidence.tally import EACH, Part, Tally, columns, tally
from lab.ledger.sample_evidence import (
    BYPASS,
    NOTICE,
    NOW,
    PLAY,
    REFUSE,
    SHA256,
    decided,
    fallback,
    heard_call,
    time_after,
)


def record(*written: Step) -> Record:
    return record_of_steps("pbx-1", written)


def day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def test_every_outcome_is_counted_by_day_member_and_licence():
    next_day = 86_400_000
    records = [
        record(*heard_call()),
        record(*heard_call("c-2", next_day)),
        record(decided(PLAY), steps.answered("c-1", time_after(1)), steps.connected("c-1", time_after(2))),
        record(decided(PLAY), steps.ended("c-1", time_after(1), CallStatus.CANCEL)),
        record(
            decided(NOTICE), steps.answered("c-1", time_after(1)),
            steps.sound_started("c-1", time_after(2), "notice", SHA256),
            steps.sound_ended("c-1", time_after(3), 1, known_by="packets"), steps.connected("c-1", time_after(4)),
        ),
        record(decided(REFUSE)),
        record(decided(BYPASS), steps.connected("c-1", time_after(1))),
    ]  # fmt: skip
    assert tally(records, day_of) == [
        Tally(NOW.date(), "", "", calls=2, refused=1, bypassed=1),
        Tally(NOW.date(), "m-0001", "L-0001", calls=4, played=3, noticed=1, connected=3, sent=2),
        Tally(date(2026, 11, 2), "m-0001", "L-0001", calls=1, played=1, connected=1, sent=1),
    ]


def test_calls_that_the_dialplan_handled_are_counted_as_what_they_were_and_as_that():
    def alone(outcome: Outcome | None, status: CallStatus, sent: bool = False) -> Record:
        reason = Reason.SERVICE_UNAVAILABLE if outcome else None
        told = [fallback(outcome, reason, *([Party.CALLED] if outcome is Outcome.NOTICE else []))]
        if sent:
            told += [
                steps.answered("c-1", time_after(1)),
                steps.sound_started("c-1", time_after(1), "notice", SHA256),
                steps.sound_ended("c-1", time_after(2), 1, known_by="packets", packets=1),
            ]
        if status is CallStatus.CONNECTED:
            told.append(steps.connected("c-1", time_after(2)))
        return record(*told, steps.ended("c-1", time_after(3), status, reason=reason))

    records = [
        alone(Outcome.NOTICE, CallStatus.CONNECTED, sent=True),
        alone(Outcome.NOTICE, CallStatus.CONNECTED),
        alone(Outcome.NOTICE, CallStatus.CANCEL),
        alone(Outcome.SHED, CallStatus.REFUSED),
        alone(None, CallStatus.CANCEL),
    ]
    counted = Tally(NOW.date(), "", "", calls=5, noticed=3, shed=1, fallback=5, connected=2, sent=1)
    assert tally(records, day_of) == [counted]


def test_nothing_is_no_row_and_no_ratio():
    assert tally([record(steps.forgotten("act-1", NOW, "2026-11-01", 3))], day_of) == []  # what keepers do is no call
    assert tally([], day_of) == []
    nothing = Tally(NOW.date(), "", "")
    assert nothing.sent_ratio is None
    assert tuple(nothing.to_json()) == columns(EACH)


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ([Part.MEMBER], [("", 1), ("m-0001", 3), ("m-0002", 1)]),
        ([Part.LICENCE], [("", 2), ("L-0001", 3)]),
        ([Part.MEMBER, Part.LICENCE], [("", "", 1), ("m-0001", "L-0001", 3), ("m-0002", "", 1)]),
    ],
)
def test_calls_are_counted_apart_by_what_is_asked_for(by, keys):
    records = [record(*heard_call(start_ms=day * 86_400_000)) for day in range(3)] + [
        record(decided(REFUSE)),
        record(decided(REFUSE._replace(member="m-0002"))),
    ]
    rows = [each.to_json() for each in tally(records, day_of, by)]
    assert [(*(row[part] for part in by), row["calls"]) for row in rows] == keys
    assert all(tuple(row) == columns(by) for row in rows)
