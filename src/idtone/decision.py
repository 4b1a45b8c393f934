"""The decision. Pure: a call, what is known, the policy and the time go in; a `Decision` comes out.

The rules stand in the order in which they are asked; the first that answers decides. Emergency comes
before everything, suspension before every licence, and the association's sound comes out of exactly
one place: a licence that is valid now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from .calls import (
    Decision,
    Direction,
    ForwardedCall,
    Licence,
    LicenceStatus,
    Outcome,
    Party,
    Reason,
    Suspension,
)
from .numbers import Number, NumberKind


class Registry(Protocol):
    """What the decision needs to know of a registry. Both look-ups take constant time."""

    @property
    def version(self) -> int: ...
    @property
    def expires(self) -> datetime: ...
    def suspension(self, number: Number) -> Suspension | None: ...
    def licences(self, number: Number) -> Sequence[Licence] | None:
        """The licences of the member who holds the number; None where nobody does."""
        ...


class Unlicensed(StrEnum):
    """What a call without a valid licence gets."""

    NOTICE = "notice"
    REFUSE = "refuse"


CALL_REJECTED: Final = 21
"""Q.850 cause 21."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The member's choices (`policy` in idtone.yaml)."""

    unlicensed: Unlicensed = Unlicensed.NOTICE
    refuse_cause: int = CALL_REJECTED
    registry_stale: timedelta = timedelta(0)
    """How long after its `expires` a registry still counts for licences."""
    notice_profile: str = "notice"
    notify: MappingProxyType[Direction, frozenset[Party]] = field(
        default_factory=lambda: MappingProxyType({direction: frozenset({Party.CALLED}) for direction in Direction})
    )


NOTHING_REMEMBERED: Final[Mapping[str, datetime]] = MappingProxyType({})


def decide(
    call: ForwardedCall,
    registry: Registry | None,
    policy: Policy,
    now: datetime,
    remembered: Mapping[str, datetime] = NOTHING_REMEMBERED,
) -> Decision:
    """Decide one call. `now` must know its time zone; `registry` is None where none could be loaded.

    Then, and only then, `remembered` counts: what an earlier registry suspended, E.164 → since when.
    """
    if call.called.kind is NumberKind.EMERGENCY:
        return Decision(Outcome.BYPASS, Reason.EMERGENCY)
    version = registry.version if registry else None
    since = _suspended_since(call.forwarding_number, registry, remembered)
    if since and now >= since:
        return _refusal(Reason.NUMBER_SUSPENDED, None, version, policy)
    reason, licence = _standing(call, registry, policy, now)
    parties = policy.notify[call.direction]
    if reason is Reason.LICENCE_VALID and licence:
        return Decision(Outcome.PLAY, reason, licence.id, licence.tone, parties, version)
    licence_id = licence.id if licence else None
    if policy.unlicensed is Unlicensed.REFUSE:
        return _refusal(reason, licence_id, version, policy)
    return Decision(Outcome.NOTICE, reason, licence_id, policy.notice_profile, parties, version)


def _suspended_since(number: Number, registry: Registry | None, remembered: Mapping[str, datetime]) -> datetime | None:
    if registry is None:
        return remembered.get(number.e164)
    suspension = registry.suspension(number)
    return suspension.since if suspension else None


def _refusal(reason: Reason, licence: str | None, version: int | None, policy: Policy) -> Decision:
    return Decision(Outcome.REFUSE, reason, licence, registry_version=version, hangup_cause=policy.refuse_cause)


_NO_NUMBER = {NumberKind.WITHHELD: Reason.NUMBER_WITHHELD, NumberKind.MALFORMED: Reason.NUMBER_MALFORMED}


def _standing(
    call: ForwardedCall, registry: Registry | None, policy: Policy, now: datetime
) -> tuple[Reason, Licence | None]:
    """How the call stands towards the licences: the reason, and the licence that was judged."""
    if registry is None:
        return Reason.REGISTRY_MISSING, None
    if call.forwarding_number.kind in _NO_NUMBER:
        return _NO_NUMBER[call.forwarding_number.kind], None
    if now - registry.expires >= policy.registry_stale:  # a sum would overflow where it expires in 9999
        return Reason.REGISTRY_STALE, None
    licences = registry.licences(call.forwarding_number)
    if licences is None:
        return Reason.NUMBER_UNKNOWN, None
    if not licences:
        return Reason.LICENCE_NONE, None
    judged = [(judge(licence, call.direction, now), licence) for licence in licences]
    return min(judged, key=lambda pair: _CLOSENESS[pair[0]])


def judge(licence: Licence, direction: Direction, now: datetime) -> Reason:
    """How one licence stands at one moment for one direction."""
    if licence.status is LicenceStatus.REVOKED:
        return Reason.LICENCE_REVOKED
    if now < licence.valid_from:
        return Reason.LICENCE_NOT_YET_VALID
    if now >= licence.valid_until:
        return Reason.LICENCE_EXPIRED
    if licence.status is LicenceStatus.SUSPENDED:
        return Reason.LICENCE_SUSPENDED
    if direction not in licence.directions:
        return Reason.DIRECTION_NOT_COVERED
    return Reason.LICENCE_VALID


_CLOSENESS: Final = {
    reason: rank
    for rank, reason in enumerate(
        (
            Reason.LICENCE_VALID,
            Reason.DIRECTION_NOT_COVERED,
            Reason.LICENCE_SUSPENDED,
            Reason.LICENCE_EXPIRED,
            Reason.LICENCE_NOT_YET_VALID,
            Reason.LICENCE_REVOKED,
        )
    )
}
"""Of several licences the one that comes closest to allowing the call gives the reason."""
