"""Explains a decision by listing the applied rules in order, with what each one found.

The decision itself is made by `idtone.core.decision`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from idtone.core.calls import Decision, ForwardedCall, Holding, Licence, Reason
from idtone.core.decision import Registry, suspended
from idtone.core.decision_words import REASONS
from idtone.core.licence_standing import judge
from idtone.core.translation import Message

from .time_formats import format_to_minute


@dataclass(frozen=True, slots=True)
class AppliedRule:
    """A rule applied to the call, with what it found. The last rule decides."""

    looked_at: str
    found: str
    decides: bool


@dataclass(frozen=True, slots=True)
class JudgedLicence:
    licence: Licence
    reason: Reason
    words: str


_SUSPENSION: Final = frozenset({Reason.NUMBER_SUSPENDED})
_NEVER: Final = frozenset({Reason.NUMBER_NEVER_ORIGINATES})
_NUMBER: Final = frozenset({Reason.NUMBER_WITHHELD, Reason.NUMBER_MALFORMED})
_REGISTRY: Final = frozenset({Reason.REGISTRY_STALE})
_HOLDER: Final = frozenset({Reason.NUMBER_UNKNOWN, Reason.NUMBER_OF_ANOTHER_MEMBER})
_NODE: Final = frozenset({Reason.MEMBER_NOT_SET})
_CHAIN: Final = frozenset({Reason.CHAIN_UNCHECKED})


def applied_rules(call: ForwardedCall, registry: Registry, now: datetime, decision: Decision) -> list[AppliedRule]:
    """The rules applied to the call, up to and including the deciding one."""
    holding = registry.holding(call.forwarding_number, now)
    words = Message(REASONS[decision.reason])
    applied = []
    for looked_at, reasons, otherwise in _rules(holding, registry, now):
        decides = decision.reason in reasons
        found = words if decides else otherwise
        if decides and reasons is _SUSPENSION:
            found = _suspension(call, registry, now)
        applied.append(AppliedRule(looked_at, found, decides))
        if decides:
            return applied
    return [*applied, AppliedRule(Message("Licences of the member in charge"), words, True)]


def _rules(holding: Holding | None, registry: Registry, now: datetime) -> Iterator[tuple[str, frozenset[Reason], str]]:
    """Yield what each rule checks, the reasons it can give, and what it found if it gives none of them."""
    yield Message("Suspensions"), _SUSPENSION, Message("the number is not suspended")
    yield Message("Numbers that never originate"), _NEVER, Message("the number is not among them")
    yield Message("The number itself"), _NUMBER, Message("it is a complete number")
    no_holder = Message("no member holds the forwarding number")
    yield Message("Who is in charge of the number"), _HOLDER, holding.member if holding else no_holder
    left = (registry.expires - now).days
    expiry = (
        Message("it expires in {days} days", days=left) if left >= 0 else Message("it has expired, but still counts")
    )
    yield Message("The registry's expiry"), _REGISTRY, expiry
    if holding is not None:
        yield Message("This node's member"), _NODE, Message("it may use the number")
    if holding is not None and (holding.chain or holding.certified_until):
        yield Message("The wholesale chain"), _CHAIN, Message("all resellers are checked")


def _suspension(call: ForwardedCall, registry: Registry, now: datetime) -> str:
    found = suspended(call.forwarding_numbers, registry, now)
    assert found, "the decision says so"
    return Message(
        "the number is suspended since {since}, reference {reference}",
        since=format_to_minute(found.since),
        reference=found.reference,
    )


def judged_licences(call: ForwardedCall, holding: Holding | None, now: datetime) -> list[JudgedLicence]:
    """The licences of the number's member, each evaluated for this call."""
    found = []
    for licence in holding.licences if holding else ():
        reason = judge(licence, call.direction, now)
        found.append(JudgedLicence(licence, reason, REASONS[reason]))
    return found
