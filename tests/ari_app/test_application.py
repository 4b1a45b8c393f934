"""Every ending of a request, and all requests of the application, against a fake Asterisk that fails on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from idtone.ari_app import application as module
from idtone.ari_app import events
from idtone.ari_app.application import AriApplication
from idtone.call_control.call_control import CallControl
from idtone.calls import Direction, Party
from idtone.decision import Policy
from idtone.dialplan import EXTENSION_LIMIT
from idtone.errors import AriUnavailable
from idtone.ledger.evidence.records import fold
from idtone.ledger.evidence.steps import StepKind
from idtone.settings import Interface
from idtone.tones.making.sounds import Sound, ensure_sounds
from idtone.tones.profile_library import load_library

from ..lab.lab import until
from .fake_asterisk import FakeAsterisk
from .fakes import NOW, Licensed, Notebook, Stopping, call_control, end

CALLER, CALLED, CALL = "1795.1", "1795.2", "1795.1-1"
NONCE = "123456789987"
REQUESTED = (
    f"{NOW.timestamp():.6f}",
    "%2B81%203%2D1234%2D5678",
    "incoming",
    "0312340000",
    "PJSIP%2F0312340000%40trunk",
    "050%2D1234%2D5678",
)
"""IDTONE_REQUEST, as the hook makes it."""
DECIDE = ("decide", CALL, NONCE, *REQUESTED, "", "")
OWN = ("own", f"{CALLED}-1", NONCE, *REQUESTED, "", "")
SUSPENDED = ("decide", CALL, NONCE, REQUESTED[0], "0312345677", *REQUESTED[2:], "", "")
VERDICT = f"v:{NONCE}:PLAY:licence-valid:::sample::22"

__all__ = ["CALL", "CALLED", "CALLER", "DECIDE", "NONCE", "NOW", "VERDICT", "Licensed", "Notebook"]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sound]:
    return ensure_sounds(tmp_path_factory.mktemp("sounds"), load_library().values(), ["sln"])


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def calls(sounds: dict[str, Sound], notebook: Notebook) -> CallControl:
    return call_control(sounds, notebook)


async def nothing_new() -> None:
    """The journal has no lines."""


@asynccontextmanager
async def attended(
    calls: CallControl, asterisk: FakeAsterisk, read_journal: Callable[[], Awaitable[None]] = nothing_new
) -> AsyncIterator[AriApplication]:
    """An application that handles a fake Asterisk's events."""
    application = AriApplication(calls, read_journal)
    async with attending(application, asterisk):
        yield application


@asynccontextmanager
async def attending(application: AriApplication, asterisk: FakeAsterisk) -> AsyncIterator[asyncio.Task[None]]:
    """Its next connection, after the calls in progress have been compared with the channels."""
    task = asyncio.create_task(application.attend(asterisk))
    try:
        await until(lambda: task.done() or asterisk.requests, "the list of channels")
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def continued(asterisk: FakeAsterisk, channel: str, times: int = 1) -> dict[str, str]:
    """Wait until the channel was continued so many times; returns the last place."""
    await until(lambda: len(asterisk.continued(channel)) == times, f"{channel} to continue")
    return asterisk.continued(channel)[-1]


def about(asterisk: FakeAsterisk, channel: str) -> list[tuple[str, str, dict[str, str]]]:
    return [request for request in asterisk.requests if request[1].startswith(f"channels/{channel}")]


# -- requests of the hook ---------------------------------------------------------------------------------------------


async def test_a_request_is_decided_and_answered_by_one_request(calls, notebook):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *DECIDE)
        sent_to = await continued(asterisk, CALLER)
    assert sent_to == {"context": "idtone-forward", "extension": VERDICT, "priority": "1"}
    assert len(about(asterisk, CALLER)) == 1
    assert notebook.kinds() == ["decided"]
    record = fold("lab", notebook.steps)
    assert (record.interface, record.nonce, record.profiles) == (Interface.ARI, NONCE, {"called": "sample"})


async def test_a_suspended_number_is_refused(calls):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *SUSPENDED)
        sent_to = await continued(asterisk, CALLER)
    assert sent_to["extension"] == f"v:{NONCE}:REFUSE:number-suspended:21::::"


async def test_under_the_operators_own_dial_the_called_party_continues_inside_its_gosub(calls):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLED, *OWN)
        sent_to = await continued(asterisk, CALLED)
    assert sent_to == {"context": "idtone-called", "extension": VERDICT, "priority": "2"}


@pytest.mark.parametrize(("arguments", "parties"), [(DECIDE, set(Party)), (OWN, {Party.CALLED})], ids=["hook", "own"])
async def test_under_the_operators_own_dial_only_the_called_party_can_hear(calls, notebook, arguments, parties):
    calls.policy = Policy(notify=dict.fromkeys(Direction, frozenset(Party)))
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *arguments)
        await continued(asterisk, CALLER)
    assert fold("lab", notebook.steps).profiles.keys() == parties


async def test_a_verdict_fits_an_extension(calls):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *DECIDE)
        sent_to = await continued(asterisk, CALLER)
    assert len(sent_to["extension"]) <= EXTENSION_LIMIT


async def test_the_same_request_gets_the_same_verdict_and_is_decided_once(calls, notebook):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        for times in (1, 2):
            asterisk.enter(CALLER, *DECIDE)
            await continued(asterisk, CALLER, times)
    assert [each["extension"] for each in asterisk.continued(CALLER)] == [VERDICT] * 2
    assert notebook.kinds() == ["decided"]


@pytest.mark.parametrize(
    "changed",
    [{2: "999999999999"}, {4: "0312345677"}, {5: "outgoing"}, {6: "0312340001"}],
    ids=["nonce", "number", "direction", "called"],
)
async def test_another_request_for_a_known_call_gets_no_verdict(calls, notebook, caplog, changed):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        asterisk.enter(CALLER, *(changed.get(place, argument) for place, argument in enumerate(DECIDE)))
        sent_to = await continued(asterisk, CALLER, 2)
    assert sent_to == {}, "it must continue where it was, so that the hook uses its fallback"
    assert notebook.kinds() == ["decided"]
    assert "gets no verdict" in caplog.text


async def test_an_ended_call_gets_no_verdict(calls, notebook):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        end(calls, CALL, NONCE)
        asterisk.enter(CALLER, *DECIDE)
        assert await continued(asterisk, CALLER, 2) == {}
    assert notebook.kinds().count("decided") == 1


FOREIGN = {
    "another kind": ("ponder", *DECIDE[1:]),
    "the kind of an earlier version": ("sound", "called", "called", CALL, "0312345678", "incoming"),
    "one argument fewer": DECIDE[:-1],
    "one argument more": (*DECIDE, ""),
    "nothing": (),
    "an impossible call id": ("decide", "x" * 300, *DECIDE[2:]),
    "an id with a line break": ("decide", f"{CALL}\n", *DECIDE[2:]),
}


@pytest.mark.parametrize("arguments", FOREIGN.values(), ids=FOREIGN)
async def test_a_request_that_the_hook_does_not_send_gets_no_verdict(calls, notebook, caplog, arguments):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *arguments)
        assert await continued(asterisk, CALLER) == {}
    assert notebook.kinds() == []
    assert "dialplan export" in caplog.text


@pytest.mark.parametrize(("arguments", "goes_on"), [(DECIDE, {}), (OWN, {"extension": "v:none", "priority": "2"})])
async def test_a_service_that_is_about_to_stop_gives_no_verdict(calls, notebook, arguments, goes_on):
    """Under the operator's own Dial() the channel continues at the extension that means no verdict."""
    asterisk = FakeAsterisk()
    calls.retiring = True
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *arguments)
        sent_to = await continued(asterisk, CALLER)
    assert {name: sent_to[name] for name in sent_to if name != "context"} == goes_on
    assert notebook.kinds() == []


@pytest.mark.parametrize("status", [404, 409, 412, 500])
async def test_a_verdict_that_asterisk_refuses(calls, notebook, caplog, status):
    """A caller who hung up is not an error; any other refusal is. The journal reports the end in both cases."""
    asterisk = FakeAsterisk({"continue": status})
    async with attended(calls, asterisk) as application:
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        await application.wait_for_requests()
        assert not [record for record in caplog.records if record.exc_info]
        assert (f"{status}" in caplog.text) is (status == 500)
        end(calls, CALL, NONCE)
    assert notebook.kinds() == ["decided", "ended"]


async def test_a_verdict_that_is_lost_with_the_connection_is_sent_over_the_next_one(calls, notebook):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk) as application:
        asterisk.unavailable.add("continue")
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        asterisk.happens(None)
        await until(lambda: not application.connected, "the connection to break")
        again = FakeAsterisk()
        again.channels = asterisk.channels
        async with attending(application, again):
            assert (await continued(again, CALLER))["extension"] == VERDICT
    assert notebook.kinds() == ["decided"]


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("step", "reason"), [(HOUR, "licence-expired"), (-HOUR, "licence-not-yet-valid")], ids=["forward", "back"]
)
async def test_a_licence_is_checked_by_the_current_clock(sounds, step, reason):
    """The clock is set across the start or the end of a licence: the next call is decided by the new time."""
    now = [NOW + timedelta(days=1) - HOUR / 2 if step > timedelta(0) else NOW - timedelta(days=1) + HOUR / 2]
    asterisk = FakeAsterisk()
    async with attended(call_control(sounds, Notebook(), lambda: now[0]), asterisk):
        asterisk.enter(CALLER, *DECIDE)
        assert ":licence-valid:" in (await continued(asterisk, CALLER))["extension"]
        now[0] += step
        asterisk.enter("1795.7", "decide", "1795.7-1", *DECIDE[2:])
        assert f":{reason}:" in (await continued(asterisk, "1795.7"))["extension"]


async def test_no_number_is_logged(calls, notebook, caplog):
    caplog.set_level("DEBUG")
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *DECIDE)
        asterisk.enter("1795.9", "decide", "1795.9-1", *SUSPENDED[2:])
        asterisk.enter("1795.8", "ponder", *DECIDE[1:])
        for channel in (CALLER, "1795.9", "1795.8"):
            await continued(asterisk, channel)
    for number in ("0312345678", "1234-5678", "312345678", "0312345677", "0312340000", "05012345678"):
        assert number not in caplog.text
        assert number not in repr(notebook.steps)


# -- the calls in progress and the channels ---------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [DECIDE, OWN], ids=["decide", "own"])
async def test_channels_that_waited_for_a_connection_are_answered(calls, arguments):
    asterisk = FakeAsterisk()
    asterisk.channels = {
        CALLER: {"app_name": "Stasis", "app_data": ",".join(("idtone", *arguments))},
        "1.1": {"app_name": "Stasis", "app_data": "another,decide,x"},
        "1.2": {"app_name": "Dial", "app_data": "PJSIP/x"},
    }
    async with attended(calls, asterisk):
        assert (await continued(asterisk, CALLER))["extension"] == VERDICT
    assert {path.split("/")[1] for _, path, _ in asterisk.requests if path != "channels"} == {CALLER}


async def decided(application: AriApplication, asterisk: FakeAsterisk) -> None:
    asterisk.enter(CALLER, *DECIDE)
    await continued(asterisk, CALLER)
    asterisk.happens(None)
    await until(lambda: not application.connected, "the connection to break")


@pytest.mark.parametrize("in_the_journal", [True, False])
async def test_a_call_without_a_channel_is_interrupted_unless_the_journal_has_its_end(
    calls, notebook, monkeypatch, in_the_journal
):
    """Its last line may come shortly after the end of its channel, so the journal is read once more before."""
    monkeypatch.setattr(module, "LAST_LINE_S", 0.05)

    async def read_journal() -> None:
        if in_the_journal:
            end(calls, CALL, NONCE)

    asterisk = FakeAsterisk()
    async with attended(calls, asterisk, read_journal) as application:
        await decided(application, asterisk)
        async with attending(application, FakeAsterisk()):
            await until(lambda: not len(calls), "the call to end")
    assert notebook.kinds() == ["decided", "ended" if in_the_journal else "interrupted"]


async def test_a_call_whose_channel_exists_continues(calls, notebook, monkeypatch):
    monkeypatch.setattr(module, "LAST_LINE_S", 0.0)
    monkeypatch.setattr(module, "RECONCILE_EVERY_S", 0.01)
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        compared = len(asterisk.requests)
        await until(lambda: len(asterisk.requests) > compared + 3, "further comparisons")
        assert notebook.kinds() == ["decided"]
        asterisk.hang_up(CALLER)
        await until(lambda: not len(calls), "the call to end")
    assert notebook.kinds() == ["decided", "interrupted"]


async def test_a_call_that_is_decided_while_asterisk_lists_its_channels_continues(calls, notebook, monkeypatch):
    """The list can be older than the call."""
    monkeypatch.setattr(module, "LAST_LINE_S", 0.0)
    monkeypatch.setattr(module, "RECONCILE_EVERY_S", 0.01)
    listing, lists = asyncio.Event(), []

    class Old(FakeAsterisk):
        async def request(self, method: str, path: str, **query: str) -> Any:
            listed = await super().request(method, path, **query)
            if path == "channels" and not lists:
                await listing.wait()
            lists.extend([listed] * (path == "channels"))
            return listed

    asterisk = Old()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        listing.set()
        await until(lambda: len(lists) > 2, "further comparisons")
    assert lists[0] == []
    assert notebook.kinds() == ["decided"]


async def test_a_waiting_channel_is_answered_once_per_connection(calls, monkeypatch):
    """Its event comes too; a channel that a later list shows as waiting already has its answer."""
    monkeypatch.setattr(module, "RECONCILE_EVERY_S", 0.01)
    asterisk = FakeAsterisk({"continue": 409})  # this status leaves the channel where it is
    asterisk.channels[CALLER] = {"app_name": "Stasis", "app_data": ",".join(("idtone", *DECIDE))}
    async with attended(calls, asterisk):
        await until(lambda: len(asterisk.requests) > 6, "further comparisons")
    assert len(asterisk.continued(CALLER)) == 1


@pytest.mark.parametrize("failing", ["refused", "lost"])
async def test_a_failed_list_of_channels_is_requested_again(calls, caplog, monkeypatch, failing):
    monkeypatch.setattr(module, "RECONCILE_EVERY_S", 0.01)
    asterisk = FakeAsterisk({"channels": 500} if failing == "refused" else {})
    asterisk.unavailable = {"channels"} if failing == "lost" else set()
    asterisk.channels[CALLER] = {"app_name": "Stasis", "app_data": ",".join(("idtone", *DECIDE))}
    async with attended(calls, asterisk):
        await until(lambda: len(asterisk.requests) > 2, "a second try")
        assert "the calls in progress cannot be compared with Asterisk's channels" in caplog.text
        asterisk.refusals.clear()
        asterisk.unavailable.clear()
        assert (await continued(asterisk, CALLER))["extension"] == VERDICT


# -- numbers that are suspended while they are in a call --------------------------------------------------------------


def ends(asterisk: FakeAsterisk) -> list[tuple[str, dict[str, str]]]:
    return [(path, query) for method, path, query in asterisk.requests if method == "DELETE"]


async def test_a_number_that_is_suspended_during_its_call(calls, notebook, caplog):
    """While Asterisk is not connected, the call continues; then its channel is hung up once."""
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk) as application:
        await decided(application, asterisk)
        calls.registry = Stopping
        for _ in range(3):
            application.end_suspended()
        assert caplog.text.count("continues until Asterisk is connected") == 1
        again = FakeAsterisk()
        again.channels = asterisk.channels
        async with attending(application, again):
            for _ in range(2):
                application.end_suspended()
            await until(lambda: CALLER not in again.channels, "the channel to be hung up")
            end(calls, CALL, NONCE)
    assert ends(again) == [(f"channels/{CALLER}", {"reason_code": "21"})]
    assert notebook.kinds() == ["decided", "suspended", "ended"]


async def test_a_hangup_that_is_lost_with_the_connection_is_requested_over_the_next_one(calls):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk) as application:
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        calls.registry = Stopping
        asterisk.unavailable.add(CALLER)
        application.end_suspended()
        await application.wait_for_requests()
        asterisk.happens(None)
        await until(lambda: not application.connected, "the connection to break")
        again = FakeAsterisk()
        again.channels = asterisk.channels
        async with attending(application, again):
            application.end_suspended()
            await until(lambda: ends(again), "the end")


async def test_a_suspended_call_that_hung_up_meanwhile_is_not_an_error(calls, caplog):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk) as application:
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        asterisk.hang_up(CALLER)
        calls.registry = Stopping
        application.end_suspended()
        await application.wait_for_requests()
    assert ends(asterisk)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_calls_of_other_numbers_continue(calls):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk) as application:
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        application.end_suspended()
        await application.wait_for_requests()
    assert not ends(asterisk)


# -- from one connection, and one instance, to the next ---------------------------------------------------------------


async def test_a_connection_that_breaks_ends_attending(calls, monkeypatch):
    monkeypatch.setattr(module, "RECONCILE_EVERY_S", 0.01)
    asterisk, again = FakeAsterisk(), FakeAsterisk()
    async with attended(calls, asterisk) as application:
        assert application.connected
        asterisk.happens(None)
        await until(lambda: not application.connected, "the connection to break")
        asked = len(asterisk.requests)
        async with attending(application, again) as task:
            await until(lambda: len(again.requests) > 3, "further comparisons")
            assert len(asterisk.requests) == asked, "no request may go over a broken connection"
            again.happens(None)
            with pytest.raises(AriUnavailable):
                await task


async def test_a_malformed_event_is_named(calls, caplog):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk):
        asterisk.happens(events.MalformedEvent("StasisStart"))
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
    assert "a malformed event (StasisStart)" in caplog.text


async def test_another_connection_that_takes_over_ends_this_one(calls, notebook, caplog):
    asterisk = FakeAsterisk()
    application = AriApplication(calls, nothing_new)
    async with attending(application, asterisk) as task:
        asterisk.happens(events.Replaced())
        asterisk.enter(CALLER, *DECIDE)
        await asyncio.wait({task}, timeout=3)
        assert task.done()
        task.result()
    assert "took over" in caplog.text
    assert notebook.kinds() == []
    assert not application.connected


async def test_the_next_instance_takes_the_application_while_this_one_waits_for_answers(calls):
    asterisk = FakeAsterisk()
    application = AriApplication(calls, nothing_new)
    async with attending(application, asterisk) as task:
        asterisk.answering.clear()
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        application.allow_takeover(True)
        asterisk.happens(events.Replaced())
        settling = asyncio.create_task(application.wait_for_requests())
        await asyncio.sleep(0.02)
        assert not task.done()
        assert not settling.done()
        asterisk.answering.set()
        await settling
        assert asterisk.channels[CALLER]["app_name"] == "Dial"
        assert not task.done()


async def test_a_hand_over_does_not_wait_for_ever(calls, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_WITHIN_S", 0.05)
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk) as application:
        asterisk.answering.clear()
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
        async with asyncio.timeout(3):
            await application.wait_for_requests()


async def test_after_a_failed_hand_over_a_takeover_ends_the_connection(calls):
    asterisk = FakeAsterisk()
    application = AriApplication(calls, nothing_new)
    async with attending(application, asterisk) as task:
        application.allow_takeover(True)
        application.allow_takeover(False)
        asterisk.happens(events.Replaced())
        await asyncio.wait({task}, timeout=3)
        assert task.done()


async def test_the_next_instance_knows_the_calls_of_the_previous_one(sounds, calls, notebook):
    """It ends such a call if its number is suspended, and enters its journal lines."""
    asterisk, after = FakeAsterisk(), Notebook()
    async with attended(calls, asterisk):
        asterisk.enter(CALLER, *DECIDE)
        await continued(asterisk, CALLER)
    step = notebook.steps[0]
    next_calls = call_control(sounds, after)
    next_calls.recall([fold("lab", [step])])
    next_calls.registry = Stopping
    again = FakeAsterisk()
    again.channels = asterisk.channels
    async with attended(next_calls, again) as application:
        await asyncio.sleep(0.02)
        assert again.continued(CALLER) == []
        application.end_suspended()
        await until(lambda: ends(again), "the end")
        end(next_calls, CALL, NONCE)
    assert after.kinds() == ["suspended", "ended"]
    assert step.kind is StepKind.DECIDED


# -- the end of the service -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "extension"), [(DECIDE, ""), (OWN, "v:none")], ids=["decide", "own"])
async def test_a_channel_that_enters_while_the_service_leaves_is_released(calls, notebook, arguments, extension):
    asterisk = FakeAsterisk()
    async with attended(calls, asterisk) as application:
        pass
    asterisk.enter(CALLER, *arguments)  # this event is no longer read
    asterisk.channels["1.1"] = {"app_name": "Stasis", "app_data": "another,decide,x"}
    await application.depart(asterisk)
    assert asterisk.left
    assert asterisk.resumed_at(CALLER) == extension
    assert asterisk.resumed_at("1.1") is None
    assert notebook.kinds() == []


async def test_a_channel_that_hung_up_does_not_delay_the_others(calls):
    asterisk = FakeAsterisk({f"{CALLER}/": 404})
    async with attended(calls, FakeAsterisk()) as application:
        pass
    asterisk.enter(CALLER, *DECIDE)
    asterisk.enter(CALLED, *OWN)
    await application.depart(asterisk)
    assert asterisk.resumed_at(CALLED) == "v:none"


async def test_leaving_an_asterisk_that_does_not_answer_is_not_an_error(calls, caplog):
    asterisk = FakeAsterisk({"channels": 500})
    async with attended(calls, FakeAsterisk()) as application:
        pass
    await application.depart(asterisk)
    assert "calls may still wait for this service" in caplog.text
