"""Every ending of a touch, against an Asterisk and a ledger that fail on demand."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from idtone.ari_app import application as module
from idtone.ari_app import events, soundings
from idtone.ari_app.application import Application
from idtone.calls import Direction, Licence, LicenceStatus, Reason, Suspension, Trust
from idtone.decision import Policy
from idtone.errors import AriUnavailable, LedgerError
from idtone.ledger.records import Record, fold
from idtone.ledger.steps import CallStatus, Step, StepKind
from idtone.numbers import Number, parse
from idtone.settings import Door
from idtone.switchboard.board import Question, Switchboard
from idtone.tones.library import load_library
from idtone.tones.making.sounds import Sound, ensure_sounds

from .fake_asterisk import START, FakeAsterisk

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CALLER, CALLED, CALL = "1795.1", "1795.2", "1795.1-1"
SOUND_MS = 440
NONCE = "123456789987654321"
DECIDE = ("decide", CALL, NONCE, "03-1234-5678", "incoming", "0312340000", "PJSIP%2F0312340000%40trunk", "", "")
SOUND = ("sound", "called", "called", CALL, "0312345678", "incoming")
VERDICT = f"v:{NONCE}:PLAY:licence-valid::3:called:early"


class Licensed:
    """A registry in which 0312345678 is licensed and 0312345677 suspended."""

    version = 42
    trust = Trust.SIGNED
    issued = NOW - timedelta(days=30)
    expires = NOW + timedelta(days=30)

    def suspension(self, number: Number) -> Suspension | None:
        suspended = parse("0312345677")
        return Suspension(suspended, NOW - timedelta(days=1), "R-1") if number == suspended else None

    def suspensions(self) -> list[Suspension]:
        return [Suspension(parse("0312345677"), NOW - timedelta(days=1), "R-1")]

    def licences(self, number: Number) -> list[Licence] | None:
        day = timedelta(days=1)
        licence = Licence("L", "m", "sample", LicenceStatus.ACTIVE, NOW - day, NOW + day, frozenset(Direction))
        return [licence] if number == parse("0312345678") else None

    def member(self, number: Number) -> str | None:
        return "m" if number == parse("0312345678") else None


@dataclass
class Notebook:
    """A ledger in memory. It acknowledges at once, unless `broken`, or `held` for the steps of one kind."""

    steps: list[Step] = field(default_factory=list)
    broken: bool = False
    full: bool = False
    held: list[Future[None]] | None = None
    held_kind: StepKind = StepKind.SOUND_STARTED
    hurried: int = 0

    def append(self, step: Step) -> Future[None]:
        self.steps.append(step)
        future: Future[None] = Future()
        if self.held is not None and step.kind is self.held_kind:
            self.held.append(future)
        elif self.broken:
            future.set_exception(LedgerError("the disk is full"))
        else:
            future.set_result(None)
        return future

    def hurry(self) -> None:
        self.hurried += 1

    def kinds(self) -> list[str]:
        return [step.kind.value for step in self.steps]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sound]:
    return ensure_sounds(tmp_path_factory.mktemp("sounds"), load_library().values(), ["sln"])


@pytest.fixture
def start(sounds: dict[str, Sound]):
    """An application that attends to a fake Asterisk; its own clock goes a second at each look."""

    @asynccontextmanager
    async def started(
        asterisk: FakeAsterisk,
        notebook: Notebook,
        known: dict[str, Sound] | None = None,
        recalled: Iterable[Record] = (),
    ) -> AsyncIterator[Application]:
        switchboard = Switchboard(
            registry=Licensed, policy=Policy(), sounds=sounds if known is None else known, evidence=notebook,
            now=lambda: NOW,
        )  # fmt: skip
        switchboard.recall(recalled)
        application = Application(switchboard, functools.partial(next, itertools.count(0.0)))
        attending = asyncio.create_task(application.attend(asterisk))
        try:
            yield application
        finally:
            attending.cancel()
            await asyncio.wait({attending})

    return started


async def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 3
    while not condition():
        assert time.monotonic() < deadline_s, "waited 3 s"
        await asyncio.sleep(0.002)


def heard(asterisk: FakeAsterisk) -> str | None:
    return asterisk.resumed_at(CALLED)


async def sounding(asterisk: FakeAsterisk) -> str:
    """The call as far as the playback's request; its id."""
    asterisk.enter(CALLER, *DECIDE)
    await until(lambda: asterisk.resumed_at(CALLER))
    asterisk.enter(CALLED, *SOUND)
    await until(asterisk.playbacks)
    return asterisk.playbacks()[0]


async def test_a_licensed_call_is_sounded_recorded_and_released(start):
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook):
        playback = await sounding(asterisk)
        assert asterisk.resumed_at(CALLER) == VERDICT
        assert heard(asterisk) is None
        asterisk.finish(playback, SOUND_MS)
        await until(lambda: heard(asterisk))
        asterisk.happens(events.Bridged(CALLED), events.Bridged(CALLER), events.Bridged(CALLER))
        asterisk.happens(
            events.HookEnded(CALL, CallStatus.CONNECTED, 16, Reason.LICENCE_VALID), events.Destroyed(CALLER, 16)
        )
        await until(lambda: "ended" in notebook.kinds())
    assert heard(asterisk) == "heard"
    assert notebook.kinds() == ["decided", "answered", "sound-started", "sound-ended", "connected", "ended"]
    record = fold("lab", notebook.steps)
    assert (record.heard, record.complete, record.anomalies) == (True, True, ())


async def test_the_parties_are_connected_only_when_the_evidence_is_durable(start):
    asterisk, notebook = FakeAsterisk(), Notebook(held=[])
    async with start(asterisk, notebook):
        playback = await sounding(asterisk)
        assert notebook.hurried == 0
        asterisk.finish(playback, SOUND_MS)
        await until(lambda: notebook.held)
        await asyncio.sleep(0.05)
        assert heard(asterisk) is None
        assert notebook.hurried == 1
        notebook.held[0].set_result(None)
        await until(lambda: heard(asterisk))
    assert notebook.kinds()[-1] == "sound-ended"


async def test_a_ledger_that_fails_does_not_keep_the_parties_apart(start, caplog):
    asterisk, notebook = FakeAsterisk(), Notebook(broken=True)
    async with start(asterisk, notebook):
        asterisk.finish(await sounding(asterisk), SOUND_MS)
        await until(lambda: heard(asterisk))
    assert heard(asterisk) == "heard"
    assert "could not be written" in caplog.text


@pytest.mark.parametrize(("after_ms", "state"), [(SOUND_MS - 100, "done"), (0, "failed"), (SOUND_MS, "failed")])
async def test_a_playback_that_was_not_whole_is_not_heard(start, after_ms, state):
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook):
        asterisk.finish(await sounding(asterisk), after_ms, state)
        await until(lambda: heard(asterisk))
    assert heard(asterisk) == "unheard"
    assert notebook.kinds()[-1] == "sound-failed"


async def test_a_playback_that_never_ends_is_given_up(start, monkeypatch):
    monkeypatch.setattr(soundings, "OVERDUE_S", -0.4)
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook):
        playback = await sounding(asterisk)
        await until(lambda: heard(asterisk))
        await until(lambda: ("DELETE", f"playbacks/{playback}", {}) in asterisk.requests)
    assert heard(asterisk) == "unheard"
    assert notebook.kinds()[-1] == "sound-failed"


async def test_a_called_party_who_hangs_up_during_the_sound_is_not_released(start):
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook):
        await sounding(asterisk)
        asterisk.hang_up(CALLED)
        await until(lambda: "sound-failed" in notebook.kinds())
        await asyncio.sleep(0.02)
    assert heard(asterisk) is None
    assert notebook.steps[-1].details["why"] == "the called party hung up"


@pytest.mark.parametrize(
    ("status", "released"), [(404, None), (409, None), (412, None), (500, "unheard"), (422, "unheard")]
)
async def test_a_refused_playback(start, status, released):
    """404, 409 and 412 mean a hangup; anything else is a fault, and the hook takes over."""
    asterisk, notebook = FakeAsterisk({"/play/": status}), Notebook()
    async with start(asterisk, notebook):
        await sounding(asterisk)
        await until(lambda: notebook.kinds()[-1] == "sound-failed")
        await asyncio.sleep(0.02)
    assert heard(asterisk) == released


async def test_a_profile_without_a_sound_is_left_to_the_hook(start):
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook, {}):
        asterisk.enter(CALLER, *DECIDE)
        await until(lambda: asterisk.resumed_at(CALLER))
        asterisk.enter(CALLED, *SOUND)
        await until(lambda: heard(asterisk))
    assert heard(asterisk) == "unheard"
    assert not asterisk.playbacks()


@pytest.mark.parametrize("in_order", [True, False])
async def test_what_becomes_of_a_call_is_asked_for_before_it_goes_on(start, in_order):
    """It may be over the next moment, and Asterisk tells only who asked before."""
    asterisk, notebook = FakeAsterisk(), Notebook()
    asterisk.in_order = in_order
    if not in_order:
        asterisk.slow["subscription"] = 0.02
    async with start(asterisk, notebook) as application:
        asterisk.enter(CALLER, *DECIDE)
        await until(lambda: asterisk.resumed_at(CALLER))
        await until(lambda: not application._line._watching)  # nothing is kept of it
    asked = [path for _, path, query in asterisk.requests if CALLER in (path + query.get("eventSource", ""))]
    assert asked == ["applications/idtone-watch/subscription", f"channels/{CALLER}/continue"]


@pytest.mark.parametrize(("failing", "watched"), [({}, True), ({"subscription": 500}, False)])
async def test_who_gives_a_verdict_by_agi_can_wait_until_events_tell_of_the_channel(start, failing, watched):
    asterisk = FakeAsterisk(failing)
    asterisk.slow["subscription"] = 0.05
    asterisk.channels[CALLER] = {}
    async with start(asterisk, Notebook()) as application:
        await until(lambda: application.informed)
        application._board.decide(Question(CALL, "0312345678"), Door.AGI)
        waiting = asyncio.create_task(application.watches(CALLER))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        assert await waiting is watched
        assert not await application.watches("1795.2")  # nobody asked for that


async def test_without_a_connection_no_events_tell_of_a_channel(board):
    switchboard = board(Notebook())
    application = Application(switchboard)
    switchboard.decide(Question(CALL, "0312345678"), Door.AGI)
    assert not await application.watches(CALLER)


async def test_a_call_that_is_over_before_anybody_can_ask_what_becomes_of_it(start, monkeypatch):
    monkeypatch.setattr(module, "LAST_WORD_S", 0.01)
    asterisk, notebook = FakeAsterisk({"subscription": 422, "continue": 404}), Notebook()
    async with start(asterisk, notebook):
        asterisk.enter(CALLER, *DECIDE)
        await until(lambda: "interrupted" in notebook.kinds())
    assert notebook.kinds() == ["decided", "interrupted"]


async def test_a_caller_who_hangs_up_while_it_is_decided(start):
    asterisk, notebook = FakeAsterisk({"continue": 404}), Notebook()
    async with start(asterisk, notebook):
        asterisk.enter(CALLER, *DECIDE)
        await until(lambda: asterisk.requests and asterisk.requests[-1][1].endswith("continue"))
        asterisk.happens(events.HookEnded(CALL, CallStatus.CANCEL, 16, None))
        asterisk.hang_up(CALLER)
        await until(lambda: "ended" in notebook.kinds())
    assert notebook.kinds() == ["decided", "ended"]
    assert notebook.steps[-1].details["status"] == "CANCEL"


async def test_what_happened_while_the_service_stood_still_is_taken_in_its_order(start):
    """A whole call is in the line when the service goes on: it is not begun when it is over."""
    asterisk, notebook = FakeAsterisk({"continue": 404, "play": 404}), Notebook()
    async with start(asterisk, notebook):
        asterisk.enter(CALLER, *DECIDE)
        asterisk.happens(events.Left(CALLER))
        asterisk.enter(CALLED, *SOUND)
        asterisk.hang_up(CALLED)
        asterisk.happens(events.HookEnded(CALL, CallStatus.FAILED, 34, None))
        asterisk.hang_up(CALLER)
        await until(lambda: "ended" in notebook.kinds())
        await asyncio.sleep(0.05)
    assert notebook.kinds() == ["decided", "answered", "sound-failed", "ended"]


async def test_no_sound_begins_before_its_decision_outlives_the_service(start):
    asterisk, notebook = FakeAsterisk(), Notebook(held=[], held_kind=StepKind.DECIDED)
    async with start(asterisk, notebook):
        asterisk.enter(CALLER, *DECIDE)
        asterisk.enter(CALLED, *SOUND)
        await until(lambda: asterisk.resumed_at(CALLER))
        await asyncio.sleep(0.05)
        assert not asterisk.playbacks()
        notebook.held[0].set_result(None)
        await until(asterisk.playbacks)


async def test_a_decision_that_cannot_be_kept_holds_no_sound_for_long(start, monkeypatch):
    monkeypatch.setattr(soundings, "KEPT_WITHIN_S", 0.02)
    asterisk, notebook = FakeAsterisk(), Notebook(held=[], held_kind=StepKind.DECIDED)
    async with start(asterisk, notebook):
        asterisk.enter(CALLER, *DECIDE)
        asterisk.enter(CALLED, *SOUND)
        await until(asterisk.playbacks)


async def test_a_verdict_that_came_too_late_is_seen_in_the_evidence(start):
    """The hook had given the service up and acted by itself."""
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook):
        asterisk.enter(CALLER, *DECIDE)
        await until(lambda: asterisk.resumed_at(CALLER))
        asterisk.happens(events.HookEnded(CALL, CallStatus.CONNECTED, 16, Reason.SERVICE_UNAVAILABLE))
        await until(lambda: "ended" in notebook.kinds())
    record = fold("lab", notebook.steps)
    assert not record.heard
    assert "the dialplan acted on service-unavailable" in record.anomalies


async def test_calls_that_the_hook_turned_away_are_counted_in_the_log(start, caplog, monkeypatch):
    asterisk, notebook = FakeAsterisk(), Notebook()
    monkeypatch.setattr(module, "TURNED_AWAY_POLL_S", 0.01)

    def told() -> list[str]:
        return [record.getMessage() for record in caplog.records if "turned away" in record.getMessage()]

    asterisk.variables["IDTONE_TURNED_AWAY"] = "5"
    async with start(asterisk, notebook):
        await until(lambda: len(asterisk.requests) > 2)
        assert not told(), "they were turned away before we were here"
        asterisk.variables["IDTONE_TURNED_AWAY"] = "8"
        await until(told)
        asterisk.variables["IDTONE_TURNED_AWAY"] = "2"  # Asterisk was started anew
        await until(lambda: len(told()) == 2)
    assert [line.partition(" ")[0] for line in told()] == ["3", "2"]


async def test_an_own_dial_decides_and_sounds_in_one_touch(start):
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook):
        asterisk.enter(CALLED, "sound", "called", "called", f"{CALLED}-1", "0312345678", "outgoing")
        await until(asterisk.playbacks)
        asterisk.finish(asterisk.playbacks()[0], SOUND_MS)
        await until(lambda: heard(asterisk))
        asterisk.happens(events.Bridged(CALLED), events.Destroyed(CALLED, 16))
        await until(lambda: "ended" in notebook.kinds())
    assert heard(asterisk) == "heard"
    assert notebook.steps[-1].details["status"] == "CONNECTED"


async def test_an_own_dial_of_a_suspended_number_is_refused_unsounded(start):
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook):
        asterisk.enter(CALLED, "sound", "called", "called", f"{CALLED}-1", "0312345677", "outgoing")
        await until(lambda: heard(asterisk))
    assert heard(asterisk) == "refused"
    assert not asterisk.playbacks()


async def test_a_hook_of_another_version_is_let_go_with_no_verdict(start, caplog):
    asterisk = FakeAsterisk()
    async with start(asterisk, Notebook()):
        asterisk.enter(CALLER, "ponder", "x")
        await until(lambda: asterisk.requests and asterisk.requests[-1][1] == f"channels/{CALLER}/continue")
    assert asterisk.resumed_at(CALLER) == ""
    assert "dialplan export" in caplog.text


async def test_channels_that_waited_while_nobody_listened_are_taken_up(start):
    asterisk = FakeAsterisk()
    asterisk.channels[CALLER] = {"app_name": "Stasis", "app_data": ",".join(("idtone", *DECIDE))}
    asterisk.channels["1.1"] = {"app_name": "Stasis", "app_data": "another,decide,x"}
    asterisk.channels["1.2"] = {"app_name": "Dial", "app_data": "PJSIP/x"}
    async with start(asterisk, Notebook()):
        await until(lambda: asterisk.resumed_at(CALLER))
    assert asterisk.resumed_at(CALLER) == VERDICT
    assert {path.split("/")[1] for _, path, _ in asterisk.requests if path.startswith("channels/")} == {CALLER}


@pytest.mark.parametrize(("on_hold", "said"), [({CALLED}, "unheard"), (set(), "heard")])
async def test_who_put_the_call_on_hold_while_nobody_listened_has_heard_nothing(start, on_hold, said):
    asterisk, notebook = FakeAsterisk(), Notebook()
    asterisk.channels[CALLED] = {"app_name": "Stasis", "app_data": ",".join(("idtone", *SOUND))}
    asterisk.on_hold = on_hold
    async with start(asterisk, notebook):
        await until(asterisk.playbacks)
        asterisk.finish(asterisk.playbacks()[0], SOUND_MS)
        await until(lambda: heard(asterisk))
    assert heard(asterisk) == said
    assert ("sound-ended" in notebook.kinds()) == (said == "heard")


async def test_calls_of_an_earlier_service_go_on_or_are_interrupted(start):
    before, notebook = Notebook(), Notebook()
    async with start(asterisk := FakeAsterisk(), before):
        await sounding(asterisk)
    asterisk = FakeAsterisk()
    asterisk.channels[CALLER] = {"app_name": "Dial", "app_data": ""}
    asterisk.channels[CALLED] = {"app_name": "Stasis", "app_data": ",".join(("idtone", *SOUND))}
    gone = [Step("9.9-1", step.kind, step.at, step.details) for step in before.steps]
    async with start(asterisk, notebook, None, [fold("lab", before.steps), fold("lab", gone)]):
        await until(asterisk.playbacks)
        asterisk.finish(asterisk.playbacks()[0], SOUND_MS)
        await until(lambda: heard(asterisk))
    assert heard(asterisk) == "heard"
    assert [step.call_id for step in notebook.steps if step.kind is StepKind.INTERRUPTED] == ["9.9-1"]


async def test_who_comes_while_the_service_leaves_is_let_go(start):
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook) as application:
        pass
    asterisk.enter(CALLED, *SOUND)  # nobody reads that any more
    await application.depart(asterisk)
    assert asterisk.resumed_at(CALLED) == ""
    assert notebook.kinds() == []


@pytest.mark.parametrize("refusals", [{"continue": 404}, {"channels": 500}])
async def test_leaving_goes_on_whatever_asterisk_says(start, refusals):
    asterisk = FakeAsterisk(refusals)
    async with start(FakeAsterisk(), Notebook()) as application:
        pass
    asterisk.enter(CALLED, *SOUND)
    await application.depart(asterisk)


async def test_a_connection_that_breaks_ends_attending(start):
    asterisk = FakeAsterisk()
    async with start(asterisk, Notebook()) as application:
        await sounding(asterisk)
        asterisk.happens(None)
        await application.drained(1)
        again = FakeAsterisk()
        again.happens(None)
        with pytest.raises(AriUnavailable):
            await application.attend(again)


async def test_another_connection_that_takes_over_ends_this_one(start, caplog):
    asterisk = FakeAsterisk()
    async with start(asterisk, Notebook()):
        asterisk.happens(events.Replaced(), events.Entered(CALLER, "", DECIDE))
        await until(lambda: "took over" in caplog.text)
    assert not asterisk.channels


async def test_no_number_is_logged(start, caplog):
    caplog.set_level("DEBUG")
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook):
        asterisk.finish(await sounding(asterisk), SOUND_MS)
        asterisk.enter(
            "1795.9", "decide", "1795.9-1", NONCE, "0312345677", "incoming", "", "PJSIP%2F0312340000%40trunk", "", ""
        )
        await until(lambda: heard(asterisk) and asterisk.resumed_at("1795.9"))
    for number in ("0312345678", "312345678", "0312345677", "0312340000", "0501234567"):
        assert number not in caplog.text
        assert number not in repr(notebook.steps)


# -- from one connection, and one instance, to the next -----------------------------------------------------------


async def broken(asterisk: FakeAsterisk, attending: asyncio.Task[None]) -> None:
    asterisk.happens(None)
    with pytest.raises(AriUnavailable):
        await attending


@asynccontextmanager
async def attended(application: Application, asterisk: FakeAsterisk) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(application.attend(asterisk))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


def next_line(asterisk: FakeAsterisk, refusals: dict[str, int] | None = None) -> FakeAsterisk:
    """Another connection to the same Asterisk."""
    again = FakeAsterisk(refusals)
    again.channels = asterisk.channels
    return again


@pytest.fixture
def board(sounds: dict[str, Sound]) -> Callable[[Notebook], Switchboard]:
    def made(notebook: Notebook) -> Switchboard:
        return Switchboard(
            registry=Licensed, policy=Policy(), sounds=sounds, evidence=notebook,
            now=lambda: NOW,
        )  # fmt: skip

    return made


def application_of(switchboard: Switchboard) -> Application:
    return Application(switchboard, functools.partial(next, itertools.count(0.0)))


async def test_a_sound_goes_on_while_the_line_is_broken(board):
    notebook, asterisk = Notebook(), FakeAsterisk()
    application = application_of(board(notebook))
    async with attended(application, asterisk) as task:
        playback = await sounding(asterisk)
        await broken(asterisk, task)
    again = next_line(asterisk)
    async with attended(application, again):
        await until(lambda: ("GET", f"playbacks/{playback}", {}) in again.requests)
        again.finish(playback, SOUND_MS)
        await until(lambda: heard(again))
    assert heard(again) == "heard"
    assert again.playbacks() == []


async def test_a_sound_that_ended_while_the_line_was_broken_is_played_anew(board):
    notebook, asterisk = Notebook(), FakeAsterisk()
    application = application_of(board(notebook))
    async with attended(application, asterisk) as task:
        await sounding(asterisk)
        await broken(asterisk, task)
    again = next_line(asterisk, {"playbacks/": 404})
    async with attended(application, again):
        await until(again.playbacks)
        again.finish(again.playbacks()[0], SOUND_MS)
        await until(lambda: heard(again))
    assert heard(again) == "heard"


async def test_who_hung_up_while_the_line_was_broken_is_known_to_have_gone(board):
    notebook, asterisk = Notebook(), FakeAsterisk()
    application = application_of(board(notebook))
    async with attended(application, asterisk) as task:
        await sounding(asterisk)
        await broken(asterisk, task)
    del asterisk.channels[CALLED]
    async with attended(application, next_line(asterisk)):
        await until(lambda: notebook.kinds()[-1] == "sound-failed")
        await application.drained(1)


async def test_a_word_that_was_lost_with_the_line_is_said_again(board):
    """The sound was heard; that the channel was not sent on must not have it played once more."""

    class Deaf(FakeAsterisk):
        async def request(self, method: str, path: str, **query: str) -> object:
            if path == f"channels/{CALLED}/continue":
                raise AriUnavailable("the line broke")
            return await super().request(method, path, **query)

    notebook, asterisk = Notebook(), Deaf()
    application = application_of(board(notebook))
    async with attended(application, asterisk) as task:
        asterisk.finish(await sounding(asterisk), SOUND_MS)
        await until(lambda: "sound-ended" in notebook.kinds())
        await broken(asterisk, task)
    again = next_line(asterisk)
    async with attended(application, again):
        await until(lambda: heard(again))
    assert heard(again) == "heard"
    assert again.playbacks() == []
    assert notebook.kinds().count("sound-started") == 1


async def test_the_next_instance_goes_on_in_the_middle_of_a_sound(board):
    before, after, asterisk = Notebook(), Notebook(), FakeAsterisk()
    first = application_of(board(before))
    async with attended(first, asterisk) as task:
        playback = await sounding(asterisk)
        asterisk.happens(events.PlaybackStarted(playback, START))
        await until(lambda: "sound-started" in before.kinds())
        first.let_go(handing_over=True)
        asterisk.happens(events.Replaced())
        await first.settled()
        assert not task.done()  # for the answers
        carried = json.loads(json.dumps(first.carried()))
    switchboard = board(after)
    switchboard.recall([fold("lab", before.steps)])
    second, again = application_of(switchboard), next_line(asterisk)
    second.carry(carried)
    async with attended(second, again):
        again.happens(events.PlaybackFinished(playback, "done", START + timedelta(milliseconds=SOUND_MS)))
        await until(lambda: heard(again))
    assert heard(again) == "heard"
    record = fold("lab", before.steps + after.steps)
    assert record.heard
    assert record.anomalies == ()


async def test_what_is_carried_of_an_unknown_call_is_left_to_be_taken_up(board):
    application = application_of(board(Notebook()))
    application.carry([{"call": "9.9-1", "party": "called"}])
    await application.drained(0.1)


async def test_a_service_that_is_to_stop_begins_nothing_new(board):
    notebook, asterisk = Notebook(), FakeAsterisk()
    switchboard = board(notebook)
    async with attended(application_of(switchboard), asterisk):
        asterisk.enter(CALLER, *DECIDE)
        await until(lambda: asterisk.resumed_at(CALLER))
        switchboard.retiring = True
        asterisk.enter("1795.7", "decide", "1795.7-1", *DECIDE[2:])
        asterisk.enter(CALLED, *SOUND)
        await until(lambda: heard(asterisk) is not None and asterisk.resumed_at("1795.7") is not None)
    # Where they were, which is where the hook goes on as if nobody were here.
    assert (heard(asterisk), asterisk.resumed_at("1795.7")) == ("", "")
    assert not asterisk.playbacks()
    assert notebook.kinds() == ["decided", "sound-failed"]


# -- clocks ---------------------------------------------------------------------------------------------------------

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_clock_that_is_set_during_the_sound_makes_nothing_wrong(sounds, step):
    """Asterisk's clock and ours are the machine's; both are set in the middle of the sound. Nobody waits for it, the
    steps keep their order, and a sound that no clock can vouch for is not claimed.
    """
    notebook, asterisk, now = Notebook(), FakeAsterisk(), [NOW]
    switchboard = Switchboard(
        registry=Licensed, policy=Policy(), sounds=sounds, evidence=notebook,
        now=lambda: now[0],
    )  # fmt: skip
    async with attended(application_of(switchboard), asterisk):
        playback = await sounding(asterisk)
        asterisk.happens(events.PlaybackStarted(playback, START))
        await until(lambda: "sound-started" in notebook.kinds())
        now[0] += step
        asterisk.happens(events.PlaybackFinished(playback, "done", START + step + timedelta(milliseconds=SOUND_MS)))
        await until(lambda: heard(asterisk))
    forward = step > timedelta(0)
    assert heard(asterisk) == ("heard" if forward else "unheard")
    record = fold("lab", notebook.steps)
    assert record.heard == forward
    assert notebook.kinds()[:3] == ["decided", "answered", "sound-started"]


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_cut_sound_is_not_made_whole_by_a_clock(sounds, step):
    notebook, asterisk = Notebook(), FakeAsterisk()
    switchboard = Switchboard(
        registry=Licensed, policy=Policy(), sounds=sounds, evidence=notebook,
        now=lambda: NOW,
    )  # fmt: skip
    async with attended(Application(switchboard, functools.partial(next, itertools.count(0.0, 0.1))), asterisk):
        playback = await sounding(asterisk)
        asterisk.happens(events.PlaybackStarted(playback, START))
        asterisk.happens(events.PlaybackFinished(playback, "done", START + step + timedelta(milliseconds=100)))
        await until(lambda: heard(asterisk))
    assert heard(asterisk) == "unheard"
    assert not fold("lab", notebook.steps).heard


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_licence_counts_by_the_clock_as_it_is_now(sounds, step):
    """Its last hour and its first: the next call is decided by the clock that was set."""
    now = [NOW + timedelta(days=1) - HOUR / 2 if step > timedelta(0) else NOW - timedelta(days=1) + HOUR / 2]
    asterisk = FakeAsterisk()
    switchboard = Switchboard(
        registry=Licensed, policy=Policy(), sounds=sounds, evidence=Notebook(),
        now=lambda: now[0],
    )  # fmt: skip
    async with attended(application_of(switchboard), asterisk):
        asterisk.enter(CALLER, *DECIDE)
        await until(lambda: asterisk.resumed_at(CALLER))
        now[0] += step
        asterisk.enter("1795.7", "decide", "1795.7-1", *DECIDE[2:])
        await until(lambda: asterisk.resumed_at("1795.7"))
    assert ":licence-valid:" in (asterisk.resumed_at(CALLER) or "")
    expected = "licence-expired" if step > timedelta(0) else "licence-not-yet-valid"
    assert f":{expected}:" in (asterisk.resumed_at("1795.7") or "")


async def test_a_call_that_ends_in_the_same_breath_in_which_its_sound_is_asked_for(start):
    """A caller who gives up in the moment of the answer: nothing is decided anew for a call that is over."""
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook):
        asterisk.enter(CALLER, *DECIDE)
        await until(lambda: asterisk.resumed_at(CALLER))
        asterisk.refusals["play"] = 404
        asterisk.enter(CALLED, "sound", "both", "called", CALL, "", "")
        asterisk.happens(events.HookEnded(CALL, CallStatus.CANCEL, 16, Reason.LICENCE_VALID))
        await until(lambda: "sound-failed" in notebook.kinds())
    assert notebook.kinds() == ["decided", "ended", "sound-failed"]
    assert not fold("lab", notebook.steps).anomalies


class Stopping(Licensed):
    """Everything is suspended."""

    def suspension(self, number: Number) -> Suspension | None:
        return Suspension(number, NOW, "R-2")


async def test_a_number_that_is_suspended_during_its_call(start, caplog):
    """While Asterisk is away nothing can be done; then its channel is hung up, once, whatever it is at."""
    asterisk, notebook = FakeAsterisk(), Notebook()
    async with start(asterisk, notebook) as application:
        asterisk.enter(CALLER, *DECIDE)
        await until(lambda: asterisk.resumed_at(CALLER))
        application._board.registry = Stopping
        asterisk.happens(None)
        await until(lambda: not application.connected)
        for _ in range(3):
            application.end_suspended()
        assert caplog.text.count("goes on talking until Asterisk is connected") == 1
        again = FakeAsterisk()
        again.channels = asterisk.channels
        attending = asyncio.create_task(application.attend(again))
        await until(lambda: application.connected)
        for _ in range(2):
            application.end_suspended()
        await until(lambda: ("DELETE", f"channels/{CALLER}", {"reason_code": "21"}) in again.requests)
        again.happens(events.HookEnded(CALL, CallStatus.CONNECTED, 16, Reason.LICENCE_VALID))
        await until(lambda: "ended" in notebook.kinds())
        attending.cancel()
        await asyncio.wait({attending})
    assert notebook.kinds() == ["decided", "suspended", "ended"]
    assert sum(method == "DELETE" for method, _, _ in again.requests) == 1
