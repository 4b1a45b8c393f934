"""Each rule of `judge_call` finds a call that breaks it, and accepts a correct call."""

from dataclasses import replace
from typing import Any

import pytest

from lab.asterisk import Ending as Told
from lab.calls.call_paths import CallPath, Move, PathStep
from lab.calls.judge_call import SILENCE, HeardSounds, PlayedPath, judge
from lab.endings import Event, Step

PATH = CallPath(
    "1/0/0", 0.0, "licensed", "ari", "incoming", (PathStep(20, Move.ANSWER), PathStep(700, Event.CALLER_HANGS_UP))
)
TIMES = dict.fromkeys(("decided", "answered", "sound-started", "sound-ended", "connected", "ended"), "")
RECORD: dict[str, Any] = {
    "known_by": {"called": "packets"}, "profiles": {"called": "sample"}, "times": TIMES, "complete": True,
    "status": "CONNECTED", "hangup_cause": 16, "anomalies": [],
}  # fmt: skip
HEARD = HeardSounds({"sample": 450.0}, frozenset({"sample"}), 460.0)
TALKED = HeardSounds({}, voice_ms=460.0)
GOOD = PlayedPath(
    path=PATH,
    hears="called",
    answered_first=False,
    disturbed=False,
    told=Told("CONNECTED", "licence-valid", "1.1-1", "16", "ANSWER"),
    record=RECORD,
    sip=200,
    rang=True,
    heard={"called": HEARD, "caller": TALKED},
    step=Step.CONNECTED,
    event=Event.CALLER_HANGS_UP,
    asked_s=0.02,
    waited_s=0.02,
)
NOTICE = HeardSounds({"notice": 560.0}, frozenset({"notice"}), 570.0)
ALONE = replace(
    GOOD,
    disturbed=True,
    told=Told("CONNECTED", "service-unavailable", "1.1-1", "16", "ANSWER"),
    record=RECORD | {"fallback": True, "profiles": {"called": "notice"}, "times": {"fallback": "", "ended": ""}},
    heard={"called": NOTICE, "caller": replace(TALKED, voice_ms=570.0)},
)
EXPIRED = replace(PATH, standing="expired")
SUSPENDED = replace(PATH, standing="suspended")
REFUSED = replace(
    GOOD,
    path=SUSPENDED,
    told=Told("REFUSED", "number-suspended", "1.1-1", "21", ""),
    sip=403,
    rang=False,
    record=RECORD | {"known_by": {}, "times": {"decided": "", "ended": ""}, "status": "REFUSED", "hangup_cause": 21},
    heard={"called": SILENCE, "caller": SILENCE},
    step=None,
    event=None,
)
INTERRUPTED = RECORD | {"complete": False, "status": None, "times": {**TIMES, "interrupted": ""}}


def told(status: str, cause: str, reason: str = "licence-valid") -> Told:
    return Told(status, reason, "1.1-1", cause, "ANSWER")


@pytest.mark.parametrize(
    "walk",
    [
        GOOD,
        ALONE,
        REFUSED,
        replace(GOOD, disturbed=True, record=INTERRUPTED),
        replace(GOOD, disturbed=True, record=INTERRUPTED | {"known_by": {}}),
    ],
)
def test_a_good_call(walk):
    assert judge(walk) == []


@pytest.mark.parametrize(
    ("walk", "complaint"),
    [
        (replace(GOOD, hung="10 s"), "it hung"),
        (replace(GOOD, told=None), "the dialplan says nothing"),
        (replace(GOOD, told=told("BUSY", "16")), "BUSY with cause 16"),
        (replace(GOOD, sip=503), "CONNECTED, and the caller's phone got 503"),
        (replace(GOOD, event=None, step=None), "a connected call was dropped"),
        (replace(ALONE, event=None, step=None), "a connected call was dropped"),
        (
            replace(
                GOOD,
                told=told("FAILED", "34"),
                sip=503,
                event=None,
                step=None,
                heard={"called": replace(HEARD, voice_ms=None), "caller": SILENCE},
            ),
            "it ended before either party",
        ),
        (
            replace(GOOD, heard={"called": replace(HEARD, whole=frozenset()), "caller": TALKED}),
            "that sample was played to the called party",
        ),
        (replace(GOOD, heard={"called": replace(NOTICE), "caller": TALKED}), "was played to the called party"),
        (replace(GOOD, path=EXPIRED, told=told("CONNECTED", "16", "licence-expired")), "without a verdict"),
        (replace(ALONE, heard={"called": HEARD, "caller": TALKED}), "without a verdict"),
        (replace(REFUSED, rang=True), "a suspended number reached"),
        (replace(GOOD, heard={"called": HeardSounds({}, voice_ms=20.0), "caller": TALKED}), "neither the sound nor"),
        (replace(ALONE, heard={"called": HeardSounds({}, voice_ms=20.0), "caller": TALKED}), "neither the sound nor"),
        (replace(GOOD, hears="both"), "the caller party heard neither"),
        (replace(GOOD, heard={"called": replace(HEARD, voice_ms=300.0), "caller": TALKED}), "connected after 300 ms"),
        (replace(GOOD, heard={"called": HEARD, "caller": replace(TALKED, voice_ms=100.0)}), "connected after 100 ms"),
        (replace(GOOD, record=None), "there is no evidence"),
        (replace(GOOD, record=None, disturbed=True), "there is no evidence"),
        (replace(REFUSED, record=None, disturbed=True), "there is no evidence"),
        (replace(GOOD, disturbed=True, record=RECORD | {"complete": False}), "its evidence is open"),
        (replace(GOOD, record=INTERRUPTED), "interrupted, and nothing had happened"),
        (replace(GOOD, record=RECORD | {"status": "CANCEL"}), "and the evidence ('CANCEL', 16)"),
        (replace(GOOD, record=RECORD | {"hangup_cause": 17}), "and the evidence ('CONNECTED', 17)"),
        (replace(GOOD, record=RECORD | {"times": {"decided": "", "ended": ""}}), "and the evidence has"),
        (replace(GOOD, asked_s=3.6), "INVITE → ringing took 3.60 s"),
        (replace(GOOD, waited_s=3.6), "answer → connected took 3.60 s"),
        (replace(GOOD, told=told("CONNECTED", "16", "licence-expired")), "decided as licence-expired"),
        (replace(GOOD, record=RECORD | {"anomalies": ["ended twice"]}), "anomalies"),
        (replace(GOOD, step=Step.RINGING, event=Event.BUSY), "busy while ringing: CONNECTED"),
        (replace(REFUSED, told=told("BUSY", "17", "number-suspended"), sip=486), "a suspended number: BUSY"),
    ],
)
def test_a_wrong_call_is_found(walk, complaint):
    found = judge(walk)
    assert any(complaint in each for each in found), found
