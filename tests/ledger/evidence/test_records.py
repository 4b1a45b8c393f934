from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from idtone.calls import Outcome, Party, Reason
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.masked_number import MaskedNumber
from idtone.ledger.evidence.records import fold, iso_ms
from idtone.ledger.evidence.steps import CallStatus, NumberRole, Scalar, Step, StepKind
from idtone.numbers import NumberKind

from ..sample_evidence import (
    BYPASS,
    NONCE,
    NOTICE,
    NOW,
    PLAY,
    REFUSE,
    SHA256,
    at,
    decided,
    fallback,
    forwarded,
    heard_call,
)

ANSWERED = steps.answered("c-1", at(10))
STARTED = steps.sound_started("c-1", at(20), "sample", SHA256)
NOTICE_STARTED = steps.sound_started("c-1", at(20), "notice", SHA256)
HEARD = steps.sound_ended("c-1", at(420), 400)
INSTEAD = steps.sound_ended("c-1", at(420), 400, known_by="packets", packets=20, instead="notice")
FAILED = steps.sound_failed("c-1", at(30), "hung up")
CONNECTED = steps.connected("c-1", at(430))
ENDED = steps.ended("c-1", at(9000), CallStatus.CONNECTED, 16)
CANCELLED = steps.ended("c-1", at(9000), CallStatus.CANCEL)
LATE_ENDED = steps.ended("c-1", at(9000), CallStatus.CANCEL, reason=Reason.SERVICE_UNAVAILABLE)
REFUSED = steps.ended("c-1", at(1), CallStatus.REFUSED)
INTERRUPTED = steps.interrupted("c-1", at(5000))


def heard(
    party: Party = Party.CALLED, known_by: str | None = None, profile: str = "sample", instead: str | None = None
) -> list[Step]:
    return [
        steps.sound_started("c-1", at(20), profile, SHA256, party),
        steps.sound_ended("c-1", at(420), 400, party, known_by=known_by, instead=instead),
    ]


BOTH = PLAY._replace(profiles=dict.fromkeys(Party, "sample"))


def dated(written: list[Step]) -> list[Step]:
    return [replace(step, at=at(position)) for position, step in enumerate(written)]


@pytest.mark.parametrize(
    ("written", "heard", "complete", "status", "cause"),
    [
        ([decided(PLAY)], False, False, None, None),
        ([decided(PLAY), CANCELLED], False, True, "CANCEL", None),
        ([decided(PLAY), ANSWERED, STARTED, FAILED, STARTED, HEARD, CONNECTED, ENDED], True, True, "CONNECTED", 16),
        ([decided(PLAY), ANSWERED, STARTED, HEARD, CONNECTED, INTERRUPTED], True, False, None, None),
        ([decided(NOTICE), ANSWERED, NOTICE_STARTED, HEARD, CONNECTED, ENDED], True, True, "CONNECTED", 16),
        ([decided(REFUSE), REFUSED], False, True, "REFUSED", 21),
        ([decided(BYPASS), ANSWERED, CONNECTED, ENDED], False, True, "CONNECTED", 16),
    ],
)
def test_ordinary_calls_have_no_anomaly(written, heard, complete, status, cause):
    record = fold("pbx-1", dated(written))
    assert (record.heard, record.complete, record.status, record.hangup_cause) == (heard, complete, status, cause)
    assert record.anomalies == ()


@pytest.mark.parametrize(
    ("written", "anomalies"),
    [
        ([decided(PLAY), ANSWERED, CONNECTED, ENDED], ["connected before the sound was heard"]),
        ([decided(PLAY), ANSWERED, STARTED, CONNECTED, HEARD], ["connected before the sound was heard"]),
        ([decided(PLAY), ANSWERED, STARTED, FAILED, CONNECTED], ["connected before the sound was heard"]),
        ([decided(NOTICE), ANSWERED, CONNECTED], ["connected before the sound was heard"]),
        ([decided(PLAY), ANSWERED, NOTICE_STARTED, INSTEAD], ["the called party heard notice instead of the sound"]),
        ([decided(PLAY), ANSWERED, NOTICE_STARTED, INSTEAD, CONNECTED],
         ["the called party heard notice instead of the sound", "connected before the sound was heard"]),
        ([decided(PLAY), LATE_ENDED], ["the hook acted on service-unavailable"]),
        ([decided(PLAY), STARTED], ["sound-started without answered before it"]),
        ([decided(PLAY), ANSWERED, HEARD], ["sound-ended without sound-started before it"]),
        ([decided(BYPASS), CONNECTED], []),
        ([decided(BYPASS), ANSWERED, STARTED], ["sound-started although the outcome is BYPASS"]),
        ([decided(BYPASS), FAILED], ["sound-failed although the outcome is BYPASS"]),
        ([decided(REFUSE), ANSWERED, CONNECTED],
         ["answered although the outcome is REFUSE", "connected although the outcome is REFUSE"]),
        ([decided(PLAY), ENDED], ["ended as CONNECTED without connected before it"]),
        ([decided(PLAY), decided(PLAY)], ["decided twice"]),
        ([decided(PLAY), CANCELLED, CANCELLED], ["ended twice"]),
        ([decided(PLAY), CANCELLED, ANSWERED], ["answered after ended"]),
        ([decided(PLAY), CANCELLED, FAILED], ["sound-failed after ended"]),
        ([fallback(None, None), CONNECTED, ENDED], []),
        ([fallback(None, None), fallback(None, None), CANCELLED], ["fallback twice"]),
        ([ANSWERED, decided(PLAY)], ["answered without decided before it"]),
        ([CANCELLED], ["ended without decided before it"]),
        ([INTERRUPTED], ["interrupted without decided before it"]),
    ],
)  # fmt: skip
def test_impossible_orders_are_named(written, anomalies):
    assert list(fold("pbx-1", dated(written)).anomalies) == anomalies


def test_a_clock_that_went_back_is_named():
    record = fold("pbx-1", [decided(PLAY, ms=200), steps.answered("c-1", at(99)), CANCELLED])
    assert record.anomalies == ("answered is dated before the step that precedes it",)


def test_two_parties_may_tell_in_another_order_than_it_happened():
    written = [decided(BOTH), ANSWERED]
    for party in Party:
        written += heard(party)
        assert fold("pbx-1", written).heard == (party is Party.CALLER)
    record = fold("pbx-1", [*written, CONNECTED, ENDED])
    assert (record.heard_by, record.anomalies) == (("called", "caller"), ())
    early = fold("pbx-1", [*written[:4], CONNECTED, *written[4:], ENDED])
    assert "connected before the sound was heard" in early.anomalies


NOTICED = fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED)
ANOTHER = heard(known_by="packets", profile="notice", instead="notice")


@pytest.mark.parametrize(
    ("decision", "sounds", "all_heard", "known_by"),
    [
        (decided(PLAY), heard(known_by="packets"), True, {"called": "packets"}),
        (decided(PLAY), [STARTED, FAILED, *heard(known_by="playback")], True, {"called": "playback"}),
        (decided(PLAY), [STARTED, FAILED], False, {}),
        (decided(NOTICE), heard(known_by="time", profile="notice"), True, {"called": "time"}),
        (NOTICED, heard(known_by="packets", profile="notice"), True, {"called": "packets"}),
        (decided(PLAY), ANOTHER, False, {}),
        (decided(PLAY), [*ANOTHER, *heard(known_by="time")], True, {"called": "time"}),
        (decided(BOTH), [*heard(known_by="packets"), *heard(Party.CALLER, "time")], True,
         {"called": "packets", "caller": "time"}),
        (decided(BOTH), heard(Party.CALLER, "dial"), False, {"caller": "dial"}),
        (decided(BOTH), [*ANOTHER, *heard(Party.CALLER, "time")], False, {"caller": "time"}),
        (decided(PLAY), heard(known_by="of-tomorrow"), True, {"called": "of-tomorrow"}),
    ],
)  # fmt: skip
def test_by_what_it_is_known_who_heard_the_sound(decision, sounds, all_heard, known_by):
    record = fold("pbx-1", [decision, ANSWERED, *sounds])
    assert (record.heard, record.heard_by, record.known_by) == (all_heard, tuple(known_by), known_by)
    assert record.to_json()["known_by"] == known_by


@pytest.mark.parametrize("known_by", [None, 7, True])
def test_a_sound_counts_as_heard_if_its_step_does_not_say_by_what_that_is_known(known_by):
    """As steps were before, or of a type that is none of ours."""
    details: dict[str, Scalar] = {"party": "called", "heard_ms": 400, "known_by": known_by}
    told = Step("c-1", StepKind.SOUND_ENDED, at(420), details)
    record = fold("pbx-1", [decided(PLAY), ANSWERED, STARTED, told])
    assert (record.heard, record.heard_by, record.known_by) == (True, ("called",), {})


def test_the_nonce_of_the_request_is_that_of_the_record_and_no_part_of_its_json():
    for first in (decided(PLAY), NOTICED):
        record = fold("pbx-1", [first, CANCELLED])
        assert record.nonce == NONCE
        assert "nonce" not in record.to_json()
    assert fold("pbx-1", [steps.decided(forwarded(), PLAY, NOW), CANCELLED]).nonce is None


LATE = "the service decided PLAY, licence-valid, and the hook acted without it"
LATE_REFUSAL = "the service decided REFUSE, number-suspended, and the hook acted without it"
IN_TIME, TOO_LATE = decided(PLAY), decided(PLAY, ms=3000)
"""The hook waited three seconds; its line is dated by the request."""
SUSPENDED = fallback(Outcome.REFUSE, Reason.NUMBER_SUSPENDED)
REFUSED_BY_HOOK = steps.ended("c-1", at(4000), CallStatus.REFUSED, 21, Reason.NUMBER_SUSPENDED)
NO_NOTICE = fallback(None, None)
SOUNDED = [ANSWERED, NOTICE_STARTED, HEARD, CONNECTED]
# What counts: whether that is the hook's decision, its outcome and reason, and what was to be heard.
BY_HOOK = (True, Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, {"called": "notice"})
REFUSAL = (True, Outcome.REFUSE, Reason.NUMBER_SUSPENDED, {})
BY_SERVICE = (False, Outcome.PLAY, Reason.LICENCE_VALID, {"called": "sample"})


@pytest.mark.parametrize(
    ("written", "counts", "anomalies"),
    [
        ([TOO_LATE, NOTICED, LATE_ENDED], BY_HOOK, [LATE]),
        ([NOTICED, TOO_LATE, LATE_ENDED], BY_HOOK, [LATE]),
        ([IN_TIME, NOTICED, *SOUNDED, replace(LATE_ENDED, details=ENDED.details)], BY_HOOK, [LATE]),
        ([TOO_LATE, SUSPENDED, REFUSED_BY_HOOK], REFUSAL, [LATE]),
        ([decided(REFUSE, ms=3000), SUSPENDED, REFUSED_BY_HOOK], REFUSAL, [LATE_REFUSAL]),
        # What the hook says that it did counts, whatever the end says.
        ([TOO_LATE, NOTICED, CANCELLED], BY_HOOK, [LATE]),
        ([IN_TIME, NOTICED, steps.ended("c-1", at(1), CallStatus.CANCEL, reason=PLAY.reason)], BY_HOOK,
         [LATE, "the hook acted on licence-valid"]),
        ([IN_TIME, CANCELLED, NOTICED], BY_HOOK, [LATE, "fallback after ended"]),
        # The call ended before the hook did anything.
        ([NO_NOTICE, decided(PLAY, ms=1), CANCELLED], BY_SERVICE, []),
        ([NO_NOTICE, CANCELLED], (True, None, None, {}), []),
        ([NOTICED, LATE_ENDED], BY_HOOK, []),
    ],
)  # fmt: skip
def test_what_the_hook_did_counts_if_the_service_decided_too_late(written, counts, anomalies):
    record = fold("pbx-1", written)
    assert (record.fallback, record.outcome, record.reason, record.profiles) == counts
    assert list(record.anomalies) == anomalies
    assert record.licence == ("L-0001" if counts is BY_SERVICE else None)
    assert record.nonce == NONCE
    assert record.heard == any(step.kind is StepKind.SOUND_ENDED for step in written)
    assert record.connected == any(step.kind is StepKind.CONNECTED for step in written)


@pytest.mark.parametrize("heard_ms", [0, -1, None, "400", True, 400.0])
def test_a_sound_that_ended_unheard_is_not_heard(heard_ms):
    assert not fold("pbx-1", [Step("c-1", StepKind.SOUND_ENDED, NOW, {"heard_ms": heard_ms})]).heard


def test_codes_of_a_newer_version_are_kept_and_wrong_types_ignored():
    details = {"reason": "of-tomorrow", "outcome": 7, "registry_version": True, "caller_kind": "of-tomorrow"}
    record = fold("pbx-1", [Step("c-1", StepKind.DECIDED, NOW, details)])
    assert (record.reason, record.outcome, record.registry_version) == ("of-tomorrow", None, None)
    assert record.numbers == {}


def test_a_number_without_token_keeps_its_kind():
    for number, masked, text in (
        ("110", MaskedNumber(NumberKind.EMERGENCY, None, "110"), "110"),
        ("anonymous", MaskedNumber(NumberKind.WITHHELD), "withheld"),
        ("12x", MaskedNumber(NumberKind.MALFORMED), "malformed"),
    ):
        found = fold("pbx-1", [steps.decided(forwarded(called=number), BYPASS, NOW)]).numbers[NumberRole.CALLED]
        assert (found, str(found)) == (masked, text)


def test_the_record_of_a_heard_call_and_its_json():
    apart = PLAY._replace(profiles={Party.CALLED: "sample", Party.CALLER: "chime"})
    assert fold("pbx-1", [decided(apart), ANSWERED]).profiles == {"called": "sample", "caller": "chime"}
    record = fold("pbx-1", heard_call())
    assert record.profile == "sample"
    assert record.numbers == {
        NumberRole.FORWARDING: MaskedNumber(NumberKind.FIXED, None, "5678"),
        NumberRole.CALLER: MaskedNumber(NumberKind.MOBILE, None, "5679"),
        NumberRole.CALLED: MaskedNumber(NumberKind.IP_050, None, "4567"),
    }
    assert record.times[StepKind.SOUND_ENDED] == at(3404)
    tree = record.to_json()
    assert json.loads(json.dumps(tree)) == tree
    assert tree | {"numbers": None} == {
        "call_id": "c-1", "node": "pbx-1", "direction": "incoming", "outcome": "PLAY", "reason": "licence-valid",
        "member": "m-0001", "wholesale_chain": None, "licence": "L-0001", "profile": "sample",
        "profiles": {"called": "sample"}, "skip": None,
        "interface": None, "registry_version": 42, "registry_trust": None, "numbers": None,
        "times": {
            "decided": "2026-11-01T00:00:00.123+00:00", "answered": "2026-11-01T00:00:03.123+00:00",
            "sound-started": "2026-11-01T00:00:03.125+00:00", "sound-ended": "2026-11-01T00:00:03.527+00:00",
            "connected": "2026-11-01T00:00:03.529+00:00", "ended": "2026-11-01T00:01:00.123+00:00",
        },
        "heard_by": ["called"], "heard": True, "known_by": {"called": "packets"}, "status": "CONNECTED",
        "hangup_cause": 16, "complete": True, "fallback": False, "anomalies": [],
        "chain_node": None, "chain_call": None, "sip_call_id_token": None, "customer": None,
    }  # fmt: skip
    assert tree["numbers"]["caller"] == {"kind": "mobile", "token": None, "last4": "5679"}


def test_of_sealed_numbers_their_tokens_are_told_and_of_older_ones_what_they_have():
    sealed = Step("c-1", StepKind.DECIDED, NOW, {"caller_kind": "mobile", "caller_token": "ab" * 16})
    assert fold("pbx-1", [sealed]).numbers == {NumberRole.CALLER: MaskedNumber(NumberKind.MOBILE, "ab" * 16)}
    assert str(fold("pbx-1", [sealed]).numbers[NumberRole.CALLER]) == "mobile"
    older = Step("c-1", StepKind.DECIDED, NOW, {**sealed.details, "caller_last4": "5679"})
    assert str(fold("pbx-1", [older]).numbers[NumberRole.CALLER]) == "…5679"


def test_times_are_told_in_utc():
    assert iso_ms(NOW.astimezone(timezone(timedelta(hours=9)))) == "2026-11-01T00:00:00.123+00:00"
