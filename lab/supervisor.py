"""Runs the service as systemd would, from `config/idtone.service` and systemd's protocol, without systemd.

It starts the service with NOTIFY_SOCKET and WATCHDOG_USEC, waits for READY=1, and follows MAINPID. A process that is
silent for longer than WatchdogSec gets SIGABRT, then SIGKILL. The next process starts after RestartSec.
"""

import contextlib
import os
import re
import secrets
import select
import shlex
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .asterisk import IDTONE
from .service import Service
from .unit_files import unit

UNIT: Final = Path(__file__).parents[1] / "config" / "idtone.service"
_UNITS_S: Final = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}


class Unit:
    """Settings of the unit file for start, stop and watchdog."""

    def __init__(self, path: Path = UNIT) -> None:
        self._service = unit(path.read_text("utf-8"))["Service"]

    def __getitem__(self, key: str) -> str:
        return self._service[key]

    def seconds(self, key: str) -> float:
        number, suffix = re.fullmatch(r"([0-9.]+)\s*([a-z]*)", self._service[key]).groups()  # type: ignore[union-attr]
        return float(number) * _UNITS_S[suffix]


@dataclass
class Life:
    """One main process from its start to its end. Times are from `time.monotonic()`."""

    pid: int
    started_s: float
    ready_s: float | None = None
    silent_s: float | None = None
    """Time at which the watchdog noticed that the process is silent."""
    ended_s: float | None = None


@dataclass
class Supervisor(Service):
    """A `Service` that runs according to its unit file."""

    lives: list[Life] = field(default_factory=list, init=False, compare=False)
    """All main processes so far, latest last."""
    told: list[str] = field(default_factory=list, init=False, compare=False)
    """Notifications of the service, without those for the watchdog."""
    frozen: bool = field(default=False, init=False, compare=False)
    """True if the complete machine is frozen, including systemd. The watchdog then waits without a limit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.unit = Unit()
        self._thread: threading.Thread | None = None
        self._stop_with = signal.SIGTERM
        self._runtime = self.asterisk.scratch / "run"

    @property
    def pid(self) -> int:
        return self.lives[-1].pid

    def _launch(self, *options: str) -> None:
        assert not options, "the unit file says how it is started"
        self._leaving, self._leave = os.pipe()
        self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._runtime.mkdir(exist_ok=True)
        self.asterisk.site.give(self._runtime, "idtone", 0o750)
        self._name = f"idtone-lab-{os.getpid()}-{secrets.token_hex(4)}"
        self._inbox.bind("\0" + self._name)
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._thread.start()

    def _died(self) -> bool:
        return self._thread is None or not self._thread.is_alive()

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 60) -> int | None:
        """Stop the service as `systemctl stop` does, but with the signal `number`."""
        if self._thread is None:
            return None
        self._stop_with = number
        os.write(self._leave, b"x")
        self._thread.join(timeout_s + 5)
        self._thread = None
        self._inbox.close()
        os.close(self._leaving)
        os.close(self._leave)
        return 0

    def reload(self) -> None:
        """Start a reload as `systemctl reload` does, without waiting for its end."""
        assert "; kill -HUP $MAINPID || exit 1; " in self.unit["ExecReload"]
        os.kill(self.pid, signal.SIGHUP)

    def reloads(self) -> bool:
        """Reload as `systemctl reload` does, and wait for the end. Returns True if the next instance has taken over."""
        environment = {"PATH": os.defpath, "MAINPID": str(self.pid), "RUNTIME_DIRECTORY": str(self._runtime)}
        line = self.as_itself(shlex.split(self.unit["ExecReload"]))
        return subprocess.run(line, env=environment, stderr=subprocess.DEVNULL, check=False).returncode == 0

    # -- the thread ---------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        leaving = False
        while not leaving:
            self._start()
            leaving = self._watch()
            if not leaving:
                leaving = bool(_readable([self._leaving], self.unit.seconds("RestartSec")))

    def _start(self) -> None:
        with contextlib.suppress(BlockingIOError):  # drop what the last process sent
            while True:
                self._inbox.recv(4096, socket.MSG_DONTWAIT)
        # WATCHDOG_PID is left out because it is unknown before the process starts.
        environment = self._environment() | {
            "NOTIFY_SOCKET": "@" + self._name,
            "RUNTIME_DIRECTORY": str(self._runtime),
            "WATCHDOG_USEC": str(round(self.unit.seconds("WatchdogSec") * 1e6)),
        }
        with self._output() as log:
            self.process = subprocess.Popen(
                self.as_itself(self._command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                process_group=0,
            )
        self.lives.append(Life(self.process.pid, time.monotonic()))

    def _command(self) -> list[str]:
        return [str(IDTONE), *self.unit["ExecStart"].split()[1:], "-c", str(self.settings)]

    def _watch(self) -> bool:
        """Wait until the main process has ended. Returns True if its end was requested."""
        leaving = False
        heard_s = time.monotonic()
        main = os.pidfd_open(self.pid)
        try:
            while True:
                life = self.lives[-1]
                allowed_s = self.unit.seconds("WatchdogSec" if life.ready_s else "TimeoutStartSec")
                if leaving:
                    allowed_s = self.unit.seconds("TimeoutStopSec")
                awaited = [self._inbox, main, *([] if leaving else [self._leaving])]
                ready = _readable(awaited, max(0.0, heard_s + allowed_s - time.monotonic()))
                if main in ready:
                    life.ended_s = time.monotonic()
                    if self.process:
                        self.process.wait()
                        self._end_group(self.process.pid)
                    return leaving
                if self._leaving in ready:
                    leaving, heard_s = True, time.monotonic()
                    assert self.process
                    os.killpg(self.process.pid, self._stop_with)
                elif self._inbox in ready:
                    said = self._inbox.recv(4096).decode().split("\n")
                    if not leaving or any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in said):
                        heard_s = time.monotonic()
                    main = self._take(said, main)
                elif self.frozen:
                    heard_s = time.monotonic()
                else:
                    life.silent_s = time.monotonic()
                    self._end(main)
        finally:
            os.close(main)

    def _take(self, said: list[str], main: int) -> int:
        self.told += [line for line in said if line != "WATCHDOG=1"]
        for line in said:
            name, _, value = line.partition("=")
            if name == "MAINPID" and int(value) != self.pid:
                self.lives[-1].ended_s = time.monotonic()
                self.lives.append(Life(int(value), time.monotonic()))
                os.close(main)
                main = os.pidfd_open(self.pid)
        if "READY=1" in said:
            self.lives[-1].ready_s = time.monotonic()
        return main

    def _end_group(self, group: int) -> None:
        """End the other processes in the group of the main process that has ended, as systemd does in a cgroup.

        A hand-over may be in progress.
        """
        deadline_s = time.monotonic() + self.unit.seconds("TimeoutStopSec")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, self._stop_with)
            while _runs(group):
                if time.monotonic() > deadline_s:
                    os.killpg(group, signal.SIGKILL)
                time.sleep(0.02)

    def _end(self, main: int) -> None:
        """Send SIGABRT with SIGCONT, as systemd does, and later SIGKILL."""
        signal.pidfd_send_signal(main, signal.SIGABRT)
        signal.pidfd_send_signal(main, signal.SIGCONT)
        if not _readable([main], self.unit.seconds("TimeoutAbortSec")):
            signal.pidfd_send_signal(main, signal.SIGKILL)
            _readable([main])


def _runs(group: int) -> bool:
    """True if a process of the group is still running."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, its_group = path.read_text("ascii", "replace").rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def _readable(awaited: list[int | socket.socket], timeout_s: float | None = None) -> list[int | socket.socket]:
    """The readable descriptors, as from `select.select`, but also above 1023.

    A lab with many calls has such descriptors.
    """
    poll = select.poll()
    known = {each if isinstance(each, int) else each.fileno(): each for each in awaited}
    for descriptor in known:
        poll.register(descriptor, select.POLLIN)
    return [known[descriptor] for descriptor, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)]
