"""A carrier that calls the fleet through a proxy with SIPp, and records the result of each call.

Unlike `sipp.Load`, it follows the proxy's Record-Route, logs each call when SIPp sends it, and accepts any refusal.
"""

import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .asterisk import free_ports
from .sip import Address
from .sipp import OVERDUE_S, call_arguments, start_sipp

RETRANSMITTED_S: Final = 34.0
"""Seconds for which a request is retransmitted before the call fails (RFC 3261, timers B and F)."""


@dataclass(slots=True)
class CarriedCall:
    """One call as the carrier sees it. Times are seconds since the epoch."""

    number: str
    sent_s: float
    final_s: float | None = None
    """Time of the final response, or None if none has arrived."""
    status: int = 0
    node: Address | None = None
    """Address of the node that sent the final response."""
    retry_after: str = ""
    over_s: float | None = None
    """Time of the call's orderly end, or None if it was cut off."""


class Carrier:
    """Load of `rate` calls per second through `proxy` to the `numbers` in turn, for `seconds`. Starts at once."""

    def __init__(
        self,
        proxy: Address,
        numbers: Sequence[str],
        rate: float,
        seconds: float,
        folder: Path,
        hold_s: float = 0.2,
        name: str = "",
    ) -> None:
        """Start SIPp. The ids of the calls at the called phone begin with `name` (letters and digits)."""
        self._folder, self._name = folder, name
        self._calls: dict[str, CarriedCall] = {}
        self._read = 0
        folder.mkdir(parents=True)
        (folder / "numbers.csv").write_text("SEQUENTIAL\n" + "".join(f"{number};\n" for number in numbers))
        port, media_port = free_ports(2, socket.SOCK_DGRAM)
        leave_s = seconds + hold_s + RETRANSMITTED_S
        self.began_s = time.time()
        self._over_s = time.monotonic() + leave_s + OVERDUE_S
        self._process = start_sipp(
            "carrier", folder, port, media_port, *call_arguments(rate, round(rate * seconds), leave_s, hold_s),
            "-key", "load", name, f"{proxy[0]}:{proxy[1]}",
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    def calls(self) -> dict[str, CarriedCall]:
        """All calls so far, by id. Later reads update the same objects."""
        try:
            with (self._folder / "calls").open() as file:
                file.seek(self._read)
                # SIPp may still be writing the last line.
                whole = file.read().rpartition("\n")[0]
        except FileNotFoundError:
            whole = ""
        self._read += len(whole) + bool(whole)
        for line in whole.splitlines():
            self._take(line)
        return self._calls

    def _take(self, line: str) -> None:
        kind, call, seconds, microseconds, *more = line.split(";")
        at_s = float(seconds) + float(microseconds or 0) / 1e6  # SIPp writes nothing for 0
        if kind == "s":
            self._calls[f"{self._name}c{call}"] = CarriedCall(more[0], at_s)
            return
        one = self._calls[f"{self._name}c{call}"]
        if kind == "f":
            status, contact, one.retry_after = more
            host, _, port = contact.partition(":")
            one.final_s, one.status, one.node = at_s, int(status), (host, int(port)) if port else None
        else:
            one.over_s = at_s

    def finish(self) -> dict[str, CarriedCall]:
        """Wait until each call has ended, and return all calls. Kills SIPp if it is overdue."""
        try:
            self._process.wait(max(0.0, self._over_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.stop()
        return self.calls()

    def stop(self) -> None:
        """Kill SIPp if it is still running."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
