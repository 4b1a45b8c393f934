"""Connects the brake to call control: refusals, counts and the evidence of each step."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from idtone.core.calls import Decision, ForwardedCall, Outcome, Reason
from idtone.core.log_output import call_extra
from idtone.core.persons import Person
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.act_ids import new_act_id
from idtone.ledger.evidence.steps import CallStatus, Step

from . import journal_lines
from .brake.brake import Brake, Found
from .brake.limits import BrakeStep
from .brake.shared_stops import Hold
from .call import Call

log = logging.getLogger(__name__)

BRAKED: Final = "brake-"
"""Prefix of the name of the act that records a brake step in the ledger. The step follows it."""
RELEASED: Final = "brake-release"
"""The act with which a person releases a subject."""
_UNANSWERED: Final = frozenset({CallStatus.NOANSWER, CallStatus.CANCEL, CallStatus.BUSY})


@dataclass
class CallBrake:
    """The brake and its evidence. `by` is the service's account, which the evidence names."""

    brake: Brake
    by: Person

    def refusal(self, call: ForwardedCall, customer: str | None, now: datetime) -> Reason | None:
        """Reason why the brake refuses the call, or None."""
        return None if call.emergency else self.brake.refusal(call, now.timestamp(), customer)

    def count(self, call: ForwardedCall, decision: Decision, now: datetime) -> tuple[Found, Iterator[Step]]:
        """Count a decided call. Returns the call's subjects and the evidence to record."""
        if call.emergency:
            return (), iter(())
        passed = decision.outcome is not Outcome.REFUSE
        found, risen = self.brake.count(call, decision.reason, passed, now.timestamp(), decision.customer)
        return found, self._acts(risen)

    def count_fallback(self, line: journal_lines.Decided, customer: str | None, now: datetime) -> Iterator[Step]:
        """Count a call that the hook decided while the service was down. Yields the evidence to record."""
        if line.outcome in (None, Outcome.BYPASS):
            return iter(())
        passed = line.outcome is Outcome.NOTICE
        return self._acts(self.brake.count_late(line.call, passed, line.at.timestamp(), now.timestamp(), customer))

    def ended(self, call: Call, line: journal_lines.Ended, now: datetime) -> Iterator[Step]:
        """Count the end of a call. Yields the evidence to record."""
        talked_s = rang_s = None
        if line.status is CallStatus.CONNECTED:
            talked_s = (line.talked_ms or 0) / 1000
        elif line.status in _UNANSWERED and not line.answered:
            rang_s = max(0.0, (line.at - call.decided_at).total_seconds())
        cancelled = line.status is CallStatus.CANCEL
        return self._acts(self.brake.ended(call.subjects, call.id, talked_s, rang_s, cancelled, now.timestamp()))

    def _acts(self, holds: Iterable[Hold]) -> Iterator[Step]:
        for hold in holds:
            log.log(
                logging.ERROR if hold.step is BrakeStep.STOP else logging.WARNING,
                "the brake has come to %r for the %s %s (%s): %s; `idtone brake list` shows it",
                hold.step.word,
                hold.kind,
                hold.label or hold.token[:8],
                hold.line,
                hold.signal,
                extra=call_extra(hold.call_id),
            )
            details = {name: getattr(hold, name) for name in ("kind", "line", "label", "signal")}
            at, act = datetime.fromtimestamp(hold.since_s, UTC), f"{BRAKED}{hold.step.word}"
            yield steps.duty(new_act_id(), at, self.by, act, hold.token, {**details, "call": hold.call_id})
