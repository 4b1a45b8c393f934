"""Thousands of calls in progress, and faults of the service beside them.

    python -m bench.calls_in_progress [--calls 3000] [--endpoints 25] [--rate 15] [--window 20] [--only NAME …] [--json]

The calls have no media. They are spread over `--endpoints`, because Asterisk takes longer for each change of a call if
its endpoint has many. New calls are timed meanwhile: without a fault, and while the service starts, hands over, is
killed, or loses its connection. Then a third of the calls is ended twice. First Asterisk's own command ends them, one
by one; this is the cost without idtone. They are placed again, and the service ends them, because their number is
suspended. Exits with 1 if Asterisk died, a call was lost, a suspended call lasted longer than 5 s, or a new
call waited more than 20 ms longer at p99.
"""

import base64
import math
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from idtone.ari_app.application import BETWEEN_ENDS_S
from lab.asterisk import LOOPBACK, MODULES, Asterisk
from lab.asterisk_installation import AsteriskInstallation, find_or_get
from lab.lab import LICENSED
from lab.pjsip_conf import line
from lab.processes import end_in_order, open_files, processor_s
from lab.publication import LAB_REGISTRY
from lab.sipp import Load, called
from lab.supervisor import Supervisor

from .bench_output import PROGRESS, options, print_table, report

STOPPED: Final = "0312345611"
"""The number that is suspended. Calls of LICENSED continue."""
PROBED: Final = "0312345622"
"""The forwarding number of the new calls that are timed."""
SUSPENSION: Final = f"  - {{number: '{STOPPED}', since: 2026-01-01T00:00:00+09:00, reference: R-2}}\n"
PROBES_PER_S: Final = 15.0
PROBE_S: Final = 0.6
"""Duration of a new call, with its sound, in seconds."""
ENDED_WITHIN_S: Final = 5.0
ADDED_P99_MS: Final = 20.0
A_CALL: Final = 10
"""File descriptors for one call. A call without RTCP ports and timers has six."""
SPARE: Final = 400
"""File descriptors that Asterisk needs apart from calls."""
SETTLE_S: Final = 60.0
READY_S: Final = 120.0


class BusyAsterisk(Asterisk):
    """An Asterisk with RTP ports and file descriptors for `calls` calls.

    A call has ten descriptors, or six if the machine allows no more.
    """

    calls: int = 0
    lines: Sequence[str] = ()
    """Names of the endpoints for callers and for called phones."""

    def __post_init__(self) -> None:
        self.site = replace(self.site, host=LOOPBACK, transport="udp", loss=0, idle_channels=0)
        super().__post_init__()

    def _files(self) -> dict[str, str]:
        _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.lean = allowed < A_CALL * self.calls + SPARE
        files = super()._files()
        files["pjsip.conf"] += "".join(line(name, LOOPBACK) for name in self.lines)
        files["extensions.conf"] = files["extensions.conf"].replace(
            "LAB_PHONE=PJSIP/lab/", "LAB_PHONE=PJSIP/${PJSIP_HEADER(read,X-Lab-Endpoint)}/"
        )
        files["rtp.conf"] = "[general]\nrtpstart = 5000\nrtpend = 19999\nstrictrtp = no\nicesupport = no\n"
        if self.lean:
            modules = [name for name in MODULES if "timing" not in name]
            files["modules.conf"] = "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in modules)
            files["pjsip.conf"] = files["pjsip.conf"].replace(
                "direct_media = no\n", "direct_media = no\nrtcp_mux = yes\n"
            )
        return files


@dataclass(frozen=True, slots=True)
class WindowResults:
    """The results of one window: its new calls, and the calls in progress."""

    what: str
    probes: int
    p50_ms: float
    p99_ms: float
    """Milliseconds from the INVITE to the ringing at p99, for calls while a service was running."""
    while_away: int
    """New calls while no service was running; the hook decided them."""
    failed: int
    """New calls that were not answered."""
    in_progress: int
    """Calls that are still in progress after the window."""
    took_s: float | None = None
    """Seconds until the service was ready again, or until the suspended calls had ended."""


@dataclass
class ProgressResults:
    """The results of a run of `calls_in_progress`, over all calls."""

    calls: int
    endpoints: int
    descriptors_a_call: float = 0.0
    setup_s: float = 0.0
    asterisk_ms_a_call: float = 0.0
    """Asterisk's processor time in milliseconds for setting up one call."""
    rows: list[WindowResults] = field(default_factory=list)
    died: str = ""
    lost: int = 0
    hang_up_s: float | None = None
    """Seconds until Asterisk's own command had ended a third of the calls, one after the other."""
    hang_up_asterisk_ms_a_call: float = 0.0
    suspended_ended_s: float | None = None
    suspended_ms_a_call: float = 0.0
    """Milliseconds until the suspended calls had ended, divided by their number."""
    suspended_asterisk_ms_a_call: float = 0.0
    suspended_service_ms_a_call: float = 0.0
    """The service's processor time in milliseconds for each suspended call, without the share of the new calls."""
    hang_up_all_ms_a_call: float = 0.0
    """The time per call if Asterisk's own command ends all calls: the lower bound for any service."""
    hang_up_all_asterisk_ms_a_call: float = 0.0
    records: int = 0
    incomplete: int = 0

    @property
    def faults(self) -> list[str]:
        if self.died:
            return [self.died]
        quiet = self.rows[0].p99_ms
        return [
            *([f"{self.lost} calls were lost"] if self.lost else []),
            *([f"{self.incomplete} records are not complete"] if self.incomplete else []),
            *(
                ["the suspended calls went on"]
                if self.suspended_ended_s is None or self.suspended_ended_s > ENDED_WITHIN_S
                else []
            ),
            *(
                f"{row.what}: a new call waited {row.p99_ms - quiet:.0f} ms longer at p99"
                for row in self.rows
                if row.p99_ms - quiet > ADDED_P99_MS
            ),
            *(f"{row.what}: {row.failed} new calls failed" for row in self.rows if row.failed),
        ]


class AsteriskDied(Exception):
    """Asterisk ended unexpectedly during the bench."""


@dataclass
class ProgressBench:
    """An Asterisk with its service, and the calls in progress on it."""

    asterisk: BusyAsterisk
    service: Supervisor
    scratch: Path
    called_port: int
    rate: float
    window_s: float
    found: ProgressResults
    tell: Callable[[str], None]
    expected: int = 0
    """The number of calls that must be in progress."""
    windows: int = 0
    loads: list[Load] = field(default_factory=list)
    """The loads of lasting calls."""

    def fill(self) -> None:
        """Place the calls that last until the end of the bench.

        A third of them have the number that is suspended later.
        """
        process = self.asterisk.process
        assert process
        files, spent_s, began_s = open_files(process.pid), processor_s(process.pid), time.monotonic()
        self.offer(self.found.calls, [LICENSED, LICENSED, STOPPED])
        self.found.lost += self.found.calls - self.expected
        self.found.setup_s = time.monotonic() - began_s
        self.found.asterisk_ms_a_call = 1000 * (processor_s(process.pid) - spent_s) / self.found.calls
        self.found.descriptors_a_call = (open_files(process.pid) - files) / max(1, self.expected)

    def offer(self, calls: int, numbers: Sequence[str]) -> None:
        """Place more calls that last until the end of the run.

        The calls take `numbers` in turn.
        """
        began_s, seconds, awaited = time.monotonic(), calls / self.rate, self.expected + calls
        load = Load(
            self.asterisk.sip_address,
            self.called_port,
            numbers,
            self.rate,
            seconds,
            self.scratch / f"staying-{len(self.loads)}",
            hold_s=seconds + 40 * self.window_s + 600,
            endpoints=self.asterisk.lines,
        )
        self.loads.append(load)
        while time.monotonic() < began_s + seconds + SETTLE_S:
            time.sleep(1)
            up = self.count_calls()
            self.tell(f"{up} of {awaited} calls are up")
            if up == awaited:
                break
        time.sleep(1)  # their sounds are over
        self.expected = self.count_calls()

    def count_calls(self) -> int:
        """Number of calls in progress.

        Raises AsteriskDied.
        """
        if self.asterisk.process is None or self.asterisk.process.poll() is not None:
            code = self.asterisk.process and self.asterisk.process.poll()
            raise AsteriskDied(f"Asterisk ended with {code}")
        try:
            return self.asterisk.channels() // 2
        except RuntimeError as error:
            raise AsteriskDied(str(error)) from error

    def measure_window(self, what: str, happens: Callable[[], float | None] = lambda: None) -> WindowResults:
        """Offer new calls for a window, and return the window's results.

        `happens` is called after a tenth of the window, and returns a duration.
        """
        self.windows += 1
        load = Load(
            self.asterisk.sip_address,
            self.called_port,
            [PROBED],
            PROBES_PER_S,
            self.window_s,
            self.scratch / f"window-{self.windows}",
            hold_s=PROBE_S,
            endpoints=self.asterisk.lines,
        )
        time.sleep(self.window_s / 10)
        away_from_s = time.time()
        took_s = happens()
        away_until_s = time.time() if took_s is not None and what in AWAY else away_from_s
        outcomes = load.outcomes()
        self._settle()
        served = [
            each for each in outcomes if not away_from_s - 1 <= each.sent_s <= away_until_s + 0.5 or what not in AWAY
        ]
        waited_ms = sorted(1000 * each.verdict_s for each in served if each.verdict_s is not None) or [math.nan]
        row = WindowResults(
            what,
            load.offered,
            float(np.percentile(waited_ms, 50)),
            float(np.percentile(waited_ms, 99)),
            len(outcomes) - len(served),
            load.offered - sum(each.status == 200 for each in outcomes),
            self.count_calls(),
            took_s,
        )
        self.found.rows.append(row)
        self.found.lost += max(0, self.expected - row.in_progress)
        self.expected = row.in_progress
        self.tell(f"{what}: p50 {row.p50_ms:.1f} ms, p99 {row.p99_ms:.1f} ms, {row.in_progress} calls are up")
        return row

    def _settle(self) -> None:
        deadline_s = time.monotonic() + 10
        while self.count_calls() > self.expected and time.monotonic() < deadline_s:
            time.sleep(0.2)

    # -- what happens ---------------------------------------------------------------------------------------------

    def restart(self) -> float:
        """Stop the service with SIGTERM and start it; returns the seconds until it is ready."""
        began_s = time.monotonic()
        self.service.stop()
        self.service.start(timeout_s=READY_S)
        return time.monotonic() - began_s

    def reload(self) -> float:
        """Hand over to a new process of the service; returns the seconds until it is ready."""
        return self._until_ready(self.service.reload)

    def kill(self) -> float:
        """Kill the service, which systemd restarts; returns the seconds until it is ready."""
        return self._until_ready(lambda: os.kill(self.service.pid, signal.SIGKILL))

    def reconnect(self) -> float:
        """Take the ARI application over with another connection.

        Returns the seconds until the service has taken the application back.
        """
        return self._until_ready(self._take_application)

    def hang_up_calls(self) -> float | None:
        """End the calls of `STOPPED` with Asterisk's command, one by one.

        Returns the seconds until the last end.
        """
        channels = self.asterisk.command("core show channels concise").splitlines()
        callers = [row.partition("!")[0] for row in channels if f"sip:{STOPPED}@" in row]
        began_s, (spent_s, _) = time.monotonic(), self._spent_s()
        self.expected -= len(callers)
        for channel in callers:
            self.asterisk.command(f"channel request hangup {channel}")
            time.sleep(BETWEEN_ENDS_S)
        took_s = self._until_ended(began_s)
        self.found.hang_up_s = took_s
        self.found.hang_up_asterisk_ms_a_call = 1000 * (self._spent_s()[0] - spent_s) / max(1, len(callers))
        return took_s

    def _until_ended(self, began_s: float) -> float | None:
        """Seconds until the calls that must end have ended; None if they take longer than `SETTLE_S`."""
        while self.count_calls() > self.expected + PROBES_PER_S and time.monotonic() < began_s + SETTLE_S:
            time.sleep(0.1)
        took_s = time.monotonic() - began_s
        return took_s if took_s < SETTLE_S else None

    def suspend(self) -> float | None:
        """Suspend the number `STOPPED`, which a third of the calls use.

        Returns the seconds until the last of these calls ended.
        """
        gone = self.expected // 3
        registry = self.service.registry
        draft = registry.with_name("draft.yaml")
        draft.write_text(registry.read_text().replace("version: 42", "version: 43") + SUSPENSION)
        began_s, spent_s = time.monotonic(), self._spent_s()
        draft.replace(registry)
        self.expected -= gone
        self.found.suspended_ended_s = self._until_ended(began_s)
        self.found.suspended_ms_a_call = 1000 * (time.monotonic() - began_s) / max(1, gone)
        self.found.suspended_asterisk_ms_a_call, self.found.suspended_service_ms_a_call = (
            1000 * (after_s - before_s) / max(1, gone)
            for before_s, after_s in zip(spent_s, self._spent_s(), strict=True)
        )
        return self.found.suspended_ended_s

    def hang_up_all(self) -> None:
        calls, began_s, (spent_s, _) = self.count_calls(), time.monotonic(), self._spent_s()
        self.asterisk.command("channel request hangup all")
        while self.count_calls() and time.monotonic() < began_s + SETTLE_S:
            time.sleep(0.1)
        self.found.hang_up_all_ms_a_call = 1000 * (time.monotonic() - began_s) / max(1, calls)
        self.found.hang_up_all_asterisk_ms_a_call = 1000 * (self._spent_s()[0] - spent_s) / max(1, calls)

    def _spent_s(self) -> tuple[float, float]:
        assert self.asterisk.process
        return processor_s(self.asterisk.process.pid), processor_s(self.service.pid)

    def _until_ready(self, act: Callable[[], None]) -> float:
        """Call `act`, and wait until the service reports that it is ready again; returns the seconds."""
        already, began_s = self.service.log().count("ready: Asterisk"), time.monotonic()
        act()
        while self.service.log().count("ready: Asterisk") == already:
            self.count_calls()
            if time.monotonic() > began_s + READY_S:
                return READY_S
            time.sleep(0.02)
        return time.monotonic() - began_s

    def _take_application(self) -> None:
        credentials = base64.b64encode(f"idtone:{self.asterisk.ari_password}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 — the lab's own Asterisk
            f"{self.asterisk.ari_url}/events?app=idtone",
            headers={
                "Authorization": f"Basic {credentials}",
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            },
        )
        try:
            urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 — the same
        except OSError as error:
            if "101" not in str(error):
                raise


AWAY: Final = frozenset({"restart", "kill"})
"""Events during which no service runs, so the hook decides new calls."""


HAPPENINGS: Final[Mapping[str, Callable[[ProgressBench], float | None]]] = {
    "restart": ProgressBench.restart,
    "hand-over": ProgressBench.reload,
    "kill": ProgressBench.kill,
    "reconnect": ProgressBench.reconnect,
    "hang-up": ProgressBench.hang_up_calls,
    "suspension": ProgressBench.suspend,
}


@contextmanager
def progress_bench(
    installation: AsteriskInstallation,
    scratch: Path,
    calls: int,
    endpoints: int,
    rate: float,
    window_s: float,
    tell: Callable[[str], None],
) -> Iterator[ProgressBench]:
    """Run Asterisk and the service for the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    registry = scratch / "registry.yaml"
    shutil.copy(LAB_REGISTRY, registry)
    asterisk = BusyAsterisk(installation, scratch / "pbx")
    asterisk.calls, asterisk.lines = calls, [f"line{at}" for at in range(endpoints)]
    try:
        service = Supervisor(asterisk, registry)
        with asterisk, called(scratch / "called") as answering:
            service.start(timeout_s=READY_S)
            try:
                yield ProgressBench(
                    asterisk, service, scratch, answering.port, rate, window_s, ProgressResults(calls, endpoints), tell
                )
            finally:
                service.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def measure(bed: ProgressBench, only: Sequence[str] = ()) -> ProgressResults:
    """Place the lasting calls, run all events or those in `only`, and check the evidence."""
    found = bed.found
    try:
        bed.fill()
        bed.measure_window("quiet")
        for what, happens in HAPPENINGS.items():
            if not only or what in only:
                bed.measure_window(what, partial(happens, bed))
                if what == "hang-up":
                    bed.offer(found.calls - bed.expected, [STOPPED])
        bed.hang_up_all()
        records = [each for each in bed.service.records().values() if each["status"]]
        found.records = len(records)
        found.incomplete = sum(not each["complete"] for each in records)
    except AsteriskDied as error:
        known = re.findall(r"\d+ of \d+|[a-z-]+", " ".join(row.what for row in found.rows)) or ["before all"]
        found.died = f"{error}, after {known[-1]}, with {bed.expected} calls"
    finally:
        for load in bed.loads:
            load.stop()
    return found


def main() -> int:
    parser = options(__doc__, calls=3000, endpoints=25, rate=15.0, window=20.0)
    parser.add_argument("--only", nargs="*", default=(), choices=HAPPENINGS, help="what happens; default all")
    chosen = parser.parse_args()
    end_in_order()
    began_s = time.monotonic()

    def tell(text: str) -> None:
        PROGRESS.print(f"{time.monotonic() - began_s:.0f} s: {text}")

    with (
        tempfile.TemporaryDirectory(prefix="idtone-progress-") as folder,
        progress_bench(
            find_or_get(), Path(folder), chosen.calls, chosen.endpoints, chosen.rate, chosen.window, tell
        ) as bed,
    ):
        found = measure(bed, chosen.only)
    shown: dict[str, Any] = asdict(found) | {"faults": found.faults}
    if not chosen.json:
        for fault in shown.pop("faults"):
            PROGRESS.print(fault)
        if rows := shown.pop("rows"):
            print_table("new calls beside those in progress", rows)
    report("calls in progress", shown, chosen.json)
    return int(bool(found.faults))


if __name__ == "__main__":
    sys.exit(main())
