from dataclasses import replace

import pytest

from idtone.core.calls import Outcome, Party, Reason
from idtone.core.errors import LedgerError
from idtone.core.numbers import NumberKind, parse, parse_or_none
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CALL_ID_LIMIT, CallStatus, NumberRole, Step, StepKind
from lab.ledger.sample_evidence import (
    ALICE,
    BYPASS,
    CALLED,
    CALLER,
    FORWARDING,
    NONCE,
    NOW,
    PLAY,
    REFUSE,
    SHA256,
    decided,
    fallback,
)
from lab.ledger.sample_evidence import forwarded as call

KINDS = {"forwarding_kind": "fixed", "caller_kind": "mobile", "called_kind": "050"}


def test_decided_holds_the_decision_and_shows_no_number():
    assert decided(PLAY).details == {
        "direction": "incoming", "outcome": "PLAY", "reason": "licence-valid", "member": "m-0001", "licence": "L-0001",
        "profile": "sample", "parties": "called", "registry_version": 42, "nonce": NONCE, **KINDS,
    }  # fmt: skip
    roles = zip(NumberRole, (call().forwarding_number, call().caller, call().called), strict=True)
    assert decided(PLAY).numbers == dict(roles)
    for number in (FORWARDING, CALLER, CALLED):
        assert number[1:] not in repr(decided(PLAY))
    resold = PLAY._replace(wholesale_chain="m-0001>m-0005")
    assert decided(resold).details["wholesale_chain"] == "m-0001>m-0005"
    # A refusal holds its cause, and an emergency call its number.
    assert decided(REFUSE).details["hangup_cause"] == 21
    emergency = steps.decided(call(called="119"), BYPASS, NOW)
    assert (emergency.details["called_kind"], emergency.details["called_last4"]) == ("emergency", "119")
    assert NumberRole.CALLED not in emergency.numbers


@pytest.mark.parametrize(
    ("text", "sealed"), [(f"{FORWARDING}x", f"+81{FORWARDING[1:]}"), ("x1", ""), ("110x", ""), ("anonymous", "")]
)
def test_of_a_malformed_forwarding_number_the_number_that_its_digits_make_is_sealed(text, sealed):
    malformed = replace(call(), forwarding_number=parse(text), perhaps=parse_or_none(text))
    for step in (steps.decided(malformed, PLAY, NOW), steps.fallback(malformed, NOW, None, None, {})):
        assert step.details["forwarding_kind"] == parse(text).kind
        number = step.numbers.get(NumberRole.FORWARDING)
        assert (number.e164 if number else "") == sealed
        assert number is None or number.kind is NumberKind.MALFORMED


@pytest.mark.parametrize(
    ("step", "details"),
    [
        (
            fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, *Party),
            {"outcome": "NOTICE", "reason": "service-unavailable", "profile": "notice", "parties": "called,caller"},
        ),
        (fallback(Outcome.BYPASS, Reason.EMERGENCY), {"outcome": "BYPASS", "reason": "emergency"}),
        (fallback(None, None), {}),
    ],
)
def test_what_the_hook_decided_is_written_as_a_decision_of_its_own(step, details):
    assert step.kind is StepKind.FALLBACK
    assert step.details == {"direction": "incoming", "nonce": NONCE, **details, **KINDS}
    assert set(step.numbers) == set(NumberRole)


def test_a_step_says_what_is_known():
    """A step leaves out unknown values, such as a hangup cause 0 or packets that were not counted."""
    ended = steps.sound_ended("c", NOW, 440, Party.CALLED, "packets", 0, "notice")
    by_time = steps.sound_ended("c", NOW, 440, Party.CALLER, known_by="time")
    refused = steps.ended("c", NOW, CallStatus.REFUSED, 21, Reason.NUMBER_SUSPENDED)
    for step, kind, details in (
        (steps.sound_ended("c", NOW, 1), "sound-ended", {"party": "called", "played_ms": 1}),
        (
            ended,
            "sound-ended",
            {"party": "called", "played_ms": 440, "known_by": "packets", "packets": 0, "instead": "notice"},
        ),
        (by_time, "sound-ended", {"party": "caller", "played_ms": 440, "known_by": "time"}),
        (steps.ended("c", NOW, CallStatus.CANCEL, 0), "ended", {"status": "CANCEL"}),
        (steps.ended("c", NOW, CallStatus.FAILED, 127), "ended", {"status": "FAILED", "hangup_cause": 127}),
        (refused, "ended", {"status": "REFUSED", "hangup_cause": 21, "reason": "number-suspended"}),
    ):
        assert step == Step("c", StepKind(kind), NOW, details)


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda: steps.sound_ended("c", NOW, 0),
        lambda: steps.sound_started("c", NOW, "sample", SHA256[:-1]),
        lambda: steps.sound_started("c", NOW, "sample", SHA256.upper()),
        lambda: steps.ended("c", NOW, CallStatus.FAILED, 128),
        lambda: steps.ended("c", NOW, CallStatus.FAILED, -1),
        lambda: steps.answered("", NOW),
        lambda: steps.answered("c" * (CALL_ID_LIMIT + 1), NOW),
        lambda: steps.answered("c\n", NOW),
        lambda: steps.answered("c\ud800", NOW),
        lambda: steps.answered("c", NOW.replace(tzinfo=None)),
        lambda: Step("c", StepKind.ANSWERED, NOW, {"x": float("nan")}),
        lambda: Step("c", StepKind.ANSWERED, NOW, {"x": ["nested"]}),
    ],
)
def test_nonsense_is_refused(nonsense):
    with pytest.raises(LedgerError):
        nonsense()


def test_a_quoted_reason_carries_no_number_and_no_control_character():
    for why, written in (
        ("PJSIP/0312345678@trunk is gone", "PJSIP/…@trunk is gone"),
        ("+81 (3) 1234-5678", "+…"),
        ("404 after 3000 ms", "404 after 3000 ms"),
        ("a\x1b[31m\nb", "a [31m b"),
        ("x" * 300, "x" * 200),
    ):
        assert steps.sound_failed("c", NOW, why).details == {"party": "called", "why": written}
    assert steps.export_refused("a", NOW, ALICE, "b", "03-1234-5678 is not ours\n").details["why"] == "… is not ours "
