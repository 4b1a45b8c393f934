"""Calls of every kind, for searches and counts."""

from idtone.core.calls import Decision, Outcome, Party, Reason
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step
from lab.ledger.sample_evidence import PLAY, SHA256, cancelled_call, decided, evidence, fallback, heard_call, time_after

BOTH = Decision(Outcome.PLAY, Reason.LICENCE_VALID, 'L-"\\%_', dict.fromkeys(Party, "sample"), 42, member="m-0002")
CALLER_ONLY = Decision(Outcome.PLAY, Reason.LICENCE_VALID, "L-0002", {Party.CALLER: "sample"}, 42, member="m-0001")


def sounded_call(
    call_id: str, ms: float, decision: Decision, *parties: Party, instead: str | None = None
) -> list[Step]:
    """A call in which these parties heard a sound."""
    heard = [
        step
        for party in parties
        for step in (
            steps.sound_started(call_id, time_after(ms + 20), "sample", SHA256, party),
            steps.sound_ended(call_id, time_after(ms + 440), 400, party, "packets", 20, instead),
        )
    ]
    return [
        decided(decision, call_id, ms),
        steps.answered(call_id, time_after(ms + 10)),
        *heard,
        steps.connected(call_id, time_after(ms + 450)),
        steps.ended(call_id, time_after(ms + 900), CallStatus.CONNECTED),
    ]


def calls_of_all_kinds() -> list[Step]:
    """Calls of every kind that a search could confuse.

    Some happen at the same time, and some are written out of order.
    """
    alone = fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED, call_id="alone", ms=3000)
    late = fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED, call_id="late", ms=4000)
    by_the_hook = fallback(None, None, call_id="by-the-hook", ms=9000)
    return [
        *evidence(12),
        *sounded_call("both", 100, BOTH, *Party),
        *sounded_call("one-of-both", 100, BOTH, Party.CALLED),
        *sounded_call("caller-only", 200, CALLER_ONLY, Party.CALLER),
        *sounded_call("the-other", 250, CALLER_ONLY, Party.CALLED),
        *sounded_call("instead", 300, PLAY, Party.CALLED, instead="notice"),
        alone, steps.ended("alone", time_after(5000), CallStatus.NOANSWER),
        decided(PLAY, "late", 4000), late, *sounded_call("late", 4000, PLAY, Party.CALLED)[1:],
        decided(PLAY, "by-the-hook", 9000), by_the_hook,
        steps.ended("by-the-hook", time_after(9100), CallStatus.CANCEL),
        steps.sound_ended("orphan", time_after(7000), 400),
        steps.ended("orphan", time_after(7001), CallStatus.CONNECTED),
        *cancelled_call("cancelled", 7000), *heard_call("heard", -5000),
        steps.forgotten("act-1", time_after(8000), "2026-01-01", 1),
    ]  # fmt: skip
