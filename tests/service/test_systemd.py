"""The messages to the service manager, and the unit file."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from idtone.service.systemd import ServiceManager
from lab.supervisor import UNIT, Unit


class Inbox:
    """The manager's end of the socket."""

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
    manager.tell("MAINPID=7", "READY=1")
    for words in ("serving", "serving", "stopping"):
        manager.status(words)
    assert inbox.messages() == ["MAINPID=7\nREADY=1", "STATUS=serving", "STATUS=stopping"]


def test_a_missing_manager_is_logged_and_has_no_other_effect(caplog):
    ServiceManager.of({}).tell("READY=1")
    assert not caplog.messages, "without a manager nothing is sent"
    for gone in ("@idtone-nobody", "/nonexistent/notify"):
        ServiceManager.of({"NOTIFY_SOCKET": gone}).tell("READY=1")
        assert gone in caplog.text


def test_the_watchdog_for_this_process():
    for usec, pid, watchdog_s in (
        ("1500000", None, 1.5), ("1500000", str(os.getpid()), 1.5), ("1500000", "1", None), ("0", None, None),
        ("soon", None, None), ("-1", None, None), (None, None, None),
    ):  # fmt: skip
        given = {"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
        environment = {name: value for name, value in given.items() if value is not None}
        assert ServiceManager.of(environment).watchdog_s == watchdog_s, environment


async def test_signs_of_life_come_only_from_the_event_loop(address, inbox):
    telling = asyncio.create_task(ServiceManager(address, 0.15).report(lambda: "serving"))
    try:
        await asyncio.sleep(0.175)
        assert inbox.messages().count("WATCHDOG=1") in (3, 4)
        time.sleep(0.15)  # noqa: ASYNC251 — this test needs a blocked event loop
        assert inbox.messages() == []
        await asyncio.sleep(0.03)
        assert inbox.messages() == ["WATCHDOG=1"]
    finally:
        telling.cancel()
        await asyncio.wait({telling})


def test_the_unit_file_gives_a_frozen_service_less_than_three_seconds():
    """The remaining time is for the start of the next instance on a slow machine."""
    unit = Unit()
    assert unit["Type"] == "notify"
    assert unit["Restart"] == "always"
    assert unit.seconds("WatchdogSec") + unit.seconds("TimeoutAbortSec") + unit.seconds("RestartSec") <= 1.5


# Programs of Python: dash loses a signal that comes while it starts another program.
ENDS = """
import signal, sys, time
signal.signal(signal.SIGHUP, lambda *_: (time.sleep(0.2), sys.exit()))
print(flush=True)
while True:
    signal.pause()
"""
GOES_ON = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print(flush=True)
signal.pause()
"""
IS_GONE = "print()"


@pytest.mark.parametrize(
    ("main_does", "main_pid", "status"),
    [
        pytest.param(ENDS, "1", 0, id="the next one has taken over"),
        pytest.param(GOES_ON, "1", 1, id="it goes on"),
        pytest.param(ENDS, "0", 1, id="it crashed"),
        pytest.param(ENDS, "$MAINPID", 1, id="it crashed, and systemd has not seen it yet"),
        pytest.param(IS_GONE, "1", 1, id="it is gone already"),
    ],
)
def test_a_reload_succeeds_only_if_another_instance_has_taken_over(tmp_path, main_does, main_pid, status):
    """By the line of the unit file. `main_pid` is what systemd says when the previous main process is gone."""
    stub = tmp_path / "systemctl"
    stub.write_text(f'#!/bin/sh\n[ "$*" = "show -P MainPID idtone.service" ] && echo {main_pid}\n')
    stub.chmod(0o755)
    line = Unit()["ExecReload"].replace("%n", "idtone.service")
    shell = shlex.split(line if main_does == ENDS else line.replace("n=300", "n=5"))
    with subprocess.Popen([sys.executable, "-c", main_does], stdout=subprocess.PIPE) as main:
        assert main.stdout
        main.stdout.readline()  # from now on it answers SIGHUP as it should
        if main_does == IS_GONE:
            main.wait(30)
        environment = {"PATH": f"{tmp_path}:{os.defpath}", "MAINPID": str(main.pid)}
        with subprocess.Popen(shell, env=environment, stderr=subprocess.DEVNULL) as reload:
            if main_does == ENDS:
                main.wait(30)  # else it stays as a zombie, which can get signals
            assert reload.wait(30) == status
        main.kill()


def test_systemd_takes_the_unit_file(tmp_path):
    analyser = shutil.which("systemd-analyze")
    if analyser is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/usr/local/bin/idtone", "/bin/true"), "utf-8")
    verdict = subprocess.run([analyser, "verify", unit], capture_output=True, text=True, check=False)
    said = [line for line in verdict.stderr.splitlines() if "RestartMode" not in line]  # Debian 12's does not know it
    assert (verdict.returncode, said) == (0, [])
