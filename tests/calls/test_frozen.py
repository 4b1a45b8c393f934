"""The service freezes, and a supervisor that follows its unit file replaces it."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from typing import BinaryIO

import pytest

from lab.calls.assert_heard import assert_heard_then_connected
from lab.calls.assert_proved import over_both_interfaces
from lab.calls.connected_call import DEADLINE_S, connected_call
from lab.lab import Forwarding, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.supervisor import Supervisor

ENDED_WITHIN_S = 2.0
"""Seconds from the freeze to the end of the frozen service."""


async def replaced(service: Supervisor, frozen_s: float) -> None:
    """Check that the watchdog ended the first instance in time, and that the second instance serves calls."""
    await wait_until(lambda: len(service.lives) > 1 and service.lives[1].ready_s, "the next life")
    first, second = service.lives
    assert first.silent_s
    assert first.ended_s
    assert second.ready_s
    print(
        f"\nnoticed after {first.silent_s - frozen_s:.2f} s, ended after {first.ended_s - frozen_s:.2f},"
        f" started in {second.ready_s - second.started_s:.2f}, replaced after {second.ready_s - frozen_s:.2f} s"
    )
    assert first.ended_s - frozen_s < ENDED_WITHIN_S
    # The service tells systemd that it is ready before it is connected to Asterisk, which may start later. Asterisk
    # lists the application of a dead service for as long as calls wait in it.
    await wait_until(lambda: "ready: Asterisk" in service.log().rpartition(" is in use")[2], "the connection to ARI")


@pytest.mark.nightly
async def test_a_service_that_is_stopped_still_is_replaced(asterisk, supervised, references):
    async with lab(asterisk) as phones:
        talking, talking_id = await connected_call(phones, supervised)
        frozen_s = time.monotonic()
        os.kill(supervised.pid, signal.SIGSTOP)
        meanwhile = [phones.dial(forwarding) for forwarding in over_both_interfaces(Forwarding()) * 2]
        await replaced(supervised, frozen_s)
        again = [(await phones.call(forwarding))[0] for forwarding in over_both_interfaces(Forwarding())]
        for placed in meanwhile:
            await placed.caller.final()
            phones.pair(placed)
            assert placed.called
            assert (placed.called.arrival_ns - placed.caller.provisional[0][1]) / 1e9 < DEADLINE_S + 1
            await phones.talk_and_hang_up(placed)
        assert talking.caller.ended_ns is None
        await phones.talk_and_hang_up(talking)
        await phones.nothing_is_left()
        for placed in (talking, *again):
            assert_heard_then_connected(placed, "sample", references)
        for placed in meanwhile:
            reason = (await phones.ending(placed)).reason
            assert_heard_then_connected(placed, "sample" if reason == "licence-valid" else "notice", references)
    record = supervised.record(talking_id)
    assert (record["sent"], record["status"], record["complete"]) == (True, "CONNECTED", True)
    assert supervised.lives[1].ended_s is None


BLOCKING = """
import signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(60))
from idtone.cli import main
main()
"""
"""A program that runs `idtone` and blocks its event loop on SIGUSR1."""


class Blocking(Supervisor):
    def _command(self) -> list[str]:
        return [sys.executable, "-c", BLOCKING, *super()._command()[1:]]


async def test_a_service_whose_event_loop_is_blocked_is_replaced(asterisk, shared_service, references):
    shared_service.stop()
    service = Blocking(asterisk, LAB_REGISTRY)
    async with lab(asterisk) as phones:
        with service:
            os.kill(service.pid, signal.SIGUSR1)
            frozen_s = time.monotonic()
            meanwhile = phones.dial()
            await replaced(service, frozen_s)
            again = await phones.place()
            for placed in (meanwhile, again):
                await placed.caller.final()
                phones.pair(placed)
                await phones.talk_and_hang_up(placed)
        assert_heard_then_connected(again, "sample", references)


class Clogged(Supervisor):
    """A service whose log is a pipe. `clog` fills the pipe."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reading, self.writing = os.pipe()
        self.said = super().log()

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"IDTONE_LOG_LEVEL": "debug"}

    def _output(self) -> BinaryIO:
        return os.fdopen(os.dup(self.writing), "wb")

    def log(self) -> str:
        os.set_blocking(self.reading, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.said += os.read(self.reading, 65536).decode()
        return self.said

    def clog(self) -> None:
        # A separate open file description, because writes of the service must still block.
        writing = os.open(f"/proc/self/fd/{self.writing}", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"x")
        os.close(writing)


async def test_no_call_waits_for_a_log_that_is_not_read_and_no_line_is_lost(asterisk, shared_service, references):
    shared_service.stop()
    service = Clogged(asterisk, LAB_REGISTRY)
    async with lab(asterisk) as phones:
        with service:
            service.clog()
            clogged_s = time.monotonic()
            calls = [await phones.call(forwarding) for forwarding in over_both_interfaces(Forwarding()) * 2]
            for placed, _ in calls:
                await phones.talk_and_hang_up(placed)
            await asyncio.sleep(max(0.0, clogged_s + 2 * service.unit.seconds("WatchdogSec") - time.monotonic()))
            assert len(service.lives) == 1, "the watchdog is content"
            ids = [(await phones.ending(placed)).call_id for placed, _ in calls]
            await wait_until(lambda: all(f"{each}: PLAY" in service.log() for each in ids), "a line for each call")
        for placed, _ in calls:
            assert_heard_then_connected(placed, "sample", references)
