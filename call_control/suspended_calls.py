"""Suspensions of calls' numbers and the calls in progress whose number is suspended."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from idtone.core.calls import Outcome, Suspension
from idtone.core.decision import OwnStops, Registry, Remembered, names_of_suspension, suspended, time_by
from idtone.core.errors import LedgerBehindError
from idtone.core.numbers import Number
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step

from .call import Call


@dataclass
class SuspendedCalls:
    in_progress: Mapping[str, Call]
    registry: Callable[[], Registry | None]
    remembered: Callable[[], Remembered]
    own_stops: Callable[[], OwnStops | None]
    now: Callable[[], datetime]
    record: Callable[[Step], Future[None]]
    hang_up: bool
    """False if a suspension does not end calls in progress."""
    ended: Counter[str] = field(default_factory=Counter)
    """Number of calls that Asterisk has ended because their number is suspended, by suspension reference."""
    ended_by_own: Counter[str] = field(default_factory=Counter)
    """The same for the operator's own suspensions, by their ids."""

    def suspension(self, numbers: Sequence[Number], at: datetime) -> Suspension | None:
        """Currently known suspension of one of the numbers at the given time, or None."""
        registry = self.registry()
        return suspended(numbers, registry, time_by(registry, at), self.remembered(), self.own_stops())

    def origin(self, numbers: Sequence[Number], at: datetime) -> steps.SuspendedBy | None:
        """Origin of a suspension of one of the numbers, the association or the operator; None if none is suspended."""
        found = self.suspension(numbers, at)
        return steps.SuspendedBy(found.own) if found else None

    def to_end(self) -> list[Call]:
        """Calls in progress that Asterisk must be asked to end. Emergency calls are never included."""
        if not self.hang_up:
            return []
        registry, stops = self.registry(), self.own_stops()
        now = time_by(registry, self.now())
        return [
            call
            for call in self.in_progress.values()
            if call.decision.outcome not in (Outcome.BYPASS, Outcome.REFUSE)
            and not call.end_requested
            and suspended(call.forwarding_numbers, registry, now, self.remembered(), stops)
        ]

    def record_end(self, call: Call) -> bool:
        """Record that the service asks Asterisk to end a call because of a suspension.

        Returns False if Asterisk must not be asked, because the call is over, its number is no longer suspended, or the
        evidence rejected the step.
        """
        cause = self.suspension(call.forwarding_numbers, self.now())
        if cause is None or self.in_progress.get(call.id) is not call:
            return False
        if not call.suspended:
            registry, by = self.registry(), steps.SuspendedBy(cause.own)
            version, sha256 = None, None
            if registry is not None:
                now = time_by(registry, self.now())
                version, sha256 = names_of_suspension(call.forwarding_numbers, registry, now)
            written = self.record(steps.suspended(call.id, self.now(), version, sha256, by))
            call.suspended = not _is_refused(written)
        return call.suspended

    def count_end(self, call: Call) -> None:
        """Count a call that Asterisk ends because of a suspension. The call may already be over."""
        cause = self.suspension(call.forwarding_numbers, self.now())
        self.ended[cause.reference if cause else ""] += 1
        if cause and cause.own:
            self.ended_by_own[cause.own] += 1


def _is_refused(written: Future[None]) -> bool:
    error = written.exception() if written.done() else None
    return error is not None and not isinstance(error, LedgerBehindError)
