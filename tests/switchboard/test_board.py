"""The calls in progress, without any door."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from idtone.calls import Direction, Outcome, Party, Reason, Skip, Suspension
from idtone.decision import Policy
from idtone.ledger.records import fold
from idtone.ledger.steps import CallStatus, Role, StepKind
from idtone.numbers import Number, parse
from idtone.settings import CallerHears, Door
from idtone.switchboard.board import GUARD_S, Question, Switchboard
from idtone.tones.library import load_library
from idtone.tones.making.sounds import Sound, ensure_sounds

from ..ari_app.test_application import NOW, Licensed, Notebook

ASKED = Question("1795.1-1", "0312345678", "incoming", "0501234567", "0312340000", "PJSIP/0312340000@trunk")
BOTH = Policy(notify=dict.fromkeys(Direction, frozenset(Party)))


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> dict[str, Sound]:
    return ensure_sounds(tmp_path_factory.mktemp("sounds"), load_library().values(), ["sln"])


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def board(sounds, notebook) -> Switchboard:
    return Switchboard(Licensed, Policy(), sounds, notebook, now=lambda: NOW)


@pytest.mark.parametrize("door", Door)
def test_a_question_is_decided_once(board, notebook, door):
    call = board.decide(ASKED, door)
    assert (call.decision.outcome, call.decision.reason) == (Outcome.PLAY, Reason.LICENCE_VALID)
    assert board.decide(replace(ASKED, number="0312345677"), door) is call
    assert board.find(call.id) is call
    assert board.of_channel("1795.1") is call
    (step,) = notebook.steps
    assert step.details["door"] == door
    assert step.numbers[Role.CALLED].last4 == "0000"


def test_the_dialled_user_stands_in_for_a_called_number_that_is_not_given(board, notebook):
    board.decide(replace(ASKED, called=""), Door.ARI)
    assert notebook.steps[0].numbers[Role.CALLED].last4 == "0000"


def test_what_is_told_twice_is_written_once(board, notebook):
    call = board.decide(ASKED, Door.ARI)
    for _ in range(2):
        board.answered(call)
        board.connected(call)
    board.ended(call, CallStatus.CONNECTED, 16)
    assert notebook.kinds() == ["decided", "answered", "connected", "ended"]
    assert board.find(call.id) is None
    assert board.of_channel("1795.1") is None
    assert list(board) == []


def test_a_second_call_on_the_same_channel_is_not_forgotten_with_the_first(board):
    first = board.decide(ASKED, Door.ARI)
    second = board.decide(replace(ASKED, call_id="1795.1-2"), Door.ARI)
    board.ended(first, CallStatus.BUSY, 17)
    assert board.of_channel("1795.1") is second


@pytest.mark.parametrize("hears", CallerHears)
def test_the_verdict(sounds, notebook, hears):
    board = Switchboard(Licensed, BOTH, sounds, notebook, hears, now=lambda: NOW)
    verdict = board.verdict(board.decide(ASKED, Door.AGI), "12")
    assert (verdict.nonce, verdict.outcome, verdict.reason) == ("12", "PLAY", "licence-valid")
    assert (verdict.parties, verdict.answer_first) == (("called", "caller"), hears is CallerHears.ANSWERED)
    assert verdict.files == {"called": "sample", "caller": "sample"}
    assert verdict.guard_s == 1 + GUARD_S  # the sound has 440 ms


def test_a_sound_that_may_not_be_played_has_no_file_in_the_verdict(notebook):
    board = Switchboard(Licensed, Policy(), {}, notebook, now=lambda: NOW)
    verdict = board.verdict(board.decide(ASKED, Door.AGI), "12")
    assert (verdict.parties, verdict.files, verdict.guard_s) == (("called",), {}, GUARD_S)


def test_an_own_dial_sounds_to_the_called_party(sounds, notebook):
    board = Switchboard(Licensed, BOTH, sounds, notebook, now=lambda: NOW)
    assert board.decide(replace(ASKED, own_dial=True), Door.AGI).decision.profiles == {Party.CALLED: "sample"}


# -- chains -------------------------------------------------------------------------------------------------------

INNER = Question("1795.3-1", "0312340000", chain="1795.1-1")


def test_a_leg_of_a_call_that_sounds_is_silent(board):
    board.decide(ASKED, Door.ARI)
    assert board.decide(INNER, Door.ARI).decision.skip is Skip.ANNOUNCED


def test_a_leg_of_a_call_that_does_not_sound_is_heard(board):
    board.decide(replace(ASKED, chain="1795.0-1", number="110", called="110"), Door.ARI)  # an emergency call
    assert board.decide(INNER, Door.ARI).decision.skip is None


def test_a_leg_of_a_call_that_is_over_or_unknown_is_heard(board):
    outer = board.decide(ASKED, Door.ARI)
    board.ended(outer, CallStatus.BUSY, 17)
    assert board.decide(INNER, Door.ARI).decision.skip is None


BACK = Question("1795.5-1", "0312340000", diverting="0312345678")


@pytest.mark.parametrize(
    ("question", "skip"),
    [
        (BACK, Skip.ANNOUNCED),
        (replace(BACK, diverting="+81312345678"), Skip.ANNOUNCED),
        (replace(BACK, diverting=""), None),
        (replace(BACK, diverting="0312345679"), None),  # not by whom our call was diverted
        (replace(BACK, number="0312340001"), None),  # not whom our call is for
        (replace(BACK, number=""), None),
        (replace(BACK, diverting="anonymous"), None),
    ],
)
def test_a_call_that_comes_back_through_the_network_is_known_by_both_its_numbers(board, question, skip):
    board.decide(ASKED, Door.ARI)
    assert board.decide(question, Door.ARI).decision.skip is skip


def test_a_diversion_that_we_know_nothing_of_silences_nothing(board):
    assert board.decide(BACK, Door.ARI).decision.skip is None


# -- how it ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own_dial", "connected", "kind", "status"),
    [
        (False, False, StepKind.INTERRUPTED, None),
        (False, True, StepKind.ENDED, CallStatus.CONNECTED),
        (True, False, StepKind.ENDED, CallStatus.CANCEL),
        (True, True, StepKind.ENDED, CallStatus.CONNECTED),
    ],
)
def test_a_channel_that_is_gone_without_the_hooks_word(board, notebook, own_dial, connected, kind, status):
    call = board.decide(replace(ASKED, own_dial=own_dial), Door.ARI)
    if connected:
        board.connected(call)
    board.gone(call, 16)
    assert (notebook.steps[-1].kind, notebook.steps[-1].details.get("status")) == (kind, status)
    assert not list(board)


# -- numbers that are suspended while they are in a call -------------------------------------------------------------


class Stopping(Licensed):
    """As of a second ago 0312345678 is suspended, and 0312345677 for good."""

    version = 43

    def suspensions(self) -> list[Suspension]:
        return [*super().suspensions(), Suspension(parse("0312345678"), NOW - timedelta(seconds=1), "R-2")]

    def suspension(self, number: Number) -> Suspension | None:
        return next((each for each in self.suspensions() if each.number == number), None)


@pytest.mark.parametrize("number", ["0312345678", "0312345678x"])
def test_a_call_of_a_number_that_is_suspended_meanwhile_is_to_be_ended_once(board, notebook, number):
    other = board.decide(replace(ASKED, call_id="1795.7-1", number="0312345600"), Door.ARI)
    emergency = board.decide(replace(ASKED, call_id="1795.8-1", called="110"), Door.ARI)
    call = board.decide(replace(ASKED, number=number), Door.AGI)
    assert board.to_be_ended() == []
    board.registry = Stopping
    assert board.to_be_ended() == [call]
    board.suspends(call)
    board.suspends(call)
    assert board.to_be_ended() == []
    assert [step.call_id for step in notebook.steps if step.kind is StepKind.SUSPENDED] == [call.id]
    assert notebook.steps[-1].details == {"registry_version": 43}
    board.ended(call, CallStatus.CONNECTED, 16)
    assert list(board) == [other, emergency]


def test_a_suspension_that_begins_later_ends_the_calls_then(sounds, notebook):
    now = [NOW - timedelta(seconds=2)]
    board = Switchboard(Stopping, Policy(), sounds, notebook, now=lambda: now[0])
    call = board.decide(ASKED, Door.ARI)
    assert board.to_be_ended() == []
    now[0] = NOW
    assert board.to_be_ended() == [call]


def test_by_the_policy_they_may_go_on(board):
    board.decide(ASKED, Door.ARI)
    board.registry, board.hang_up_suspended = Stopping, False
    assert board.to_be_ended() == []


def test_a_call_of_an_earlier_service_is_ended_by_its_number(sounds, notebook, board):
    for call_id, number in ((ASKED.call_id, ASKED.number), ("1795.7-1", "0312345600")):
        board.decide(replace(ASKED, call_id=call_id, number=number), Door.ARI)
    later = Switchboard(Stopping, Policy(), sounds, notebook, now=lambda: NOW)
    later.recall([fold("lab", [step]) for step in notebook.steps])
    assert [call.id for call in later.to_be_ended()] == [ASKED.call_id]


# -- what an earlier service left ---------------------------------------------------------------------------------


def test_calls_are_known_again(sounds, notebook, board):
    both = Switchboard(Licensed, BOTH, sounds, notebook, now=lambda: NOW)
    call = both.decide(ASKED, Door.AGI)
    both.answered(call)
    both.connected(call)
    board.recall([fold("lab", notebook.steps)])
    (known,) = board
    assert (known.id, known.answered, known.connected) == (call.id, True, True)
    assert known.decision == call.decision
    board.interrupted(known)
    assert notebook.steps[-1].kind is StepKind.INTERRUPTED


def test_a_skipped_call_is_known_again_as_such(board, sounds, notebook):
    board.decide(ASKED, Door.ARI)
    board.decide(INNER, Door.ARI)
    again = Switchboard(Licensed, Policy(), sounds, Notebook(), now=lambda: NOW)
    again.recall([fold("lab", [step for step in notebook.steps if step.call_id == INNER.call_id])])
    assert [call.decision.skip for call in again] == [Skip.ANNOUNCED]


def test_no_question_shows_its_numbers():
    assert "0312345678" not in repr(ASKED)
