"""Decides whether a forwarded call is connected and which sound the parties hear.

The rules apply in a fixed order, and the first matching rule decides. Emergency calls come first. Suspensions come
before licences. Only the rule for a currently valid licence returns the association's sound. The module does no I/O.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

from .calls import (
    Decision,
    Direction,
    ForwardedCall,
    Holding,
    Licence,
    Outcome,
    Party,
    Period,
    Reason,
    Skip,
    Suspension,
    Trust,
)
from .licence_standing import distance, nearest
from .number_spans import NumberSpan, patterns_of
from .numbers import Number, NumberKind, NumberPattern


class Registry(Protocol):
    """The registry interface that the decision uses. Look-ups take constant time."""

    @property
    def version(self) -> int: ...
    @property
    def trust(self) -> Trust: ...
    @property
    def sha256(self) -> str | None:
        """SHA-256 of the registry's signed metadata or unsigned file; None if the registry does not come from files."""
        ...

    @property
    def newer(self) -> NewerStops | None:
        """Suspensions from a newer edition that is not loaded completely; None without such an edition."""
        ...

    @property
    def issued(self) -> datetime:
        """Time at which the newest part of the registry was issued. A clock that shows an earlier time is wrong."""
        ...

    @property
    def expires(self) -> datetime: ...
    def suspensions_of(self, number: Number) -> Sequence[Suspension]:
        """All past, current and future suspensions of the number, its ranges and its holder."""
        ...

    def suspended_spans(self, stocks: bool = True) -> Iterable[tuple[NumberSpan, Suspension]]:
        """Suspended number ranges in ascending order.

        If `stocks` is False, the numbers of suspended members are omitted.
        """
        ...

    def never_originates(self, number: Number) -> Sequence[Period]:
        """All past, current and future periods in which the number is declared never to originate calls."""
        ...

    def watches(self, call: ForwardedCall) -> bool:
        """True if one of the call's numbers may be suspended or declared never to originate calls."""
        ...

    def own_spans(self, member: str | None) -> Iterable[tuple[NumberSpan, Period]]:
        """Number ranges that the member may use, with their periods, in ascending order.

        If `member` is None, the ranges of all members are returned.
        """
        ...

    def holding(self, number: Number, now: datetime) -> Holding | None:
        """Member in charge of the number at `now`, or None if no member holds it."""
        ...


class NewerStops(NamedTuple):
    """Suspensions from a newer edition of the registry, which apply before that edition is loaded completely.

    `sha256` is the digest of the newer edition. `earlier` is the registry without the new suspensions.
    """

    sha256: str | None
    earlier: Registry


class OwnStops(Protocol):
    """Interface to the operator's own suspensions (`idtone suspend`), as the decision uses it."""

    def of(self, number: Number) -> Sequence[Suspension]:
        """The operator's suspensions of a number."""
        ...


class Lines(Protocol):
    """Interface to the table of customer lines, as the decision uses it."""

    def presentation(self, call: ForwardedCall, now: datetime) -> tuple[Reason | None, str | None]:
        """Check whether the caller's line may present the forwarding number.

        Returns two values: the reason for a refusal (None if the line may present the number) and the customer (None if
        unknown).
        """
        ...


class Unlicensed(StrEnum):
    """Policy for calls without a valid licence."""

    NOTICE = "notice"
    REFUSE = "refuse"


class Unreadable(StrEnum):
    """Policy for calls whose forwarding number is malformed, withheld or empty."""

    REFUSE = "refuse"
    NOTICE = "notice"
    """The call is treated as if it had no valid licence."""


class LedgerFull(StrEnum):
    """Policy for calls that would be connected although the ledger has no room for their evidence."""

    NOTICE_AND_CONNECT = "notice-and-connect"
    REFUSE = "refuse"


class Chain(StrEnum):
    """Policy for calls that are forwarded more than once on this PBX."""

    ONCE = "once"
    """Only the last answered forwarding plays the sound."""
    EACH = "each"
    """Each forwarding plays the sound."""


CALL_REJECTED: Final = 21
"""Q.850 cause 21."""
CONGESTION: Final = 42
"""Q.850 cause 42: the network may try again later."""

_CALLED: Final = frozenset({Party.CALLED})
_SETS: Final = [frozenset(some) for count in range(len(Party) + 1) for some in itertools.combinations(Party, count)]
_HEARING: Final = {
    (wanted, able): tuple(party for party in Party if party in (wanted & able or _CALLED))
    for wanted in _SETS
    for able in _SETS
}
"""A pair (the parties that should hear a sound, the parties that can hear it) → the parties that hear it, in order."""

# The members that almost every call needs. In Python 3.11 the look-up of a few enumeration members takes as long as
# the look-up of one number among a million.
_PLAY: Final = Outcome.PLAY
_REFUSED: Final = Outcome.REFUSE
_VALID: Final = Reason.LICENCE_VALID
_UNKNOWN: Final = Reason.NUMBER_UNKNOWN
_FOREIGN: Final = Reason.NUMBER_OF_ANOTHER_MEMBER
_LEDGER_FULL: Final = Reason.LEDGER_FULL
_MISSING: Final = Reason.REGISTRY_MISSING
_UNCHECKED_CHAIN: Final = Reason.CHAIN_UNCHECKED
_REFUSE: Final = Unlicensed.REFUSE
_OUTGOING: Final = Direction.OUTGOING


@dataclass(frozen=True, slots=True)
class Policy:
    """The member's policy for calls (`policy` in `idtone.yaml`)."""

    member: str | None = None
    """This node's member (`association.member`)."""
    foreign_numbers: Unlicensed = Unlicensed.REFUSE
    """How to treat a call whose number another member holds."""
    unknown_numbers: Unlicensed = Unlicensed.REFUSE
    """How to treat an outgoing call whose number no member holds."""
    unlicensed: Unlicensed = Unlicensed.NOTICE
    unreadable: Unreadable = Unreadable.REFUSE
    ledger_full: LedgerFull = LedgerFull.NOTICE_AND_CONNECT
    refuse_cause: int = CALL_REJECTED
    registry_stale: timedelta = timedelta(0)
    """How long a registry's licences still count after its `expires`."""
    notice_profile: str = "notice"
    notify: Mapping[Direction, frozenset[Party]] = field(default_factory=lambda: dict.fromkeys(Direction, _CALLED))
    tones: Mapping[tuple[Direction, Party], str] = field(default_factory=dict)
    """The licensed sound that each party hears; by default, the sound of the best licence."""
    chain: Chain = Chain.ONCE
    unchecked_chain: Unlicensed = Unlicensed.NOTICE
    """The decision for a call whose wholesale chain has not been checked."""
    chain_check: timedelta | None = None
    """How long a reseller check remains valid; None means forever."""
    silent: tuple[NumberPattern, ...] = ()
    """Called numbers that hear no sound."""

    def hearing(self, call: ForwardedCall) -> Sequence[Party]:
        """Parties that hear a sound, in playback order.

        If none of the configured parties can hear a sound, the called party hears it.
        """
        return _HEARING[self.notify[call.direction], call.parties]

    def skip(self, call: ForwardedCall) -> Skip | None:
        """Reason why the call gets no sound, or None if it gets one."""
        if call.announced and self.chain is Chain.ONCE:
            return Skip.ANNOUNCED
        for pattern in self.silent:
            if pattern.matches(call.called, call.dialled):
                return Skip.SILENT_NUMBER
        return None


def time_by(registry: Registry | None, clock: datetime) -> datetime:
    """The current time for a decision: the clock's time, but never earlier than the registry's issue time.

    Setting the clock back therefore cannot revive an expired licence or lift a suspension.
    """
    return max(clock, registry.issued) if registry else clock


@dataclass(frozen=True, slots=True)
class Remembered:
    """Numbers from an earlier registry, for a service that currently has no registry.

    The keys are number patterns (`number_spans`).
    """

    suspended: Mapping[str, Sequence[Suspension]] = field(default_factory=dict)
    own: Mapping[str, Sequence[Period]] | None = None
    """The numbers that this node may use; None if unknown."""
    never_originating: Mapping[str, Sequence[Period]] = field(default_factory=dict)

    def may_use(self, numbers: Iterable[Number], now: datetime) -> bool:
        """True if this node may use at least one of the numbers."""
        own = self.own or {}
        periods = (each for number in numbers for each in _by_pattern(own, number))
        return any(period.in_force(now) for period in periods)


NOTHING_REMEMBERED: Final = Remembered()
_Item = TypeVar("_Item")


def _by_pattern(found: Mapping[str, Sequence[_Item]], number: Number) -> list[_Item]:
    return [each for pattern in patterns_of(number.e164[1:]) for each in found.get(pattern, ())]


def decide(
    call: ForwardedCall,
    registry: Registry | None,
    policy: Policy,
    now: datetime,
    remembered: Remembered = NOTHING_REMEMBERED,
    ledger_full: bool = False,
    lines: Lines | None = None,
    own_stops: OwnStops | None = None,
) -> Decision:
    """Decide what happens to a call.

    `now` must have a time zone. `registry` is None if no registry could be loaded; only then is `remembered` used.
    `ledger_full` means that the ledger has no room for the evidence of the call. If `lines` is None, customers' numbers
    are not checked. `own_stops` apply with or without a registry.
    """
    if call.emergency:
        return Decision(Outcome.BYPASS, Reason.EMERGENCY)
    number, direction = call.forwarding_number, call.direction
    version = trust = digest = holding = None
    if registry is not None:
        version, trust, digest = registry.version, registry.trust, registry.sha256
        holding = registry.holding(number, now)
        if holding is None and call.perhaps:
            holding = registry.holding(call.perhaps, now)
    member, chain = (holding.member, str(holding.chain) if holding.chain else None) if holding else _NO_MEMBER
    not_own, customer = lines.presentation(call, now) if lines else _UNCHECKED
    unreadable = _NO_NUMBER.get(number.kind)
    not_ours = None
    if holding is None or holding.chain or policy.member != holding.member:  # almost every number is this member's
        not_ours = _not_ours(call, registry, holding, policy, now, remembered, unreadable)
    refused: Reason | None = None
    watched = registry is None or own_stops is not None or registry.watches(call)  # almost no call is
    if watched and suspended(call.forwarding_numbers, registry, now, remembered, own_stops):
        refused = Reason.NUMBER_SUSPENDED
    elif watched and never_originates(call.originating_numbers, registry, now, remembered):
        refused = Reason.NUMBER_NEVER_ORIGINATES
    elif unreadable and (policy.unreadable is Unreadable.REFUSE or (lines and direction is _OUTGOING)):
        refused = unreadable
    elif not_ours and _refuses(call, registry, policy, remembered, not_ours):
        refused = not_ours
    elif not_own:
        refused = not_own
    elif call.presents_other:
        refused = Reason.PRESENTED_NUMBER_DIFFERS
    skip: Skip | None = None
    cause: int | None = None
    licence: Licence | None = None
    profiles: Mapping[Party, str] = {}
    if refused:
        outcome, reason, cause = _REFUSED, refused, policy.refuse_cause
        if registry is not None and registry.newer is not None:
            if refused is Reason.NUMBER_SUSPENDED:
                version, digest = names_of_suspension(call.forwarding_numbers, registry, now)
            elif refused is Reason.NUMBER_NEVER_ORIGINATES:
                version, digest = _names(registry, lambda one: never_originates(call.originating_numbers, one, now))
    else:
        parties = policy.hearing(call)
        licensed: Mapping[Party, str] = {}
        if barred := not_ours or _bar(registry, holding, policy, now, unreadable):
            reason = barred
        else:
            assert holding is not None, "without one every licence is barred"
            if policy.tones:
                reason, licence, licensed = _standing(holding.licences, direction, policy, parties, now)
            else:
                reason, licence = nearest(holding.licences, direction, now)
                licensed = dict.fromkeys(parties, licence.tone) if licence else {}
        if ledger_full and (reason is _VALID or not _refuses(call, registry, policy, remembered, reason)):
            reason = _LEDGER_FULL
        if reason is _VALID:
            outcome, profiles = _PLAY, licensed
        elif _refuses(call, registry, policy, remembered, reason):
            outcome, cause = _REFUSED, policy.refuse_cause
        else:
            outcome, profiles = Outcome.NOTICE, dict.fromkeys(parties, policy.notice_profile)
        if profiles and (call.announced or policy.silent) and (skip := policy.skip(call)):
            profiles = {}
    named = licence.id if licence else None
    # By position: with names this takes a tenth of the whole decision longer.
    return Decision(
        outcome, reason, named, profiles, version, cause, skip, trust, member, chain, customer, digest
    )  # fmt: skip


def refused_by_brake(decision: Decision, reason: Reason, policy: Policy) -> Decision:
    """Decision that refuses a call because the brake has stopped or slowed it."""
    cause = policy.refuse_cause if reason is Reason.BRAKE_STOP else CONGESTION
    return decision._replace(outcome=Outcome.REFUSE, reason=reason, profiles={}, hangup_cause=cause, skip=None)


def _refuses(
    call: ForwardedCall, registry: Registry | None, policy: Policy, remembered: Remembered, reason: Reason
) -> bool:
    """True if a call that would not get the association's sound is refused."""
    if reason is _LEDGER_FULL:
        return policy.ledger_full is LedgerFull.REFUSE
    if reason is _FOREIGN and policy.foreign_numbers is _REFUSE:
        return True
    if reason is _UNKNOWN:
        if registry is None:  # a number of another member is unknown too
            if policy.unknown_numbers is _REFUSE or policy.foreign_numbers is _REFUSE:
                return True
        elif policy.unknown_numbers is _REFUSE and call.direction is _OUTGOING:
            return True
    if (
        reason is _MISSING
        and remembered.own is None
        and policy.unknown_numbers is _REFUSE
        and call.direction is _OUTGOING
    ):
        return True
    if reason is _UNCHECKED_CHAIN and policy.unchecked_chain is _REFUSE:
        return True
    return policy.unlicensed is _REFUSE


def suspended(
    numbers: Sequence[Number],
    registry: Registry | None,
    now: datetime,
    remembered: Remembered = NOTHING_REMEMBERED,
    own_stops: OwnStops | None = None,
) -> Suspension | None:
    """The first suspension in force for any of the numbers, or None.

    If there is a registry, the association's suspensions take precedence over the operator's own. Otherwise, the
    operator's own come first.
    """
    # `remembered` is read from Asterisk's file, which has the operator's own too; the source that says so comes first.
    if registry is None and own_stops is not None and (own := _first_in_force(numbers, own_stops.of, now)):
        return own
    if registry is not None:
        if found := _first_in_force(numbers, registry.suspensions_of, now):
            return found
    elif (kept := remembered.suspended) and (found := _first_in_force(numbers, partial(_by_pattern, kept), now)):
        return found
    return _first_in_force(numbers, own_stops.of, now) if own_stops is not None else None


def names_of_suspension(numbers: Sequence[Number], registry: Registry, now: datetime) -> tuple[int | None, str | None]:
    """Version and digest of the registry that suspends one of the numbers; both None if none is suspended."""
    return _names(registry, lambda one: suspended(numbers, one, now) is not None)


def _names(registry: Registry, stops: Callable[[Registry], bool]) -> tuple[int | None, str | None]:
    """Version and digest of the registry that stops a call.

    The version is None if only a newer edition stops the call, because its version is not known yet.
    """
    if registry.newer is not None and stops(registry) and not stops(registry.newer.earlier):
        return None, registry.newer.sha256
    return registry.version, registry.sha256


def never_originates(
    numbers: Iterable[Number], registry: Registry | None, now: datetime, remembered: Remembered = NOTHING_REMEMBERED
) -> bool:
    """True if any of the numbers is currently declared never to originate calls."""
    if registry is not None:
        return _first_in_force(numbers, registry.never_originates, now) is not None
    known = remembered.never_originating
    return bool(known) and _first_in_force(numbers, partial(_by_pattern, known), now) is not None


_Timed = TypeVar("_Timed", Suspension, Period)


def _first_in_force(
    numbers: Iterable[Number], known: Callable[[Number], Sequence[_Timed]], now: datetime
) -> _Timed | None:
    for number in numbers:
        for each in known(number):
            if each.in_force(now):
                return each
    return None


_NO_MEMBER: Final = (None, None)
_UNCHECKED: Final = (None, None)
_NO_NUMBER = {
    NumberKind.WITHHELD: Reason.NUMBER_WITHHELD,
    NumberKind.MALFORMED: Reason.NUMBER_MALFORMED,
    NumberKind.EMERGENCY: Reason.NUMBER_MALFORMED,
}
"""Kinds of numbers that cannot be forwarded."""


def _not_ours(
    call: ForwardedCall,
    registry: Registry | None,
    holding: Holding | None,
    policy: Policy,
    now: datetime,
    remembered: Remembered,
    no_number: Reason | None,
) -> Reason | None:
    """Reason why this node may not use the number; None if it may use the number or this is unknown."""
    if registry is None:
        foreign = remembered.own is not None and not remembered.may_use(call.forwarding_numbers, now)
        return (no_number or _UNKNOWN) if foreign else None
    if holding is None:
        return _UNKNOWN if call.direction is _OUTGOING and (no_number is None or call.perhaps) else None
    return _FOREIGN if policy.member is not None and policy.member not in holding.members else None


def _bar(
    registry: Registry | None, holding: Holding | None, policy: Policy, now: datetime, no_number: Reason | None
) -> Reason | None:
    """Reason why the member's licences do not count, or None if they do."""
    if registry is None:
        return _MISSING
    if no_number:
        return no_number
    # Not the sum, which would overflow if it expires in 9999; the first comparison spares the difference.
    if now >= registry.expires and now - registry.expires >= policy.registry_stale:
        return Reason.REGISTRY_STALE
    if holding is None:
        return _UNKNOWN
    if policy.member is None:
        return Reason.MEMBER_NOT_SET
    if holding.chain and not holding.chain.is_checked(now, policy.chain_check):
        return _UNCHECKED_CHAIN
    lapses = holding.certified_until
    return _UNCHECKED_CHAIN if lapses is not None and now >= lapses else None


def _standing(
    licences: Sequence[Licence], direction: Direction, policy: Policy, parties: Sequence[Party], now: datetime
) -> tuple[Reason, Licence | None, Mapping[Party, str]]:
    """Result of the member's licences: the reason, the licence that it comes from, and each party's licensed sound.

    If one party's sound is not licensed, all parties hear the notice.
    """
    judged = {party: nearest(licences, direction, now, policy.tones.get((direction, party))) for party in parties}
    farthest = max(judged.values(), key=distance)
    return *farthest, {party: licence.tone for party, (_, licence) in judged.items() if licence}
