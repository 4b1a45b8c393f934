"""Counts of the calls, by the steps that call control writes."""

from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import pytest

from idtone.core.calls import Decision, Direction, ForwardedCall, Outcome, Party, Reason
from idtone.core.duration_histogram import Durations
from idtone.core.numbers import parse
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.service.call_counts import CallCounts
from lab.call_control.memory_evidence import MemoryEvidence

AT = datetime(2026, 11, 1, tzinfo=UTC)
NUMBER = parse("0312345678")
CALL = ForwardedCall("1795.1-1", Direction.INCOMING, NUMBER, NUMBER, NUMBER)
CONNECTED = (steps.connected(CALL.id, AT + timedelta(seconds=0.6)), steps.ended(CALL.id, AT, CallStatus.CONNECTED))
ANSWERED = steps.answered(CALL.id, AT)


def decided(*parties: Party) -> Step:
    profiles = dict.fromkeys(parties, "sample")
    return steps.decided(CALL, Decision(Outcome.PLAY, Reason.LICENCE_VALID, "L-1", profiles), AT, "ari")


def played(party: Party = Party.CALLED, instead: str | None = None, known_by: str = "packets") -> Step:
    return steps.sound_ended(CALL.id, AT, 440, party, known_by=known_by, instead=instead)


REPORTED = steps.sound_reported(CALL.id, AT, True, 0, 0)


@pytest.mark.parametrize(
    ("written", "connected", "sent", "confirmed", "failed"),
    [
        ([decided(Party.CALLED), ANSWERED, played(), *CONNECTED], 1, 1, 0, 0),
        ([decided(Party.CALLED), ANSWERED, played(), REPORTED, *CONNECTED], 1, 1, 1, 0),
        ([decided(Party.CALLED), ANSWERED, played(known_by="time"), *CONNECTED], 1, 0, 0, 0),
        ([decided(Party.CALLED), ANSWERED, steps.sound_failed(CALL.id, AT, "x"), played(), *CONNECTED], 1, 1, 0, 0),
        ([decided(Party.CALLED), ANSWERED, played(instead="notice"), *CONNECTED], 1, 0, 0, 1),
        ([decided(Party.CALLED), ANSWERED, *CONNECTED], 1, 0, 0, 1),
        ([decided(Party.CALLED, Party.CALLER), ANSWERED, played(), *CONNECTED], 1, 0, 0, 1),
        ([decided(Party.CALLED, Party.CALLER), ANSWERED, played(), played(Party.CALLER), *CONNECTED], 1, 1, 0, 0),
        ([decided(), *CONNECTED], 0, 0, 0, 0),
        ([decided(Party.CALLED), steps.ended(CALL.id, AT, CallStatus.BUSY)], 0, 0, 0, 0),
        ([ANSWERED, played(), *CONNECTED], 0, 0, 0, 0),
        ([decided(Party.CALLED), ANSWERED, played(), CONNECTED[0], steps.interrupted(CALL.id, AT)], 1, 1, 0, 0),
    ],
)
def test_a_call_is_sent_if_all_parties_were_sent_their_sound(
    written: list[Step], connected: int, sent: int, confirmed: int, failed: int
) -> None:
    """The rule is that of `idtone ledger stats`, except that calls with an unknown decision are left out."""
    counts = CallCounts(MemoryEvidence())
    for step in written:
        counts.append(step)
    assert (counts.connected, counts.sent, counts.confirmed, counts.failed) == (connected, sent, confirmed, failed)
    assert sum(counts.ended.values()) == 1
    assert not counts._calls


def test_a_call_that_another_instance_decided_counts_with_its_end() -> None:
    """The instance that decided the call has counted its decision."""
    evidence, counts = MemoryEvidence(), CallCounts(MemoryEvidence())
    for step in (decided(Party.CALLED), ANSWERED, played(), REPORTED):
        evidence.append(step)
    counts.restore(evidence.records())
    for step in CONNECTED:
        counts.append(step)
    assert (counts.connected, counts.sent, counts.confirmed, counts.failed) == (1, 1, 1, 0)
    assert (counts.decisions, counts._calls) == ({}, {})
    cumulative, _ = counts.connecting.counted()
    assert cumulative[-1] == 1


def test_decisions_are_counted_by_outcome_reason_interface_and_direction() -> None:
    counts = CallCounts(MemoryEvidence())
    counts.append(decided(Party.CALLED))
    counts.append(steps.fallback(CALL, AT, Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, {Party.CALLED: "notice"}))
    counts.append(steps.fallback(CALL, AT, None, None, {}))
    assert counts.decisions == {
        ("PLAY", "licence-valid", "ari", "incoming"): 1,
        ("NOTICE", "service-unavailable", "none", "incoming"): 1,
        ("none", "none", "none", "incoming"): 1,
    }
    for status in (CallStatus.BUSY, CallStatus.CONNECTED):
        counts.append(steps.ended(CALL.id, AT, status))
    counts.append(steps.interrupted(CALL.id, AT))
    assert counts.ended == {("BUSY",): 1, ("CONNECTED",): 1, ("INTERRUPTED",): 1}


def test_emergency_calls_of_suspended_numbers_are_counted() -> None:
    counts = CallCounts(MemoryEvidence())
    for suspended in (True, False):
        counts.append(steps.fallback(CALL, AT, Outcome.BYPASS, Reason.EMERGENCY, {}, number_suspended=suspended))
    assert counts.emergencies_of_suspended == 1


def test_the_time_from_the_answer_to_the_connection_is_counted() -> None:
    counts = CallCounts(MemoryEvidence())
    for step in (decided(Party.CALLED), ANSWERED, played(), *CONNECTED):
        counts.append(step)
    cumulative, total_s = counts.connecting.counted()
    assert cumulative == (0, 0, 1, 1, 1, 1, 1, 1, 1, 1)  # 0.6 s is in the class until 0.75 s
    assert total_s == pytest.approx(0.6)


def test_it_passes_everything_on() -> None:
    evidence = MemoryEvidence(full=True)
    counts = CallCounts(evidence)
    written = counts.append(ANSWERED)
    counts.hurry()
    assert isinstance(written, Future)
    assert (evidence.steps, evidence.hurried, counts.full) == ([ANSWERED], 1, True)


def test_a_duration_on_a_bound_belongs_below_it_and_a_negative_one_is_none() -> None:
    durations = Durations((1, 2))
    for seconds in (-5, 1, 1.5, 2, 7):
        durations.add(seconds)
    assert durations.counted() == ((2, 4, 5), 11.5)
