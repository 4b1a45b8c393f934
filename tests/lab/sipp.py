"""SIPp as the load: short calls at a rate that does not wait for anybody, and what became of each.

Debian's, unpacked and used in place. Its callers dial the lab's forwarded numbers at the extension that a carrier's
calls come in by; what they dial arrives at a SIPp that answers everything at once.
"""

from __future__ import annotations

import csv
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import packages
from .asterisk import LOOPBACK, free_ports
from .sip import Address

SCENARIOS: Final = Path(__file__).with_name("sipp")
LEAVE_S: Final = 15.0
"""How long callers that wait for their end are let wait."""
OVERDUE_S: Final = 3.0
"""How much later they are ended: SIPp itself then goes on waiting for calls that have begun."""
_DONE: Final = frozenset({0, 1, 97})
"""SIPp's exit codes where it ran to its end: all calls went well, some did not, or time was up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call as its caller saw it; times in seconds since the epoch."""

    number: str
    call: str
    """SIPp's own number of it, from 1."""
    sent_s: float
    rung_s: float | None
    """When it heard that the called phone rings: the verdict was there, and the call dialled."""
    final_s: float
    status: int
    retry_after: str
    cause: int | None
    """Of Q.850, where the refusal named one."""

    @property
    def verdict_s(self) -> float | None:
        """From the INVITE until it rang."""
        return None if self.rung_s is None else self.rung_s - self.sent_s


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call as the phone saw it that was called; times in seconds since the epoch."""

    number: str
    call: str
    """What its caller has as `Outcome.call`, with what stood before it in the extension."""
    came_s: float
    answered_s: float
    port: int
    """Whence it is sent its RTP."""


@dataclass(frozen=True, slots=True)
class Called:
    """The SIPp that is called."""

    port: int
    folder: Path

    def arrivals(self) -> list[Arrival]:
        """The calls that it has answered; known once it has ended."""
        return [_arrival(line) for line in _lines(self.folder)]

    def rung(self) -> list[str]:
        """The numbers under which it was called; known once it has ended."""
        return [arrival.number for arrival in self.arrivals()]


@contextmanager
def called(folder: Path, sink: int | None = None) -> Iterator[Called]:
    """Answer every call while inside. What they hear goes to the port `sink`, or nowhere."""
    port, media_port = free_ports(2, socket.SOCK_DGRAM)
    process = _start("called", folder, port, media_port, "-key", "sink", str(sink or media_port))
    try:
        yield Called(port, folder)
    finally:
        process.send_signal(signal.SIGUSR1)  # end when the calls have ended
        try:
            process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Load:
    """`rate` calls per second for `seconds`, to each of the `numbers` in turn; runs once it is made."""

    def __init__(
        self, pbx: Address, called_port: int, numbers: Sequence[str], rate: float, seconds: float, folder: Path,
        way: str = "", hold_s: float = 0.2,
    ) -> None:  # fmt: skip
        """`way` stands at the head of the extension; `hold_s` is how long they talk."""
        self.offered = round(rate * seconds)
        self._folder = folder
        folder.mkdir(parents=True)
        (folder / "numbers.csv").write_text(
            "SEQUENTIAL\n" + "".join(f"{number};{way}*{number}*{called_port}*c\n" for number in numbers)
        )
        port, media_port = free_ports(2, socket.SOCK_DGRAM)
        self.began_s = time.time()
        self.ends_s = self.began_s + seconds
        self._over_s = time.monotonic() + seconds + hold_s + LEAVE_S + OVERDUE_S
        self._process = _start(
            "caller", folder, port, media_port, "-inf", "numbers.csv", "-r", f"{rate:g}", "-m", str(self.offered),
            "-l", "20000", "-timeout", f"{seconds + hold_s + LEAVE_S:.0f}", "-d", f"{1000 * hold_s:.0f}",
            "-trace_stat", "-stf", "statistics.csv", "-fd", "1", f"{pbx[0]}:{pbx[1]}",
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def outcomes(self) -> list[Outcome]:
        """Wait for its end, which calls that Asterisk forgot would put off for ever. They are not among these."""
        try:
            code = self._process.wait(max(0.0, self._over_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.stop()
            code = 0
        if code not in _DONE:
            raise RuntimeError(f"SIPp ended with {code}: {(self._folder / 'errors').read_text()[:2000]}")
        return [_outcome(line) for line in _lines(self._folder)]

    def retransmissions(self) -> int:
        """How many messages were sent again; known once it has ended."""
        whole = (self._folder / "statistics.csv").read_text().rpartition("\n")[0]
        rows = list(csv.DictReader(whole.splitlines(), delimiter=";"))
        return int(rows[-1]["Retransmissions(C)"])

    def stop(self) -> None:
        """End it where it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _start(scenario: str, folder: Path, port: int, media_port: int, *more: str) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    program = packages.command(packages.tree("sip-tester"), "usr/bin/sipp")
    with (folder / "screen").open("wb") as screen, (folder / "errors").open("wb") as errors:
        return subprocess.Popen(
            [
                *program, "-sf", SCENARIOS / f"{scenario}.xml", "-i", LOOPBACK, "-p", str(port),
                "-mp", str(media_port), "-nostdin", "-trace_logs", "-log_file", "calls", *more,
            ],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=screen, stderr=errors,
        )  # fmt: skip


def _lines(folder: Path) -> list[str]:
    path = folder / "calls"
    written = path.read_text() if path.exists() else ""
    # Behind the last line's end is what SIPp was writing when its time was up.
    return [line for line in written.rpartition("\n")[0].splitlines() if line]


def _seconds(seconds: str, microseconds: str) -> float:
    """SIPp writes nothing where a variable is 0, which one microsecond in a million is."""
    return float(seconds) + float(microseconds or 0) / 1e6


def _arrival(line: str) -> Arrival:
    number, call, came_s, came_us, answered_s, answered_us, port = line.split(";")
    return Arrival(
        number.removeprefix("sip:"), call.removeprefix("lab="), _seconds(came_s, came_us),
        _seconds(answered_s, answered_us), int(port.removeprefix("m=audio ")),
    )  # fmt: skip


def _outcome(line: str) -> Outcome:
    number, call, *times, status, retry_after, cause = line.split(";")
    sent_s, rung_s, final_s = (
        _seconds(seconds, microseconds) if seconds else None
        for seconds, microseconds in zip(times[::2], times[1::2], strict=True)
    )
    assert sent_s is not None, line
    assert final_s is not None, line
    return Outcome(
        number, call, sent_s, rung_s or None, final_s, int(status), retry_after,
        int(cause.removeprefix("cause=")) if cause else None,
    )  # fmt: skip
