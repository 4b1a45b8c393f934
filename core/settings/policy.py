"""Settings under `policy`: how calls are treated and which parties hear a sound."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ..calls import Direction, Party
from ..decision import CALL_REJECTED, Chain, LedgerFull, Policy, Unlicensed, Unreadable
from ..numbers import parse_pattern
from ..yaml_documents import Model
from .values import COMMA_LIST, EndpointName, NumberPattern, TrunkName


class HeardBy(StrEnum):
    """The parties that hear the sound."""

    CALLED = "called"
    CALLER = "caller"
    BOTH = "both"

    @property
    def parties(self) -> frozenset[Party]:
        return frozenset(Party) if self is HeardBy.BOTH else frozenset({Party(self.value)})


class CallerHears(StrEnum):
    """The way in which the caller hears a sound before the parties are connected."""

    EARLY_MEDIA = "early-media"
    """The caller hears the sound as early media, like the ringback tone. The caller's call is answered only when the
    parties are connected.
    """
    ANSWERED = "answered"
    """The caller's call is answered first, for networks that block early media."""


class NotifySettings(Model):
    """The parties that hear the sound, by direction."""

    incoming: HeardBy = HeardBy.CALLED
    outgoing: HeardBy = HeardBy.CALLED


class PartyTones(Model):
    """The licensed sound for each party. None selects the sound of the member's best licence."""

    called: str | None = None
    caller: str | None = None


class ToneSettings(Model):
    incoming: PartyTones = PartyTones()
    outgoing: PartyTones = PartyTones()


class Overload(StrEnum):
    """Policy for new calls while `policy.waiting` calls are waiting for a verdict."""

    SHED = "shed"
    """The hook rejects the call at once, so that the network can try another route or retry later."""
    FALLBACK = "fallback"
    """The hook treats the call as if the service were down."""


class SuspendedCalls(StrEnum):
    """Policy for calls in progress when their number is suspended."""

    HANG_UP = "hang-up"
    LET_END = "let-end"


class OwnSuspensions(StrEnum):
    """Number of people needed for `idtone suspend` and for lifting its suspensions."""

    ONE_PERSON = "one-person"
    TWO_PERSONS = "two-persons"
    """One person asks, and another approves."""

    @property
    def persons(self) -> int:
        return 2 if self is OwnSuspensions.TWO_PERSONS else 1


class PolicySettings(Model):
    unlicensed: Unlicensed = Unlicensed.NOTICE
    fallback: Unlicensed = Unlicensed.NOTICE
    """How the hook treats a call while the service is down."""
    unreadable: Unreadable = Unreadable.REFUSE
    emergency_trunks: Annotated[tuple[TrunkName, ...], COMMA_LIST] = ()
    """PJSIP endpoints, resources of other technologies and contexts of Local channels that are trunks for emergency
    calls; empty means all.
    """
    foreign_numbers: Unlicensed = Unlicensed.REFUSE
    """How to treat a call whose number another member holds."""
    unknown_numbers: Unlicensed = Unlicensed.REFUSE
    """How to treat an outgoing call whose number no member holds."""
    ledger_full: LedgerFull = LedgerFull.NOTICE_AND_CONNECT
    waiting: Annotated[int, Field(ge=1, le=1000)] = 20
    """Maximum number of calls that may wait for a verdict at once."""
    overload: Overload = Overload.SHED
    suspended_calls: SuspendedCalls = SuspendedCalls.HANG_UP
    own_suspensions: OwnSuspensions = OwnSuspensions.ONE_PERSON
    contract_end: Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=3650))] = timedelta(days=30)
    """How soon after a stop by `idtone suspend` the contract must be ended. No law sets this period."""
    contractor_report: Annotated[timedelta, Field(ge=timedelta(days=1), le=timedelta(days=3650))] = timedelta(days=14)
    """How soon after that stop the contractor must be reported. No law sets this period either."""
    refuse_cause: Annotated[int, Field(ge=1, le=127)] = CALL_REJECTED
    registry_stale: Annotated[timedelta, Field(ge=timedelta(0))] = timedelta(0)
    notify: NotifySettings = NotifySettings()
    tones: ToneSettings = ToneSettings()
    caller_hears: CallerHears = CallerHears.EARLY_MEDIA
    chain: Chain = Chain.ONCE
    diversion_trunks: Annotated[tuple[EndpointName, ...], COMMA_LIST] = ()
    """The PJSIP endpoints whose Diversion and History-Info headers are trusted."""
    identity_trunks: Annotated[tuple[EndpointName, ...], COMMA_LIST] = ()
    """The PJSIP endpoints to which a forwarded call passes on its incoming signed Identity header."""
    unchecked_chain: Unlicensed = Unlicensed.NOTICE
    chain_check: Annotated[timedelta, Field(gt=timedelta(0))] | None = None
    silent: Annotated[tuple[NumberPattern, ...], COMMA_LIST] = Field(default=(), repr=False)

    def policy(self, member: str | None) -> Policy:
        """Convert the settings into the decision's policy. `member` is the id from `association.member`."""
        hearing = {direction: HeardBy(getattr(self.notify, direction)) for direction in Direction}
        tones = {
            (direction, party): getattr(getattr(self.tones, direction), party)
            for direction in Direction
            for party in Party
        }
        return Policy(
            member=member,
            foreign_numbers=self.foreign_numbers,
            unknown_numbers=self.unknown_numbers,
            unlicensed=self.unlicensed,
            unreadable=self.unreadable,
            ledger_full=self.ledger_full,
            refuse_cause=self.refuse_cause,
            registry_stale=self.registry_stale,
            notify={direction: one.parties for direction, one in hearing.items()},
            tones={place: tone for place, tone in tones.items() if tone},
            chain=self.chain,
            unchecked_chain=self.unchecked_chain,
            chain_check=self.chain_check,
            silent=tuple(map(parse_pattern, self.silent)),
        )
