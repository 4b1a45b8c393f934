"""A call between its decision and its end, also one that an earlier service decided."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from idtone import dialplan
from idtone.core.calls import Decision, Delivery, Outcome, Party, Reason, RemoteCall, Skip, Trust
from idtone.core.numbers import Number
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import NumberRole, Step, StepKind

from .brake.brake import Found
from .request import Request
from .sound_files import States

_SOUND_OVER: Final = frozenset({StepKind.SOUND_ENDED, StepKind.SOUND_FAILED})
_Written = tuple[StepKind, datetime, str | None]
"""What identifies a step of a call: its kind, its time, and its party."""


@dataclass
class Call:
    """A call between its decision and its end."""

    id: str
    nonce: str
    decision: Decision
    decided_at: datetime
    """When it was decided; when it ended if it ended before."""
    forwarding_numbers: tuple[Number, ...] = ()
    """Empty for a call that an earlier service decided, if its sealed numbers can no longer be opened."""
    called: Number | None = None
    caller: Number | None = None
    """None for a call that an earlier service decided, if its sealed numbers can no longer be opened."""
    request: Request | None = None
    """None if an earlier service or the hook decided the call."""
    chained_from: RemoteCall | None = None
    """The call on another node that plays the sound, or whose sound the policy lets this one repeat."""
    came_back: bool = False
    """A leg of this call came back from the network, and plays no sound. There is one such leg at most."""
    kept: Future[None] | None = None
    """Done when the decision survives this process; None if an earlier service or the hook decided the call."""
    undecided: bool = False
    """It ended before it was decided. `decision` is what the hook would have decided."""
    answered: bool = False
    delivery: dict[Party, Delivery] = field(default_factory=dict)
    """What is known of the decided sound, or the notice instead, at the parties to which it was played to its end."""
    sounded_since: datetime | None = None
    """When the latest playback in the journal began."""
    sounded_at: datetime | None = None
    """When the last sound before the connection ended."""
    files: dict[str, States] = field(default_factory=dict)
    """The files of the sounds that the verdict names, as they were then, by the sounds' names."""
    suspended: bool = False
    """Its number was suspended during the call, and the evidence says so."""
    end_requested: bool = False
    """The service asks Asterisk to end the call, or Asterisk ends it."""
    subjects: Found = ()
    """What the brake counts it for; empty if it was decided by the hook or an earlier service."""
    written: frozenset[_Written] = frozenset()
    """Steps that an earlier service has written. This service may read the same journal lines again."""

    @property
    def channel(self) -> str:
        """The caller's channel, or the called party's under the operator's own Dial()."""
        return dialplan.channel_of(self.id)

    @property
    def announces(self) -> bool:
        """True if a leg of this call needs no sound, because this call, or the one that it is chained from, plays it.

        If the sound of this call has ended, only a transfer can have made the leg, and the new party has received none.
        When the sound of another node ends is not known here; the hook names this call only for a leg that is not
        answered yet.
        """
        if self.decision.profiles:
            return self.sounded_at is None
        return self.decision.skip is Skip.ANNOUNCED and self.chained_from is not None

    @classmethod
    def restored(cls, record: Record, nonce: str) -> Call:
        """The call of a record without an end: it was in progress when the service last stopped."""
        decision = Decision(
            Outcome(record.outcome or Outcome.NOTICE),
            Reason(record.reason or Reason.SERVICE_UNAVAILABLE),
            record.licence,
            {Party(party): profile for party, profile in record.profiles.items()},
            registry_version=record.registry_version,
            skip=Skip(record.skip) if record.skip else None,
            registry_trust=Trust(record.registry_trust) if record.registry_trust else None,
            member=record.member,
            wholesale_chain=record.wholesale_chain,
            customer=record.customer,
            registry_sha256=record.registry_sha256,
        )
        numbers = record.opened
        return cls(
            record.call_id,
            nonce,
            decision,
            record.steps[0].at,
            (numbers[NumberRole.FORWARDING],) if NumberRole.FORWARDING in numbers else (),
            numbers.get(NumberRole.CALLED),
            numbers.get(NumberRole.CALLER),
            chained_from=RemoteCall(record.chain_node, record.chain_call)
            if record.chain_node and record.chain_call
            else None,
            undecided=record.outcome is None,
            answered=StepKind.ANSWERED in record.times,
            delivery={Party(party): Delivery(record.delivery[party]) for party in record.known_by},
            sounded_at=max((step.at for step in record.steps if step.kind in _SOUND_OVER), default=None),
            suspended=StepKind.SUSPENDED in record.times,
            written=frozenset(map(_written, record.steps)),
        )

    def has_written(self, step: Step) -> bool:
        """True if an earlier service has written this step."""
        return _written(step) in self.written


def _written(step: Step) -> _Written:
    party = step.details.get("party")
    return step.kind, step.at, party if isinstance(party, str) else None
