"""A call between its decision and its end, including one that an earlier service decided."""

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
"""A step's identity within a call: its kind, time and party."""


@dataclass
class Call:
    """A call between its decision and its end."""

    id: str
    nonce: str
    decision: Decision
    decided_at: datetime
    """When it was decided or, if it ended before a decision, when it ended."""
    forwarding_numbers: tuple[Number, ...] = ()
    """The forwarding numbers; empty for a call that an earlier service decided, if its sealed numbers can no longer be
    opened.
    """
    called: Number | None = None
    caller: Number | None = None
    """The caller; None for a call that an earlier service decided, if its sealed numbers can no longer be opened."""
    request: Request | None = None
    """The hook's request; None if an earlier service or the hook decided the call."""
    chained_from: RemoteCall | None = None
    """The call on another node that plays the sound or whose sound the policy allows this one to repeat."""
    came_back: bool = False
    """True if a leg of this call came back from the network and plays no sound. At most one leg does."""
    kept: Future[None] | None = None
    """A future that is done when the decision is stored; None if an earlier service or the hook decided the call."""
    undecided: bool = False
    """True if it ended before a decision. `decision` is then what the hook would have decided."""
    answered: bool = False
    delivery: dict[Party, Delivery] = field(default_factory=dict)
    """Delivery of the decided sound, or of the notice instead, to each party that it was played to until its end."""
    sounded_since: datetime | None = None
    """When the latest playback in the journal began."""
    sounded_at: datetime | None = None
    """When the last sound before the connection ended."""
    files: dict[str, States] = field(default_factory=dict)
    """Files of the verdict's sounds, in their state at that time, by sound name."""
    suspended: bool = False
    """True if its number was suspended during the call and the evidence says so."""
    end_requested: bool = False
    """True if the service has asked Asterisk to end the call or Asterisk is ending it."""
    subjects: Found = ()
    """The subjects that the brake counts this call for; empty if the hook or an earlier service decided it."""
    written: frozenset[_Written] = frozenset()
    """Steps that an earlier service has written, because this service may read the same journal lines again."""

    @property
    def channel(self) -> str:
        """The caller's channel, or the called party's under the operator's own Dial()."""
        return dialplan.channel_of(self.id)

    @property
    def announces(self) -> bool:
        """True if another leg of this call needs no sound.

        In that case, this call or the call on another node that it is chained from plays the sound. If this call's
        sound has ended, only a transfer can have created the leg, and the new party has heard no sound. The end of
        another node's sound is not known on this node. The hook names this call only for a leg that has not been
        answered yet.
        """
        if self.decision.profiles:
            return self.sounded_at is None
        return self.decision.skip is Skip.ANNOUNCED and self.chained_from is not None

    @classmethod
    def restored(cls, record: Record, nonce: str) -> Call:
        """Rebuild a call from the ledger record of a call that was in progress when the service stopped."""
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
        numbers = record.clear_numbers
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
