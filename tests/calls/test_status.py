"""`idtone status` of a real service: during and after calls, over a hand-over, and without a service."""

import asyncio
import fcntl
import json
import os
import pty
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.asterisk import IDTONE
from lab.calls.assert_proved import over_both_interfaces
from lab.command_json import command_json
from lab.lab import SUSPENDED, Forwarding, lab, wait_until
from lab.publication import LAB_REGISTRY
from lab.service import Service


@pytest.fixture
def own_service(asterisk, shared_service) -> Iterator[Service]:
    """A service that counts only this test's calls."""
    shared_service.stop_with_empty_journal()
    with Service(asterisk, LAB_REGISTRY) as service:
        yield service


def status(service: Service) -> str:
    command = [IDTONE, "status", "-c", service.settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _heeding_interrupts() -> None:
    """Restore the default action of SIGINT, which a shell makes its background programs ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def watch(
    service: Service, *options: str, begin: Callable[[], None] = _heeding_interrupts, **streams: Any
) -> subprocess.Popen[str]:
    command = [IDTONE, "status", "-c", service.settings, "--watch", *options]
    return subprocess.Popen(command, text=True, preexec_fn=begin, **streams)


async def test_calls_are_seen_while_they_last_and_after(asterisk, own_service):
    async with lab(asterisk) as phones:
        talking = [await phones.place(forwarding) for forwarding in over_both_interfaces(Forwarding())]
        during = command_json(own_service, "status")
        for placed in talking:
            await phones.talk_and_hang_up(placed)
        for forwarding in over_both_interfaces(Forwarding(SUSPENDED)):
            await phones.call(forwarding)
    await asyncio.to_thread(own_service.entered)
    await wait_until(lambda: sum(command_json(own_service, "status")["calls"]["ended"].values()) == 4, "the ends", 20)
    after = command_json(own_service, "status")
    assert during["calls"]["in_progress"] == 2
    assert during["calls"]["longest_seconds"] > 0
    assert own_service.process
    assert after["instance"]["pid"] == own_service.process.pid
    assert after["ari"]["connected"] is True
    assert asterisk.command("core show version").split()[1].startswith(after["ari"]["asterisk"])
    assert after["ari"]["transport"].startswith("requests over ")
    assert after["hook"] == {"loaded": asterisk.hook_digest, "current": True}
    calls = after["calls"]
    assert (calls["in_progress"], calls["longest_seconds"]) == (0, None)
    assert sorted((each["outcome"], each["reason"], each["calls"]) for each in calls["decisions"]) == [
        ("PLAY", "licence-valid", 2),
        ("REFUSE", "number-suspended", 2),
    ]
    assert calls["ended"] == {"CONNECTED": 2, "REFUSED": 2}
    assert (calls["with_sound"], calls["sent"], calls["sent_ratio"]) == (2, 2, 1)
    assert set(calls["decision_seconds"]) == {"ari", "agi"}
    for seconds in calls["decision_seconds"].values():
        assert 0 < seconds["p50"] <= seconds["p99"] < 3
    assert (after["registry"]["version"], after["registry"]["suspensions_in_force"]) == (42, 1)
    assert (after["ledger"]["unwritten_steps"], after["ledger"]["trouble"]) == (0, "")
    shown = await asyncio.to_thread(status, own_service)
    texts = (
        "is connected",
        "PLAY (licence-valid) 2",
        "on 2 of 2 connected calls",
        "ari: p50",
        "agi: p50",
        "version 42",
    )
    assert [text for text in texts if text not in shown] == []


async def test_watching_goes_on_over_a_hand_over_and_a_stop(own_service):
    """The command writes a line of JSON each second if its output is a pipe. SIGINT ends it without a traceback."""
    watching = watch(own_service, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert watching.stdout
    read = watching.stdout.readline
    first = json.loads(await asyncio.to_thread(read))
    before, found = own_service.process, first
    await asyncio.to_thread(own_service.start, "--take-over")
    assert before
    assert await asyncio.to_thread(before.wait, 10) == 0
    async with asyncio.timeout(30):
        while found["running"] is False or found["instance"]["pid"] == first["instance"]["pid"]:
            found = json.loads(await asyncio.to_thread(read))
    assert (first["instance"]["hand_overs"], found["instance"]["hand_overs"]) == (0, 1)
    await asyncio.to_thread(own_service.stop)
    async with asyncio.timeout(30):
        while found["running"]:
            found = json.loads(await asyncio.to_thread(read))
    assert found["trouble"] == "no service runs; start it: systemctl start idtone"
    assert (found["ledger"]["trouble"], found["registry"]["trouble"]) == ("", "")
    assert found["registry"]["expires"]
    watching.send_signal(signal.SIGINT)
    _, errors = await asyncio.to_thread(watching.communicate, timeout=60)
    assert (watching.returncode, errors) == (1, "")
    assert command_json(own_service, "status", code=1)["running"] is False


def _own_terminal() -> None:
    """Give this process its own terminal, so that Ctrl-C reaches it."""
    _heeding_interrupts()
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.nightly
async def test_a_terminal_is_redrawn_until_ctrl_c(own_service):
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    watching = watch(own_service, stdin=slave, stdout=slave, stderr=slave, env=environment, begin=_own_terminal)
    os.close(slave)
    shown = b""
    async with asyncio.timeout(40):
        while shown.count(b"none in progress") < 3:
            shown += await asyncio.to_thread(os.read, master, 65536)
    os.write(master, b"\x03")
    assert await asyncio.to_thread(watching.wait, 20) == 0
    rest = b""
    try:
        while more := os.read(master, 65536):
            rest += more
    except OSError:  # the other end of the terminal is closed
        pass
    os.close(master)
    assert b"Traceback" not in shown + rest


async def test_a_reader_that_ends_early_ends_the_watching(own_service):
    for options in (["--json"], []):
        watching = watch(own_service, *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert watching.stdout
        assert watching.stderr
        assert await asyncio.to_thread(watching.stdout.readline)
        watching.stdout.close()
        assert await asyncio.to_thread(watching.wait, 20) == 0
        assert watching.stderr.read() == ""
        watching.stderr.close()
