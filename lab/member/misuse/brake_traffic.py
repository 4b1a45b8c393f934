"""Traffic for the brake, generated from a seed: a year of 200 ordinary customers, and the case of November 2025.

No clock is used. The offices come from `traffic`, and larger lines are added. No figure here was measured: each is
plausible, and was chosen before the brake was run on the traffic. The brake has no information on the kind of any line,
and at the beginning of the year none on any customer.
"""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from idtone.core.calls import Direction, ForwardedCall
from idtone.core.numbers import WITHHELD, Number, NumberKind
from idtone.ledger.evidence.steps import CallStatus

from .traffic import HOUR_S, OFFICES, START_S, Dice, Traffic

DAY_S: Final = 24 * HOUR_S
FIRST: Final = date(2026, 11, 10)


class Attempt(NamedTuple):
    """A call, and its result if the brake does not refuse it: `talked_s` if it is answered, otherwise `rang_s`."""

    at_s: float
    call: ForwardedCall
    talked_s: float | None
    rang_s: float | None
    cancelled: bool = False


@lru_cache(maxsize=100_000)
def number_of_token(token: str) -> Number:
    """Telephone number that stands for a token of `traffic`."""
    return Number(NumberKind.FIXED, f"+813{int(token[:12], 16) % 10**8:08}")


def attempts_of(dice: Dice, traffic: Traffic, line: str, shift_s: float = 0.0) -> Iterator[Attempt]:
    """Yield the calls of an office or a fraud of `traffic`, in the brake's format."""
    for each in traffic(dice):
        call = ForwardedCall(
            each.call_id,
            Direction(each.direction),
            number_of_token(each.forwarding or "0"),
            WITHHELD,
            number_of_token(each.called or "0"),
            endpoint=line if each.direction == Direction.OUTGOING else "carrier",
            account="",
            trunks=("carrier",),
        )
        talked = None if each.connected_s is None else each.ended_s - each.connected_s
        yield Attempt(
            each.at_s + shift_s,
            call,
            talked,
            None if talked is not None else each.ended_s - each.at_s,
            each.status == CallStatus.CANCEL,
        )


@dataclass(frozen=True)
class Line:
    """An outgoing line: the calls per hour of its working day, and the numbers that it presents and calls."""

    per_hour: float
    presented: int
    answered: float = 0.6
    talk_s: float = 90.0
    hours: tuple[int, int] = (0, 9)
    called: int = 0
    """Number of different called numbers, or 0 if each call has a new one."""
    works_weekends: bool = False
    burst: tuple[float, float] = (0.0, 1.0)
    """A daily burst: its hours, and the factor by which it increases the calls."""


LARGE: Final = {
    "headquarters": Line(300, 400, hours=(0, 10)),
    "shops": Line(220, 150, hours=(1, 12), works_weekends=True),
    "dialler": Line(700, 5, answered=0.35, talk_s=40, hours=(0, 10), burst=(0.2, 5)),
    "reseller": Line(600, 2000, hours=(0, 14), works_weekends=True),
    "reminders": Line(60, 2, answered=0.7, talk_s=25, hours=(1, 5), burst=(1, 6)),
    "school": Line(12, 3, hours=(0, 8), called=600, burst=(0.1, 100)),
}
"""Larger lines.

They are a headquarters with 400 direct numbers, a chain of shops behind one PBX with 150 numbers, an automatic dialler,
a reseller's customers, a clinic's reminders, and a school that calls all parents on some mornings.
"""
CUSTOMERS: Final = {
    "clinic": 60, "hotline": 35, "fax": 30, "trader": 30, "campaign": 14, "call_centre": 10, "headquarters": 6,
    "shops": 4, "dialler": 3, "reseller": 1, "reminders": 4, "school": 3,
}  # fmt: skip
"""Kind → number of customers, 200 in all."""
assert sum(CUSTOMERS.values()) == 200


@dataclass
class Customers:
    """The ordinary customers.

    The year depends only on `seed`, and each day of each customer differs.
    """

    seed: int

    def day(self, day: int) -> list[Attempt]:
        """All calls of a day (from 9:00 in Japan), in order."""
        dice = random.Random(f"{self.seed}:{day}")
        weekend = (FIRST + timedelta(days=day)).weekday() >= 5
        # After a typhoon or an earthquake, everybody calls six times as much for a day.
        surge = 6 if day in (100, 250) else 1
        found: list[Attempt] = []
        for kind, count in CUSTOMERS.items():
            for customer in range(count):
                line = f"{kind}-{customer}"
                season = dice.lognormvariate(0, 0.2) * surge
                if kind in LARGE:
                    if not weekend or LARGE[kind].works_weekends:
                        found += self._large(dice, LARGE[kind], line, day, season)
                elif not weekend or kind in ("hotline", "call_centre"):
                    found += self._office(dice, kind, line, day, surge)
        found.sort(key=lambda each: each.at_s)
        return found

    def _office(self, dice: random.Random, kind: str, line: str, day: int, surge: int) -> Iterator[Attempt]:
        """Yield the calls of an office of `traffic`, with the same numbers each day."""
        for again in range(surge):
            own = _Own(dice.randrange(2**48), line, again)
            yield from attempts_of(own, OFFICES[kind], line, day * DAY_S)

    def _large(self, dice: random.Random, line: Line, name: str, day: int, season: float) -> Iterator[Attempt]:
        first, last = line.hours
        burst_h, times = line.burst
        begins_h = dice.uniform(first, last - burst_h)
        # Such large bursts do not happen every day.
        bursts = bool(burst_h) and (times < 50 or dice.random() < 0.1)
        own = int.from_bytes(name.encode()[-6:], "big") % 10**4
        at_h = float(first)
        while True:
            is_burst = bursts and begins_h <= at_h < begins_h + burst_h
            at_h += dice.expovariate(line.per_hour * season * (times if is_burst else 1))
            if at_h >= last:
                return
            presented = Number(NumberKind.FIXED, f"+816{own:04}{int(dice.paretovariate(0.6)) % line.presented:04}")
            called = dice.randrange(line.called) if line.called else dice.randrange(10**8)
            call = ForwardedCall(
                "c",
                Direction.OUTGOING,
                presented,
                WITHHELD,
                Number(NumberKind.MOBILE, f"+8190{called:08}"),
                endpoint=name,
                trunks=("carrier",),
            )
            answered = dice.random() < line.answered
            yield Attempt(
                START_S + day * DAY_S + at_h * HOUR_S,
                call,
                dice.lognormvariate(0, 1) * line.talk_s if answered else None,
                None if answered else dice.uniform(5, 40),
                not answered and dice.random() < 0.5,
            )


class _Own(Dice):
    """Random draws in which the first three tokens are the customer's own and the same each day."""

    def __init__(self, seed: int, line: str, again: int) -> None:
        super().__init__(seed)
        self.__post_init__()
        self._steady = random.Random(line)
        self._left = 3

    def token(self) -> str:
        if self._left:
            self._left -= 1
            return self._steady.randbytes(16).hex()
        return super().token()


CHANNELS: Final = 500
CASE_CALLS: Final = 1_970_000
REDIAL_S: Final = 0.5
"""Seconds after a refusal until a channel of the case calls again."""


class CaseOf2025:
    """The case of November 2025: a 050 line whose channels call without a pause.

    Each call presents a new random number.
    """

    def __init__(self, seed: int, line: str = "050-line", channels: int = CHANNELS) -> None:
        self._dice, self._line = random.Random(seed), line
        self._free_s = [START_S + self._dice.uniform(0, 1) for _ in range(channels)]
        heapq.heapify(self._free_s)
        self.count = 0

    def next(self) -> Attempt:
        """The next call, from the channel that is free first."""
        dice, at_s = self._dice, self._free_s[0]
        self.count += 1
        presented = Number(NumberKind.FIXED, f"+81{dice.randrange(10**8, 10**9)}")
        called = Number(NumberKind.MOBILE, f"+8190{dice.randrange(10**8):08}")
        call = ForwardedCall(
            f"c-{self.count}", Direction.OUTGOING, presented, WITHHELD, called, endpoint=self._line, trunks=("carrier",)
        )
        answered = dice.random() < 0.4
        return Attempt(
            at_s, call, dice.lognormvariate(0, 1) * 8 if answered else None, None if answered else dice.uniform(5, 30)
        )

    def end_call(self, attempt: Attempt, passed: bool) -> None:
        """Record the end of a call, after which its channel calls again."""
        lasted_s = (attempt.rang_s or 10 + (attempt.talked_s or 0)) if passed else REDIAL_S
        heapq.heapreplace(self._free_s, attempt.at_s + lasted_s)
