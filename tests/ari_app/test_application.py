"""The application's requests and all their possible ends, with a fake Asterisk that fails on demand."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from idtone.ari_app import application as module
from idtone.ari_app import events
from idtone.ari_app.application import AriApplication
from idtone.call_control.call_control import CallControl
from idtone.core.calls import Direction, Party
from idtone.core.decision import Policy
from idtone.core.errors import AriRefused, AriUnavailable, JournalError, LedgerError
from idtone.core.settings.settings import Interface
from idtone.ledger.evidence.call_record import record_of_steps
from lab.ari_app.fake_asterisk import FakeAsterisk
from lab.ari_app.memory_call_control import CALL, NONCE, OLD_CHANNEL, REQUESTED, call_control, end, no_journal
from lab.call_control.memory_evidence import MEMBER, MemoryEvidence, suspending_registry
from lab.lab import wait_until

CALLER, CALLED = "1795000000.1", "1795000000.2"
DECIDE = ("decide", CALL, NONCE, *REQUESTED, "", "", "", "")
OWN = ("own", f"{CALLED}-1", NONCE, *REQUESTED, "", "", "", "")
SUSPENDED = ("decide", CALL, NONCE, REQUESTED[0], "0312345677", *REQUESTED[2:], "", "", "", "")
VERDICT = f"v:{NONCE}:PLAY:licence-valid:::sample::22"

WAITING = {"app_name": "Stasis", "app_data": ",".join(("idtone", *DECIDE))}
"""The place in the dialplan at which a channel waits for a verdict."""


@pytest.fixture
def calls(sounds, evidence) -> CallControl:
    return call_control(sounds, evidence)


@pytest.fixture
def asterisk() -> FakeAsterisk:
    return FakeAsterisk()


@pytest.fixture
def often(monkeypatch) -> None:
    """Make the application compare the calls in progress with the channels continuously."""
    monkeypatch.setattr(module, "LAST_LINE_S", 0.0)
    monkeypatch.setattr(module, "RECONCILE_EVERY_S", 0.01)


@asynccontextmanager
async def attended(
    calls: CallControl, asterisk: FakeAsterisk, read_journal: Callable[[], Awaitable[None]] = no_journal
) -> AsyncIterator[AriApplication]:
    """Context with an application that handles the events of a fake Asterisk."""
    application = AriApplication(calls, read_journal)
    async with attending(application, asterisk):
        yield application


@asynccontextmanager
async def attending(application: AriApplication, asterisk: FakeAsterisk) -> AsyncIterator[asyncio.Task[None]]:
    """Context with the application's next connection. It begins once the calls in progress have been compared with the
    channels.
    """
    task = asyncio.create_task(application.handle_events(asterisk))
    try:
        await wait_until(lambda: task.done() or asterisk.requests, "the comparison with the channels")
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def continued(asterisk: FakeAsterisk, channel: str = CALLER, times: int = 1) -> dict[str, str]:
    """Wait until the channel was continued `times` times; returns the last place."""
    await wait_until(lambda: len(asterisk.continued(channel)) == times, f"{channel} to continue")
    return asterisk.continued(channel)[-1]


async def ask(asterisk: FakeAsterisk, arguments: tuple[str, ...] = DECIDE, channel: str = CALLER) -> dict[str, str]:
    """Let a channel enter the application; returns the place at which it was continued."""
    before = len(asterisk.continued(channel))
    asterisk.enter(channel, *arguments)
    return await continued(asterisk, channel, before + 1)


async def broken(application: AriApplication, asterisk: FakeAsterisk) -> FakeAsterisk:
    """Break the connection; returns the Asterisk of the next connection, with the same channels."""
    asterisk.happens(None)
    await wait_until(lambda: not application.connected, "the connection to break")
    again = FakeAsterisk()
    again.channels = asterisk.channels
    return again


# -- requests of the hook ---------------------------------------------------------------------------------------------


async def test_a_request_is_decided_once_and_answered_by_one_request(calls, asterisk, evidence):
    async with attended(calls, asterisk):
        for _ in range(2):
            sent_to = await ask(asterisk)
            assert sent_to == {"context": "idtone-forward", "extension": VERDICT, "priority": "1"}
    assert len([path for _, path, _ in asterisk.requests if CALLER in path]) == 2
    assert evidence.kinds() == ["decided"]
    record = record_of_steps("lab", evidence.steps)
    assert (record.interface, record.nonce, record.profiles) == (Interface.ARI, NONCE, {"called": "sample"})


async def test_a_look_up_in_a_locked_ledger_delays_no_other_call(calls, asterisk):
    locked = threading.Event()
    calls.recorded = lambda call_id: not locked.wait(60)
    async with attended(calls, asterisk):
        asterisk.enter(OLD_CHANNEL, "decide", f"{OLD_CHANNEL}-1", *DECIDE[2:])
        await asyncio.sleep(0.05)
        assert (await ask(asterisk))["extension"] == VERDICT
        assert asterisk.continued(OLD_CHANNEL) == []
        locked.set()
        assert (await continued(asterisk, OLD_CHANNEL))["extension"] == VERDICT


async def test_without_the_ledgers_answer_the_hook_uses_its_fallback(calls, asterisk, evidence, caplog):
    def fail(call_id: str) -> bool:
        raise LedgerError("the disk is damaged")

    calls.recorded = fail
    async with attended(calls, asterisk):
        old = ("decide", f"{OLD_CHANNEL}-1", *DECIDE[2:])
        assert await ask(asterisk, old, OLD_CHANNEL) == {}
    assert f"{OLD_CHANNEL}-1: the request cannot be decided: the disk is damaged" in caplog.text
    assert evidence.steps == []


async def test_under_the_operators_own_dial_the_called_party_alone_hears_and_continues_inside_its_gosub(
    calls, asterisk
):
    calls.policy = Policy(member=MEMBER, notify=dict.fromkeys(Direction, frozenset(Party)))
    async with attended(calls, asterisk):
        assert (await ask(asterisk))["extension"] == f"v:{NONCE}:PLAY:licence-valid:::sample:sample:22"
        sent_to = await ask(asterisk, OWN, CALLED)
    assert sent_to == {"context": "idtone-called", "extension": VERDICT, "priority": "2"}


async def test_another_request_for_a_known_call_gets_no_verdict(calls, asterisk, evidence, caplog):
    other = ("decide", CALL, "999999999999", *DECIDE[3:])
    async with attended(calls, asterisk):
        await ask(asterisk)
        assert await ask(asterisk, other) == {}, "it must continue where it was, so that the hook uses its fallback"
        assert "gets no verdict" in caplog.text
        end(calls, CALL, NONCE)
        assert await ask(asterisk) == {}
    assert evidence.kinds().count("decided") == 1


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
async def test_a_request_that_the_hook_does_not_send_gets_no_verdict(calls, asterisk, evidence, caplog, arguments):
    async with attended(calls, asterisk):
        assert await ask(asterisk, arguments) == {}
    assert evidence.kinds() == []
    assert "dialplan export" in caplog.text


@pytest.mark.parametrize(("arguments", "goes_on"), [(DECIDE, {}), (OWN, {"extension": "v:none", "priority": "2"})])
async def test_a_service_that_is_about_to_stop_gives_no_verdict(calls, asterisk, evidence, arguments, goes_on):
    """The channel of an own Dial() continues at the extension for calls without a verdict."""
    calls.retiring = True
    async with attended(calls, asterisk):
        sent_to = await ask(asterisk, arguments)
    assert {name: sent_to[name] for name in sent_to if name != "context"} == goes_on
    assert evidence.kinds() == []


@pytest.mark.parametrize("status", [404, 409, 412, 500])
async def test_a_verdict_that_asterisk_refuses(calls, evidence, caplog, status):
    """It is no error if the caller hung up; any other refusal is. In both cases the journal reports the end."""
    asterisk = FakeAsterisk({"continue": status})
    async with attended(calls, asterisk) as application:
        await ask(asterisk)
        await application.wait_for_requests()
        assert not [record for record in caplog.records if record.exc_info]
        assert (f"{status}" in caplog.text) is (status == 500)
        end(calls, CALL, NONCE)
    assert evidence.kinds() == ["decided", "ended"]


async def test_a_verdict_that_is_lost_with_the_connection_is_sent_over_the_next_one(calls, asterisk, evidence):
    async with attended(calls, asterisk) as application:
        asterisk.unavailable.add("continue")
        await ask(asterisk)
        again = await broken(application, asterisk)
        async with attending(application, again):
            assert (await continued(again))["extension"] == VERDICT
    assert evidence.kinds() == ["decided"]


async def test_no_number_is_logged(calls, asterisk, evidence, caplog):
    caplog.set_level("DEBUG")
    async with attended(calls, asterisk):
        await ask(asterisk)
        await ask(asterisk, ("decide", "1795000000.9-1", *SUSPENDED[2:]), "1795000000.9")
        await ask(asterisk, ("ponder", *DECIDE[1:]), "1795000000.8")
    for number in ("1234-5678", "312345678", "312345677", "312340000", "5012345678"):
        assert number not in caplog.text
        assert number not in repr(evidence.steps) + repr(list(calls))


# -- the calls in progress and the channels ---------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [DECIDE, OWN], ids=["decide", "own"])
async def test_channels_that_waited_for_a_connection_are_answered_once(calls, often, arguments):
    """The channel's event may come too. A later comparison that still shows the channel as waiting does not answer it
    again.
    """
    asterisk = FakeAsterisk({"continue": 409})  # this status leaves the channel where it is
    asterisk.channels = {
        CALLER: {"app_name": "Stasis", "app_data": ",".join(("idtone", *arguments))},
        "1.1": {"app_name": "Stasis", "app_data": "another,decide,x"},
        "1.2": {"app_name": "Dial", "app_data": "PJSIP/x"},
    }
    async with attended(calls, asterisk):
        await wait_until(lambda: len(asterisk.requests) > 6, "further comparisons")
    (sent_to,) = asterisk.continued(CALLER)
    assert sent_to["extension"] == VERDICT
    assert {path.split("/")[1] for method, path, _ in asterisk.requests if method == "POST"} == {CALLER}


@pytest.mark.parametrize("in_the_journal", [True, False])
async def test_a_call_without_a_channel_is_interrupted_unless_the_journal_has_its_end(
    calls, asterisk, evidence, monkeypatch, in_the_journal
):
    """The call's last line may come shortly after the end of its channel. So the service reads the journal once more
    before it marks the call as interrupted.
    """
    monkeypatch.setattr(module, "LAST_LINE_S", 0.05)

    async def read_journal() -> None:
        if in_the_journal:
            end(calls, CALL, NONCE)

    async with attended(calls, asterisk, read_journal) as application:
        await ask(asterisk)
        await broken(application, asterisk)
        async with attending(application, FakeAsterisk()):
            await wait_until(lambda: not len(calls), "the call to end")
    assert evidence.kinds() == ["decided", "ended" if in_the_journal else "interrupted"]


async def test_a_journal_that_cannot_be_read_ends_no_comparison(calls, asterisk, evidence, often, caplog):
    """The next comparison closes the call."""
    trouble = iter([JournalError("no folder"), OSError(5, "Input/output error")])

    async def read_journal() -> None:
        if error := next(trouble, None):
            raise error

    async with attended(calls, asterisk, read_journal):
        await ask(asterisk)
        asterisk.hang_up(CALLER)
        await wait_until(lambda: not len(calls), "the call to end")
    assert caplog.text.count("cannot be compared") == 2
    assert evidence.kinds() == ["decided", "interrupted"]


async def test_a_call_continues_as_long_as_its_channel_exists(calls, asterisk, evidence, often):
    async with attended(calls, asterisk):
        await ask(asterisk)
        compared = len(asterisk.requests)
        await wait_until(lambda: len(asterisk.requests) > compared + 3, "further comparisons")
        assert evidence.kinds() == ["decided"]
        asterisk.hang_up(CALLER)
        await wait_until(lambda: not len(calls), "the call to end")
    assert evidence.kinds() == ["decided", "interrupted"]


async def test_a_call_that_is_decided_while_its_channel_is_looked_for_continues(calls, evidence, often):
    """Asterisk's answer about a channel can be older than the call."""
    looking, looked = asyncio.Event(), []

    class Old(FakeAsterisk):
        async def channel(self, channel_id: str) -> events.Channel | None:
            found = await super().channel(channel_id)
            if not looked:
                await looking.wait()
            looked.append(found)
            return found

    asterisk = Old()
    async with attended(calls, asterisk):
        await ask(asterisk)
        await wait_until(lambda: ("GET", f"channels/{CALLER}", {}) in asterisk.requests, "the first comparison")
        await ask(asterisk, OWN, CALLED)
        looking.set()
        await wait_until(lambda: len(looked) > 3, "further comparisons")
    assert evidence.kinds() == ["decided", "decided"]


async def test_a_comparison_asks_for_one_channel_after_the_other(calls, asterisk, monkeypatch):
    """Even with many calls in progress, a verdict waits for one of these requests at most."""
    monkeypatch.setattr(module, "RECONCILE_EVERY_S", 0.01)
    under_way, most = 0, 0

    class Counting(FakeAsterisk):
        async def channel(self, channel_id: str) -> events.Channel | None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1
            return await super().channel(channel_id)

    asterisk = Counting()
    async with attended(calls, asterisk):
        for n in range(20):
            await ask(asterisk, ("decide", f"1795000000.{n}-1", *DECIDE[2:]), f"1795000000.{n}")
        await wait_until(
            lambda: sum(path.startswith("channels/") for method, path, _ in asterisk.requests if method == "GET") >= 20,
            "a comparison",
        )
    assert most == 1


@pytest.mark.parametrize("failing", ["refused", "lost"])
async def test_a_failed_comparison_is_repeated(calls, caplog, often, failing):
    asterisk = FakeAsterisk({"applications": 503} if failing == "refused" else {})
    asterisk.unavailable = {"applications"} if failing == "lost" else set()
    asterisk.channels[CALLER] = WAITING
    async with attended(calls, asterisk):
        await wait_until(lambda: len(asterisk.requests) > 2, "a second try")
        assert "the calls in progress cannot be compared with Asterisk's channels" in caplog.text
        asterisk.refusals.clear()
        asterisk.unavailable.clear()
        assert (await continued(asterisk))["extension"] == VERDICT


# -- numbers that are suspended while they are in a call --------------------------------------------------------------


def ends(asterisk: FakeAsterisk) -> list[tuple[str, dict[str, str]]]:
    return [(path, query) for method, path, query in asterisk.requests if method == "DELETE"]


async def test_a_number_that_is_suspended_during_its_call(calls, asterisk, evidence, caplog):
    """The call continues while the connection to Asterisk is down; then its channel is hung up once."""
    async with attended(calls, asterisk) as application:
        await ask(asterisk)
        application.end_suspended()
        await application.wait_for_requests()
        assert not ends(asterisk), "no number is suspended yet"
        again = await broken(application, asterisk)
        calls.registry = suspending_registry
        for _ in range(3):
            application.end_suspended()
        assert caplog.text.count("continues until Asterisk is connected") == 1
        async with attending(application, again):
            for _ in range(2):
                application.end_suspended()
            await wait_until(lambda: CALLER not in again.channels, "the channel to be hung up")
            end(calls, CALL, NONCE)
    assert ends(again) == [(f"channels/{CALLER}", {"reason_code": "21"})]
    assert evidence.kinds() == ["decided", "suspended", "ended"]


async def test_a_hangup_that_is_lost_with_the_connection_is_requested_over_the_next_one(calls, asterisk):
    async with attended(calls, asterisk) as application:
        await ask(asterisk)
        calls.registry = suspending_registry
        asterisk.unavailable.add(CALLER)
        application.end_suspended()
        await application.wait_for_requests()
        again = await broken(application, asterisk)
        async with attending(application, again):
            application.end_suspended()
            await wait_until(lambda: ends(again), "the end")


async def stopped_calls(calls: CallControl, asterisk: FakeAsterisk) -> list[str]:
    """The channels of twenty calls whose number has been suspended."""
    channels = [f"1795000000.{n}" for n in range(1, 21)]
    for channel in channels:
        await ask(asterisk, ("decide", f"{channel}-1", *DECIDE[2:]), channel)
    calls.registry = suspending_registry
    return channels


async def test_many_calls_end_one_after_the_other(calls, asterisk, evidence, monkeypatch):
    """New calls come while these calls end. If the connection breaks, the next connection ends the remaining ones."""
    monkeypatch.setattr(module, "BETWEEN_ENDS_S", 0.0)
    async with attended(calls, asterisk) as application:
        await stopped_calls(calls, asterisk)
        asterisk.answering.clear()
        application.end_suspended()
        await wait_until(lambda: ends(asterisk), "the first end")
        application.end_suspended()
        assert (len(ends(asterisk)), calls.suspended.ended.total()) == (1, 0)
        assert evidence.kinds().count("suspended") == 1
        again = await broken(application, asterisk)
        async with attending(application, again):
            application.end_suspended()
            await wait_until(lambda: calls.suspended.ended.total() == 20, "all ends")
    assert (evidence.kinds().count("suspended"), calls.suspended.ended.total()) == (20, 20)


async def test_a_connection_that_breaks_before_the_first_end_holds_no_later_one_back(calls, asterisk):
    async with attended(calls, asterisk) as application:
        await ask(asterisk)
        calls.registry = suspending_registry
        asterisk.happens(None)
        application.end_suspended()  # in the same turn of the loop
        again = await broken(application, asterisk)
        async with attending(application, again):
            await application.end_all_suspended(1.0)
            assert (ends(asterisk), len(ends(again))) == ([], 1)


@pytest.mark.parametrize("failure", [AriUnavailable("no answer in time"), AriRefused(500, "Oops", "DELETE")])
async def test_a_channel_that_does_not_answer_holds_no_other_back(calls, evidence, monkeypatch, failure):
    """The service asks about this channel again later."""
    monkeypatch.setattr(module, "NEXT_END_S", 0.02)
    monkeypatch.setattr(module, "BETWEEN_ENDS_S", 0.0)

    class Deaf(FakeAsterisk):
        deaf = True

        async def request(self, method: str, path: str, **query: str) -> None:
            if self.deaf and (method, path) == ("DELETE", "channels/1795000000.1"):
                self.requests.append((method, path, query))
                await asyncio.sleep(0.1)
                raise failure
            await super().request(method, path, **query)

    asterisk = Deaf()
    async with attended(calls, asterisk) as application:
        channels = await stopped_calls(calls, asterisk)
        await application.end_all_suspended(2.0)
        assert {path for path, _ in ends(asterisk)} == {f"channels/{channel}" for channel in channels}
        assert calls.suspended.ended.total() == 19
        asterisk.deaf = False

        def is_over() -> bool:
            application.end_suspended()
            return "1795000000.1" not in asterisk.channels

        await wait_until(is_over, "its end")
    assert evidence.kinds().count("suspended") == calls.suspended.ended.total() == 20


async def test_calls_that_end_by_themselves_are_not_counted(calls, asterisk, evidence):
    """One of the calls hangs up while the service is asking Asterisk to end it."""
    async with attended(calls, asterisk) as application:
        channels = await stopped_calls(calls, asterisk)
        asterisk.answering.clear()
        application.end_suspended()
        await wait_until(lambda: ends(asterisk), "the first end")
        for channel in channels:
            asterisk.hang_up(channel)
            end(calls, f"{channel}-1", NONCE)
        asterisk.answering.set()
        await application.end_all_suspended(1.0)
    assert (len(ends(asterisk)), calls.suspended.ended.total()) == (1, 0)
    assert evidence.kinds().count("suspended") == 1


async def test_the_next_instance_ends_what_this_one_has_not_asked_for(calls, asterisk, evidence):
    """After a hand-over the old instance ends no call, because it could not record the end."""
    async with attended(calls, asterisk) as application:
        await stopped_calls(calls, asterisk)
        ending = asyncio.create_task(application.end_all_suspended(5.0))
        await wait_until(lambda: ends(asterisk), "the first end")
        application.allow_takeover(True)
        assert not await ending
        await application.wait_for_requests()
        asked = len(ends(asterisk))
        application.end_suspended()
        await application.wait_for_requests()
        assert len(ends(asterisk)) == asked == evidence.kinds().count("suspended") < 20
        assert not await application.end_all_suspended(1.0)
        application.allow_takeover(False)
        assert await application.end_all_suspended(1.0)
        assert len(ends(asterisk)) == evidence.kinds().count("suspended") == 20


async def test_a_hand_over_that_failed_meanwhile_leaves_calls_out_too(calls, asterisk):
    async with attended(calls, asterisk) as application:
        await stopped_calls(calls, asterisk)
        application.end_suspended()
        ending = asyncio.create_task(application.end_all_suspended(5.0))
        await wait_until(lambda: ends(asterisk), "the first end")
        application.allow_takeover(True)
        application.allow_takeover(False)
        assert not await ending
        assert await application.end_all_suspended(1.0)
        assert calls.suspended.ended.total() == 20


async def test_an_end_that_asterisk_answers_after_a_hand_over_is_named_as_not_counted(
    calls, asterisk, monkeypatch, caplog
):
    monkeypatch.setattr(module, "SETTLED_WITHIN_S", 0.02)
    async with attended(calls, asterisk) as application:
        await stopped_calls(calls, asterisk)
        asterisk.answering.clear()
        application.end_suspended()
        await wait_until(lambda: ends(asterisk), "the first end")
        application.allow_takeover(True)
        await application.wait_for_requests()
        asterisk.answering.set()
    assert "has not answered yet whether it ends 1 calls of suspended numbers" in caplog.text


async def test_a_suspended_call_that_hung_up_meanwhile_is_not_an_error(calls, asterisk, caplog):
    async with attended(calls, asterisk) as application:
        await ask(asterisk)
        asterisk.hang_up(CALLER)
        calls.registry = suspending_registry
        application.end_suspended()
        await application.wait_for_requests()
    assert ends(asterisk)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# -- from one connection, and one instance, to the next ---------------------------------------------------------------


async def test_a_connection_that_breaks_ends_attending(calls, asterisk, often):
    async with attended(calls, asterisk) as application:
        assert application.connected
        again = await broken(application, asterisk)
        asked = len(asterisk.requests)
        async with attending(application, again) as task:
            await wait_until(lambda: len(again.requests) > 3, "further comparisons")
            assert len(asterisk.requests) == asked, "no request may go over a broken connection"
            again.happens(None)
            with pytest.raises(AriUnavailable):
                await task


async def test_a_malformed_event_is_named(calls, asterisk, caplog):
    async with attended(calls, asterisk):
        asterisk.happens(events.MalformedEvent("StasisStart"))
        await ask(asterisk)
    assert "a malformed event (StasisStart)" in caplog.text


async def test_another_connection_that_takes_over_ends_this_one(calls, asterisk, evidence, caplog):
    """The same happens after a failed hand-over."""
    application = AriApplication(calls, no_journal)
    async with attending(application, asterisk) as task:
        application.allow_takeover(True)
        application.allow_takeover(False)
        asterisk.happens(events.Replaced())
        asterisk.enter(CALLER, *DECIDE)
        await asyncio.wait({task}, timeout=60)
        assert task.done()
        task.result()
    assert "took over" in caplog.text
    assert evidence.kinds() == []
    assert not application.connected


async def test_the_next_instance_takes_the_application_while_this_one_waits_for_answers(calls, asterisk, monkeypatch):
    """The old instance waits for answers only for a limited time."""
    application = AriApplication(calls, no_journal)
    async with attending(application, asterisk) as task:
        asterisk.answering.clear()
        await ask(asterisk)
        application.allow_takeover(True)
        asterisk.happens(events.Replaced())
        monkeypatch.setattr(module, "SETTLED_WITHIN_S", 60.0)
        settling = asyncio.create_task(application.wait_for_requests())
        await asyncio.sleep(0.02)
        assert not task.done()
        assert not settling.done()
        monkeypatch.setattr(module, "SETTLED_WITHIN_S", 0.05)
        await application.wait_for_requests()
        assert not settling.done()
        asterisk.answering.set()
        await settling
        assert asterisk.channels[CALLER]["app_name"] == "Dial"
        assert not task.done()
        asterisk.answering.clear()
        await ask(asterisk, OWN, CALLED)
    asterisk.answering.set()
    await asyncio.sleep(0.01)
    assert asterisk.channels[CALLED]["app_name"] == "Stasis", "no request outlives its connection"


async def test_the_next_instance_knows_the_calls_of_the_previous_one(sounds, calls, asterisk, evidence):
    """The next instance ends such a call if its number is suspended, and enters the call's lines of the journal."""
    async with attended(calls, asterisk) as application:
        await ask(asterisk)
        again = await broken(application, asterisk)
    after = MemoryEvidence()
    next_calls = call_control(sounds, after)
    next_calls.restore(evidence.calls_in_progress())
    next_calls.registry = suspending_registry
    async with attended(next_calls, again) as application:
        await asyncio.sleep(0.02)
        assert again.continued(CALLER) == []
        application.end_suspended()
        await wait_until(lambda: ends(again), "the end")
        end(next_calls, CALL, NONCE)
    assert (evidence.kinds(), after.kinds()) == (["decided"], ["suspended", "ended"])


# -- the end of the service -------------------------------------------------------------------------------------------


async def test_channels_that_enter_while_the_service_leaves_are_released(calls, evidence, monkeypatch):
    """One of the channels has hung up; this does not delay the others."""
    monkeypatch.setattr(module, "LEAVES_WITHIN_S", 0.5)
    application, asterisk = AriApplication(calls, no_journal), FakeAsterisk({"1795000000.3/": 404})
    async with attending(application, asterisk):
        pass
    asterisk.enter("1795000000.3", *DECIDE)  # these events are no longer read
    asterisk.enter(CALLER, *DECIDE)
    asterisk.enter(CALLED, *OWN)
    asterisk.channels["1.1"] = {"app_name": "Stasis", "app_data": "another,decide,x"}
    await application.leave(asterisk)
    assert asterisk.left
    assert (asterisk.resumed_at(CALLER), asterisk.resumed_at(CALLED)) == ("", "v:none")
    assert asterisk.resumed_at("1.1") is None
    assert evidence.kinds() == []


async def test_an_application_that_asterisk_gave_up_is_connected_again(calls, caplog):
    class Gone(FakeAsterisk):
        async def waiting(self) -> None:
            return None

    asterisk = Gone()
    with pytest.raises(AriUnavailable):
        async with asyncio.timeout(60):
            await AriApplication(calls, no_journal).handle_events(asterisk)
    assert asterisk.left
    assert "connecting again" in caplog.text


async def test_leaving_an_asterisk_that_does_not_answer_is_not_an_error(calls, caplog, monkeypatch):
    class Deaf(FakeAsterisk):
        async def waiting(self) -> frozenset[str]:
            return frozenset()

    monkeypatch.setattr(module, "LEAVES_WITHIN_S", 0.1)
    refusing, deaf = FakeAsterisk({"applications": 503}), Deaf()
    for asterisk in (refusing, deaf):
        await AriApplication(calls, no_journal).leave(asterisk)
    assert caplog.text.count("calls may still wait for this service") == 2
    assert "Asterisk does not let it go" in caplog.text
