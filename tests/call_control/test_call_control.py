"""Call control: one decision per request, and evidence from the journal's lines."""

import time
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from idtone import dialplan
from idtone.call_control import ended_calls
from idtone.call_control.call import Call
from idtone.call_control.call_control import CallControl
from idtone.call_control.call_sounds import FILE_CHANGED
from idtone.call_control.journal_lines import read
from idtone.call_control.request import Request
from idtone.call_control.sound_files import SoundFiles
from idtone.core.calls import Direction, Outcome, Party, Reason, Skip, Suspension
from idtone.core.decision import Policy, Remembered, Unreadable
from idtone.core.errors import JournalError, LedgerBehindError, LedgerClosedError, LedgerError
from idtone.core.numbers import parse
from idtone.core.settings.policy import CallerHears
from idtone.core.settings.settings import Interface
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_record import Record, record_of_steps
from idtone.ledger.evidence.evidence import Evidence
from idtone.ledger.evidence.steps import CallStatus, NumberRole, Step, StepKind
from idtone.tones.making.sound_files import Sound, ensure_sounds
from idtone.tones.profile_library import load_library
from lab.call_control import hook_lines
from lab.call_control.memory_evidence import (
    CALLED,
    FOREIGN,
    LICENSED,
    MEMBER,
    NONCE,
    NOW,
    OTHER_NONCE,
    REQUEST,
    SUSPENDED,
    UNKNOWN,
    MemoryEvidence,
    id_of,
    registry,
    suspending_registry,
)

BOTH = Policy(member=MEMBER, notify=dict.fromkeys(Direction, frozenset(Party)))
CALL = REQUEST.call_id
EMERGENCY = replace(REQUEST, call_id=id_of(9), called="110")


def ms(milliseconds: float) -> datetime:
    """The time `milliseconds` after the decision."""
    return NOW + timedelta(milliseconds=milliseconds)


@pytest.fixture
def control(sounds, evidence) -> CallControl:
    return made(sounds, evidence)


def made(sounds: dict[str, Sound], evidence: Evidence, policy: Policy | None = None, **more: object) -> CallControl:
    fields = {
        "registry": registry,
        "policy": policy or Policy(member=MEMBER),
        "made": sounds,
        "now": lambda: NOW,
    } | more
    return CallControl(sounds=sounds, evidence=evidence, **fields)


def again(control: CallControl, evidence: MemoryEvidence, at: datetime = NOW, **more: object) -> CallControl:
    """Call control after the service was killed and restarted."""
    fields = {"now": lambda: at, "recorded": evidence.knows} | more
    later = made(dict(control.made), evidence, control.policy, **fields)
    later.restore(evidence.calls_in_progress())
    return later


def decide(control: CallControl, request: Request = REQUEST, interface: Interface = Interface.ARI) -> Call:
    """Decide a request that gets a verdict, and return the call."""
    call = control.decide(request, interface)
    assert call
    return call


def refuses(control: CallControl, *requests: Request) -> bool:
    """True if none of these requests gets a verdict."""
    return not any(control.decide(request, Interface.ARI) for request in requests)


async def refuses_after_look_up(control: CallControl, *requests: Request) -> bool:
    """True if none of these requests gets a verdict after a look-up in the ledger."""
    return not any([await control.decide_after_look_up(request, Interface.ARI) for request in requests])


def enter(control: CallControl, *lines: str) -> None:
    for line in lines:
        control.record_journal_line(read(line))


# -- one decision for one request -------------------------------------------------------------------------------------

NUMBERS = {
    NumberRole.FORWARDING: "+81312345678",
    NumberRole.CALLER: "+819012345679",
    NumberRole.CALLED: "+815012345670",
}


@pytest.mark.parametrize("interface", Interface)
def test_a_request_is_decided_once(control, evidence, interface):
    call = decide(control, interface=interface)
    assert (call.decision.outcome, call.decision.reason) == (Outcome.PLAY, Reason.LICENCE_VALID)
    assert (control.find(CALL), list(control), len(control)) == (call, [call], 1)
    assert call.channel == CALL.removesuffix("-1")
    control.registry = suspending_registry
    assert control.decide(replace(REQUEST), Interface.AGI) is call
    assert call.decision.outcome is Outcome.PLAY
    (step,) = evidence.steps
    found = (step.kind, step.at, step.call_id, step.details["interface"], step.details["nonce"])
    assert found == (StepKind.DECIDED, NOW, CALL, interface, NONCE)
    assert {role: number.e164 for role, number in step.numbers.items()} == NUMBERS


OTHER_REQUESTS = [
    {"nonce": OTHER_NONCE}, {"number": SUSPENDED}, {"direction": "outgoing"}, {"called": "110"},
    {"dial_string": "PJSIP/101"}, {"caller": ""}, {"chain": id_of(3)}, {"diverting": LICENSED}, {"own_dial": True},
    {"number": SUSPENDED, "nonce": OTHER_NONCE},
]  # fmt: skip


@pytest.mark.parametrize("first", [REQUEST, replace(REQUEST, number="0312345600", caller=CALLED)])
def test_another_request_for_the_same_call_gets_no_verdict(control, evidence, first):
    """Another program requests a decision before the call does. The call does not get this decision."""
    call = decide(control, first)
    decision = call.decision
    for other in OTHER_REQUESTS:
        for interface in Interface:
            assert control.decide(replace(first, **other), interface) is None, other
    assert control.find(CALL) is call
    assert call.decision == decision
    assert evidence.kinds() == ["decided"]


@pytest.mark.parametrize("kind", [StepKind.ENDED, StepKind.INTERRUPTED])
async def test_an_ended_call_is_never_decided_again(control, evidence, kind):
    """An ended call is not decided after a restart either. A second call on the same channel is decided."""
    call = decide(control)
    if kind is StepKind.ENDED:
        enter(control, hook_lines.end_line(status="CANCEL"))
    else:
        control.close_interrupted(call)
    assert control.find(CALL) is None
    assert control.ended.has_seen(CALL)
    later = again(control, evidence, ms(60_000))
    assert list(later) == []
    for each in (control, later):
        others = replace(REQUEST, nonce=OTHER_NONCE), replace(REQUEST, number=SUSPENDED)
        assert await refuses_after_look_up(each, REQUEST, *others)
    assert evidence.kinds() == ["decided", kind]
    decide(later, replace(REQUEST, call_id=id_of(calls=2)))


async def test_an_ended_call_that_is_no_longer_in_memory_is_never_decided_again(sounds, evidence, monkeypatch):
    monkeypatch.setattr(ended_calls, "CLOSED_KEPT", 2)
    clock = [NOW]
    control = made(sounds, evidence, recorded=evidence.knows, now=lambda: clock[0])
    clock[0] = ms(2000)
    calls = [replace(REQUEST, call_id=id_of(number, ms(1000))) for number in range(5)]
    for request in calls:
        decide(control, request)
        enter(control, hook_lines.end_line(request.call_id, status="CANCEL"))
    again = (replace(request, nonce=OTHER_NONCE) for request in calls)
    assert await refuses_after_look_up(control, *calls, *again)


async def test_the_ledger_is_asked_only_about_channels_older_than_the_service(sounds, evidence):
    asked: list[str] = []
    control = made(sounds, evidence, recorded=lambda call_id: bool(asked.append(call_id)))
    young, old, strange = id_of(at=ms(1000)), id_of(at=ms(-1000), system="pbx-"), "channel-1"
    for call_id in (young, old, strange) * 2:
        assert await control.decide_after_look_up(replace(REQUEST, call_id=call_id), Interface.ARI)
    assert asked == [old, strange], "not about a call in progress"


async def test_what_happens_during_a_look_up_counts(sounds, evidence):
    def look_up(call_id: str) -> bool:
        happens()
        return evidence.knows(call_id)

    control = made(sounds, evidence, recorded=look_up)
    first, second, third = (replace(REQUEST, call_id=id_of(number, ms(-1000))) for number in (1, 2, 3))
    happens = partial(enter, control, hook_lines.decision_line(first.call_id))
    decided = await control.decide_after_look_up(first, Interface.ARI)
    assert decided
    assert decided.decision.reason is Reason.SERVICE_UNAVAILABLE, "the hook has acted"
    happens = partial(enter, control, hook_lines.decision_line(second.call_id), hook_lines.end_line(second.call_id))
    assert await refuses_after_look_up(control, second)
    happens = partial(setattr, control, "retiring", True)
    assert await refuses_after_look_up(control, third)
    assert evidence.kinds(third.call_id) == []


def test_the_dialled_user_is_the_called_number_if_none_is_given(control, evidence):
    decide(control, replace(REQUEST, called="", dial_string="PJSIP/0312340000@trunk"))
    assert evidence.steps[0].numbers[NumberRole.CALLED].e164 == "+81312340000"


def test_the_direction(control, evidence, caplog):
    for number, direction in enumerate(("", "incoming", "outgoing", "x")):
        assert "DIRECTION is unknown" not in caplog.text
        decide(control, replace(REQUEST, call_id=id_of(number), direction=direction))
    assert [step.details["direction"] for step in evidence.steps] == ["incoming", "incoming", "outgoing", "incoming"]
    assert "DIRECTION is unknown" in caplog.text


def test_without_room_for_evidence_the_licensed_sound_is_not_played(control, evidence):
    evidence.full = True
    decision = decide(control).decision
    assert (decision.outcome, decision.reason) == (Outcome.NOTICE, Reason.LEDGER_FULL)


def test_without_a_registry_the_remembered_suspensions_count(sounds, evidence):
    control = made(
        sounds, evidence, registry=lambda: None, remembered=Remembered({"81312345677": [Suspension(ms(-1))]})
    )
    suspended = decide(control, replace(REQUEST, number=SUSPENDED)).decision
    other = decide(control, replace(REQUEST, call_id=id_of(2))).decision
    assert (suspended.reason, other.reason) == (Reason.NUMBER_SUSPENDED, Reason.REGISTRY_MISSING)


# -- the verdict ------------------------------------------------------------------------------------------------------


def verdict(control: CallControl, request: Request = REQUEST) -> dialplan.Verdict:
    return control.verdict(decide(control, request))


CALLER_ALONE = Policy(member=MEMBER, notify=dict.fromkeys(Direction, frozenset({Party.CALLER})))


@pytest.mark.parametrize("hears", CallerHears)
def test_the_verdict_on_each_outcome_names_the_file_of_each_party(sounds, evidence, hears):
    """In the operator's own Dial(), only the called party hears a sound."""
    first, own = "a" if hears is CallerHears.ANSWERED else "", replace(REQUEST, own_dial=True)
    refusing, reading = Policy(member=MEMBER, refuse_cause=38), Policy(member=MEMBER, unreadable=Unreadable.NOTICE)
    for number, (policy, request, text) in enumerate(
        (
            (BOTH, REQUEST, f"PLAY:licence-valid::{first}:sample:sample:22"),
            (BOTH, own, "PLAY:licence-valid:::sample::22"),
            (CALLER_ALONE, REQUEST, f"PLAY:licence-valid::{first}::sample:"),
            (refusing, REQUEST, "PLAY:licence-valid:::sample::22"),
            (refusing, replace(REQUEST, number=UNKNOWN), "NOTICE:number-unknown:::notice::28"),
            (refusing, replace(REQUEST, number=UNKNOWN, direction="outgoing"), "REFUSE:number-unknown:38::::"),
            (refusing, replace(REQUEST, number=FOREIGN), "REFUSE:number-of-another-member:38::::"),
            (refusing, replace(REQUEST, number=SUSPENDED), "REFUSE:number-suspended:38::::"),
            (refusing, replace(REQUEST, number=f"{SUSPENDED}x"), "REFUSE:number-suspended:38::::"),
            (refusing, replace(REQUEST, number="x"), "REFUSE:number-malformed:38::::"),
            (reading, replace(REQUEST, number="x"), "NOTICE:number-malformed:::notice::28"),
            (reading, replace(REQUEST, number=f"{SUSPENDED}x"), "REFUSE:number-suspended:21::::"),
            (refusing, replace(REQUEST, number=SUSPENDED, called="tel:110"), "BYPASS:emergency:::::"),
        )
    ):
        found = verdict(made(sounds, evidence, policy, caller_hears=hears), replace(request, call_id=id_of(number)))
        assert found.extension == f"v:{NONCE}:{text}"


def test_the_notice_replaces_a_sound_that_must_not_be_played(sounds, evidence):
    found = verdict(made({}, evidence, BOTH, made=sounds))
    assert (found.outcome, found.files, found.packets) == ("PLAY", {"called": "notice", "caller": "notice"}, 28)


def named(sounds: dict[str, Sound], name: str) -> dict[str, Sound]:
    """The same sounds, with another name for the licensed one."""
    sample = sounds["sample"]
    return {"notice": sounds["notice"], "sample": replace(sample, stem=sample.stem.with_name(name))}


@pytest.mark.parametrize("policy", [Policy(member=MEMBER), BOTH])
def test_an_extension_has_79_characters_at_most(sounds, evidence, caplog, policy):
    """Asterisk would truncate a longer extension.

    If a name is too long, the hook plays the notice, and the log has the reason.
    """
    parties = 2 if policy is BOTH else 1
    room = (dialplan.EXTENSION_LIMIT - len(f"v:{NONCE}:PLAY:licence-valid:::::22")) // parties
    for length, number in ((room, 1), (room + 1, 2)):
        name = "x" * length
        known = named(sounds, name)
        control = made(known, evidence, policy, made=known | {name: known["sample"]})
        found = verdict(control, replace(REQUEST, call_id=id_of(number)))
        assert len(found.extension) <= dialplan.EXTENSION_LIMIT
        assert set(found.files.values()) == {name if length == room else "notice"}
        assert found.packets == (22 if length == room else 28)
        assert len(found.files) == parties
        assert ("too long together" in caplog.text) is (length > room)


# -- chains of calls --------------------------------------------------------------------------------------------------

INNER = Request(id_of(3), OTHER_NONCE, CALLED, chain=CALL)


def skip(control: CallControl, request: Request) -> Skip | None:
    return decide(control, request).decision.skip


@pytest.mark.parametrize(
    ("outer", "lines", "skipped"),
    [
        (REQUEST, [], Skip.ANNOUNCED),
        (None, [], None),  # it is unknown
        (EMERGENCY, [], None),  # it is not announced
        (REQUEST, [hook_lines.sound_line(at=ms(3000), sent=22)], None),
        (REQUEST, [hook_lines.end_line(status="BUSY", cause=17)], None),
    ],
)
def test_only_a_leg_of_a_call_that_is_announced_is_silent(control, outer, lines, skipped):
    if outer:
        decide(control, outer)
    enter(control, *lines)
    inner = replace(INNER, chain=outer.call_id if outer else CALL)
    assert skip(control, inner) is skipped
    assert bool(control.verdict(control.find(INNER.call_id)).files) is (skipped is None)


BACK = Request(id_of(5), OTHER_NONCE, CALLED, diverting=LICENSED, caller=REQUEST.caller)


@pytest.mark.parametrize(
    ("request_", "skipped"),
    [
        (BACK, Skip.ANNOUNCED),
        (replace(BACK, diverting="+81312345678"), Skip.ANNOUNCED),
        (replace(BACK, diverting=""), None),
        (replace(BACK, diverting="0312345679"), None),  # our call was not diverted by this one
        (replace(BACK, number="0312340001"), None),  # our call is for another one
        (replace(BACK, number=""), None),
        (replace(BACK, diverting="anonymous"), None),
        (replace(BACK, caller="05099999999"), None),  # a stranger's call
    ],
)
def test_a_call_that_comes_back_through_the_network_is_recognised_by_all_its_numbers(control, request_, skipped):
    assert skip(control, replace(BACK, call_id=id_of(6))) is None
    decide(control)
    assert skip(control, request_) is skipped


def test_a_call_comes_back_once_and_within_seconds(sounds, evidence):
    """A sender can put the id of any call into a header, at any time and as often as it likes."""
    now = [NOW]
    control = made(sounds, evidence, now=lambda: now[0])
    decide(control)
    assert skip(control, BACK) is Skip.ANNOUNCED
    assert skip(control, replace(BACK, call_id=id_of(6))) is None
    decide(control, replace(REQUEST, call_id=id_of(7)))
    now[0] = ms(10_001)
    assert skip(control, replace(BACK, call_id=id_of(8))) is None


# -- the journal's lines ----------------------------------------------------------------------------------------------

HEARD = (hook_lines.sound_line(at=ms(3440), sent=22), hook_lines.end_line(at=ms(9000), talked_ms=5560))


def record_of(control: CallControl, *lines: str, request: Request = REQUEST) -> Record:
    """Record of a call that the service decided and that has these lines in the journal."""
    decide(control, request)
    enter(control, *lines)
    return control.evidence.record(request.call_id)


def test_a_licensed_call_is_heard_and_connected(control, evidence, sounds):
    record = record_of(control, *HEARD)
    assert not list(control)
    assert evidence.steps[1:] == [
        steps.answered(CALL, ms(3000)),
        steps.sound_started(CALL, ms(3000), "sample", sounds["sample"].sha256),
        steps.sound_ended(CALL, ms(3440), 440, known_by="packets", packets=22),
        steps.connected(CALL, ms(3440)),
        steps.ended(CALL, ms(9000), CallStatus.CONNECTED, 16, "licence-valid"),
    ]
    assert (record.sent, record.complete, record.anomalies) == (True, True, ())
    assert record.known_by == {"called": "packets"}


def test_an_answer_of_unknown_time_is_never_dated_before_the_decision(control):
    """A machine under load may send the packets of a 440 ms sound within 100 ms."""
    record = record_of(control, hook_lines.sound_line(at=NOW + timedelta(milliseconds=100), sent=22), HEARD[1])
    assert record.steps[1] == steps.answered(CALL, NOW)
    assert (record.sent, record.anomalies) == (True, ())


def test_both_parties_hear_it(sounds, evidence):
    record = record_of(
        made(sounds, evidence, BOTH), hook_lines.sound_line(at=ms(3440), caller="sample", sent=22), HEARD[1]
    )
    assert (record.delivery, record.anomalies) == ({"called": "sent", "caller": "not-known"}, ())
    assert record.known_by == {"called": "packets", "caller": "time"}
    assert evidence.kinds().count("answered") == 1
    packets = {step.details["party"]: step.details.get("packets") for step in of_kind(evidence, "sound-ended")}
    assert packets == {"called": 22, "caller": None}


def test_the_record_names_the_file_by_the_codec_and_none_that_was_changed(evidence, tmp_path):
    sounds = ensure_sounds(tmp_path, load_library().for_calls())
    file = next(each for each in sounds["sample"].files if each.sound_format.name == "alaw")
    control = made(sounds, evidence, files=SoundFiles(sounds.values()))
    line = hook_lines.sound_line(at=ms(3440), sent=22, codecs="(alaw)")
    assert control.verdict(decide(control)).files == {Party.CALLED: "sample"}
    enter(control, line)
    (started,) = of_kind(evidence, "sound-started")
    assert started.details == {"party": "called", "profile": "sample", "format": "alaw", "sha256": file.sha256}
    other = replace(REQUEST, call_id=id_of(6))
    control.verdict(decide(control, other))
    file.path.write_bytes(bytes(file.octets))
    enter(control, line.replace(CALL, other.call_id))
    assert of_kind(evidence, "sound-started") == [started]
    (failed,) = of_kind(evidence, "sound-failed")
    assert failed.details == {"party": "called", "why": FILE_CHANGED}
    third = replace(REQUEST, call_id=id_of(7))
    assert control.verdict(decide(control, third)).files == {Party.CALLED: "notice"}


def test_tones_are_no_file(control, evidence):
    played = hook_lines.sound_line(
        at=ms(3560), played="tones", called="notice", sent=28, since=ms(3000), status="SUCCESS"
    )
    record_of(control, played)
    (started,) = of_kind(evidence, "sound-started")
    assert started.details == {"party": "called", "profile": "notice"}


def of_kind(evidence: MemoryEvidence, kind: str) -> list[Step]:
    return [step for step in evidence.steps if step.kind == kind]


AGAIN = (
    hook_lines.sound_line(at=ms(3100), sent=5, since=ms(3000), status="0"),
    hook_lines.sound_line(at=ms(3560), played="again", sent=22, since=ms(3110), status="SUCCESS"),
    hook_lines.end_line(at=ms(9000), talked_ms=5000),
)


def test_a_sound_that_was_not_sent_and_is_played_again(control, evidence, caplog):
    record = record_of(control, *AGAIN)
    assert evidence.kinds() == [
        "decided", "answered", "sound-started", "sound-failed", "sound-started", "sound-ended", "connected", "ended",
    ]  # fmt: skip
    (failed,) = of_kind(evidence, "sound-failed")
    assert (failed.at, failed.details["why"]) == (ms(3100), "5 of 22 packets were sent")
    assert (record.sent, record.known_by, record.anomalies) == (True, {"called": "packets"}, ())
    assert record.times[StepKind.CONNECTED] == ms(3560)
    assert "no evidence of the sound at the called party: 5 of 22 packets were sent" in caplog.text


def test_the_notice_after_two_attempts(control, evidence):
    record = record_of(
        control,
        hook_lines.sound_line(at=ms(3005), sent=0, since=ms(3000), status="0"),
        hook_lines.sound_line(at=ms(3010), played="again", sent=0, since=ms(3006), status="FAILED"),
        hook_lines.sound_line(at=ms(3571), played="notice", called="notice", sent=28, since=ms(3010), status="SUCCESS"),
        hook_lines.end_line(at=ms(9000), talked_ms=5000),
    )
    assert not record.sent
    assert "notice was played to the called party instead of the sound" in record.anomalies
    (ended,) = of_kind(evidence, "sound-ended")
    assert (ended.details["instead"], ended.details["played_ms"]) == ("notice", 560)
    assert len(of_kind(evidence, "sound-failed")) == 2


def test_what_is_played_instead_of_the_decided_sound(sounds, evidence):
    """The notice counts as played instead of the decided sound. Any other sound does not count."""
    control = made({}, evidence, made=sounds | {"other": named(sounds, "other")["sample"]})
    record = record_of(
        control, hook_lines.sound_line(at=ms(3560), called="notice", sent=28), hook_lines.end_line(at=ms(9000))
    )
    assert evidence.kinds() == ["decided", "answered", "sound-started", "sound-ended", "connected", "ended"]
    assert not record.sent
    assert "notice was played to the called party instead of the sound" in record.anomalies
    second = id_of(2)
    lines = (
        hook_lines.sound_line(second, at=ms(3560), called="other", sent=22),
        hook_lines.end_line(second, at=ms(9000)),
    )
    assert not record_of(control, *lines, request=replace(REQUEST, call_id=second)).sent
    (failed,) = of_kind(evidence, "sound-failed")
    assert failed.details["why"] == "the sound that was played is not the decided one"


@pytest.mark.parametrize(("called", "caller"), [("gone", ""), ("gone", "sample"), ("sample", "gone")])
def test_a_line_with_an_unknown_sound_enters_nothing(control, evidence, called, caller):
    decide(control)
    with pytest.raises(JournalError):
        enter(control, hook_lines.sound_line(called=called, caller=caller, sent=22))
    assert evidence.kinds() == ["decided"]


@pytest.mark.parametrize("status", [status for status in CallStatus if status is not CallStatus.CONNECTED])
def test_each_other_end_before_and_during_the_sound(sounds, evidence, status):
    control = made(sounds, evidence, BOTH)
    record_of(control, hook_lines.end_line(at=ms(5000), status=status, cause=17, talked_ms=""))
    assert evidence.steps[1:] == [steps.ended(CALL, ms(5000), status, 17, "licence-valid")]
    second, before = id_of(2), len(evidence.steps)
    during = hook_lines.end_line(second, at=ms(3200), status=status, cause=34, dial_status="ANSWER", talked_ms="")
    record = record_of(control, during, request=replace(REQUEST, call_id=second))
    why = "the call ended during the sound"
    assert evidence.steps[before + 1 :] == [
        steps.sound_failed(second, ms(3200), why, Party.CALLED),
        steps.sound_failed(second, ms(3200), why, Party.CALLER),
        steps.ended(second, ms(3200), status, 34, "licence-valid"),
    ]
    assert record.anomalies == ()


def test_a_call_without_a_sound_is_connected_when_it_began_to_talk(control):
    line = hook_lines.end_line(EMERGENCY.call_id, at=ms(9000), reason="emergency", talked_ms=5500)
    record = record_of(control, line, request=EMERGENCY)
    assert (record.times[StepKind.CONNECTED], record.anomalies) == (ms(3500), ())


# -- the hook's own decisions -----------------------------------------------------------------------------------------

FALLBACK = (
    hook_lines.decision_line(at=NOW),
    hook_lines.sound_line(at=ms(3560), called="notice", sent=28),
    hook_lines.end_line(at=ms(9000), reason="service-unavailable", talked_ms=5000),
)
UNDECIDED = (hook_lines.undecided_line(), hook_lines.end_line(at=ms(500), status="CANCEL", reason="", talked_ms=""))


def test_a_call_that_the_hook_decided(control, evidence):
    enter(control, *FALLBACK[:1])
    (call,) = control
    assert (call.decision.outcome, call.decision.profiles) == (Outcome.NOTICE, {Party.CALLED: "notice"})
    enter(control, *FALLBACK[1:])
    assert evidence.kinds() == ["fallback", "answered", "sound-started", "sound-ended", "connected", "ended"]
    record = evidence.record(CALL)
    assert (record.outcome, record.reason, record.fallback) == ("NOTICE", "service-unavailable", True)
    assert (record.sent, record.complete, record.anomalies) == (True, True, ())
    assert {role: number.e164 for role, number in record.clear_numbers.items()} == NUMBERS
    assert not list(control)


@pytest.mark.parametrize(
    ("outcome", "reason", "cause"),
    [("REFUSE", "number-suspended", 21), ("REFUSE", "number-malformed", 21), ("SHED", "overload", 42), (None, None, 0)],
)
def test_a_call_that_the_hook_refused_or_that_ended_before_a_decision(control, evidence, outcome, reason, cause):
    refused = (
        (
            hook_lines.decision_line(number=SUSPENDED, outcome=outcome, reason=reason, hears="none"),
            hook_lines.end_line(at=ms(2), status="REFUSED", cause=cause, reason=reason, talked_ms=""),
        )
        if outcome
        else UNDECIDED
    )
    enter(control, *refused)
    record = evidence.record(CALL)
    assert (record.outcome, record.reason, record.status) == (outcome, reason, "REFUSED" if outcome else "CANCEL")
    assert record.hangup_cause == (cause or 16)
    assert (record.fallback, record.complete, record.anomalies) == (True, True, ())


def test_a_request_that_comes_after_the_hook_fell_back_gets_the_hooks_decision(control, evidence):
    enter(control, FALLBACK[0])
    decision = decide(control).decision
    assert (decision.outcome, decision.reason) == (Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE)
    assert refuses(control, replace(REQUEST, nonce=OTHER_NONCE))
    assert evidence.kinds() == ["fallback"]


def test_the_hooks_decision_counts_if_the_services_comes_too_late(control, evidence):
    """The hook used its fallback and played the notice."""
    call = decide(control)
    enter(control, FALLBACK[0])
    assert (call.decision.outcome, call.decision.profiles) == (Outcome.NOTICE, {Party.CALLED: "notice"})
    enter(control, *FALLBACK[1:])
    record = evidence.record(CALL)
    assert (record.outcome, record.reason, record.fallback) == ("NOTICE", "service-unavailable", True)
    assert (record.sent, record.complete, record.known_by) == (True, True, {"called": "packets"})
    assert record.anomalies == ("the service decided PLAY, licence-valid, and the hook acted without it",)


def test_the_services_decision_counts_if_the_call_ended_before_the_verdict(control, evidence):
    record = record_of(control, *UNDECIDED)
    assert evidence.kinds() == ["decided", "ended"]
    assert (record.outcome, record.status, record.fallback, record.anomalies) == ("PLAY", "CANCEL", False, ())


# -- calls of an earlier service --------------------------------------------------------------------------------------


def test_calls_in_progress_are_restored(sounds, evidence):
    """Calls from a version of idtone without nonces are not restored."""
    control = made(sounds, evidence, BOTH)
    call = decide(control)
    for other in (replace(EMERGENCY, nonce=OTHER_NONCE), INNER, replace(REQUEST, call_id=id_of(8), nonce="")):
        decide(control, other)
    decided = evidence.steps.pop()
    without = {key: value for key, value in decided.details.items() if key != "nonce"}
    evidence.steps.append(replace(decided, details=without))
    later = again(control, evidence)
    known = later.find(CALL)
    assert (known.decision, known.nonce) == (call.decision, NONCE)
    assert (known.forwarding_numbers, known.called) == (call.forwarding_numbers, call.called)
    assert {each.id: each.decision.skip for each in later} == {
        CALL: None,
        EMERGENCY.call_id: None,
        INNER.call_id: Skip.ANNOUNCED,
    }
    assert decide(later) is known
    assert refuses(later, replace(REQUEST, nonce=OTHER_NONCE))
    assert later.verdict(known) == control.verdict(call)


def test_a_call_continues_after_a_restart(control, evidence):
    """A new leg of the call gets a sound if the call's sound has ended, even if it ended before the restart."""
    decide(control)
    assert skip(again(control, MemoryEvidence(steps=list(evidence.steps))), INNER) is Skip.ANNOUNCED
    enter(control, HEARD[0])
    assert skip(again(control, MemoryEvidence(steps=list(evidence.steps))), INNER) is None
    later = again(control, evidence, ms(5000))
    (known,) = later
    assert (known.answered, known.sounded_at) == (True, ms(3440))
    enter(later, HEARD[1])
    record = evidence.record(CALL)
    assert (record.sent, record.times[StepKind.CONNECTED], record.anomalies) == (True, ms(3440), ())


# -- calls whose end is missing in the journal ------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [(), HEARD], ids=["in progress", "ended meanwhile"])
def test_a_call_in_progress_is_interrupted_once_and_one_that_ended_never(control, evidence, lines):
    call = decide(control)
    enter(control, *lines)
    for _ in range(2):
        control.close_interrupted(call)
        assert not control.suspended.record_end(call)
    assert evidence.kinds()[-1:] == ["ended" if lines else "interrupted"]
    assert set(evidence.kinds()) & {"interrupted", "suspended"} == ({"interrupted"} if not lines else set())
    assert evidence.kinds().count("interrupted") == (not lines)
    assert not list(control)
    with pytest.raises(JournalError, match="no such call"):
        enter(control, HEARD[1])


# -- numbers that are suspended while they are in a call --------------------------------------------------------------


@pytest.mark.parametrize("number", [LICENSED, f"{LICENSED}x"])
def test_a_call_whose_number_is_suspended_meanwhile_is_ended_once(control, evidence, number):
    """Settings can allow such a call to continue. After a restart, the next service ends the call."""
    control.policy = Policy(member=MEMBER, unreadable=Unreadable.NOTICE)
    other = decide(control, replace(REQUEST, call_id=id_of(7), number="0312345600"))
    emergency = decide(control, EMERGENCY)
    refused = decide(control, replace(REQUEST, call_id=id_of(8), number=SUSPENDED))
    call = decide(control, replace(REQUEST, number=number), Interface.AGI)
    assert control.suspended.to_end() == []
    later = again(control, evidence, registry=suspending_registry)
    assert [call.id for call in later.suspended.to_end()] == [CALL]
    control.registry, control.suspended.hang_up = suspending_registry, False
    assert control.suspended.to_end() == []
    control.suspended.hang_up = True
    assert control.suspended.to_end() == [call]
    assert not control.suspended.record_end(other), "its number is not suspended"
    for _ in range(2):
        assert control.suspended.record_end(call)
    assert not control.suspended.ended, "Asterisk has not been asked yet"
    for later in (again(control, evidence, registry=suspending_registry), control):
        assert later.suspended.record_end(*later.suspended.to_end()), "the step that an earlier service wrote suffices"
    control.suspended.count_end(call)
    assert control.suspended.ended.total() == 1
    assert of_kind(evidence, "suspended") == [
        steps.suspended(CALL, NOW, 43, suspending_registry().sha256, steps.SuspendedBy())
    ]
    enter(control, hook_lines.end_line(at=ms(100), cause=21, talked_ms=50))
    assert list(control) == [other, emergency, refused]


def test_no_call_ends_without_its_evidence(control, evidence):
    call = decide(control)
    control.registry = suspending_registry
    evidence.error = LedgerClosedError("another instance writes")
    assert not control.suspended.record_end(call)
    assert control.suspended.to_end() == [call]
    evidence.error = None
    assert control.suspended.record_end(call)
    assert evidence.kinds() == ["decided", "suspended"]


# -- evidence that cannot be written ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "logged"), [(LedgerError("broken"), True), (LedgerBehindError("no room"), False)])
def test_evidence_that_cannot_be_written_is_logged(control, evidence, caplog, error, logged):
    evidence.error = error
    assert decide(control).kept.exception() is error
    assert ("evidence could not be written: broken" in caplog.text) is logged


async def test_the_wait_for_evidence_is_limited(control, evidence):
    evidence.slow = True
    enter(control, FALLBACK[0])
    written = control.record_journal_line(read(FALLBACK[1]))
    began_s = time.monotonic()
    await control.wait_for(written[-1], 0.05)
    assert time.monotonic() - began_s >= 0.05
    assert evidence.hurried == 1
    assert not written[-1].done()
    evidence.commit()
    await control.wait_for(written[-1], 60)
    assert evidence.hurried == 1


@pytest.mark.parametrize(
    ("dial_string", "called", "trunks", "passes"),
    [
        ("PJSIP/110@trunk", "", (), True),
        ("PJSIP/110@trunk", "", ("trunk",), True),
        ("PJSIP/110@customer", "110", ("trunk",), False),
        ("PJSIP/119", "119", (), False),
        ("PJSIP/119&PJSIP/101", "", (), False),
        ("PJSIP/１１０@trunk", "", ("trunk",), True),
        ("Local/nobody@nowhere", "\u200b110#", (), True),
        ("PJSIP/3012345678@trunk&Nix/110", "3012345678@trunk&Nix/110", (), False),
    ],
)
def test_an_emergency_call_is_one_on_trunks_whose_number_is_suspended_or_not(
    sounds, evidence, dial_string, called, trunks, passes
):
    request = replace(REQUEST, number=SUSPENDED, dial_string=dial_string, called=called)
    decided = decide(made(sounds, evidence, emergency_trunks=trunks), request).decision
    assert decided.reason is (Reason.EMERGENCY if passes else Reason.NUMBER_SUSPENDED)


def test_an_emergency_call_of_a_suspended_number_is_an_anomaly_of_its_record(control, evidence):
    """The registry at the time of the call is decisive, for calls of the hook and of the service."""
    enter(
        control,
        hook_lines.decision_line(
            id_of(1), number=SUSPENDED, called="110", outcome="BYPASS", reason="emergency", hears="none"
        ),
    )
    enter(control, hook_lines.decision_line(id_of(2), called="110", outcome="BYPASS", reason="emergency", hears="none"))
    decide(control, replace(EMERGENCY, call_id=id_of(3), number=SUSPENDED))
    decide(control, replace(REQUEST, call_id=id_of(4), number=SUSPENDED))
    suspended = [step.call_id for step in evidence.steps if "number_suspended" in step.details]
    assert suspended == [id_of(1), id_of(3)]
    for number in range(1, 5):
        found = record_of_steps("pbx-1", [step for step in evidence.steps if step.call_id == id_of(number)]).anomalies
        assert list(found) == (["an emergency call of a suspended number"] if id_of(number) in suspended else [])


def test_only_a_call_with_both_numbers_of_the_canary_is_marked(sounds, evidence):
    """This is true of calls that the hook decided and of those that the service decided."""
    control = made(sounds, evidence, canary=(parse(LICENSED), parse(CALLED)))
    decide(control, replace(REQUEST, call_id=id_of(1), number=LICENSED, called=CALLED))
    decide(control, replace(REQUEST, call_id=id_of(2), number=LICENSED, called="0312349999"))
    decide(control, replace(REQUEST, call_id=id_of(3), number="0312345679", called=CALLED))
    enter(control, hook_lines.decision_line(id_of(4), number=LICENSED, called=CALLED))
    enter(control, hook_lines.decision_line(id_of(5), number=LICENSED, called="0312349999"))
    assert [step.call_id for step in evidence.steps if "canary" in step.details] == [id_of(1), id_of(4)]
    decide(made(sounds, evidence), replace(REQUEST, call_id=id_of(6), number=LICENSED, called=CALLED))
    assert "canary" not in evidence.steps[-1].details, "without a canary no call is marked"


def test_which_calls_a_suspension_ends(sounds, evidence):
    """A suspension ends calls from its beginning on, also without a registry.

    It ends calls that the hook decided, but not emergency calls.
    """
    now = [ms(-2000)]
    control = made(sounds, evidence, registry=suspending_registry, now=lambda: now[0])
    call = decide(control)
    enter(control, hook_lines.decision_line(id_of(8)))
    enter(control, hook_lines.decision_line(id_of(9), called="110", outcome="BYPASS", reason="emergency", hears="none"))
    assert control.suspended.to_end() == []
    now[0] = NOW
    assert control.suspended.to_end() == [call, control.find(id_of(8))]
    assert decide(control, replace(REQUEST, call_id=id_of(2))).decision.reason is Reason.NUMBER_SUSPENDED
    control.registry, control.remembered = lambda: None, Remembered({"8131234567x": [Suspension(ms(-1))]})
    assert control.suspended.to_end() == [call, control.find(id_of(8))]
