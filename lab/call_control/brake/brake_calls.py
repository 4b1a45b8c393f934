"""Calls for tests of the brake, and a brake that counts them."""

from collections.abc import Iterable, Iterator

from bench.brake import SHARES
from idtone.call_control.brake.brake import Brake, LineKinds
from idtone.call_control.brake.limits import BrakeStep
from idtone.call_control.brake.shared_stops import Hold
from idtone.core.calls import Direction, ForwardedCall, Reason
from idtone.core.numbers import WITHHELD, Number, NumberKind

NOON_S = 1_794_279_600.0
"""Noon in Japan on a Tuesday."""
DAY_S = 86_400.0
KEY = bytes(range(32))


def new_brake(node: str = "pbx-1", **others: object) -> Brake:
    chosen = {"kinds": LineKinds(), "shares": SHARES, **others}
    return Brake(KEY, node, **chosen)  # type: ignore[arg-type]


def number(place: int, area: str = "3") -> Number:
    return Number(NumberKind.FIXED, f"+81{area}{place:08}")


def call(
    presented: int = 0,
    called: int = 0,
    endpoint: str = "6001",
    customer: str = "",
    trunk: str = "carrier",
    direction: Direction = Direction.OUTGOING,
    emergency: bool = False,
    name: str = "c",
) -> ForwardedCall:
    return ForwardedCall(
        name,
        direction,
        number(presented),
        WITHHELD,
        number(called, "90"),
        endpoint=endpoint,
        account=customer,
        trunks=(trunk,) if trunk else (),
        emergency=emergency,
    )


def offer(
    brake: Brake, calls: Iterable[ForwardedCall], first_s: float = NOON_S, every_s: float = 0.1
) -> Iterator[tuple[Reason | None, list[Hold]]]:
    """Offer a call to the brake every `every_s` seconds.

    Yields for each call the reason of its refusal, or None, and the holds that rose to a higher step.
    """
    for place, each in enumerate(calls):
        at_s = first_s + place * every_s
        reason = brake.refusal(each, at_s)
        yield reason, list(brake.count(each, reason or Reason.LICENCE_VALID, reason is None, at_s)[1])


def count_passed(brake: Brake, calls: Iterable[ForwardedCall], first_s: float = NOON_S, every_s: float = 0.1) -> int:
    return sum(reason is None for reason, _ in offer(brake, calls, first_s, every_s))


def brake_steps(brake: Brake) -> dict[str, BrakeStep]:
    """Kind and label of each subject → its present step."""
    return {f"{hold.kind} {hold.label}".strip(): hold.step for hold in brake.holds()}


def ordinary_days(brake: Brake, days: int, a_day: int = 40, presented: int = 3, endpoint: str = "6001") -> None:
    """Offer `a_day` calls from one line on each of the `days` days before NOON_S."""
    for day in range(-days, 0):
        calls = [call(n % presented, n, endpoint) for n in range(a_day)]
        for _ in offer(brake, calls, NOON_S + day * DAY_S, 60.0):
            pass
