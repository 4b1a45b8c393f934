"""What the hook asks by AGI and what it gets, against a ledger that fails on demand."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from idtone.agi.application import AgiApplication, moment
from idtone.agi.environment import Request
from idtone.calls import Party
from idtone.decision import Policy
from idtone.errors import AgiError
from idtone.ledger.records import fold
from idtone.ledger.steps import CallStatus
from idtone.switchboard.board import Switchboard
from idtone.tones.library import load_library
from idtone.tones.making.sounds import Sound, ensure_sounds

from ..ari_app.test_application import NOW, Licensed, Notebook

CALL, NONCE = "1795.1-1", "123456789987654321"
DECIDE = (CALL, NONCE, "03-1234-5678", "incoming", "0312340000", "PJSIP%2F0312340000%40trunk", "", "", "050%2D1", "")
BEGAN, WHOLE, SHORT = "1793491200.100000", "1793491200.540000", "1793491200.400000"
HEARD, UNHEARD = {"IDTONE_HEARD": f"{NONCE}:heard"}, {"IDTONE_HEARD": f"{NONCE}:unheard"}


@dataclass
class Events:
    connected: bool = True
    watching: bool = True

    async def watches(self, channel: str) -> bool:
        assert channel == CALL.partition("-")[0]
        return self.connected and self.watching


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> dict[str, Sound]:
    return ensure_sounds(tmp_path_factory.mktemp("sounds"), load_library().values(), ["sln"])


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def board(sounds, notebook) -> Switchboard:
    return Switchboard(Licensed, Policy(), sounds, notebook, now=lambda: NOW)


@pytest.fixture
def alone(board) -> AgiApplication:
    """Without ARI events."""
    return AgiApplication(board, Events(connected=False))


def ask(application: AgiApplication, entry: str, *arguments: str):
    return asyncio.run(application.answer(Request(entry, arguments, "1795.1", "")))


def plays(application, *, call=CALL, party="called", file="sample"):
    return ask(application, "playing", call, party, file)


def played(application, *, call=CALL, party="called", file="sample", status="SUCCESS", began=BEGAN, ended=WHOLE):
    return ask(application, "played", call, NONCE, party, file, status, began, ended)


def test_the_whole_of_a_call(alone, notebook):
    verdict = ask(alone, "decide", *DECIDE)
    assert verdict == {"IDTONE_VERDICT": f"{NONCE}:PLAY:licence-valid::3:called:early:sample:"}
    assert plays(alone) == {}
    assert notebook.kinds() == ["decided", "answered", "sound-started"]
    assert played(alone) == HEARD
    assert ask(alone, "ended", CALL, "CONNECTED", "16", "licence-valid", "") == {}
    assert notebook.kinds() == ["decided", "answered", "sound-started", "sound-ended", "connected", "ended"]
    record = fold("lab", notebook.steps)
    assert (record.door, record.heard, record.complete, record.hangup_cause) == ("agi", True, True, 16)
    assert record.times["sound-ended"] == datetime(2026, 11, 1, 0, 0, 0, 540000, UTC)
    assert "0501234567" not in repr(notebook.steps)


def test_an_own_dial_is_asked_on_the_called_channel(alone):
    verdict = ask(alone, "decide", CALL, NONCE, "0312345678", "outgoing", "0312340000", "", "", "", "", "own-dial")
    assert verdict["IDTONE_VERDICT"].split(":")[5] == "called"


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"status": "FAILED"}, "the playback ended as 'FAILED'"),
        ({"status": ""}, "the playback ended as ''"),
        ({"ended": SHORT}, "the playback lasted 300 ms by Asterisk's clock"),
        ({"ended": "1793487600.540000"}, "the playback lasted -… ms by Asterisk's clock"),  # stepped back
        ({"file": "notice"}, "another sound was played than may be"),
        ({"party": "caller"}, "another sound was played than may be"),
    ],
)
def test_what_was_not_whole_was_not_heard(alone, notebook, facts, why):
    ask(alone, "decide", *DECIDE)
    assert played(alone, **facts) == UNHEARD
    assert notebook.kinds()[-1] == "sound-failed"
    assert notebook.steps[-1].details["why"] == why
    assert not fold("lab", notebook.steps).heard


def test_the_parties_are_connected_only_when_the_evidence_is_durable(sounds):
    notebook = Notebook()
    board = Switchboard(Licensed, Policy(), sounds, notebook, now=lambda: NOW)
    application = AgiApplication(board, Events())

    async def conversation() -> None:
        await application.answer(Request("decide", DECIDE, "1795.1", ""))
        appended = board.evidence.append

        def held(step):
            future = appended(step)
            return later if step.kind == "sound-started" else future

        later: Future[None] = Future()
        board.evidence.append = held
        answering = asyncio.create_task(
            application.answer(
                Request("played", (CALL, NONCE, "called", "sample", "SUCCESS", BEGAN, WHOLE), "1795.2", "")
            )
        )
        await asyncio.sleep(0.05)
        assert not answering.done()
        later.set_result(None)
        assert await answering == HEARD

    asyncio.run(conversation())


def test_the_verdict_is_given_only_when_the_decision_outlives_the_service(sounds):
    """Asterisk needs no more than the verdict to play the sound and connect, also without us."""
    notebook = Notebook()
    board = Switchboard(Licensed, Policy(), sounds, notebook, now=lambda: NOW)
    application = AgiApplication(board, Events())
    later: Future[None] = Future()
    notebook.append = lambda step: later

    async def conversation() -> None:
        answering = asyncio.create_task(application.answer(Request("decide", DECIDE, "1795.1", "")))
        await asyncio.sleep(0.05)
        assert not answering.done()
        later.set_result(None)
        assert "IDTONE_VERDICT" in await answering

    asyncio.run(conversation())


def test_a_service_that_came_back_during_the_sound_takes_asterisks_word_for_its_beginning(alone, notebook):
    ask(alone, "decide", *DECIDE)
    assert played(alone) == HEARD
    assert notebook.kinds() == ["decided", "answered", "sound-started", "sound-ended"]
    assert fold("lab", notebook.steps).anomalies == ()


@pytest.mark.parametrize("facts", [{"call": "1.1-1"}, {"party": "caller"}, {"file": "notice"}])
def test_nothing_is_written_of_a_sound_that_was_not_decided(alone, notebook, facts):
    ask(alone, "decide", *DECIDE)
    assert plays(alone, **facts) == {}
    assert notebook.kinds() == ["decided"]


def test_a_ledger_that_fails_does_not_keep_the_parties_apart(sounds, caplog):
    board = Switchboard(Licensed, Policy(), sounds, Notebook(broken=True), now=lambda: NOW)
    application = AgiApplication(board, Events())
    ask(application, "decide", *DECIDE)
    assert played(application) == HEARD
    assert "could not be written" in caplog.text


def test_a_sound_of_a_call_that_nobody_knows_is_left_to_asterisks_word(alone, notebook, caplog):
    assert played(alone, call="1.1-1") == {}
    assert notebook.steps == []
    assert "not known here" in caplog.text


def test_where_events_tell_the_end_the_hooks_word_is_not_needed(board, notebook):
    application = AgiApplication(board, Events())
    ask(application, "decide", *DECIDE)
    ask(application, "ended", CALL, "BUSY", "17", "licence-valid", "")
    assert notebook.kinds() == ["decided"]
    board.hook_ended(CALL, CallStatus.NOANSWER, 16)
    assert notebook.kinds() == ["decided", "ended"]
    assert notebook.steps[-1].details["status"] == "NOANSWER"


def test_where_no_event_tells_of_the_channel_the_hook_does(board, notebook):
    """ARI is connected, and did not answer in time when it was asked to tell of it."""
    application = AgiApplication(board, Events(watching=False))
    assert "IDTONE_WATCHED" not in ask(application, "decide", *DECIDE)
    ask(application, "ended", CALL, "BUSY", "17", "licence-valid", "")
    assert notebook.kinds() == ["decided", "ended"]
    assert notebook.steps[-1].details == {"status": "BUSY", "hangup_cause": 17, "reason": "licence-valid"}


def test_where_the_events_have_ceased_the_hook_tells_the_end(board, notebook):
    events = Events()
    application = AgiApplication(board, events)
    assert ask(application, "decide", *DECIDE)["IDTONE_WATCHED"] == NONCE
    events.watching = False  # nobody asks for it anew
    assert ask(application, "decide", *DECIDE)["IDTONE_WATCHED"] == NONCE
    events.connected = False
    ask(application, "ended", CALL, "BUSY", "17", "licence-valid", "")
    assert notebook.kinds() == ["decided", "ended"]


def test_of_a_channel_that_was_moved_only_the_hook_tells_the_end(board, notebook):
    application = AgiApplication(board, Events())
    ask(application, "decide", *DECIDE)
    ask(application, "ended", CALL, "CANCEL", "16", "licence-valid", "moved")
    assert notebook.kinds() == ["decided", "ended"]


def test_what_the_hook_acted_on_is_kept(alone, notebook):
    ask(alone, "decide", *DECIDE)
    ask(alone, "ended", CALL, "CANCEL", "", "service-unavailable", "")
    assert "the dialplan acted on service-unavailable" in fold("lab", notebook.steps).anomalies


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        ("decide", DECIDE[:-1]),
        ("decide", (*DECIDE, "injected")),
        ("played", (CALL, NONCE, "somebody", "sample", "SUCCESS", BEGAN, WHOLE)),
        ("played", (CALL, NONCE, "called", "sample", "SUCCESS", BEGAN)),
        ("playing", (CALL, "somebody", "sample")),
        ("playing", (CALL, "called")),
        ("ended", (CALL, "HAPPY", "16", "", "")),
        ("ended", (CALL, "BUSY", "17", "", "", "")),
        ("ponder", ()),
        ("", ()),
    ],
)
def test_what_the_hook_does_not_ask_is_refused(alone, notebook, entry, arguments):
    with pytest.raises(AgiError, match="dialplan export"):
        ask(alone, entry, *arguments)
    assert notebook.steps == []


@pytest.mark.parametrize("party", Party)
def test_each_party_is_told_of(sounds, notebook, party):
    policy = Policy(notify={direction: frozenset(Party) for direction in Policy().notify})
    board = Switchboard(Licensed, policy, sounds, notebook, now=lambda: NOW)
    application = AgiApplication(board, Events(connected=False))
    ask(application, "decide", *DECIDE)
    assert played(application, party=party) == HEARD
    assert fold("lab", notebook.steps).heard_by == (party,)


@pytest.mark.parametrize("text", ["", "1", "1.", ".1", "-1.0", "1.x", "١.٠", "9" * 400 + ".0", "1e5.0", "nan.0"])
def test_what_is_no_time_of_asterisk(text):
    with pytest.raises(AgiError, match="not one of Asterisk's"):
        moment(text)


def test_a_time_of_asterisk():
    assert moment("1793491200.54") == datetime(2026, 11, 1, 0, 0, 0, 540000, UTC)
