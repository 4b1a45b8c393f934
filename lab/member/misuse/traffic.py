"""Days of calls, generated from a seed: five patterns of fraud, six ordinary offices, and four weeks of a licence.

A day is a day of UTC, from 9:00 in Japan to 9:00 on the next day. No figure here was measured: each is plausible, and
was chosen before the rules judged the calls. The limits were chosen with the seeds below `MEASURED_FROM`, and the rates
come from other seeds.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.numbers import NumberKind
from idtone.ledger.evidence.call_outline import CallOutline, OutlinedDay
from idtone.ledger.evidence.steps import CallStatus

DAY: Final = "2026-11-10"
START_S: Final = 1_794_268_800.0
"""Beginning of the day in seconds since 1970: a Tuesday, 9:00 in Japan."""
HOUR_S: Final = 3600.0
MEASURED_FROM: Final = 1000


@dataclass
class Dice:
    """Random draws from a seed: times, calls, and tokens of numbers."""

    seed: int

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._calls = 0

    def token(self) -> str:
        return self.random.randbytes(16).hex()

    def poisson_times(self, first_h: float, last_h: float, per_hour: float) -> Iterator[float]:
        """Yield random times between two hours of the day, from a Poisson process with `per_hour` events per hour."""
        at_h = first_h + self.random.expovariate(per_hour)
        while at_h < last_h:
            yield START_S + at_h * HOUR_S
            at_h += self.random.expovariate(per_hour)

    def call(
        self,
        at_s: float,
        forwarding: str,
        caller: str | None,
        called: str,
        *,
        outgoing: bool = True,
        kind: NumberKind = NumberKind.MOBILE,
        answered: float = 0.7,
        talk_s: float = 90.0,
        ring_s: float = 12.0,
        refused: bool = False,
    ) -> CallOutline:
        """One call. `answered` is the probability of an answer, and `talk_s` the median of a lognormal talk time."""
        self._calls += 1
        call = CallOutline(
            f"c-{self._calls}",
            at_s,
            Direction.OUTGOING if outgoing else Direction.INCOMING,
            Outcome.PLAY,
            Reason.LICENCE_VALID,
            "L-0001",
            forwarding,
            caller,
            called,
            kind,
        )
        if refused:
            call.outcome, call.reason, call.licence = Outcome.REFUSE, Reason.NUMBER_SUSPENDED, None
            call.ended_s, call.status = at_s + 0.1, CallStatus.REFUSED
        elif self.random.random() < answered:
            call.connected_s = at_s + self.random.uniform(0.3, 1.7) * ring_s
            call.ended_s = call.connected_s + self.random.lognormvariate(0, 1) * talk_s
            call.status = CallStatus.CONNECTED
        else:
            call.ended_s = at_s + self.random.uniform(1, 3) * ring_s
            call.status = self.random.choice((CallStatus.CANCEL, CallStatus.NOANSWER, CallStatus.BUSY))
        return call


Traffic = Callable[[Dice], Iterator[CallOutline]]


def robot(dice: Dice, strength: float = 1) -> Iterator[CallOutline]:
    """Calls of the "It's me" fraud (オレオレ).

    An automatic dialler tries one victim after another for an hour. Most calls are short, because few victims believe
    them.
    """
    number, caller = dice.token(), dice.token()
    begin_h = dice.random.uniform(0, 7)
    for at_s in dice.poisson_times(begin_h, begin_h + 1, 180 * strength):
        yield dice.call(at_s, number, caller, dice.token(), kind=NumberKind.FIXED, answered=0.6, talk_s=8)


def rotating(dice: Dice, strength: float = 1) -> Iterator[CallOutline]:
    """Calls of one caller who rotates through twelve numbers, with some calls from each."""
    caller = dice.token()
    at_s = START_S + dice.random.uniform(0, 4) * HOUR_S
    for _ in range(round(12 * strength)):
        number = dice.token()
        for _ in range(dice.random.randint(4, 8)):
            at_s += dice.random.expovariate(1 / 240)
            yield dice.call(at_s, number, caller, dice.token(), kind=NumberKind.FIXED, talk_s=60)


def overseas(dice: Dice, strength: float = 1) -> Iterator[CallOutline]:
    """Calls of victims to a number in Tokyo that is forwarded to a call centre abroad, also at night."""
    number, called = dice.token(), [dice.token() for _ in range(3)]
    for at_s in dice.poisson_times(10, 20, 6 * strength):
        yield dice.call(
            at_s, number, dice.token(), dice.random.choice(called), outgoing=False, kind=NumberKind.OTHER, talk_s=300
        )


def wangiri(dice: Dice, strength: float = 1) -> Iterator[CallOutline]:
    """Calls that ring once, so that the called party calls back."""
    number, caller = dice.token(), dice.token()
    begin_h = dice.random.uniform(0, 12)
    for at_s in dice.poisson_times(begin_h, begin_h + 2, 150 * strength):
        call = dice.call(at_s, number, caller, dice.token(), answered=0.04, ring_s=2)
        if call.connected_s is None:
            call.ended_s, call.status = at_s + dice.random.uniform(1, 4), CallStatus.CANCEL
        yield call


def retries(dice: Dice, strength: float = 1) -> Iterator[CallOutline]:
    """Calls from a number that is suspended at noon. The caller tries it again, then continues with another number."""
    number, other, caller = dice.token(), dice.token(), dice.token()
    for at_s in dice.poisson_times(0, 3, 8):
        yield dice.call(at_s, number, caller, dice.token(), kind=NumberKind.FIXED)
    for at_s in dice.poisson_times(3, 4, 30 * strength):
        yield dice.call(at_s, number, caller, dice.token(), kind=NumberKind.FIXED, refused=True)
    for at_s in dice.poisson_times(4, 8, 8 * strength):
        yield dice.call(at_s, other, caller, dice.token(), kind=NumberKind.FIXED)


def call_centre(dice: Dice) -> Iterator[CallOutline]:
    """Calls of customers to one number from 9:00 to 18:00, most at noon. Agents answer them at eight numbers."""
    number, agents = dice.token(), [dice.token() for _ in range(8)]
    for hour in range(9):
        for at_s in dice.poisson_times(hour, hour + 1, 90 if hour == 3 else 55):
            yield dice.call(
                at_s, number, dice.token(), dice.random.choice(agents), outgoing=False, answered=0.9, talk_s=150
            )


def clinic(dice: Dice) -> Iterator[CallOutline]:
    """Calls to a clinic in two consultation hours, forwarded to the doctor's mobile, and some outgoing calls."""
    number, doctor = dice.token(), dice.token()
    for first, last in ((0, 3), (6, 9)):
        for at_s in dice.poisson_times(first, last, 9):
            yield dice.call(at_s, number, dice.token(), doctor, outgoing=False, answered=0.8, talk_s=70)
        for at_s in dice.poisson_times(first, last, 3):
            yield dice.call(at_s, number, doctor, dice.token(), talk_s=60)


def hotline(dice: Dice) -> Iterator[CallOutline]:
    """Calls to a night duty. From 18:00 to 9:00, six branches forward their numbers to one of two mobiles."""
    branches, duty = [dice.token() for _ in range(6)], [dice.token(), dice.token()]
    for at_s in dice.poisson_times(9, 24, 5):
        yield dice.call(
            at_s,
            dice.random.choice(branches),
            dice.token(),
            duty[at_s > START_S + 16 * HOUR_S],
            outgoing=False,
            answered=0.85,
            talk_s=120,
        )


def campaign(dice: Dice) -> Iterator[CallOutline]:
    """Calls of a sales team of eight to customers all day, with one presented number. Many are not answered."""
    number, team = dice.token(), [dice.token() for _ in range(8)]
    for at_s in dice.poisson_times(1, 9, 90):
        yield dice.call(at_s, number, dice.random.choice(team), dice.token(), answered=0.45, talk_s=60, ring_s=15)


def fax(dice: Dice) -> Iterator[CallOutline]:
    """Faxes of an ordering system, one after another, and again at night. Some lines are busy."""
    number, machine = dice.token(), dice.token()
    partners = [dice.token() for _ in range(40)]
    for first, last, rate in ((0, 9, 20), (13, 15, 30)):
        for at_s in dice.poisson_times(first, last, rate):
            yield dice.call(
                at_s, number, machine, dice.random.choice(partners), kind=NumberKind.FIXED, answered=0.85, talk_s=45
            )


def trader(dice: Dice) -> Iterator[CallOutline]:
    """Calls of a small importer to its suppliers abroad, in the afternoon and sometimes late."""
    number, desk = dice.token(), dice.token()
    suppliers = [dice.token() for _ in range(15)]
    for first, last, rate in ((4, 9, 5), (13, 15, 0.6)):
        for at_s in dice.poisson_times(first, last, rate):
            yield dice.call(at_s, number, desk, dice.random.choice(suppliers), kind=NumberKind.OTHER, talk_s=200)


WEAK: Final = 1 / 3
FRAUDS: Final[dict[str, tuple[Callable[..., Iterator[CallOutline]], str]]] = {
    "robot": (robot, "short-calls"),
    "rotating": (rotating, "rotation"),
    "overseas": (overseas, "night-abroad"),
    "wangiri": (wangiri, "pings"),
    "retries": (retries, "refusals"),
}
"""Name of a fraud → its traffic, and the rule that must find it."""
OFFICES: Final[dict[str, Traffic]] = {
    "call_centre": call_centre, "clinic": clinic, "hotline": hotline, "campaign": campaign, "fax": fax,
    "trader": trader,
}  # fmt: skip


def day_of(traffic: Traffic, seed: int, day: str = DAY) -> OutlinedDay:
    """One day of traffic. Each seed results in another day."""
    return OutlinedDay(day, sorted(traffic(Dice(seed)), key=lambda call: call.at_s))


def weeks_of_a_licence(seed: int, times: float) -> Iterator[OutlinedDay]:
    """Four weeks of an operator with some hundred customers, and a Tuesday with `times` as many calls.

    Only the number of calls counts. All calls of a day are equal and without numbers.
    """
    dice = Dice(seed)
    first = date.fromisoformat(DAY) - timedelta(days=28)
    for number in range(29):
        day = first + timedelta(days=number)
        mean = (
            (60 if day.weekday() >= 5 else 300) * dice.random.lognormvariate(0, 0.15) * (times if number == 28 else 1)
        )
        call = CallOutline("c", START_S - (28 - number) * 24 * HOUR_S, licence="L-0001")
        yield OutlinedDay(day.isoformat(), [call for _ in dice.poisson_times(0, 24, mean / 24)])


LICENCES: Final = {"licence": 1.0, "licence_campaign": 1.5, "licence_taken_over": 4.0}
"""Factors by which the number of calls increases on the last day."""
