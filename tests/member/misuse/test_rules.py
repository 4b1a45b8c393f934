"""Each rule at its limit, and just below it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.misuse_limits import load_limits
from idtone.ledger.evidence.call_outline import CallOutline
from idtone.ledger.evidence.steps import CallStatus
from idtone.member.misuse.call_windows import Subject
from idtone.member.misuse.rules import RULES, sign_reason
from lab.member.misuse.traffic import START_S

LIMITS = load_limits(None)
BY_NAME = {rule.name: rule for rule in RULES}


def calls(count: int, every_s: float = 20, start_s: float = 0, **fields: Any) -> list[CallOutline]:
    """Outgoing calls that were connected for a minute, each to another number, unless stated. A field may be a function
    of the call's place.
    """
    made = []
    for place in range(count):
        at_s = START_S + start_s + place * every_s
        of_call = {
            "direction": Direction.OUTGOING, "outcome": Outcome.PLAY, "reason": Reason.LICENCE_VALID,
            "licence": "L-0001", "forwarding": "f", "caller": "c", "called": f"d{place}", "called_kind": "mobile",
            "connected_s": at_s + 10, "ended_s": at_s + 70, "status": CallStatus.CONNECTED,
        }  # fmt: skip
        told = {name: value(place) if isinstance(value, Callable) else value for name, value in fields.items()}
        length_s = told.pop("talk_s", None)
        if length_s is not None:
            told["ended_s"] = at_s + 10 + length_s
        ring_s = told.pop("ring_s", None)
        if ring_s is not None:
            told |= {"connected_s": None, "ended_s": at_s + ring_s, "status": told.get("status", CallStatus.CANCEL)}
        made.append(CallOutline(f"c-{place}", at_s, **of_call | told))
    return made


def refused(count: int, **fields: Any) -> list[CallOutline]:
    return calls(count, outcome=Outcome.REFUSE, reason=Reason.NUMBER_SUSPENDED, **fields)


NIGHT_S = 14 * 3600.0
"""Seconds from the beginning of the day to 23:00 in Japan."""
HOURLY = [call for hour in range(6) for call in calls(10, 300, hour * 3600)]
WEEKS = [0, 0, 300, 320, 290, 310, 305, 0, 0, 300, 290, 310, 300, 330]

TABLE: list[tuple[str, Sequence[CallOutline], Sequence[int], int]] = [
    # rule, calls, the licence's past, how many calls the sign has (0: no sign)
    ("short-calls", calls(40, talk_s=lambda place: 5 if place < 32 else 60), (), 32),
    ("short-calls", calls(40, talk_s=lambda place: 5 if place % 2 else 60), (), 0),
    ("short-calls", calls(14, talk_s=5), (), 0),
    ("short-calls", calls(40, 600, talk_s=5), (), 0),  # too slowly
    ("many-called", calls(100, 30), (), 100),
    ("many-called", calls(100, 30, called=lambda place: f"d{place % 50}"), (), 0),
    ("many-called", calls(59, 30), (), 0),
    ("many-called", calls(100, 60), (), 0),
    ("many-called", calls(100, 30, called=None), (), 0),
    ("pings", calls(40, ring_s=2), (), 40),
    ("pings", calls(40, ring_s=lambda place: 2 if place % 8 == 0 else 20), (), 0),
    ("pings", calls(40, ring_s=2, status=CallStatus.NOANSWER), (), 0),
    ("pings", calls(40, ring_s=2, direction=Direction.INCOMING), (), 0),
    ("refusals", refused(20), (), 20),
    ("refusals", refused(9), (), 0),
    ("refusals", refused(20, direction=Direction.INCOMING), (), 0),  # other people call a suspended number
    ("after-suspension", [*refused(2), *calls(3, start_s=60, forwarding="g")], (), 4),
    ("after-suspension", [*refused(2), *calls(2, start_s=60, forwarding="g")], (), 0),
    ("after-suspension", [*refused(2), *refused(9, start_s=60, forwarding="g")], (), 0),
    ("after-suspension", [*calls(3, forwarding="g"), *refused(2, start_s=90)], (), 0),  # before it
    ("after-suspension", [*calls(1, suspended=True), *calls(3, start_s=60, forwarding="g")], (), 4),
    ("rotation", calls(30, forwarding=lambda place: f"f{place // 5}"), (), 30),
    ("rotation", calls(30, forwarding=lambda place: f"f{place % 6}"), (), 30),
    ("rotation", calls(30, forwarding=lambda place: f"f{place * place * 7 % 11 % 6}"), (), 0),
    ("rotation", calls(30, forwarding=lambda place: f"f{place // 10}"), (), 0),  # too few numbers
    ("night-abroad", calls(12, start_s=NIGHT_S, called_kind="other"), (), 12),
    ("night-abroad", calls(12, start_s=NIGHT_S), (), 0),
    ("night-abroad", calls(12, called_kind="other"), (), 0),
    ("night-abroad", calls(9, start_s=NIGHT_S, called_kind="other"), (), 0),
    ("number-surge", [*HOURLY, *calls(90, 30, 6 * 3600)], (), 90),
    ("number-surge", [*HOURLY, *calls(40, 60, 6 * 3600)], (), 0),
    ("number-surge", calls(90, 30, 3 * 3600), (), 0),  # too little past
    ("number-surge", calls(90, 30, 4 * 3600), (), 90),
    ("licence-surge", calls(1200, 30), WEEKS, 1200),
    ("licence-surge", calls(500, 30), WEEKS, 0),
    ("licence-surge", calls(1200, 30), WEEKS[:7], 0),  # too few days with calls
    ("licence-surge", calls(199, 30), [1] * 14, 0),
]


@pytest.mark.parametrize(("name", "told", "past", "wanted"), TABLE)
def test_what_a_rule_reports(name, told, past, wanted):
    rule = BY_NAME[name]
    sign = rule.judge(Subject(START_S, told, past), LIMITS)
    assert len(sign.calls if sign else ()) == wanted
    if sign:
        assert sign.chance is None or 0 <= sign.chance < LIMITS.false_alarm
        assert "{" not in sign_reason(rule, sign)
        counts, limits = sign.series.counts, sign.series.limits
        assert len(counts) == len(limits)
        if any(limits):
            assert any(limit and count >= limit for count, limit in zip(counts, limits, strict=True))


def test_each_rule_has_cases_for_both():
    for name in BY_NAME:
        assert {bool(wanted) for rule, _, _, wanted in TABLE if rule == name} == {True, False}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_call_is_no_sign(rule):
    assert rule.judge(Subject(START_S, (), ()), LIMITS) is None
