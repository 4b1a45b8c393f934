"""Who hears which sound, and when no sound is played."""

from __future__ import annotations

from dataclasses import replace

import pytest

from idtone.calls import Decision, Direction, Outcome, Party, Reason, Skip, Trust
from idtone.decision import Chain, Policy, Unlicensed, decide
from idtone.errors import NumberError
from idtone.numbers import MALFORMED, digits_alone, parse, parse_pattern

from .deciding import EXPIRED, HELD, LICENCE, NOW, FakeRegistry, call, stopped

BOTH = dict.fromkeys(Direction, frozenset(Party))
CALLER_ONLY = dict.fromkeys(Direction, frozenset({Party.CALLER}))
CHIME = replace(LICENCE, id="L-chime", tone="chime")
CALLED, CALLER = Party.CALLED, Party.CALLER


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    ("incoming", "outgoing"), [(frozenset(Party), frozenset({CALLER})), (frozenset({CALLED}), frozenset(Party))]
)
def test_each_direction_has_its_own_parties(direction, incoming, outgoing):
    policy = Policy(notify={Direction.INCOMING: incoming, Direction.OUTGOING: outgoing})
    decision = decide(call(direction=direction), FakeRegistry(), policy, NOW)
    assert decision.parties == (incoming if direction is Direction.INCOMING else outgoing)
    assert set(decision.profiles.values()) == {"sample"}


@pytest.mark.parametrize("wanted", [{CALLED}, {CALLER}, {CALLED, CALLER}])
def test_the_called_party_hears_the_sound_if_no_wanted_party_can(wanted):
    """Under an operator's own Dial() the hook runs only on the called channel; the sound is played all the same."""
    policy = Policy(notify=dict.fromkeys(Direction, frozenset(wanted)))
    decision = decide(replace(call(), parties=frozenset({CALLED})), FakeRegistry(), policy, NOW)
    assert decision.profiles == {CALLED: "sample"}


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
    decision = decide(call(), FakeRegistry(held), Policy(notify=BOTH, tones=tones), NOW)
    assert (decision.outcome, decision.reason, decision.licence) == (outcome, reason, licence)
    assert decision.profiles == profiles


def test_the_tones_of_one_direction_do_not_apply_to_the_other():
    decision = decide(call(direction=Direction.OUTGOING), FakeRegistry(), Policy(notify=BOTH, tones=TONES), NOW)
    assert decision.profiles == {CALLED: "sample", CALLER: "sample"}


def test_the_licensed_sound_of_a_party_never_without_its_licence():
    decision = decide(call(), FakeRegistry([LICENCE]), Policy(notify=CALLER_ONLY, tones=TONES), NOW)
    assert decision.profiles == {CALLER: "notice"}


def test_an_announced_call_gets_no_second_sound():
    announced = replace(call(), announced=True)
    once = decide(announced, FakeRegistry(), Policy(), NOW)
    assert once == Decision(
        Outcome.PLAY, Reason.LICENCE_VALID, "L-1", {}, 42, skip=Skip.ANNOUNCED, registry_trust=Trust.SIGNED,
        member="m-1",
    )  # fmt: skip
    assert (once.parties, once.profile) == (frozenset(), None)
    each = decide(announced, FakeRegistry(), Policy(chain=Chain.EACH), NOW)
    assert (each.profiles, each.skip) == ({CALLED: "sample"}, None)


@pytest.mark.parametrize("skipping", [{"announced": True}, {"called": parse("0312340000")}])
def test_a_call_without_a_sound_is_judged_too(skipping):
    silent = Policy(silent=(parse_pattern("0312340000"),))
    asked = replace(call(), **skipping)
    unknown = decide(asked, FakeRegistry([]), silent, NOW)
    assert (unknown.outcome, unknown.reason, unknown.profiles) == (Outcome.NOTICE, Reason.LICENCE_NONE, {})
    assert unknown.skip
    suspended = decide(asked, stopped(NOW), silent, NOW)
    assert (suspended.outcome, suspended.skip) == (Outcome.REFUSE, None)
    refusing = replace(silent, unlicensed=Unlicensed.REFUSE)
    assert decide(asked, FakeRegistry([]), refusing, NOW).outcome is Outcome.REFUSE


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("0312340000", ["0312340000", "+81312340000", "03-1234-0000", "1840312340000"], ["0312340001", "12340000"]),
        ("+81312340000", ["0312340000"], ["0412340000"]),
        ("０３-１２３４-００００", ["0312340000"], ["0412340000"]),
        ("03*", ["0312340000", "+81398765432"], ["0412340000", "03", "+12125551234"]),
        ("+1212*", ["+12125551234"], ["0312340000"]),
        ("101", ["101"], ["1011", "0312340101", "10"]),
        ("10*", ["101", "1099"], ["0101", "11"]),
        ("118", [], ["101"]),
    ],
)
def test_patterns_of_numbers(pattern, matching, other):
    read = parse_pattern(pattern)
    for text in matching:
        assert read.matches(parse(text), text), text
    for text in other:
        assert not read.matches(parse(text), text), text
    assert not read.matches(MALFORMED, "")


@pytest.mark.parametrize("nonsense", ["", "*", "fax", "03**", "0*3", "+", "0312340000 0312340001 x", "0" * 40])
def test_an_invalid_pattern_is_refused(nonsense):
    with pytest.raises(NumberError, match="write it like") as error:
        parse_pattern(nonsense)
    assert not nonsense or nonsense in ("*", "+") or nonsense not in str(error.value)


def test_a_pattern_does_not_show_its_number():
    assert "0312340000" not in repr(Policy(silent=(parse_pattern("0312340000"),)))
    assert HELD.e164 not in repr(parse_pattern(HELD.e164))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0312345677x", "0312345677"),
        ("'03-1234-5677", "0312345677"),
        ("x", None),
        ("+81 3 1234 5677;a=b", "0312345677"),
    ],
)
def test_the_number_that_the_digits_of_a_malformed_one_make(text, number):
    found = digits_alone(text)
    assert (found == parse(number)) if number else not found.known


def test_a_suspended_number_with_a_letter_behind_it_is_refused():
    asked = replace(call(MALFORMED), perhaps=HELD)
    decision = decide(asked, stopped(NOW), Policy(), NOW)
    assert (decision.outcome, decision.reason) == (Outcome.REFUSE, Reason.NUMBER_SUSPENDED)
    licensed = decide(asked, FakeRegistry(), Policy(), NOW)
    assert (licensed.outcome, licensed.reason) == (Outcome.NOTICE, Reason.NUMBER_MALFORMED)
