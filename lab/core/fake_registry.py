"""A fake registry, and calls to be decided."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from idtone.core.calls import (
    Direction,
    ForwardedCall,
    Holding,
    Licence,
    LicenceStatus,
    Period,
    Suspension,
    Trust,
    WholesaleChain,
)
from idtone.core.decision import NewerStops, Policy
from idtone.core.number_spans import NumberSpan
from idtone.core.numbers import WITHHELD, Number, NumberKind, parse

JST = timezone(timedelta(hours=9))
NOW = datetime(2026, 11, 10, 9, tzinfo=JST)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
HELD = parse("0312345678")
FOREIGN = parse("0312340001")
MEMBER = "m-1"
CALLED = parse("09012345678")
LICENCE = Licence(
    id="L-1",
    member="m-1",
    tone="sample",
    status=LicenceStatus.ACTIVE,
    valid_from=datetime(2026, 1, 10, tzinfo=JST),
    valid_until=datetime(2027, 1, 10, tzinfo=JST),
    directions=frozenset(Direction),
    pledged_from=datetime(2026, 1, 5, tzinfo=JST),
    pledged_until=None,
)
EXPIRED = replace(LICENCE, id="L-expired", valid_until=NOW)


@dataclass
class FakeRegistry:
    """A registry with a number of the node's member and one of another member, both with the same licences."""

    held: Sequence[Licence] = (LICENCE,)
    expires: datetime = datetime(2026, 12, 1, tzinfo=JST)
    stopped: dict[Number, Suspension] = field(default_factory=dict)
    version: int = 42
    trust: Trust = Trust.SIGNED
    sha256: str | None = None
    newer: NewerStops | None = None
    issued: datetime = datetime(1970, 1, 1, tzinfo=JST)
    chain: WholesaleChain | None = None
    """Wholesale chain of the number that belongs to the node's member."""
    unoriginated: dict[Number, Period] = field(default_factory=dict)
    """Numbers that never originate."""

    certified_until: datetime | None = None
    """End of the certification of the member who has the licences."""

    def suspended_spans(self, stocks: bool = True) -> list[tuple[NumberSpan, Suspension]]:
        return [(NumberSpan(int(number.e164), int(number.e164)), each) for number, each in self.stopped.items()]

    def suspensions_of(self, number: Number) -> Sequence[Suspension]:
        return [self.stopped[number]] if number in self.stopped else []

    def never_originates(self, number: Number) -> Sequence[Period]:
        return [self.unoriginated[number]] if number in self.unoriginated else []

    def watches(self, call: ForwardedCall) -> bool:
        concerned = {*call.forwarding_numbers, *call.originating_numbers}
        return not concerned.isdisjoint([*self.stopped, *self.unoriginated])

    def own_spans(self, member: str | None) -> list[tuple[NumberSpan, Period]]:
        held = {MEMBER: [HELD], None: [FOREIGN, HELD]}.get(member, [])
        return [(NumberSpan(int(number.e164), int(number.e164)), Period()) for number in held]

    def holding(self, number: Number, now: datetime) -> Holding | None:
        held = tuple(self.held)
        own = Holding(MEMBER, held, self.chain, self.certified_until)
        return {HELD: own, FOREIGN: Holding("m-2", held)}.get(number)


def own_policy(**changes: Any) -> Policy:
    """Policy of a node that belongs to the member."""
    return Policy(member=MEMBER, **changes)


def stopped_registry(since: datetime, number: Number = HELD, **changes: object) -> FakeRegistry:
    return FakeRegistry(stopped={number: Suspension(since)}, **changes)


def never_originating_registry(number: Number, since: datetime = NOW, **changes: object) -> FakeRegistry:
    """A registry in which the number never originates."""
    return FakeRegistry(unoriginated={number: Period(since)}, **changes)


def call(number: Number = HELD, direction: Direction = Direction.INCOMING, called: Number = CALLED) -> ForwardedCall:
    return ForwardedCall("c-1", direction, number, WITHHELD, called, emergency=called.kind is NumberKind.EMERGENCY)
