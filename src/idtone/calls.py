"""One forwarded call as data, from the dialplan's question to the decision.

`ForwardedCall` → `decide` (`idtone.decision`) → `Decision` → a door plays → `Step`s in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from .numbers import Number


class Direction(StrEnum):
    """Which way the forwarding goes."""

    INCOMING = "incoming"
    """着信転送: the number was called, and the call goes on to another number."""
    OUTGOING = "outgoing"
    """発信転送: the member's user calls out presenting the fixed number."""


class Party(StrEnum):
    """Who hears a sound; in this order where two do."""

    CALLED = "called"
    CALLER = "caller"


class Trust(StrEnum):
    """On whose word a registry is believed."""

    SIGNED = "signed"
    """The association's, by its signatures."""
    UNSIGNED = "unsigned"
    """Whoever can write the file: for labs."""


class Outcome(StrEnum):
    """What happens to the call."""

    PLAY = "PLAY"
    """The licensed profile, then connect."""
    NOTICE = "NOTICE"
    """A generic notice that is not the association's sound, then connect."""
    REFUSE = "REFUSE"
    """Nothing is dialled; the caller gets the configured Q.850 cause."""
    BYPASS = "BYPASS"
    """Dial and connect at once: an emergency call."""
    SHED = "SHED"
    """Nothing is dialled, and nobody was asked: too many calls waited. Only the dialplan gives this one."""


class Reason(StrEnum):
    """Why. These codes are public: the ledger, the dialplan and the command line show them."""

    EMERGENCY = "emergency"
    NUMBER_SUSPENDED = "number-suspended"
    LICENCE_VALID = "licence-valid"
    LICENCE_EXPIRED = "licence-expired"
    LICENCE_REVOKED = "licence-revoked"
    LICENCE_SUSPENDED = "licence-suspended"
    LICENCE_NOT_YET_VALID = "licence-not-yet-valid"
    LICENCE_NONE = "licence-none"
    """The member that holds the number holds no licence."""
    DIRECTION_NOT_COVERED = "direction-not-covered"
    NUMBER_UNKNOWN = "number-unknown"
    NUMBER_WITHHELD = "number-withheld"
    NUMBER_MALFORMED = "number-malformed"
    REGISTRY_STALE = "registry-stale"
    REGISTRY_MISSING = "registry-missing"
    LEDGER_FULL = "ledger-full"
    """There is no room for evidence of the call, whatever its licence."""
    SERVICE_UNAVAILABLE = "service-unavailable"
    """Only the dialplan gives this one, when it had to act without the service."""
    OVERLOAD = "overload"
    """As this one, when too many calls were waiting for the service, and it turned the call away."""


class Skip(StrEnum):
    """Why a call that may be connected is not sounded."""

    ANNOUNCED = "announced"
    """It is one leg of a forwarding chain, and another leg on this PBX lets the parties hear the sound."""
    SILENT_NUMBER = "silent-number"
    """The called number is one that is to hear nothing: a fax, a machine."""


@dataclass(frozen=True, slots=True)
class ForwardedCall:
    """A call that is about to be forwarded.

    `id` is the ledger's call id. `dialled` is what is dialled as it was given, an extension for one, and like the
    numbers never written anywhere. `parties` are those who can hear a sound at all: under an operator's own
    Dial() only the called party. `announced` means that another leg of the same call sounds.
    """

    id: str
    direction: Direction
    forwarding_number: Number
    caller: Number
    called: Number
    dialled: str = ""
    perhaps: Number | None = None
    """Where the forwarding number is malformed, the one that its digits alone would be: a suspended number is not let
    through for a letter behind it.
    """
    parties: frozenset[Party] = frozenset(Party)
    announced: bool = False

    @property
    def forwarding_numbers(self) -> tuple[Number, ...]:
        """Every one of which the suspension stops the call."""
        return (self.forwarding_number, *((self.perhaps,) if self.perhaps else ()))

    def __repr__(self) -> str:
        return f"<ForwardedCall {self.id} {self.direction} of {self.forwarding_number} to {self.called}>"


class LicenceStatus(StrEnum):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Licence:
    """The right of one member to one sound (利用許諾), valid from `valid_from` up to, but not at, `valid_until`."""

    id: str
    member: str
    tone: str
    status: LicenceStatus
    valid_from: datetime
    valid_until: datetime
    directions: frozenset[Direction]


@dataclass(frozen=True, slots=True)
class Suspension:
    """The police had this number stopped (番号停止). Nothing but a newer registry lifts it."""

    number: Number
    since: datetime
    reference: str


class Decision(NamedTuple):
    """What is to be done with one call, and on what ground.

    `profiles` names the sound of each party that hears one; `licence` is set where one was judged, valid or
    not; `hangup_cause` (ITU-T Q.850) where the call is refused; `skip` where nobody hears anything; `member` is who
    holds the forwarding number by that version of the registry.
    """

    # A tuple, since a frozen dataclass takes twice as long to make, which was a sixth of a decision.

    outcome: Outcome
    reason: Reason
    licence: str | None = None
    profiles: Mapping[Party, str] = MappingProxyType({})
    registry_version: int | None = None
    hangup_cause: int | None = None
    skip: Skip | None = None
    registry_trust: Trust | None = None
    member: str | None = None

    @property
    def profile(self) -> str | None:
        """The sound where there is one for all, else the called party's."""
        return next((self.profiles[party] for party in Party if party in self.profiles), None)

    @property
    def parties(self) -> frozenset[Party]:
        """Who hears something."""
        return frozenset(self.profiles)
