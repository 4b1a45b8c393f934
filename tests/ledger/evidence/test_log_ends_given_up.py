"""Acts that give up the end of a log."""

from dataclasses import replace

import pytest

from idtone.core.persons import AccountKnownBy, Person
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.log_ends_given_up import LIMIT, EndsGivenUp, act_words
from idtone.ledger.evidence.steps import Step
from lab.ledger.sample_evidence import ALICE, BOB, NOW

END = ("pbx-1/idtone", 3, "ab" * 32)
CONTINUED = steps.continued("act-0", NOW, *END, "l.ended")
CAROL = Person(1000, "carol", AccountKnownBy.CONSOLE)


def act(number: int, by: Person = ALICE, persons: int = 1, request: str | None = None, **other: object) -> Step:
    made = steps.end_given_up(f"act-{number}", NOW, by, "burnt", END, 2, persons, request)
    return replace(made, details={**made.details, **other})


def test_one_person_gives_it_up_where_one_is_enough():
    [given] = EndsGivenUp.of([CONTINUED, act(1)]).counted
    assert (given.names, given.why, given.end) == ("alice", "burnt", (*END, 2))


def test_two_persons_give_it_up_together():
    first = act(1, persons=2)
    found = EndsGivenUp.of([first])
    assert (found.counted, found.awaiting_confirmation((*END, 2)).act) == ([], "act-1")
    found.add(act(2, BOB, 2, "act-1"))
    assert (found.waiting, [each.names for each in found.counted]) == ({}, ["alice, bob"])


@pytest.mark.parametrize(
    ("before", "step", "why"),
    [
        ([act(1)], act(2, BOB), "is given up already"),
        ([act(1, persons=2)], act(2, BOB, 2), "alice has given this up already"),
        ([act(1, persons=2)], act(2, ALICE, 2, "act-1"), "another person has to confirm it"),
        ([act(1, persons=2)], act(2, CAROL, 2, "act-1"), "another person has to confirm it"),
        ([act(1, persons=2)], act(2, BOB, 2, "act-3"), "there is no act act-3"),
        ([act(1, persons=2)], act(2, BOB, 1, "act-1"), "there is no act act-1"),
        ([act(1, persons=2)], act(2, BOB, 2, "act-1", signed=1), "there is no act act-1"),
        ([act(1, persons=2)], act(2, BOB, 2, "act-1", root="cd" * 32), "there is no act act-1"),
        ([], act(1, request="act-1", persons=2), "there is no act act-1"),
        ([CONTINUED], act(1, leaves=4), "the log continues another end of pbx-1/idtone"),
        ([CONTINUED], act(1, root="cd" * 32), "the log continues another end of pbx-1/idtone"),
        ([], act(1, signed=3), "it is not what an act of this kind says"),
        ([], act(1, signed=-1), "it is not what an act of this kind says"),
        ([], act(1, signed=True), "it is not what an act of this kind says"),
        ([], act(1, leaves="3"), "it is not what an act of this kind says"),
        ([], act(1, root="AB" * 32), "it is not what an act of this kind says"),
        ([], act(1, why="x\x1b[2Jgood"), "it is not what an act of this kind says"),
        ([], act(1, origin="log\ngood"), "it is not what an act of this kind says"),
        ([], act(1, replace(ALICE, name="alice\u202e")), "it is not what an act of this kind says"),
        ([], act(1, persons=3), "it is not what an act of this kind says"),
        ([], act(1, by_uid=None), "it is not what an act of this kind says"),
        ([act(n, origin=f"log-{n}") for n in range(LIMIT)], act(LIMIT), "at most"),
    ],
)
def test_what_is_not_allowed_has_no_effect(before, step, why):
    found = EndsGivenUp.of(before)
    counted = list(found.counted)
    assert why in found.objection(step)
    found.add(step)
    assert found.counted == counted


def test_where_two_persons_are_needed_one_is_not_enough():
    assert "takes two persons" in EndsGivenUp().objection(act(1), two_persons=True)
    assert EndsGivenUp().objection(act(1, persons=2), two_persons=True) is None


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (act(1), "alice gives up the end of pbx-1/idtone on 2026-11-01T00:00:00.123456+00:00: burnt; of 3 leaves"),
        (act(1, persons=2), "; it takes two persons, and this is one"),
        (act(1, root=""), "in a form that no ledger writes"),
        (steps.answered("c-1", NOW), ""),
    ],
)
def test_one_act_in_words(step, words):
    assert words in act_words(step)
    assert bool(words) is bool(act_words(step))
