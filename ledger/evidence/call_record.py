"""A call's record, interpreted from its steps.

No other module of the ledger interprets evidence. Steps in an impossible order are accepted, and the record lists the
contradictions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from idtone.core.calls import Delivery, Outcome, Party, Reason
from idtone.core.numbers import Number, NumberKind
from idtone.core.translation import Message

from .masked_number import MaskedNumber, mask_number
from .steps import (
    CANARY,
    FIRST,
    NUMBER_SUSPENDED,
    SEALED,
    SIP_CALL_ID_TOKEN,
    UNOPENED,
    UNSEALED,
    CallStatus,
    NumberRole,
    Scalar,
    Step,
    StepKind,
)

SENT_BY: Final = "packets"
"""The value of `known_by` that proves that a sound was sent, because all its packets were counted."""
_PLAYED_MS_BEFORE: Final = "heard_ms"
"""The older name of `played_ms`, used in steps written by earlier versions."""
_DELIVERIES: Final = tuple(Delivery)
_PARTIES: Final[Sequence[str]] = tuple(Party)
_NUMBER_KINDS: Final = frozenset(NumberKind)


@dataclass(frozen=True, slots=True)
class Record:
    """The evidence about one call, interpreted from its steps.

    `direction`, `outcome`, `reason` and `status` are plain text equal to the members of their enumerations, so codes
    from a newer version remain readable. `profile` is the sound that was decided on, and `profiles` contains each
    party's sound. `skip` is the reason for not playing a sound. `delivery` contains the delivery of each sound
    (`Delivery`), and `known_by` the proof for each sound that was played to its end.

    `complete` is True if the end of the call was recorded. `fallback` is True if the dialplan hook decided without the
    service. `nonce` binds lines of the journal to the call. `chain_call`, on the node `chain_node`, is the call that
    announces this call. `sip_call_id_token` is the token for the caller's SIP Call-ID. `customer` is the operator's id
    for its customer, from the table of lines. `canary` marks a call placed by `idtone canary`, which belongs to no
    customer. `registry_sha256` is the digest of the registry used to decide the call.
    """

    call_id: str
    node: str
    direction: str | None
    outcome: str | None
    reason: str | None
    member: str | None
    wholesale_chain: str | None
    licence: str | None
    profile: str | None
    profiles: Mapping[str, str]
    skip: str | None
    interface: str | None
    registry_version: int | None
    registry_trust: str | None
    numbers: Mapping[NumberRole, MaskedNumber]
    delivery: Mapping[str, str]
    known_by: Mapping[str, str]
    status: str | None
    hangup_cause: int | None
    complete: bool
    fallback: bool
    nonce: str | None
    anomalies: tuple[str, ...]
    steps: tuple[Step, ...]
    chain_node: str | None = None
    chain_call: str | None = None
    sip_call_id_token: str | None = None
    customer: str | None = None
    canary: bool = False
    registry_sha256: str | None = None

    @property
    def clear_numbers(self) -> Mapping[NumberRole, Number]:
        """The call's telephone numbers by role; empty if the key that opens them is not available."""
        return _opened(self.steps)

    @property
    def times(self) -> dict[StepKind, datetime]:
        """Time of the first step of each kind."""
        first: dict[StepKind, datetime] = {}
        for step in self.steps:
            first.setdefault(step.kind, step.at)
        return first

    @property
    def least_delivery(self) -> str:
        """The least certain delivery of any of the call's sounds; empty if no party was to hear a sound."""
        return max(self.delivery.values(), key=_DELIVERIES.index, default="")

    @property
    def sent(self) -> bool:
        """True if every sound of the call was sent or confirmed.

        False if no party was to hear a sound.
        """
        return self.least_delivery in (Delivery.SENT, Delivery.CONFIRMED)

    @property
    def connected(self) -> bool:
        return StepKind.CONNECTED in self.times

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object, with times in UTC (ISO 8601, milliseconds)."""
        return {
            "call_id": self.call_id,
            "node": self.node,
            "direction": self.direction,
            "outcome": self.outcome,
            "reason": self.reason,
            "member": self.member,
            "wholesale_chain": self.wholesale_chain,
            "customer": self.customer,
            "licence": self.licence,
            "profile": self.profile,
            "profiles": dict(self.profiles),
            "skip": self.skip,
            "chain_node": self.chain_node,
            "chain_call": self.chain_call,
            "interface": self.interface,
            "registry_version": self.registry_version,
            "registry_trust": self.registry_trust,
            "registry_sha256": self.registry_sha256,
            "numbers": {
                role.value: {"kind": number.kind.value, "token": number.token, "last4": number.last4}
                for role, number in self.numbers.items()
            },
            "sip_call_id_token": self.sip_call_id_token,
            "canary": self.canary,
            "times": {kind.value: iso_ms(at) for kind, at in self.times.items()},
            "delivery": dict(self.delivery),
            "sent": self.sent,
            "known_by": dict(self.known_by),
            "status": self.status,
            "hangup_cause": self.hangup_cause,
            "complete": self.complete,
            "fallback": self.fallback,
            "anomalies": list(self.anomalies),
        }

    @property
    def first_decision(self) -> Mapping[str, Scalar]:
        """Signed details of the call's first decision, which a later decision may have superseded."""
        return next((step.details for step in self.steps if step.kind in FIRST), {})


def iso_ms(at: datetime) -> str:
    """Format a time in UTC with milliseconds, such as `2026-11-01T00:00:00.123+00:00`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def record_of_steps(node: str, steps: Sequence[Step]) -> Record:
    """Interpret the steps of one call as a record.

    `steps` must contain at least one step, in the order in which they were written.
    """
    decision, opened = _decision(steps), _opened(steps)
    end = _details(steps, StepKind.ENDED)
    outcome, profile = _text(decision, "outcome"), _text(decision, "profile")
    profiles = _profiles(decision)
    known_by = {_party(step): _text(step.details, "known_by") for step in steps if _played(step)}
    confirmed = {_party(step) for step in steps if _confirms(step)}
    return Record(
        call_id=steps[0].call_id,
        node=node,
        direction=_text(decision, "direction"),
        outcome=outcome,
        reason=_text(decision, "reason"),
        member=_text(decision, "member"),
        wholesale_chain=_text(decision, "wholesale_chain"),
        licence=_text(decision, "licence"),
        profile=profile,
        profiles=profiles,
        skip=_text(decision, "skip"),
        interface=_text(decision, "interface"),
        registry_version=_whole(decision, "registry_version"),
        registry_trust=_text(decision, "registry_trust"),
        numbers={role: number for role in NumberRole if (number := _number(decision, opened, role))},
        delivery={
            party: _delivery(known_by.get(party), party in confirmed) for party in sorted(profiles, key=_PARTIES.index)
        },
        known_by={party: by for party in Party if (by := known_by.get(party))},
        status=_text(end, "status"),
        # A refusal carries its cause in the decision.
        hangup_cause=_whole(end, "hangup_cause") or _whole(decision, "hangup_cause"),
        complete=any(step.kind is StepKind.ENDED for step in steps),
        fallback=_acted_alone(steps),
        nonce=_text(decision, "nonce"),
        anomalies=tuple(_anomalies(steps, outcome, profiles)),
        steps=tuple(steps),
        chain_node=_text(decision, "chain_node"),
        chain_call=_text(decision, "chain_call"),
        sip_call_id_token=_text(decision, SIP_CALL_ID_TOKEN),
        customer=_text(decision, "customer"),
        canary=decision.get(CANARY) is True,
        registry_sha256=_text(decision, "registry_sha256"),
    )


_ONCE: Final = FIRST | {StepKind.ANSWERED, StepKind.CONNECTED, StepKind.SUSPENDED, StepKind.ENDED}

_AFTER_THE_END: Final = frozenset({StepKind.ENDED, StepKind.SOUND_REPORTED})
"""Steps that may come after the end.

The called party's channel may report just after the caller's channel ends.

A second `ended` is reported as `ended twice`.
"""

_BEFORE: Final = {
    StepKind.ANSWERED: StepKind.DECIDED,
    StepKind.SOUND_STARTED: StepKind.ANSWERED,
    StepKind.SOUND_ENDED: StepKind.SOUND_STARTED,
    StepKind.SOUND_FAILED: StepKind.DECIDED,
    StepKind.SOUND_REPORTED: StepKind.SOUND_STARTED,
    StepKind.CONNECTED: StepKind.ANSWERED,
    StepKind.SUSPENDED: StepKind.DECIDED,
    StepKind.ENDED: StepKind.DECIDED,
    StepKind.INTERRUPTED: StepKind.DECIDED,
}
"""Kind of step → the kind that must come before it."""

_SOUNDS: Final = frozenset(
    {StepKind.SOUND_STARTED, StepKind.SOUND_ENDED, StepKind.SOUND_FAILED, StepKind.SOUND_REPORTED}
)
_NEVER: Final[Mapping[str | None, frozenset[StepKind]]] = {
    Outcome.REFUSE: _SOUNDS | {StepKind.ANSWERED, StepKind.CONNECTED},
    Outcome.SHED: _SOUNDS | {StepKind.ANSWERED, StepKind.CONNECTED},
    Outcome.BYPASS: _SOUNDS,
}
"""Outcome → kinds of steps that contradict it."""

_NOT_ITS_OWN: Final = frozenset({Reason.NUMBER_OF_ANOTHER_CUSTOMER, Reason.LINE_UNKNOWN})
"""Reasons for calls that present another line's number, according to the table of lines."""
_APART: Final = timedelta(milliseconds=100)
"""Maximum time between two steps whose order may be reversed, because a call's two channels report independently."""

_SOUND_FIRST: Final[frozenset[str | None]] = frozenset({Outcome.PLAY, Outcome.NOTICE})


def _anomalies(steps: Sequence[Step], outcome: str | None, profiles: Mapping[str, str]) -> Iterator[str]:
    seen: set[StepKind] = set()
    unplayed = set(profiles)
    latest: dict[str | None, datetime] = {}
    reason, decided = _text(_decision(steps), "reason"), _details(steps, StepKind.DECIDED)
    alone = _acted_alone(steps)
    sealed = [_text(step.details, SEALED) for step in steps if step.kind in FIRST]
    if UNOPENED in sealed:
        yield Message("the numbers cannot be opened: they were changed, or sealed with another key")
    if alone and decided:
        yield Message(
            "the service decided {outcome}, {reason}, and the hook acted without it",
            outcome=decided.get("outcome"),
            reason=decided.get("reason"),
        )
    if outcome == Outcome.BYPASS and _decision(steps).get(NUMBER_SUSPENDED):
        yield Message("an emergency call of a suspended number")
    if reason == Reason.NUMBER_OF_ANOTHER_MEMBER:
        yield Message("another member holds the forwarding number")
    if reason == Reason.NUMBER_NEVER_ORIGINATES:
        yield Message("the call came from a number that never originates")
    if reason in _NOT_ITS_OWN:
        yield Message("the caller's line presented a number that is not its own: {reason}", reason=reason)
    if UNSEALED in sealed:
        yield Message("the numbers could not be sealed, and are not kept")
    for step in steps:
        kind = step.kind
        # If no party is to hear a sound, nothing waits for the answer.
        before = _BEFORE.get(kind) if profiles or kind is not StepKind.CONNECTED else StepKind.DECIDED
        if StepKind.ENDED in seen and kind not in _AFTER_THE_END:
            yield Message("{kind} after ended", kind=kind)
        if kind in _ONCE and kind in seen:
            yield Message("{kind} twice", kind=kind)
        if before and before not in seen and not (before is StepKind.DECIDED and StepKind.FALLBACK in seen):
            yield Message("{kind} without {before} before it", kind=kind, before=before)
        if kind in _NEVER.get(outcome, ()):
            yield Message("{kind} although the outcome is {outcome}", kind=kind, outcome=outcome)
        if kind is StepKind.CONNECTED and outcome in _SOUND_FIRST and unplayed:
            yield Message("connected without evidence of the sound")
        if kind is StepKind.SOUND_ENDED and "instead" in step.details:
            yield Message(
                "{instead} was played to the {party} party instead of the sound",
                party=_party(step),
                instead=step.details["instead"],
            )
        if (
            kind is StepKind.ENDED
            and step.details.get("status") == CallStatus.CONNECTED
            and StepKind.CONNECTED not in seen
        ):
            yield Message("ended as CONNECTED without connected before it")
        acted = _text(step.details, "reason") if kind is StepKind.ENDED else None
        if acted and acted != reason:
            yield Message("the hook acted on {acted}", acted=acted)
        party = _text(step.details, "party")
        before_it = [at for whose, at in latest.items() if party is None or whose in (None, party)]
        # The first has the time of the request, which was decided too late; the second is reported with the end.
        late = kind in (StepKind.FALLBACK, StepKind.CONNECTED)
        if before_it and step.at < max(before_it) - _APART and not late:
            yield Message("{kind} is dated before the step that precedes it", kind=kind)
        seen.add(kind)
        if _played(step):
            unplayed.discard(_party(step))
        latest[party] = step.at


def _played(step: Step) -> bool:
    details = step.details
    played_ms = _whole(details, "played_ms") or _whole(details, _PLAYED_MS_BEFORE) or 0
    return step.kind is StepKind.SOUND_ENDED and played_ms > 0 and "instead" not in details


def _confirms(step: Step) -> bool:
    return step.kind is StepKind.SOUND_REPORTED and step.details.get("confirmed") is True


def _delivery(known_by: str | None, confirmed: bool) -> Delivery:
    if known_by != SENT_BY:
        return Delivery.NOT_KNOWN
    return Delivery.CONFIRMED if confirmed else Delivery.SENT


def _party(step: Step) -> str:
    """Party whose sound a step concerns. The default is the called party."""
    return _text(step.details, "party") or Party.CALLED


def _profiles(decision: Mapping[str, Scalar]) -> dict[str, str]:
    """The sound decided on for each party."""
    profile, apart = _text(decision, "profile"), _text(decision, "profiles")
    if apart:
        return dict(pair.split("=", 1) for pair in apart.split(",") if "=" in pair)
    parties = _text(decision, "parties")
    return dict.fromkeys(parties.split(",") if parties else (), profile or "")


def _decision(steps: Sequence[Step]) -> Mapping[str, Scalar]:
    """The decision that took effect. It is the hook's if the hook acted before the service decided."""
    alone, decided = _details(steps, StepKind.FALLBACK), _details(steps, StepKind.DECIDED)
    return alone if "outcome" in alone or not decided else decided


def _acted_alone(steps: Sequence[Step]) -> bool:
    """True if the hook decided the call without the service.

    The hook's journal line counts only if it contains the request's nonce, which others do not know.
    """
    alone = _details(steps, StepKind.FALLBACK)
    return bool(alone) and ("outcome" in alone or not _details(steps, StepKind.DECIDED))


def _details(steps: Sequence[Step], kind: StepKind) -> Mapping[str, Scalar]:
    return next((step.details for step in steps if step.kind is kind), {})


def _text(details: Mapping[str, Scalar], key: str) -> str | None:
    value = details.get(key)
    return value if isinstance(value, str) else None


def _whole(details: Mapping[str, Scalar], key: str) -> int | None:
    value = details.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _opened(steps: Sequence[Step]) -> Mapping[NumberRole, Number]:
    return next((step.numbers for step in steps if step.kind in FIRST), {})


def _number(
    details: Mapping[str, Scalar], opened: Mapping[NumberRole, Number], role: NumberRole
) -> MaskedNumber | None:
    if role in opened:
        return mask_number(opened[role], _text(details, f"{role}_token"))
    kind = _text(details, f"{role}_kind")
    if kind is None or kind not in _NUMBER_KINDS:
        return None
    return MaskedNumber(NumberKind(kind), _text(details, f"{role}_token"), _text(details, f"{role}_last4") or "")
