"""Exports that need two persons: the permitted ones, and every way around the rule."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idtone.core.persons import AccountKnownBy, Person
from idtone.ledger.disclosure.disclosure_request import (
    DisclosureRequest,
    DisclosureRules,
    RequestState,
    objection,
    requests,
)
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from lab.ledger.sample_evidence import ALICE, BOB, NOW

HOUR, TERM = timedelta(hours=1), timedelta(days=7)
CAROL = Person(1003, "carol", AccountKnownBy.LOGIN)
SATO, MORI = (Person(998, name, AccountKnownBy.CONSOLE) for name in ("sato", "mori"))
SELECTION, OTHER = "5e" * 32, "0f" * 32

RULES = DisclosureRules(two_persons=True, term=TERM)

ASKED = steps.export_requested("act-1", NOW, ALICE, "R-7", ["c-1", "c-2"], False, SELECTION, NOW + TERM)


def approved(by: Person = BOB, after: timedelta = HOUR, selection: str = SELECTION, request: str = "act-1") -> Step:
    return steps.export_approved("act-2", NOW + after, by, request, selection, NOW + after + TERM)


def refused(by: Person = BOB, after: timedelta = HOUR) -> Step:
    return steps.export_refused("act-3", NOW + after, by, "act-1", "not ours to give")


def exported(by=ALICE, after=2 * HOUR, selection=SELECTION, case="R-7", calls=2, sealed=False) -> Step:
    return steps.exported("act-4", NOW + after, by, case, calls, sealed, "ab" * 32, ("act-1", selection))


ALONE = steps.exported("act-4", NOW, ALICE, "R-7", 2, False, "ab" * 32)


def only(*acts: Step) -> DisclosureRequest:
    [request] = requests(acts).values()
    return request


def test_one_requests_another_approves_and_one_of_them_exports():
    request = only(ASKED, approved(), exported())
    assert (request.by, request.case, request.calls, request.sealed) == (ALICE, "R-7", ("c-1", "c-2"), False)
    assert request.approval
    assert (request.approval.act, request.approval.by, request.approval.until) == ("act-2", BOB, NOW + HOUR + TERM)
    assert request.export
    assert request.state(NOW + 3 * HOUR) is RequestState.EXPORTED
    assert only(ASKED, approved(), exported(BOB)).export


def test_users_of_the_console_are_different_persons_by_one_account():
    asked = replace(ASKED, details={**ASKED.details, "by": "sato", "by_uid": 998, "by_way": "console"})
    assert not only(asked, approved(SATO)).approval
    request = only(asked, approved(MORI), exported(SATO))
    assert request.approval
    assert request.approval.by == MORI
    assert request.export
    assert only(asked, approved(MORI), exported(MORI)).export
    assert not only(asked, approved(MORI), exported(replace(MORI, name="endo"))).export
    assert not only(asked, approved(MORI), exported(ALICE)).export


@pytest.mark.parametrize(
    ("acts", "after", "state"),
    [
        ([], HOUR, RequestState.OPEN),
        ([], TERM - timedelta(microseconds=1), RequestState.OPEN),
        ([], TERM, RequestState.EXPIRED),
        ([approved()], TERM, RequestState.APPROVED),
        ([approved()], TERM + HOUR, RequestState.EXPIRED),
        ([refused()], HOUR, RequestState.REFUSED),
        ([refused(ALICE)], HOUR, RequestState.REFUSED),  # she takes it back
        ([approved(), refused(CAROL)], HOUR, RequestState.REFUSED),
        ([approved(), exported(), refused()], TERM * 9, RequestState.EXPORTED),
    ],
)
def test_how_a_request_stands(acts, after, state):
    assert only(ASKED, *acts).state(NOW + after) is state


ATTACKS = {
    "the same person": ([], approved(ALICE), "another person has to approve it"),
    "the same account by another name": ([], approved(replace(ALICE, name="bob")), "another person has to approve it"),
    "a user of the console who may be alice": ([], approved(MORI), "approved in the console, and one from a command"),
    "too late": ([], approved(after=TERM), "is expired"),
    "another selection": ([], approved(selection=OTHER), "another selection"),
    "a request that nobody made": ([], approved(request="act-9"), "there is no request act-9"),
    "approved twice": ([approved()], approved(CAROL), "is approved"),
    "approved after the refusal": ([refused()], approved(), "is refused"),
    "approved again when it was used": ([approved(), exported()], approved(CAROL), "is exported"),
    "exported unapproved": ([], exported(), "is open"),
    "exported on one's own approval": ([approved(ALICE)], exported(), "is open"),
    "exported twice": ([approved(), exported()], exported(BOB), "is exported"),
    "exported too late": ([approved()], exported(after=HOUR + TERM), "is expired"),
    "exported after the refusal": ([approved(), refused(CAROL)], exported(), "is refused"),
    "exported by a third": ([approved()], exported(CAROL), "neither requested nor approved"),
    "exported as another selection": ([approved()], exported(selection=OTHER), "another selection"),
    "exported for another case": ([approved()], exported(case="R-8"), "another value of case than"),
    "exported as more calls": ([approved()], exported(calls=3), "another value of calls than"),
    "exported with other numbers": (
        [approved()],
        exported(sealed=True),
        "another value of numbers_sealed than",
    ),
    "exported without a request": ([approved()], ALONE, "takes two persons|take two persons"),
    "requested by an id that is taken": ([approved()], ASKED, "by this id already"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_may_not_be_is_objected_to_and_counts_for_nothing(attack):
    before, act, why = ATTACKS[attack]
    known = requests([ASKED, *before])
    found = objection(act, known, RULES)
    assert found
    assert any(each in found for each in why.split("|")), found
    assert requests([ASKED, *before, act]) == known


def test_an_act_that_is_dated_back_is_judged_by_the_writers_clock():
    known = requests([ASKED])
    assert objection(approved(), known, RULES, NOW + 2 * HOUR) is None
    assert objection(approved(), known, RULES, NOW + TERM) == "request act-1 is expired"
    # Where exports are made alone nobody has to approve.
    assert objection(ALONE, {}, DisclosureRules()) is None
    assert objection(steps.forgotten("act-5", NOW, "2026-11-01", 3), {}, RULES) is None


@pytest.mark.parametrize("act", [ASKED, approved()])
def test_nothing_counts_for_longer_than_the_writer_lets_it(act):
    """The writer applies its own limit and its own clock, not the settings of the person who acts."""
    known, shorter = {} if act is ASKED else requests([ASKED]), DisclosureRules(term=TERM - HOUR)
    assert objection(act, known, RULES, act.at) is None
    assert objection(act, known, shorter, act.at + timedelta(minutes=59)) is not None
    assert objection(act, known, shorter, act.at + HOUR) is None
    found = objection(replace(act, at=act.at + 9 * TERM), known, RULES, act.at - HOUR)
    assert found
    if act is ASKED:
        assert "longer than ledger.approval allows" in found


@pytest.mark.parametrize("act", [ASKED, approved(), refused()], ids=lambda act: act.kind)
def test_an_act_that_lacks_something_is_none(act):
    known = {} if act is ASKED else requests([ASKED])
    for missing in {"by", "by_uid", "by_way", "request", "selection", "until", "selected", "calls"} & {*act.details}:
        bare = {name: value for name, value in act.details.items() if name != missing}
        assert objection(replace(act, details=bare), known, RULES), missing


@given(
    st.sampled_from([StepKind.EXPORT_REQUESTED, StepKind.EXPORT_APPROVED, StepKind.EXPORT_REFUSED, StepKind.EXPORTED]),
    st.dictionaries(
        st.sampled_from(["by", "by_uid", "by_way", "request", "selection", "until", "selected", "calls", "case"]),
        st.none()
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | st.sampled_from(["act-1", "[]", '["c"]', "login", NOW.isoformat(), "{"]),
    ),
)
def test_no_act_whatever_it_says_breaks_the_list(kind, details):
    before = requests([ASKED])
    after = requests([ASKED, Step("act-x", kind, NOW + HOUR, details)])
    assert after["act-1"].approval is None or kind is StepKind.EXPORT_APPROVED
    assert set(before) <= set(after)


def test_a_request_whose_calls_are_none_is_none():
    for selected, error in (("[" * 100_000, "RecursionError"), ("[]", "ValueError"), ("7", "ValueError")):
        act = replace(ASKED, details={**ASKED.details, "selected": selected})
        assert objection(act, {}, RULES) == f"it is not what an act of this kind says ({error})"
