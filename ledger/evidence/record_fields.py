"""Main fields of a call record, for programs and spreadsheets."""

from typing import Final

from .call_record import Record, iso_ms
from .leaves import ACTS
from .steps import NumberRole

FIELDS: Final = (
    "node", "time", "call_id", "direction", "number", "outcome", "reason", "member", "licence", "profile", "delivery",
    "status", "hangup_cause", "complete", "fallback", "anomalies",
)  # fmt: skip


def fields_of(record: Record) -> tuple[object, ...]:
    """Values from a call's record, in the order of `FIELDS`, with the telephone number masked."""
    return (
        record.node,
        iso_ms(record.steps[0].at),
        record.call_id,
        record.direction,
        record.numbers.get(NumberRole.FORWARDING),
        record.outcome,
        record.reason,
        record.member,
        record.licence,
        record.profile,
        record.least_delivery,
        record.steps[0].kind if record.steps[0].kind in ACTS else record.status,
        record.hangup_cause,
        record.complete,
        record.fallback,
        "; ".join(record.anomalies),
    )
