"""The runner with fake connections; its pauses take no time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from idtone.ari_app import runner as module
from idtone.ari_app.application import AriApplication
from idtone.ari_app.runner import ApplicationRunner
from idtone.core.errors import AriRefused, AriUnavailable
from lab.ari_app.fake_asterisk import FakeAsterisk
from lab.ari_app.memory_call_control import call_control, no_journal
from lab.call_control.memory_evidence import MemoryEvidence
from lab.lab import wait_until

UNAVAILABLE = AriUnavailable("Asterisk does not answer at http://x")
UNAUTHORISED = AriRefused(401, "Unauthorized", "GET asterisk/info")
NOT_FOUND = AriRefused(404, "Not Found", "GET asterisk/info")


@dataclass
class Attended:
    """An application with a script. At an error it raises the error; at None it stays connected."""

    endings: list[Exception | None]
    attended: list[Any] = field(default_factory=list)
    departed: list[Any] = field(default_factory=list)
    looked_for_suspended: int = 0

    async def handle_events(self, ari: Any) -> None:
        self.attended.append(ari)
        ending = self.endings.pop(0) if self.endings else None
        if ending:
            raise ending
        await asyncio.Event().wait()

    def end_suspended(self) -> None:
        self.looked_for_suspended += 1

    async def leave(self, ari: Any) -> None:
        self.departed.append(ari)


@dataclass
class Connection:
    of: Connections
    version = "22.4.0"
    transport = "requests over the WebSocket"

    async def waiting(self) -> frozenset[str] | None:
        self.of.asked += 1
        return None if self.of.let_go else frozenset()


class Connections:
    """Connections with a script. At an error the attempt fails at once; at None it connects. After the script every
    attempt connects.
    """

    def __init__(self, refusals: Iterable[Exception | None] = ()) -> None:
        self._refusals = iter(refusals)
        self.tries = 0
        self.open = 0
        self.asked = 0
        self.let_go = False

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Any]:
        self.tries += 1
        refusal = next(self._refusals, None)
        if refusal:
            raise refusal
        self.open += 1
        try:
            yield Connection(self)
        finally:
            self.open -= 1


@pytest.fixture(autouse=True)
def pauses(monkeypatch) -> list[float]:
    """The pauses between attempts, each with the largest possible jitter. In these tests they take no time."""
    slept: list[float] = []
    monkeypatch.setattr(module.random, "uniform", lambda low, high: high)

    class Hurried:
        """The asyncio module as the runner sees it, with pauses that take no time."""

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

        async def sleep(self, delay_s: float) -> None:
            if delay_s not in (module.SUSPENDED_POLL_S, module.STAND_BY_POLL_S):
                slept.append(delay_s)
            await asyncio.sleep(0.001)

    monkeypatch.setattr(module, "asyncio", Hurried())
    return slept


@asynccontextmanager
async def running(
    application: Attended, connections: Connections, clock_s: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[tuple[ApplicationRunner, asyncio.Event, asyncio.Task[None]]]:
    stop, runner = asyncio.Event(), ApplicationRunner(application, connections, clock_s)
    task = asyncio.create_task(runner.run(stop))
    try:
        yield runner, stop, task
        assert task.done() or not stop.is_set(), "it must stop"
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await asyncio.wait({task})
    assert connections.open == 0


async def run(application: Attended, connections: Connections, times: int = 1) -> None:
    """Run the runner until the application has been connected `times` times."""
    async with running(application, connections):
        await wait_until(lambda: len(application.attended) == times, f"connection {times}")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_it_never_gives_up_and_its_pauses_grow(pauses, caplog):
    await run(Attended([]), Connections([UNAVAILABLE] * 12))
    assert pauses == [1.5 * min(0.05 * 2**turn, module.RETRY_LAST_S) for turn in range(12)]
    assert pauses[-1] == 1.5 * module.RETRY_LAST_S < 1, "calls must be served within a second of Asterisk's return"
    assert warnings(caplog) == [
        f"{UNAVAILABLE}; trying again",
        f"{UNAVAILABLE}; trying again (11 times more within 60 s)",
    ]


async def test_after_a_connection_its_pauses_are_short_again_and_a_failure_is_logged_at_once(pauses, caplog):
    caplog.set_level(logging.INFO)
    connections = Connections([UNAVAILABLE] * 4 + [None] + [UNAVAILABLE] * 2)
    await run(Attended([UNAVAILABLE, UNAVAILABLE]), connections, 3)
    first = 1.5 * module.RETRY_FIRST_S
    assert pauses == [first, 2 * first, 4 * first, 8 * first, first, 2 * first, 4 * first, first]
    assert warnings(caplog).count(f"{UNAVAILABLE}; trying again") == 3
    assert "ready: Asterisk 22.4.0, requests over the WebSocket" in caplog.messages


@pytest.mark.parametrize(
    ("refusal", "named"),
    [
        (UNAUTHORISED, ["ari.user", "ari.password_file", "ari.conf", "401"]),
        (AriRefused(403, "Forbidden", "GET asterisk/info"), ["ari.user", "ari.conf", "403"]),
        (NOT_FOUND, ["ari.url", "/ari", "404"]),
    ],
    ids=["password", "rights", "address"],
)
async def test_a_refusal_is_an_error_that_names_the_settings(caplog, refusal, named):
    await run(Attended([]), Connections([refusal] * 3))
    refused, again = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert again == f"{refused} (2 times more within 60 s)"
    assert [name for name in named if name not in refused] == []
    assert ("ari.user" in refused) is (refusal is not NOT_FOUND), "a wrong address is not reported as a wrong password"


async def test_a_lasting_failure_is_logged_once_a_minute_and_a_new_one_at_once(caplog):
    """Each kind of failure is throttled separately, so two alternating failures are not logged at every attempt."""
    await run(Attended([]), Connections([UNAVAILABLE] * 13 + [UNAUTHORISED, UNAVAILABLE] * 3))
    unavailable, unauthorised = f"{UNAVAILABLE}; trying again", f"{UNAUTHORISED}; {module.remedy(UNAUTHORISED)}"
    assert warnings(caplog) == [
        unavailable,
        unauthorised,
        f"{unavailable} (15 times more within 60 s)",
        f"{unauthorised} (2 times more within 60 s)",
    ]


class Replaced(Attended):
    """An application whose connection another one takes over a given number of times."""

    def __init__(self, times: int) -> None:
        super().__init__([])
        self.times = times

    async def handle_events(self, ari: Any) -> None:
        self.attended.append(ari)
        if len(self.attended) > self.times:
            await asyncio.Event().wait()


async def test_two_instances_do_not_keep_taking_the_application_from_each_other(caplog):
    application, connections = Replaced(100), Connections()
    async with running(application, connections):
        await wait_until(lambda: connections.asked > 5, "it to wait")
        assert connections.tries == module.TAKEOVERS
        assert "Stop the other `idtone serve`" in caplog.text
        connections.let_go = True
        await wait_until(lambda: connections.tries > module.TAKEOVERS, "it to connect again")


async def test_rare_takeovers_are_always_reversed():
    application, connections = Replaced(10), Connections()
    clock_s = itertools.count(0.0, module.TAKEOVERS_WITHIN_S).__next__
    async with running(application, connections, clock_s=clock_s):
        await wait_until(lambda: len(application.attended) == 11, "the last connection")
    assert connections.asked == 0


async def test_it_connects_again_on_request_and_leaves_for_good_when_it_stops():
    application, connections = Attended([]), Connections()
    async with running(application, connections) as (runner, stop, task):
        await wait_until(lambda: application.attended, "the connection")
        runner.connect_again()
        await wait_until(lambda: len(application.attended) == 2, "the second connection")
        assert connections.open == 1
        stop.set()
        async with asyncio.timeout(60):
            await task
    assert application.departed == application.attended[1:]


async def test_while_asterisk_is_down_it_looks_for_suspended_calls_and_can_be_stopped(monkeypatch):
    monkeypatch.setattr(module, "SUSPENDED_POLL_S", 0.001)
    application, connections = Attended([]), Connections([UNAVAILABLE] * 1000)
    async with running(application, connections) as (_, stop, task):
        await wait_until(lambda: application.looked_for_suspended > 3 and connections.tries, "several looks")
        stop.set()
        async with asyncio.timeout(60):
            await task
    assert not application.attended


async def test_a_channel_that_enters_while_the_service_stops_is_released():
    """The channel gets no verdict. Without the release it would wait in Asterisk."""

    class Late(FakeAsterisk):
        version = transport = ""

        async def leave(self) -> None:
            await super().leave()
            self.enter("1795000000.2", "own", "1795000000.2-1")  # this event is no longer read

    asterisk = Late()
    application = AriApplication(call_control({}, MemoryEvidence()), no_journal)

    @asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        yield asterisk

    stop = asyncio.Event()
    serving = asyncio.create_task(ApplicationRunner(application, connect).run(stop))
    await wait_until(lambda: application.connected, "the connection")
    stop.set()
    async with asyncio.timeout(60):
        await serving
    assert asterisk.resumed_at("1795000000.2") == "v:none"
