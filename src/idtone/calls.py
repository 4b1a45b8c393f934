"""One forwarded call as data, from the dialplan's question to the decision.

`ForwardedCall` → `decide` (`idtone.decision`) → `Decision` → a door plays → `Step`s in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .numbers import Number


class Direction(StrEnum):
    """Which way the forwarding goes."""

    INCOMING = "incoming"
    """着信転送: the number was called, and the call goes on to another number."""
    OUTGOING = "outgoing"
    """発信転送: the member's user calls out presenting the fixed number."""


class Party(StrEnum):
    CALLED = "called"


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
    SERVICE_UNAVAILABLE = "service-unavailable"
    """Only the dialplan gives this one, when it had to act without the service."""


@dataclass(frozen=True, slots=True)
class ForwardedCall:
    """A call that is about to be forwarded.

    `id` is the ledger's call id. `dial_string` is Asterisk's, kept only where a door needs it:
    it holds a telephone number and is never written anywhere.
    """

    id: str
    direction: Direction
    forwarding_number: Number
    caller: Number
    called: Number
    dial_string: str = ""

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


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with one call, and on what ground.

    `profile` names the sound for `PLAY` and `NOTICE`; `licence` is set where one was judged, valid or
    not; `hangup_cause` (ITU-T Q.850) where the call is refused.
    """

    outcome: Outcome
    reason: Reason
    licence: str | None = None
    profile: str | None = None
    parties: frozenset[Party] = frozenset()
    registry_version: int | None = None
    hangup_cause: int | None = None
