"""Load from SIPp: short calls at a fixed rate that does not depend on the answers, and their outcomes.

SIPp is Debian's, unpacked and used in place. Its callers dial the lab's forwarded numbers, as extensions for calls from
a carrier. The calls arrive at another SIPp, which answers all of them at once.
"""

import csv
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Final

from . import packages
from .asterisk import LOOPBACK, free_ports
from .sip import Address

SCENARIOS: Final = Path(__file__).with_name("sipp")
LEAVE_S: Final = 15.0
"""Maximum time in seconds that callers wait for the end of their calls."""
OVERDUE_S: Final = 3.0
"""Further seconds after which SIPp is killed, because it waits for running calls without a limit."""
_DONE: Final = frozenset({0, 1, 97})
"""Exit codes of SIPp after a complete run: all calls succeeded, some failed, or the time was over."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call as the caller sees it. Times are seconds since the epoch."""

    number: str
    call: str
    """SIPp's number of the call, counted from 1."""
    sent_s: float
    rung_s: float | None
    """Time of the ringing at the caller. At this time the verdict has arrived and the call has been dialled."""
    final_s: float
    status: int
    retry_after: str
    cause: int | None
    """Q.850 cause of the refusal, if it has one."""

    @property
    def verdict_s(self) -> float | None:
        """Seconds from the INVITE to the ringing, which directly follows the verdict. None if it did not ring."""
        return None if self.rung_s is None else self.rung_s - self.sent_s


@dataclass(frozen=True, slots=True)
class Arrival:
    """One call as the called phone sees it. Times are seconds since the epoch."""

    number: str
    call: str
    """The caller's `Outcome.call`, with the prefix in the extension."""
    came_s: float
    answered_s: float
    port: int
    """Port from which its RTP is sent."""


@dataclass(frozen=True, slots=True)
class Called:
    """The SIPp that is called."""

    port: int
    folder: Path

    def arrivals(self) -> list[Arrival]:
        """The answered calls. They are available after the end of SIPp."""
        return [_arrival(line) for line in log_lines(self.folder)]

    def rung(self) -> list[str]:
        """The dialled numbers. They are available after the end of SIPp."""
        return [arrival.number for arrival in self.arrivals()]


@contextmanager
def called(folder: Path, sink: int | None = None, scenario: str = "called") -> Iterator[Called]:
    """Context with a SIPp that answers every call. Received RTP is sent to the port `sink`, if given."""
    port, media_port = free_ports(2, socket.SOCK_DGRAM)
    process = start_sipp(scenario, folder, port, media_port, "-key", "sink", str(sink or media_port))
    try:
        yield Called(port, folder)
    finally:
        process.send_signal(signal.SIGUSR1)  # SIPp then ends after its last call
        try:
            process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Load:
    """Load of `rate` calls per second for `seconds`, to each of the `numbers` in turn. Starts at once."""

    def __init__(
        self,
        pbx: Address,
        called_port: int,
        numbers: Sequence[str],
        rate: float,
        seconds: float,
        folder: Path,
        way: str = "",
        hold_s: float = 0.2,
        endpoints: Sequence[str] = ("",),
    ) -> None:
        """Start SIPp. `way` is the prefix of the extension, and `hold_s` is the duration of a call.

        The calls use the `endpoints` in turn. Each number gets calls through each endpoint if the two counts have no
        common divisor.
        """
        self.offered = round(rate * seconds)
        self._folder = folder
        folder.mkdir(parents=True)
        calls = zip(range(len(numbers) * len(endpoints)), cycle(numbers), cycle(endpoints), strict=False)
        (folder / "numbers.csv").write_text(
            "SEQUENTIAL\n"
            + "".join(f"{number};{way}*{number}*{called_port}*c;{endpoint}\n" for _, number, endpoint in calls)
        )
        _sipp()  # fetched before the time starts to count
        port, media_port = free_ports(2, socket.SOCK_DGRAM)
        self.began_s = time.time()
        self.ends_s = self.began_s + seconds
        self._over_s = time.monotonic() + seconds + hold_s + LEAVE_S + OVERDUE_S
        self._process = start_sipp(
            "caller", folder, port, media_port, *call_arguments(rate, self.offered, seconds + hold_s + LEAVE_S, hold_s),
            "-trace_stat", "-stf", "statistics.csv", "-fd", "1", f"{pbx[0]}:{pbx[1]}",
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def outcomes(self) -> list[Outcome]:
        """Wait for the end and return the outcomes. Raises RuntimeError if SIPp fails.

        Calls that Asterisk forgot never end, and are left out.
        """
        try:
            code = self._process.wait(max(0.0, self._over_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.stop()
            code = 0
        if code not in _DONE:
            raise RuntimeError(f"SIPp ended with {code}: {(self._folder / 'errors').read_text()[:2000]}")
        return [_outcome(line) for line in log_lines(self._folder)]

    def retransmissions(self) -> int:
        """Number of retransmitted messages. It is available after the end of SIPp."""
        whole = (self._folder / "statistics.csv").read_text().rpartition("\n")[0]
        rows = list(csv.DictReader(whole.splitlines(), delimiter=";"))
        return int(rows[-1]["Retransmissions(C)"])

    def stop(self) -> None:
        """Kill SIPp if it is still running."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def call_arguments(rate: float, calls: int, leave_s: float, hold_s: float) -> list[str]:
    """Arguments for a SIPp that calls the numbers in `numbers.csv`."""
    return [
        "-inf", "numbers.csv", "-r", f"{rate:g}", "-m", str(calls), "-l", "20000", "-timeout", f"{leave_s:.0f}",
        "-d", f"{1000 * hold_s:.0f}",
    ]  # fmt: skip


def start_sipp(scenario: str, folder: Path, port: int, media_port: int, *more: str) -> subprocess.Popen[bytes]:
    """Start a SIPp with a scenario of lab/sipp. Its logs are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = _sipp()
    with (folder / "screen").open("wb") as screen, (folder / "errors").open("wb") as errors:
        return subprocess.Popen(
            [
                *program, "-sf", SCENARIOS / f"{scenario}.xml", "-i", LOOPBACK, "-p", str(port),
                "-mp", str(media_port), "-nostdin", "-trace_logs", "-log_file", "calls", *more,
            ],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=screen, stderr=errors,
        )  # fmt: skip


def _sipp() -> list[str]:
    """The command of Debian's SIPp."""
    return packages.command(packages.unpacked_tree("sip-tester"), "usr/bin/sipp")


def log_lines(folder: Path) -> list[str]:
    """The lines that the scenario has logged."""
    path = folder / "calls"
    written = path.read_text() if path.exists() else ""
    # SIPp may have been interrupted while writing the last line.
    return [line for line in written.rpartition("\n")[0].splitlines() if line]


def _seconds(seconds: str, microseconds: str) -> float:
    """A time in seconds. SIPp writes nothing for a variable with the value 0, such as 0 microseconds."""
    return float(seconds) + float(microseconds or 0) / 1e6


def _arrival(line: str) -> Arrival:
    number, call, came_s, came_us, answered_s, answered_us, port = line.split(";")
    return Arrival(
        number.removeprefix("sip:"),
        call.removeprefix("lab="),
        _seconds(came_s, came_us),
        _seconds(answered_s, answered_us),
        int(port.removeprefix("m=audio ")),
    )


def _outcome(line: str) -> Outcome:
    number, call, *times, status, retry_after, cause = line.split(";")
    sent_s, rung_s, final_s = (
        _seconds(seconds, microseconds) if seconds else None
        for seconds, microseconds in zip(times[::2], times[1::2], strict=True)
    )
    assert sent_s is not None, line
    assert final_s is not None, line
    return Outcome(
        number,
        call,
        sent_s,
        rung_s or None,
        final_s,
        int(status),
        retry_after,
        int(cause.removeprefix("cause=")) if cause else None,
    )
