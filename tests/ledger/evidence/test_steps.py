from __future__ import annotations

from collections.abc import Callable

import pytest

from idtone.calls import Outcome, Party, Reason
from idtone.errors import LedgerError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CALL_ID_LIMIT, CallStatus, NumberRole, Step, StepKind

from ..sample_evidence import (
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
    forwarded,
)


def test_decided_holds_the_decision_and_shows_no_number() -> None:
    call = forwarded()
    assert decided(PLAY).details == {
        "direction": "incoming",
        "outcome": "PLAY",
        "reason": "licence-valid",
        "member": "m-0001",
        "licence": "L-0001",
        "profile": "sample",
        "parties": "called",
        "registry_version": 42,
        "nonce": NONCE,
        "forwarding_kind": "fixed",
        "caller_kind": "mobile",
        "called_kind": "050",
    }
    assert decided(PLAY).numbers == {
        NumberRole.FORWARDING: call.forwarding_number, NumberRole.CALLER: call.caller, NumberRole.CALLED: call.called
    }  # fmt: skip
    for number in (FORWARDING, CALLER, CALLED):
        assert number[1:] not in repr(decided(PLAY))


def test_a_refusal_holds_its_cause_and_an_emergency_call_its_number() -> None:
    assert decided(REFUSE).details["hangup_cause"] == 21
    emergency = steps.decided(forwarded(called="119"), BYPASS, NOW)
    assert (emergency.details["called_kind"], emergency.details["called_last4"]) == ("emergency", "119")
    assert NumberRole.CALLED not in emergency.numbers


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
def test_what_the_hook_decided_is_written_as_a_decision_of_its_own(step: Step, details: dict[str, object]) -> None:
    kinds = {"forwarding_kind": "fixed", "caller_kind": "mobile", "called_kind": "050"}
    assert step.kind is StepKind.FALLBACK
    assert step.details == {"direction": "incoming", "nonce": NONCE, **details, **kinds}
    assert set(step.numbers) == set(NumberRole)


@pytest.mark.parametrize(
    ("step", "kind", "details"),
    [
        (steps.answered("c", NOW), StepKind.ANSWERED, {}),
        (
            steps.sound_started("c", NOW, "sample", SHA256),
            StepKind.SOUND_STARTED,
            {"party": "called", "profile": "sample", "sha256": SHA256},
        ),
        (steps.sound_ended("c", NOW, 1), StepKind.SOUND_ENDED, {"party": "called", "heard_ms": 1}),
        (
            steps.sound_ended("c", NOW, 440, Party.CALLED, "packets", 0, "notice"),
            StepKind.SOUND_ENDED,
            {"party": "called", "heard_ms": 440, "known_by": "packets", "packets": 0, "instead": "notice"},
        ),
        (
            steps.sound_ended("c", NOW, 440, Party.CALLER, known_by="time"),
            StepKind.SOUND_ENDED,
            {"party": "caller", "heard_ms": 440, "known_by": "time"},
        ),
        (steps.sound_failed("c", NOW, "hung up"), StepKind.SOUND_FAILED, {"party": "called", "why": "hung up"}),
        (steps.connected("c", NOW), StepKind.CONNECTED, {}),
        (steps.ended("c", NOW, CallStatus.BUSY, 17), StepKind.ENDED, {"status": "BUSY", "hangup_cause": 17}),
        (steps.ended("c", NOW, CallStatus.CANCEL), StepKind.ENDED, {"status": "CANCEL"}),
        (steps.ended("c", NOW, CallStatus.CANCEL, 0), StepKind.ENDED, {"status": "CANCEL"}),
        (steps.ended("c", NOW, CallStatus.FAILED, 127), StepKind.ENDED, {"status": "FAILED", "hangup_cause": 127}),
        (
            steps.ended("c", NOW, CallStatus.REFUSED, 21, Reason.NUMBER_SUSPENDED),
            StepKind.ENDED,
            {"status": "REFUSED", "hangup_cause": 21, "reason": "number-suspended"},
        ),
        (steps.interrupted("c", NOW), StepKind.INTERRUPTED, {}),
    ],
)
def test_constructors(step: Step, kind: StepKind, details: dict[str, object]) -> None:
    assert step == Step("c", kind, NOW, details)


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
def test_nonsense_is_refused(nonsense: Callable[[], Step]) -> None:
    with pytest.raises(LedgerError):
        nonsense()


@pytest.mark.parametrize(
    ("why", "written"),
    [
        ("PJSIP/0312345678@trunk is gone", "PJSIP/…@trunk is gone"),
        ("+81 (3) 1234-5678", "+…"),
        ("404 after 3000 ms", "404 after 3000 ms"),
        ("a\x1b[31m\nb", "a [31m b"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_quoted_reason_carries_no_number_and_no_control_character(why: str, written: str) -> None:
    assert steps.sound_failed("c", NOW, why).details == {"party": "called", "why": written}
