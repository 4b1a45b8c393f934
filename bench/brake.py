"""The brake's cost per decision, the share of fraud that passes it, and its false stops of ordinary traffic.

    python -m bench.brake [--days 365] [--seed 1000] [--json]

Decisions with and without the brake take turns in one process, with a million invented subjects. The bench replays the
case of November 2025 to its last call, the frauds of `misuse` unchanged, and a year of 200 customers
(`lab/member/misuse/brake_traffic.py`) who are unknown to the brake. The brake's limits were chosen with other seeds
than those from `MEASURED_FROM` on.
"""

import random
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from idtone.call_control.brake.brake import Brake, LineKinds
from idtone.call_control.brake.limits import BrakeStep, ShareLimit, ShareLimits
from idtone.call_control.brake.shared_stops import Hold
from idtone.core.calls import Direction, ForwardedCall, Outcome, Reason
from idtone.core.decision import CALL_REJECTED, Policy, decide, refused_by_brake
from idtone.core.numbers import WITHHELD, Number, NumberKind
from lab.asterisk import Asterisk
from lab.asterisk_installation import find_or_get
from lab.core.fake_registry import HELD, NOW, FakeRegistry
from lab.member.misuse.brake_traffic import CASE_CALLS, CUSTOMERS, DAY_S, Attempt, CaseOf2025, Customers, attempts_of
from lab.member.misuse.traffic import FRAUDS, MEASURED_FROM, Dice
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.sipp import Load, called
from lab.site import BARE

from .bench_output import PROGRESS, options, report

SHARES: Final = ShareLimits(1e-6, ShareLimit(0.3, 15), 15.0, ShareLimit(0.1, 20), 6.0)
"""The shares of `config/misuse.yaml`; `tests/call_control/brake/test_brake.py` checks that they are equal."""
OUT: Final = """
    [from-lab](+)
    exten = _out*.,1,Set(LAB_PORT=${CUT(EXTEN,*,3)})
     same = n,Set(LAB_PHONE=PJSIP/lab/sip:0312340000@127.0.0.1:${LAB_PORT}\\;lab=${CUT(EXTEN,*,4)})
     same = n,Gosub(idtone-forward,s,1(${LAB_PHONE},${CUT(EXTEN,*,2)},outgoing,,0312340000))
     same = n,Hangup(${IDTONE_CAUSE})
"""
"""A customer's line that presents any number."""
CALM_EVERY_S: Final = 60.0
"""Seconds between two calls of `lower_steps`. The service calls it every five seconds."""
ROUNDS: Final = 7
CALLS: Final = 10_000


def new_brake(**limits: int) -> Brake:
    return Brake(bytes(range(32)), "pbx-1", LineKinds(), SHARES, **limits)


def offer(brake: Brake, attempt: Attempt) -> tuple[bool, list[Hold]]:
    """Offer a call for a licensed number to the brake, without Asterisk.

    Returns True if the call passed, and the holds whose step rose.
    """
    at_s, call = attempt.at_s, attempt.call
    reason = brake.refusal(call, at_s)
    found, holds = brake.count(call, reason or Reason.LICENCE_VALID, reason is None, at_s)
    risen = list(holds)
    if reason is None:
        risen += brake.ended(found, call.id, attempt.talked_s, attempt.rang_s, attempt.cancelled, at_s)
    return reason is None, risen


def replay_case(seed: int, calls: int = CASE_CALLS) -> dict[str, Any]:
    """Replay the fraud of November 2025 against the brake.

    Returns the number of calls that passed, and for each step the number of calls before it began.
    """
    brake, attack, passed = new_brake(), CaseOf2025(seed), 0
    steps: dict[str, int] = {}
    for number in range(calls):
        attempt = attack.next()
        went, risen = offer(brake, attempt)
        passed += went
        steps |= {hold.step.word: number + 1 for hold in risen if hold.label == "050-line"}
        attack.end_call(attempt, went)
    return {"calls": calls, "passed": passed, **steps}


def replay_fraud(name: str, seed: int, ordinary_days: int) -> dict[str, Any]:
    """Replay a fraud of `misuse` on a line after `ordinary_days` of ordinary use.

    Returns the fraud's calls, the number that passed, and the highest step of the brake.
    """
    brake, line = new_brake(), "line"
    ordinary = Dice(seed)
    for day in range(ordinary_days):
        for attempt in attempts_of(ordinary, partial(_ordinary), line, (day - ordinary_days) * DAY_S):
            offer(brake, attempt)
    calls = passed = 0
    highest = BrakeStep.NOTHING
    for attempt in attempts_of(Dice(seed + 1), FRAUDS[name][0], line):
        went, risen = offer(brake, attempt)
        calls, passed = calls + 1, passed + went
        highest = max([highest, *(hold.step for hold in risen)])
    return {"calls": calls, "passed": passed, "step": highest.word}


def _ordinary(dice: Dice) -> Iterable[Any]:
    number = dice.token()
    for at_s in dice.poisson_times(0, 9, 6):
        yield dice.call(at_s, number, number, dice.token())


def replay_year(seed: int, days: int, first: int = 0) -> dict[str, Any]:
    """Replay ordinary traffic from the day `first` of the year on.

    Returns the number of calls, the refused calls, and how often a subject rose to each step.
    """
    brake, customers = new_brake(), Customers(seed)
    calls = refused = 0
    steps: Counter[str] = Counter()
    who: Counter[str] = Counter()
    calm_s = 0.0
    for day in range(first, first + days):
        for attempt in customers.day(day):
            if attempt.at_s >= calm_s + CALM_EVERY_S:
                calm_s = attempt.at_s
                brake.lower_steps(calm_s)
            went, risen = offer(brake, attempt)
            calls, refused = calls + 1, refused + (not went)
            for hold in risen:
                steps[hold.step.word] += 1
                who[f"{hold.step.word} {hold.kind} {hold.label.rpartition('-')[0] or hold.label} {hold.signal}"] += 1
        brake.lower_steps(attempt.at_s + 3600)
        if day % 10 == 9:
            PROGRESS.print(f"day {day + 1}: {calls:,} calls, {dict(who)}")
    customer_days = sum(CUSTOMERS.values()) * days
    return {
        "customers": sum(CUSTOMERS.values()), "days": days, "calls": calls, "refused": refused,
        **{step.word: steps[step.word] for step in BrakeStep if step},
        "stops_per_customer_year_95": round(_upper(steps["stop"]) / customer_days * 365, 5), "who": dict(who),
    }  # fmt: skip


def call_through_asterisk(calls: int = 2000, rate: float = 30.0) -> dict[str, Any]:
    """Place the first calls of the fraud on a real Asterisk, with licensed numbers.

    Returns the number of calls by reason.
    """
    numbers = [f"0612345{each:03}" for each in range(1000)]
    random.Random(1).shuffle(numbers)
    scratch = Path(tempfile.mkdtemp(prefix="idtone-brake-"))
    try:
        pbx = Asterisk(find_or_get(), scratch / "pbx", site=BARE)
        pbx.dialplan_files = {"extensions.conf": pbx._files()["extensions.conf"] + OUT}
        service = Service(pbx, LAB_REGISTRY)
        with pbx, ExitStack() as life:
            service.start(timeout_s=120)
            life.callback(service.stop)
            with called(scratch / "called") as answering:
                load = Load(pbx.sip_address, answering.port, numbers, rate, calls / rate, scratch / "caller", "out", 5)
                outcomes = load.outcomes()
            records = service.records().values()
            reasons = Counter(record["reason"] for record in records)
            rung = len(answering.rung())
        stopped_s = min((each.final_s for each in outcomes if each.cause == CALL_REJECTED), default=float("nan"))
        return {
            "calls": load.offered, "a_second": rate, "rung": rung, "stopped_after_s": stopped_s - load.began_s,
            "records": len(records), **reasons,
        }  # fmt: skip
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _upper(count: int) -> float:
    """Upper 95 % bound of a Poisson distribution's mean after `count` events (0 events: 3.0)."""
    low, high = float(count), count + 10.0 * (count + 1) ** 0.5
    for _ in range(60):
        middle = (low + high) / 2
        term, total = 1.0, 1.0
        for each in range(1, count + 1):
            term *= middle / each
            total += term
        low, high = (middle, high) if total * 2.718281828459045**-middle > 0.05 else (low, middle)
    return high


def decision_cost(invented: int = 300_000) -> dict[str, float]:
    """Median microseconds of a decision with and without the brake, and of counting afterwards.

    The result also has the subjects' memory in MB. `invented` is the number of endpoints, customers, trunks and
    numbers. Decisions with and without the brake take turns.
    """
    dice, registry, policy, brake = random.Random(1), FakeRegistry(), Policy(), new_brake()
    numbers = [Number(NumberKind.FIXED, f"+813{dice.randrange(10**8):08}") for _ in range(5000)]
    before_mb = _memory_mb()
    for each in range(invented):
        call = ForwardedCall(
            "c",
            Direction.OUTGOING,
            Number(NumberKind.FIXED, f"+814{each:08}"),
            WITHHELD,
            numbers[0],
            endpoint=f"e{each}",
            account=f"a{each}",
            trunks=(f"t{each}",),
        )
        brake.count(call, Reason.LICENCE_VALID, True, each * 1e-3)
    held_mb = _memory_mb() - before_mb
    calls = [
        ForwardedCall(
            "c",
            Direction.OUTGOING,
            HELD,
            WITHHELD,
            dice.choice(numbers),
            endpoint=f"6{n % 500}",
            account=f"a{n % 100}",
            trunks=("carrier",),
        )
        for n in range(CALLS)
    ]
    registry_us, braked_us, counting_us, stopped_us = list[float](), list[float](), list[float](), list[float]()
    now_s = 2e6
    for turn in range(2 * ROUNDS):
        if turn == ROUNDS:
            for each in range(500):
                attempt = CaseOf2025(each).next()
                offer(brake, attempt._replace(at_s=now_s))
        bare, braked, counting = list[float](), list[float](), list[float]()
        for call in calls:
            began = time.perf_counter_ns()
            decide(call, registry, policy, NOW)
            bare.append((time.perf_counter_ns() - began) / 1000)
        for call in calls:
            now_s += 0.01
            began = time.perf_counter_ns()
            decision = decide(call, registry, policy, NOW)
            if reason := brake.refusal(call, now_s):
                decision = refused_by_brake(decision, reason, policy)
            decided = time.perf_counter_ns()
            brake.count(call, decision.reason, decision.outcome is not Outcome.REFUSE, now_s)
            braked.append((decided - began) / 1000)
            counting.append((time.perf_counter_ns() - decided) / 1000)
        registry_us.append(statistics.median(bare))
        (braked_us if turn < ROUNDS else stopped_us).append(statistics.median(braked))
        counting_us.append(statistics.median(counting))
    return {
        "without_us": statistics.median(registry_us),
        "with_us": statistics.median(braked_us),
        "with_a_stopped_line_us": statistics.median(stopped_us),
        "counting_us": statistics.median(counting_us),
        "invented_subjects_mb": held_mb,
    }


def _memory_mb() -> float:
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1024


def main() -> None:
    given = options(__doc__, days=365, seed=MEASURED_FROM).parse_args()
    made: dict[str, Any] = {}
    parts: tuple[tuple[str, Callable[[], dict[str, Any]]], ...] = (
        ("cost", decision_cost),
        ("case of 2025", partial(replay_case, given.seed)),
        ("case of 2025 on a real Asterisk", call_through_asterisk),
        *((f"{name} on a new line", partial(replay_fraud, name, given.seed, 0)) for name in FRAUDS),
        *((f"{name} on a known line", partial(replay_fraud, name, given.seed, 14)) for name in FRAUDS),
        ("ordinary year", partial(replay_year, given.seed, given.days)),
    )
    for name, run in parts:
        PROGRESS.print(f"{name} …")
        made[name] = run()
    report("The brake", made, given.json)


if __name__ == "__main__":
    main()
