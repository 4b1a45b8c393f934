"""Data types of a forwarded call, from the hook's request to the decision.

`ForwardedCall` → `decide` (`idtone.core.decision`) → `Decision` → verdict → Asterisk plays → `Step`s in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .fast_enum import FastEnum

if TYPE_CHECKING:
    from .numbers import Number


class Direction(FastEnum):
    """Direction in which a call is forwarded."""

    INCOMING = "incoming"
    """着信転送: the number was called, and the call is forwarded to another number."""
    OUTGOING = "outgoing"
    """発信転送: the member's user calls out and presents the fixed number."""


class Party(FastEnum):
    """A party that can hear a sound. The members are in playback order."""

    CALLED = "called"
    CALLER = "caller"


class Delivery(FastEnum):
    """Delivery state of a party's sound, most certain first."""

    CONFIRMED = "confirmed"
    """The sound was sent, and the phone itself reports that it received all packets."""
    SENT = "sent"
    """Asterisk sent all packets of the sound."""
    NOT_KNOWN = "not-known"
    """Neither SENT nor CONFIRMED."""


class Trust(FastEnum):
    """The registry's signature state: signed by the association or unsigned."""

    SIGNED = "signed"
    """Signed by the association."""
    UNSIGNED = "unsigned"
    """An unsigned file, for labs: anyone who can write it can change the registry."""


class Outcome(FastEnum):
    """Outcome of the decision on a call."""

    PLAY = "PLAY"
    """Play the licensed profile, then connect."""
    NOTICE = "NOTICE"
    """Play a generic notice that is not the association's sound, then connect."""
    REFUSE = "REFUSE"
    """Do not dial; the caller gets the configured Q.850 cause."""
    BYPASS = "BYPASS"
    """Dial and connect at once: an emergency call."""
    SHED = "SHED"
    """Do not dial, because too many calls wait for a verdict. Only the hook gives this outcome, without a request."""


class Reason(FastEnum):
    """Reason for the outcome of a decision.

    The codes are public: they appear in the ledger, in the dialplan and in the output of commands.
    """

    EMERGENCY = "emergency"
    NUMBER_SUSPENDED = "number-suspended"
    NUMBER_NEVER_ORIGINATES = "number-never-originates"
    """The holder of the forwarding number, or of the number that the caller presents, declared that it never originates
    calls.
    """
    LICENCE_VALID = "licence-valid"
    LICENCE_EXPIRED = "licence-expired"
    LICENCE_REVOKED = "licence-revoked"
    LICENCE_SUSPENDED = "licence-suspended"
    LICENCE_NOT_YET_VALID = "licence-not-yet-valid"
    PLEDGE_MISSING = "pledge-missing"
    """The member's pledge (誓約) is not in force, so its licence is not valid."""
    LICENCE_NONE = "licence-none"
    """The member in charge of the number has no licence."""
    CHAIN_UNCHECKED = "chain-unchecked"
    """A link of the number's wholesale chain (卸) was never checked or was checked too long ago, or the certification
    (認定) of a member of the chain has lapsed.
    """
    DIRECTION_NOT_COVERED = "direction-not-covered"
    NUMBER_OF_ANOTHER_MEMBER = "number-of-another-member"
    """Neither this node's member nor a wholesale chain through it holds the number."""
    MEMBER_NOT_SET = "member-not-set"
    """The node does not know its member (`association.member`), so no licence counts."""
    NUMBER_UNKNOWN = "number-unknown"
    """No member holds the number. Without the registry or the service, it means that the number is not known to be this
    node's own.
    """
    NUMBER_WITHHELD = "number-withheld"
    NUMBER_MALFORMED = "number-malformed"
    PRESENTED_NUMBER_DIFFERS = "presented-number-differs"
    """An outgoing call with the operator's own Dial() shows a number other than the forwarding number."""
    REGISTRY_STALE = "registry-stale"
    REGISTRY_MISSING = "registry-missing"
    NUMBER_OF_ANOTHER_CUSTOMER = "number-of-another-customer"
    """The table of lines (`lines`) does not assign the forwarding number to the caller's line."""
    LINE_UNKNOWN = "line-unknown"
    """The table of lines contains neither the caller's endpoint nor its account code."""
    LINES_MISSING = "lines-missing"
    """No attempt to read the table of lines has succeeded yet."""
    BRAKE_STOP = "brake-stop"
    """The brake has stopped the line, customer, trunk or number, until an operator releases it."""
    BRAKE_SLOW = "brake-slow"
    """The brake has slowed the line, customer, trunk or number, and this call exceeds its permitted rate."""
    LEDGER_FULL = "ledger-full"
    """The ledger has no room for evidence of the call. This applies to calls with a valid licence too."""
    SERVICE_UNAVAILABLE = "service-unavailable"
    """Only the hook gives this reason: it decided without the service."""
    CALL_ID_UNREADABLE = "call-id-unreadable"
    """Only the hook gives this reason: Asterisk cannot pass the caller's SIP Call-ID on to the service."""
    SUSPENSIONS_UNKNOWN = "suspensions-unknown"
    """Only the hook gives this reason: it decided without the service and could not read which numbers are suspended.
    """
    OVERLOAD = "overload"
    """Only the hook gives this reason: too many calls wait for a verdict, so it turns the call away."""


class Skip(FastEnum):
    """Reason why a call that may be connected gets no sound."""

    ANNOUNCED = "announced"
    """The call is part of a forwarding chain, and another call of the chain, here or on another node, plays the sound.
    """
    SILENT_NUMBER = "silent-number"
    """`policy.silent` names the called number: a fax or another machine."""


class RemoteCall(NamedTuple):
    """Reference to a call on another node of the fleet."""

    node: str
    call_id: str


@dataclass(frozen=True, slots=True)
class ForwardedCall:
    """A call that is about to be forwarded.

    `id` is the call id in the ledger. `dialled` is the dialled text, such as an extension. `parties` are the parties
    that can hear a sound. With an operator's own Dial(), only the called party can. `announced` is True if another call
    in the same forwarding chain plays the sound. `chained_from` names that call if it is on another node. `sip_call_id`
    is the Call-ID of the caller's channel. It is empty if unknown or if the channel does not use SIP.

    `dialled` and `sip_call_id` may contain telephone numbers, so they are never written in clear.
    """

    id: str
    direction: Direction
    forwarding_number: Number
    caller: Number
    called: Number
    dialled: str = ""
    perhaps: Number | None = None
    """The number that the digits of a malformed forwarding number form. It allows a suspended number to be refused even
    if a letter follows it, including with `policy.unreadable: notice`.
    """
    caller_perhaps: Number | None = None
    """The same for the number that the caller presents."""
    parties: frozenset[Party] = frozenset(Party)
    announced: bool = False
    chained_from: RemoteCall | None = None
    endpoint: str = ""
    """The resource of the caller's channel, such as `6001` for `PJSIP/6001-0000002a`; empty if unknown."""
    account: str = ""
    """The account code of the caller's channel."""
    trunks: tuple[str, ...] = ()
    """The PJSIP endpoints of the destinations."""
    sip_call_id: str = ""
    emergency: bool = False
    """True if every destination is on a trunk and dials an emergency number (`number_expressions.is_emergency_call`).
    """
    presents_other: bool = False
    """True for an outgoing call by the operator's own Dial() if the called party already sees a number other than the
    forwarding number. The hook's own Dial() shows the forwarding number.
    """

    @property
    def forwarding_numbers(self) -> tuple[Number, ...]:
        """Numbers to check for a suspension."""
        return (self.forwarding_number,) if self.perhaps is None else (self.forwarding_number, self.perhaps)

    @property
    def originating_numbers(self) -> tuple[Number, ...]:
        """Numbers from which the call claims to originate.

        The call is refused if one of them is declared never to originate calls.
        """
        if self.perhaps is None and self.caller_perhaps is None:  # almost always; each call comes here
            return (self.forwarding_number, self.caller)
        found = self.forwarding_number, self.perhaps, self.caller, self.caller_perhaps
        return tuple(number for number in found if number is not None)

    def __repr__(self) -> str:
        return f"<ForwardedCall {self.id} {self.direction} of {self.forwarding_number} to {self.called}>"


class LicenceStatus(FastEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Licence:
    """A member's right to use one sound (利用許諾), valid from `valid_from` until `valid_until` (exclusive).

    The licence also requires the member's pledge (誓約), which is in force from `pledged_from` until `pledged_until`
    (exclusive). If `pledged_from` is None, no pledge exists. If `pledged_until` is None, the pledge has no end.
    """

    id: str
    member: str
    tone: str
    status: LicenceStatus
    valid_from: datetime
    valid_until: datetime
    directions: frozenset[Direction]
    pledged_from: datetime | None
    pledged_until: datetime | None


@dataclass(frozen=True, slots=True)
class WholesaleChain:
    """Path of a resold number (卸), from the member that holds it to the member that serves the customer.

    `members` lists the ids of the members in this order. `checked` contains the time at which each reseller was
    checked, or None for an unchecked reseller.
    """

    members: tuple[str, ...]
    checked: tuple[datetime | None, ...]
    certified_until: datetime | None = None
    """When the first recorded certification of a reseller lapses; None if none was recorded."""

    def is_checked(self, now: datetime, lasts: timedelta | None) -> bool:
        """True if every reseller has been checked and each check is still valid (`link_is_checked`)."""
        return all(link_is_checked(at, now, lasts) for at in self.checked)

    def __str__(self) -> str:
        return ">".join(self.members)


def link_is_checked(at: datetime | None, now: datetime, lasts: timedelta | None) -> bool:
    """True if a check made at `at` is still valid at `now`.

    A check is valid for `lasts`, or forever if `lasts` is None.
    """
    return at is not None and at <= now and (lasts is None or now - at < lasts)


@dataclass(frozen=True, slots=True)
class Holding:
    """The member in charge of a number: its holder, or the last member of its wholesale chain."""

    member: str
    licences: tuple[Licence, ...]
    chain: WholesaleChain | None = None
    certified_until: datetime | None = None
    """When the first recorded certification of a member or a link lapses; None if none was recorded."""

    def has_lapsed(self, now: datetime) -> bool:
        """True if a recorded certification has lapsed or is overdue for a check."""
        return self.certified_until is not None and now >= self.certified_until

    @property
    def members(self) -> tuple[str, ...]:
        """Ids of all members through which the number has passed, starting with its holder."""
        return self.chain.members if self.chain else (self.member,)


class Period(NamedTuple):
    """A period from `since` until `until` (exclusive). None leaves that end open."""

    since: datetime | None = None
    until: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        return (self.since is None or self.since <= now) and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Suspension:
    """A suspension of numbers at the request of the police (番号停止), from `since` until `until` (exclusive).

    If `until` is None, only a newer registry can lift the suspension. `reference` is the reference of the police
    request. It is empty if the suspension comes from the fallback file, which has no references. `own` is the id of a
    suspension by this node's operator (`idtone suspend`). It is empty for a suspension by the association.
    """

    since: datetime
    until: datetime | None = None
    reference: str = ""
    own: str = ""

    def in_force(self, now: datetime) -> bool:
        return self.since <= now and (self.until is None or now < self.until)

    def during(self, period: Period) -> Suspension | None:
        """The part of the suspension that lies within `period`, or None if they do not overlap."""
        since = self.since if period.since is None else max(self.since, period.since)
        ends = [end for end in (self.until, period.until) if end is not None]
        if ends and min(ends) <= since:
            return None
        return Suspension(since, min(ends, default=None), self.reference)


class Decision(NamedTuple):
    """The outcome of a call and its reason.

    `profiles` maps each party that hears a sound to the sound's profile. `licence` is the id of the licence that was
    examined, even if it was not valid. `hangup_cause` (ITU-T Q.850) is set for a refused call. `skip` is set if no
    sound is played. `member` is the member in charge of the forwarding number. `wholesale_chain` (for example
    `m-0001>m-0005`) is set for a resold number. `customer` is the operator's customer, if the table of lines names one.
    `registry_sha256` is the digest of the registry that was used (`Registry.sha256`).
    """

    # A tuple: a frozen dataclass takes twice as long to make, which was a sixth of a decision's time.

    outcome: Outcome
    reason: Reason
    licence: str | None = None
    profiles: Mapping[Party, str] = MappingProxyType({})
    registry_version: int | None = None
    hangup_cause: int | None = None
    skip: Skip | None = None
    registry_trust: Trust | None = None
    member: str | None = None
    wholesale_chain: str | None = None
    customer: str | None = None
    registry_sha256: str | None = None

    @property
    def profile(self) -> str | None:
        """Profile of the called party's sound; if there is none, of the caller's sound; None if no sound is played."""
        return next((self.profiles[party] for party in Party if party in self.profiles), None)

    @property
    def parties(self) -> frozenset[Party]:
        """Parties that hear a sound."""
        return frozenset(self.profiles)
