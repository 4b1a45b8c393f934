"""Finds calls in a member's ledger that match a reported call."""

from collections.abc import Sequence
from datetime import datetime

from idtone.ledger.evidence.call_record import Record

from .report_documents import AnswerResult, MatchingCalls


def matching_calls(records: Sequence[Record], at: datetime) -> MatchingCalls:
    """The number of matching calls and the one closest to `at`. Canary calls are not counted."""
    records = [record for record in records if not record.canary]
    if not records:
        return MatchingCalls(calls=0)
    nearest = min(records, key=lambda record: abs(record.steps[0].at - at))
    return MatchingCalls(
        calls=len(records),
        call=nearest.call_id,
        outcome=nearest.outcome,
        reason=nearest.reason,
        delivery=nearest.least_delivery,
    )


def suggested_answer(facts: MatchingCalls) -> AnswerResult:
    """The answer that the ledger suggests. Only a person can determine that a call came from another member."""
    return AnswerResult.CUSTOMER_HELD if facts.calls else AnswerResult.NOT_OURS
