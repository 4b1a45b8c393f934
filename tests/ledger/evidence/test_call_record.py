import json
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from idtone.core.calls import Outcome, Party, Reason
from idtone.core.numbers import NumberKind
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_record import iso_ms, record_of_steps
from idtone.ledger.evidence.masked_number import MaskedNumber
from idtone.ledger.evidence.steps import CallStatus, NumberRole, Scalar, Step, StepKind
from lab.ledger.sample_evidence import (
    BYPASS,
    NONCE,
    NOTICE,
    NOW,
    PLAY,
    REFUSE,
    SHA256,
    decided,
    fallback,
    forwarded,
    heard_call,
    time_after,
)

ANSWERED = steps.answered("c-1", time_after(10))
STARTED = steps.sound_started("c-1", time_after(20), "sample", SHA256)
NOTICE_STARTED = steps.sound_started("c-1", time_after(20), "notice", SHA256)
SENT = steps.sound_ended("c-1", time_after(420), 400, known_by="packets")
INSTEAD = steps.sound_ended("c-1", time_after(420), 400, known_by="packets", packets=20, instead="notice")
FAILED = steps.sound_failed("c-1", time_after(30), "hung up")
CONNECTED = steps.connected("c-1", time_after(430))
ENDED = steps.ended("c-1", time_after(9000), CallStatus.CONNECTED, 16)
CANCELLED = steps.ended("c-1", time_after(9000), CallStatus.CANCEL)
LATE_ENDED = steps.ended("c-1", time_after(9000), CallStatus.CANCEL, reason=Reason.SERVICE_UNAVAILABLE)
REFUSED = steps.ended("c-1", time_after(1), CallStatus.REFUSED)
INTERRUPTED = steps.interrupted("c-1", time_after(5000))


def played(
    party: Party = Party.CALLED, known_by: str | None = None, profile: str = "sample", instead: str | None = None
) -> list[Step]:
    return [
        steps.sound_started("c-1", time_after(20), profile, SHA256, party),
        steps.sound_ended("c-1", time_after(420), 400, party, known_by=known_by, instead=instead),
    ]


BOTH = PLAY._replace(profiles=dict.fromkeys(Party, "sample"))


def dated(written: list[Step]) -> list[Step]:
    return [replace(step, at=time_after(position)) for position, step in enumerate(written)]


@pytest.mark.parametrize(
    ("written", "sent", "complete", "status", "cause"),
    [
        ([decided(PLAY)], False, False, None, None),
        ([decided(PLAY), CANCELLED], False, True, "CANCEL", None),
        ([decided(PLAY), ANSWERED, STARTED, FAILED, STARTED, SENT, CONNECTED, ENDED], True, True, "CONNECTED", 16),
        ([decided(PLAY), ANSWERED, STARTED, SENT, CONNECTED, INTERRUPTED], True, False, None, None),
        ([decided(NOTICE), ANSWERED, NOTICE_STARTED, SENT, CONNECTED, ENDED], True, True, "CONNECTED", 16),
        ([decided(REFUSE), REFUSED], False, True, "REFUSED", 21),
        ([decided(BYPASS), ANSWERED, CONNECTED, ENDED], False, True, "CONNECTED", 16),
    ],
)
def test_ordinary_calls_have_no_anomaly(written, sent, complete, status, cause):
    record = record_of_steps("pbx-1", dated(written))
    assert (record.sent, record.complete, record.status, record.hangup_cause) == (sent, complete, status, cause)
    assert record.anomalies == ()


@pytest.mark.parametrize(
    ("written", "anomalies"),
    [
        ([decided(PLAY), ANSWERED, CONNECTED, ENDED], ["connected without evidence of the sound"]),
        ([decided(PLAY), ANSWERED, STARTED, CONNECTED, SENT], ["connected without evidence of the sound"]),
        ([decided(PLAY), ANSWERED, STARTED, FAILED, CONNECTED], ["connected without evidence of the sound"]),
        ([decided(NOTICE), ANSWERED, CONNECTED], ["connected without evidence of the sound"]),
        ([decided(PLAY), ANSWERED, NOTICE_STARTED, INSTEAD],
         ["notice was played to the called party instead of the sound"]),
        ([decided(PLAY), ANSWERED, NOTICE_STARTED, INSTEAD, CONNECTED],
         ["notice was played to the called party instead of the sound", "connected without evidence of the sound"]),
        ([decided(PLAY), LATE_ENDED], ["the hook acted on service-unavailable"]),
        ([decided(PLAY), STARTED], ["sound-started without answered before it"]),
        ([decided(PLAY), ANSWERED, SENT], ["sound-ended without sound-started before it"]),
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
    assert list(record_of_steps("pbx-1", dated(written)).anomalies) == anomalies


def test_a_clock_that_went_back_is_named():
    record = record_of_steps("pbx-1", [decided(PLAY, ms=200), steps.answered("c-1", time_after(99)), CANCELLED])
    assert record.anomalies == ("answered is dated before the step that precedes it",)


def test_two_parties_may_tell_in_another_order_than_it_happened():
    written = [decided(BOTH), ANSWERED]
    for party in Party:
        written += played(party, "time")
        assert bool(record_of_steps("pbx-1", written).known_by.get(Party.CALLER)) == (party is Party.CALLER)
    record = record_of_steps("pbx-1", [*written, CONNECTED, ENDED])
    assert (record.delivery, record.anomalies) == ({"called": "not-known", "caller": "not-known"}, ())
    early = record_of_steps("pbx-1", [*written[:4], CONNECTED, *written[4:], ENDED])
    assert "connected without evidence of the sound" in early.anomalies


NOTICED = fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED)
ANOTHER = played(known_by="packets", profile="notice", instead="notice")


def reported(confirmed: bool, lost: int = 0) -> Step:
    return steps.sound_reported("c-1", time_after(60_000), confirmed, lost, 0)


@pytest.mark.parametrize(
    ("decision", "sounds", "delivery", "known_by"),
    [
        (decided(PLAY), played(known_by="packets"), "sent", {"called": "packets"}),
        (decided(PLAY), [*played(known_by="packets"), reported(True)], "confirmed", {"called": "packets"}),
        (decided(PLAY), [*played(known_by="packets"), reported(False, 7)], "sent", {"called": "packets"}),
        (decided(PLAY), [*played(known_by="time"), reported(True)], "not-known", {"called": "time"}),
        (decided(PLAY), [STARTED, FAILED, reported(True)], "not-known", {}),
        (decided(PLAY), [STARTED, FAILED, *played(known_by="playback")], "not-known", {"called": "playback"}),
        (decided(PLAY), [STARTED, FAILED, *played(known_by="packets")], "sent", {"called": "packets"}),
        (decided(PLAY), [STARTED, FAILED], "not-known", {}),
        (decided(NOTICE), played(known_by="time", profile="notice"), "not-known", {"called": "time"}),
        (NOTICED, played(known_by="packets", profile="notice"), "sent", {"called": "packets"}),
        (decided(PLAY), ANOTHER, "not-known", {}),
        (decided(PLAY), [*ANOTHER, *played(known_by="packets")], "sent", {"called": "packets"}),
        (decided(PLAY), played(known_by="of-tomorrow"), "not-known", {"called": "of-tomorrow"}),
    ],
)  # fmt: skip
def test_what_is_known_of_a_sound(decision, sounds, delivery, known_by):
    record = record_of_steps("pbx-1", [decision, ANSWERED, *sounds])
    assert (record.delivery, record.least_delivery, record.known_by) == ({"called": delivery}, delivery, known_by)
    assert record.sent is (delivery in ("sent", "confirmed"))
    assert (record.to_json()["delivery"], record.to_json()["sent"]) == (record.delivery, record.sent)


@pytest.mark.parametrize(
    ("sounds", "delivery", "least"),
    [
        ([*played(known_by="packets"), *played(Party.CALLER, "time")], ("sent", "not-known"), "not-known"),
        ([*played(known_by="packets"), *played(Party.CALLER, "packets")], ("sent", "sent"), "sent"),
        (
            [*played(known_by="packets"), *played(Party.CALLER, "packets"), reported(True)],
            ("confirmed", "sent"), "sent",
        ),
        ([*ANOTHER, *played(Party.CALLER, "dial")], ("not-known", "not-known"), "not-known"),
    ],
)  # fmt: skip
def test_of_two_sounds_the_least_that_is_known_counts(sounds, delivery, least):
    record = record_of_steps("pbx-1", [decided(BOTH), ANSWERED, *sounds])
    assert (tuple(record.delivery.values()), record.least_delivery) == (delivery, least)


def test_without_a_sound_nothing_is_known_of_one():
    record = record_of_steps("pbx-1", [decided(REFUSE), ENDED])
    assert (record.delivery, record.least_delivery, record.sent) == ({}, "", False)


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_phone_may_report_when_the_call_has_ended(confirmed):
    record = record_of_steps(
        "pbx-1", [decided(PLAY), ANSWERED, *played(known_by="packets"), CONNECTED, ENDED, reported(confirmed)]
    )
    assert (record.least_delivery, record.anomalies) == ("confirmed" if confirmed else "sent", ())


@pytest.mark.parametrize("known_by", [None, 7, True])
def test_a_sound_whose_step_does_not_say_by_what_that_is_known(known_by):
    """The step has a `known_by` that this version does not know."""
    details: dict[str, Scalar] = {"party": "called", "played_ms": 400, "known_by": known_by}
    told = Step("c-1", StepKind.SOUND_ENDED, time_after(420), details)
    record = record_of_steps("pbx-1", [decided(PLAY), ANSWERED, STARTED, told])
    assert (record.sent, record.delivery, record.known_by) == (False, {"called": "not-known"}, {})


def test_the_nonce_of_the_request_is_that_of_the_record_and_no_part_of_its_json():
    for first in (decided(PLAY), NOTICED):
        record = record_of_steps("pbx-1", [first, CANCELLED])
        assert record.nonce == NONCE
        assert "nonce" not in record.to_json()
    assert record_of_steps("pbx-1", [steps.decided(forwarded(), PLAY, NOW), CANCELLED]).nonce is None


LATE = "the service decided PLAY, licence-valid, and the hook acted without it"
LATE_REFUSAL = "the service decided REFUSE, number-suspended, and the hook acted without it"
IN_TIME, TOO_LATE = decided(PLAY), decided(PLAY, ms=3000)
"""Dates of a line in time and too late: the hook waited three seconds, and its line is dated by the request."""
SUSPENDED = fallback(Outcome.REFUSE, Reason.NUMBER_SUSPENDED)
REFUSED_BY_HOOK = steps.ended("c-1", time_after(4000), CallStatus.REFUSED, 21, Reason.NUMBER_SUSPENDED)
NO_NOTICE = fallback(None, None)
SOUNDED = [ANSWERED, NOTICE_STARTED, SENT, CONNECTED]
# These count: whether that is the hook's decision, its outcome and reason, and the sound that was to be heard.
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
        # The hook's word on its own acts counts, whatever the end says.
        ([TOO_LATE, NOTICED, CANCELLED], BY_HOOK, [LATE]),
        ([IN_TIME, NOTICED, steps.ended("c-1", time_after(1), CallStatus.CANCEL, reason=PLAY.reason)], BY_HOOK,
         [LATE, "the hook acted on licence-valid"]),
        ([IN_TIME, CANCELLED, NOTICED], BY_HOOK, [LATE, "fallback after ended"]),
        # The call ended before the hook did anything.
        ([NO_NOTICE, decided(PLAY, ms=1), CANCELLED], BY_SERVICE, []),
        ([NO_NOTICE, CANCELLED], (True, None, None, {}), []),
        ([NOTICED, LATE_ENDED], BY_HOOK, []),
    ],
)  # fmt: skip
def test_what_the_hook_did_counts_if_the_service_decided_too_late(written, counts, anomalies):
    record = record_of_steps("pbx-1", written)
    assert (record.fallback, record.outcome, record.reason, record.profiles) == counts
    assert list(record.anomalies) == anomalies
    assert record.licence == ("L-0001" if counts is BY_SERVICE else None)
    assert record.nonce == NONCE
    assert record.sent == any(step.details.get("known_by") == "packets" for step in written)
    assert record.connected == any(step.kind is StepKind.CONNECTED for step in written)


@pytest.mark.parametrize("played_ms", [0, -1, None, "400", True, 400.0])
def test_a_sound_that_ended_unheard_is_not_played(played_ms):
    assert not record_of_steps("pbx-1", [Step("c-1", StepKind.SOUND_ENDED, NOW, {"played_ms": played_ms})]).sent


def test_codes_of_a_newer_version_are_kept_and_wrong_types_ignored():
    details = {"reason": "of-tomorrow", "outcome": 7, "registry_version": True, "caller_kind": "of-tomorrow"}
    record = record_of_steps("pbx-1", [Step("c-1", StepKind.DECIDED, NOW, details)])
    assert (record.reason, record.outcome, record.registry_version) == ("of-tomorrow", None, None)
    assert record.numbers == {}


def test_a_number_without_token_keeps_its_kind():
    for number, masked, text in (
        ("110", MaskedNumber(NumberKind.EMERGENCY, None, "110"), "110"),
        ("anonymous", MaskedNumber(NumberKind.WITHHELD), "withheld"),
        ("12x", MaskedNumber(NumberKind.MALFORMED), "malformed"),
    ):
        found = record_of_steps("pbx-1", [steps.decided(forwarded(called=number), BYPASS, NOW)]).numbers[
            NumberRole.CALLED
        ]
        assert (found, str(found)) == (masked, text)


def test_the_record_of_a_heard_call_and_its_json():
    apart = PLAY._replace(profiles={Party.CALLED: "sample", Party.CALLER: "chime"})
    assert record_of_steps("pbx-1", [decided(apart), ANSWERED]).profiles == {"called": "sample", "caller": "chime"}
    record = record_of_steps("pbx-1", heard_call())
    assert record.profile == "sample"
    assert record.numbers == {
        NumberRole.FORWARDING: MaskedNumber(NumberKind.FIXED, None, "5678"),
        NumberRole.CALLER: MaskedNumber(NumberKind.MOBILE, None, "5679"),
        NumberRole.CALLED: MaskedNumber(NumberKind.IP_050, None, "4567"),
    }
    assert record.times[StepKind.SOUND_ENDED] == time_after(3404)
    tree = record.to_json()
    assert json.loads(json.dumps(tree)) == tree
    assert tree | {"numbers": None} == {
        "call_id": "c-1", "node": "pbx-1", "direction": "incoming", "outcome": "PLAY", "reason": "licence-valid",
        "member": "m-0001", "wholesale_chain": None, "licence": "L-0001", "profile": "sample",
        "profiles": {"called": "sample"}, "skip": None,
        "interface": None, "registry_version": 42, "registry_trust": None, "registry_sha256": None, "numbers": None,
        "times": {
            "decided": "2026-11-01T00:00:00.123+00:00", "answered": "2026-11-01T00:00:03.123+00:00",
            "sound-started": "2026-11-01T00:00:03.125+00:00", "sound-ended": "2026-11-01T00:00:03.527+00:00",
            "connected": "2026-11-01T00:00:03.529+00:00", "ended": "2026-11-01T00:01:00.123+00:00",
        },
        "delivery": {"called": "sent"}, "sent": True, "known_by": {"called": "packets"}, "status": "CONNECTED",
        "hangup_cause": 16, "complete": True, "fallback": False, "anomalies": [],
        "chain_node": None, "chain_call": None, "sip_call_id_token": None, "customer": None, "canary": False,
    }  # fmt: skip
    assert tree["numbers"]["caller"] == {"kind": "mobile", "token": None, "last4": "5679"}


def test_of_sealed_numbers_their_tokens_are_told_and_of_older_ones_what_they_have():
    sealed = Step("c-1", StepKind.DECIDED, NOW, {"caller_kind": "mobile", "caller_token": "ab" * 16})
    assert record_of_steps("pbx-1", [sealed]).numbers == {NumberRole.CALLER: MaskedNumber(NumberKind.MOBILE, "ab" * 16)}
    assert str(record_of_steps("pbx-1", [sealed]).numbers[NumberRole.CALLER]) == "mobile"
    older = Step("c-1", StepKind.DECIDED, NOW, {**sealed.details, "caller_last4": "5679"})
    assert str(record_of_steps("pbx-1", [older]).numbers[NumberRole.CALLER]) == "…5679"


def test_times_are_told_in_utc():
    assert iso_ms(NOW.astimezone(timezone(timedelta(hours=9)))) == "2026-11-01T00:00:00.123+00:00"
