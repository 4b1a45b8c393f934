"""Conditions for finding calls in the ledger."""

from dataclasses import dataclass
from typing import Final

from .call_record import Record

_OF_THE_DECISION: Final = ("direction", "outcome", "reason", "member", "licence")


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Conditions for a call search. A call must meet all conditions that are not None.

    `delivery` is the least certain delivery among the call's sounds, a value of `Delivery`. `odd` selects calls whose
    steps contradict each other.
    """

    direction: str | None = None
    outcome: str | None = None
    reason: str | None = None
    member: str | None = None
    licence: str | None = None
    delivery: str | None = None
    fallback: bool | None = None
    odd: bool = False

    def accepts(self, record: Record) -> bool:
        return (
            all(getattr(record, name) == value for name, value in self.decision_details.items())
            and (self.delivery is None or record.least_delivery == self.delivery)
            and (self.fallback is None or record.fallback is self.fallback)
            and (not self.odd or bool(record.anomalies))
        )

    @property
    def decision_details(self) -> dict[str, str]:
        """Details, by name, that the decision on a matching call must have."""
        return {name: value for name in _OF_THE_DECISION if (value := getattr(self, name)) is not None}
