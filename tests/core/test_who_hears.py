"""The parties that hear each sound, and the cases in which no sound is played."""

from dataclasses import replace

import pytest

from idtone.core.calls import Decision, Direction, Outcome, Party, Reason, Skip, Trust
from idtone.core.decision import Chain, Unlicensed, Unreadable, decide
from idtone.core.errors import NumberError
from idtone.core.numbers import MALFORMED, parse, parse_pattern
from lab.core.fake_registry import EXPIRED, HELD, LICENCE, NOW, FakeRegistry, call, own_policy, stopped_registry

BOTH = dict.fromkeys(Direction, frozenset(Party))
CALLER_ONLY = dict.fromkeys(Direction, frozenset({Party.CALLER}))
CHIME = replace(LICENCE, id="L-chime", tone="chime")
CALLED, CALLER = Party.CALLED, Party.CALLER


def test_each_direction_has_its_own_parties():
    both, caller, called = frozenset(Party), frozenset({CALLER}), frozenset({CALLED})
    for notify in (
        {Direction.INCOMING: both, Direction.OUTGOING: caller},
        {Direction.INCOMING: called, Direction.OUTGOING: both},
    ):
        for direction, parties in notify.items():
            decision = decide(call(direction=direction), FakeRegistry(), own_policy(notify=notify), NOW)
            assert decision.profiles == dict.fromkeys(parties, "sample")
    for wanted in (called, caller, both):
        policy = own_policy(notify=dict.fromkeys(Direction, wanted))
        # Under an operator's own Dial() the hook runs only on the called channel; the sound is played all the same.
        decision = decide(replace(call(), parties=called), FakeRegistry(), policy, NOW)
        assert decision.profiles == {CALLED: "sample"}, wanted


TONES = {(Direction.INCOMING, CALLED): "sample", (Direction.INCOMING, CALLER): "chime"}
ONE_TONE = {(Direction.INCOMING, CALLER): "chime"}


@pytest.mark.parametrize(
    ("held", "tones", "outcome", "reason", "licence", "profiles"),
    [
        ([LICENCE, CHIME], TONES, "PLAY", "licence-valid", "L-1", {CALLED: "sample", CALLER: "chime"}),
        ([CHIME, LICENCE], TONES, "PLAY", "licence-valid", "L-1", {CALLED: "sample", CALLER: "chime"}),
        ([CHIME], ONE_TONE, "PLAY", "licence-valid", "L-chime", {CALLED: "chime", CALLER: "chime"}),
        # If one party's sound is not licensed, no party hears a licensed one.
        ([LICENCE], TONES, "NOTICE", "licence-none", None, {CALLED: "notice", CALLER: "notice"}),
        (
            [LICENCE, replace(EXPIRED, tone="chime")],
            TONES, "NOTICE", "licence-expired", "L-expired", {CALLED: "notice", CALLER: "notice"},
        ),
        ([], TONES, "NOTICE", "licence-none", None, {CALLED: "notice", CALLER: "notice"}),
    ],
)  # fmt: skip
def test_each_party_its_own_sound(held, tones, outcome, reason, licence, profiles):
    decision = decide(call(), FakeRegistry(held), own_policy(notify=BOTH, tones=tones), NOW)
    assert (decision.outcome, decision.reason, decision.licence) == (outcome, reason, licence)
    assert decision.profiles == profiles


def test_a_sound_belongs_to_its_direction_and_its_licence():
    decision = decide(call(direction=Direction.OUTGOING), FakeRegistry(), own_policy(notify=BOTH, tones=TONES), NOW)
    assert decision.profiles == {CALLED: "sample", CALLER: "sample"}
    decision = decide(call(), FakeRegistry([LICENCE]), own_policy(notify=CALLER_ONLY, tones=TONES), NOW)
    assert decision.profiles == {CALLER: "notice"}


def test_an_announced_call_gets_no_second_sound():
    announced = replace(call(), announced=True)
    once = decide(announced, FakeRegistry(), own_policy(), NOW)
    assert once == Decision(
        Outcome.PLAY,
        Reason.LICENCE_VALID,
        "L-1",
        {},
        42,
        skip=Skip.ANNOUNCED,
        registry_trust=Trust.SIGNED,
        member="m-1",
    )
    assert (once.parties, once.profile) == (frozenset(), None)
    each = decide(announced, FakeRegistry(), own_policy(chain=Chain.EACH), NOW)
    assert (each.profiles, each.skip) == ({CALLED: "sample"}, None)


@pytest.mark.parametrize("skipping", [{"announced": True}, {"called": parse("0312340000")}])
def test_a_call_without_a_sound_is_judged_too(skipping):
    silent = own_policy(silent=(parse_pattern("0312340000"),))
    asked = replace(call(), **skipping)
    unknown = decide(asked, FakeRegistry([]), silent, NOW)
    assert (unknown.outcome, unknown.reason, unknown.profiles) == (Outcome.NOTICE, Reason.LICENCE_NONE, {})
    assert unknown.skip
    suspended = decide(asked, stopped_registry(NOW), silent, NOW)
    assert (suspended.outcome, suspended.skip) == (Outcome.REFUSE, None)
    refusing = replace(silent, unlicensed=Unlicensed.REFUSE)
    refused = decide(asked, FakeRegistry([]), refusing, NOW)
    assert (refused.outcome, refused.skip) == (Outcome.REFUSE, None)


def test_patterns_of_numbers():
    for pattern, matching, other in (
        ("0312340000", ["0312340000", "+81312340000", "03-1234-0000", "1840312340000"], ["0312340001", "12340000"]),
        ("+81312340000", ["0312340000"], ["0412340000"]),
        ("０３-１２３４-００００", ["0312340000"], ["0412340000"]),
        ("03*", ["0312340000", "+81398765432"], ["0412340000", "03", "+12125551234"]),
        ("+1212*", ["+12125551234"], ["0312340000"]),
        ("0123999999", ["0123-999-999"], ["0123999990"]),
        ("101", ["101", "1-01"], ["1011", "0312340101", "10"]),
        ("10*", ["101", "1099"], ["0101", "11"]),
        ("9*", ["9", "91"], ["19"]),
        ("118", [], ["101"]),
    ):
        read = parse_pattern(pattern)
        assert [text for text in (*matching, *other) if read.matches(parse(text), text)] == matching, pattern
        assert not read.matches(MALFORMED, "")
    for nonsense in ("", "*", "9", "fax", "03**", "0*3", "+", "0312340000 0312340001 x", "0" * 40):
        with pytest.raises(NumberError, match="write it like") as error:
            parse_pattern(nonsense)
        assert nonsense in ("", "*", "9", "+") or nonsense not in str(error.value)
    assert "0312340000" not in repr(own_policy(silent=(parse_pattern("0312340000"),)))
    assert HELD.e164 not in repr(parse_pattern(HELD.e164))


def test_a_suspended_number_with_a_letter_behind_it_is_refused():
    asked = replace(call(MALFORMED), perhaps=HELD)
    for policy in (own_policy(), own_policy(unreadable=Unreadable.NOTICE)):
        decision = decide(asked, stopped_registry(NOW), policy, NOW)
        assert (decision.outcome, decision.reason) == (Outcome.REFUSE, Reason.NUMBER_SUSPENDED)
    licensed = decide(asked, FakeRegistry(), policy, NOW)
    assert (licensed.outcome, licensed.reason) == (Outcome.NOTICE, Reason.NUMBER_MALFORMED)
