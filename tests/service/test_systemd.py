"""The messages to the service manager, and the unit file."""

import asyncio
import os
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from idtone.operations.fleet.rolling_upgrade import RELOAD_S
from idtone.service import systemd
from idtone.service.assembly import LINES_WITHIN_S, REGISTRY_WITHIN_S
from idtone.service.systemd import ServiceManager
from lab.patch_library import patch_library
from lab.supervisor import Unit


class Inbox:
    """The service manager's end of the socket."""

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.setblocking(False)

    def messages(self) -> list[str]:
        found = []
        try:
            while True:
                found.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.fixture(params=["abstract", "path"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"@idtone-test-{secrets.token_hex(8)}" if request.param == "abstract" else str(tmp_path / "notify")


@pytest.fixture
def inbox(address: str) -> Iterator[Inbox]:
    one = Inbox(address)
    yield one
    one.socket.close()


def test_assignments_arrive_together_and_the_status_when_it_changes(address, inbox):
    manager = ServiceManager.of({"NOTIFY_SOCKET": address})
    manager.notify("MAINPID=7", "READY=1")
    for words in ("serving", "serving", "stopping"):
        manager.status(words)
    assert inbox.messages() == ["MAINPID=7\nREADY=1", "STATUS=serving", "STATUS=stopping"]


def test_a_missing_manager_is_logged_and_has_no_other_effect(caplog):
    ServiceManager.of({}).notify("READY=1")
    assert not caplog.messages, "without a manager nothing is sent"
    for gone in ("@idtone-nobody", "/nonexistent/notify"):
        ServiceManager.of({"NOTIFY_SOCKET": gone}).notify("READY=1")
        assert gone in caplog.text


def test_the_watchdog_for_this_process():
    for usec, pid, watchdog_s in (
        ("1500000", None, 1.5),
        ("1500000", str(os.getpid()), 1.5),
        ("1500000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        ("-1", None, None),
        (None, None, None),
    ):
        given = {"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
        environment = {name: value for name, value in given.items() if value is not None}
        assert ServiceManager.of(environment).watchdog_s == watchdog_s, environment


async def test_three_signs_of_life_in_the_watchdogs_time_come_from_the_event_loop(address, inbox, monkeypatch):
    pauses_s: list[float] = []

    async def pause(seconds: float) -> None:
        pauses_s.append(seconds)
        await asyncio.sleep(seconds)

    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not true():  # noqa: ASYNC110  at once, before the next sign of life
                await asyncio.sleep(0.001)

    patch_library(monkeypatch, systemd, "asyncio", sleep=pause)
    telling = asyncio.create_task(ServiceManager(address, 0.15).report(lambda: "serving"))
    try:
        await until(lambda: len(pauses_s) >= 3)
        assert set(pauses_s) == {0.15 / 3}
        assert inbox.messages() == ["WATCHDOG=1", "STATUS=serving", *["WATCHDOG=1"] * (len(pauses_s) - 1)]
        time.sleep(0.15)  # noqa: ASYNC251 — this test needs a blocked event loop
        assert inbox.messages() == []
        before = len(pauses_s)
        await until(lambda: len(pauses_s) > before)
        assert inbox.messages() == ["WATCHDOG=1"]
    finally:
        telling.cancel()
        await asyncio.wait({telling})


def test_the_unit_file_gives_a_frozen_service_less_than_three_seconds():
    """The rest of the time is for the start of the next instance on a slow machine."""
    unit = Unit()
    assert unit["Type"] == "notify"
    assert unit["Restart"] == "always"
    assert unit.seconds("WatchdogSec") + unit.seconds("TimeoutAbortSec") + unit.seconds("RestartSec") <= 1.5


def test_a_reload_has_the_time_that_the_sources_have_and_as_much_again():
    assert 2 * (REGISTRY_WITHIN_S + LINES_WITHIN_S) <= Unit().seconds("TimeoutStartSec") < RELOAD_S


# A program of Python: dash loses a signal that comes while it starts another program.
MAIN = """
import os, signal, sys
from idtone.service.reload_result import FAILED, HANDED_OVER, write_reload_result
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
print(flush=True)
while True:
    signal.sigwait([signal.SIGHUP])  # a signal that comes before a `pause` would be lost
    {does}
"""
TELLS = "write_reload_result({}, os.environ)"


@pytest.mark.parametrize(
    ("does", "before", "status"),
    [
        pytest.param(TELLS.format("HANDED_OVER"), "", 0, id="the next one has taken over"),
        pytest.param(TELLS.format("FAILED"), "", 1, id="the next one has failed, which is told at once"),
        pytest.param("pass", "{pid} handed over", None, id="it waits, and an earlier reload has left its result"),
        pytest.param(TELLS.format("'1 handed over'"), "", 1, id="something else is told"),
        pytest.param("sys.exit()", "", 1, id="it crashed"),
        pytest.param(None, "", 1, id="it is gone already"),
    ],
)
def test_a_reload_succeeds_only_if_the_next_instance_has_taken_over(tmp_path, does, before, status):
    """The command is that of the unit file. `before` is the result of an earlier reload. A `status` of None means that
    the command waits until systemd's limit.
    """
    shell = shlex.split(Unit()["ExecReload"])
    environment = {"PATH": os.defpath, "RUNTIME_DIRECTORY": str(tmp_path)}
    command = [sys.executable, "-c", MAIN.format(does=does)]
    with ExitStack() as ended:
        main = ended.enter_context(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE))
        ended.callback(main.kill)
        assert main.stdout
        main.stdout.readline()  # from now on it answers SIGHUP as it should
        (tmp_path / "reload").write_text(before.format(pid=main.pid))
        if does is None:
            main.kill()
            main.wait(60)
        asking = environment | {"MAINPID": str(main.pid)}
        reload = ended.enter_context(subprocess.Popen(shell, env=asking, stderr=subprocess.DEVNULL))
        ended.callback(reload.kill)
        if does == "sys.exit()":
            main.wait(60)  # else it stays as a zombie, which can get signals
        if status is None:
            with pytest.raises(subprocess.TimeoutExpired):
                reload.wait(0.5)
        else:
            assert reload.wait(60) == status
