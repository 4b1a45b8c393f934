"""One PBX with its service and the reference applications, for one load after another."""

import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from lab.asterisk import Asterisk
from lab.asterisk_installation import find_or_get
from lab.lab import LICENSED
from lab.processes import processor_s, resident_mb
from lab.publication import LAB_REGISTRY
from lab.repository import ROOT
from lab.service import Service
from lab.sipp import Arrival, Load, Outcome, called
from lab.site import BARE

from .forwarding_ways import ANSWERED_BY_REFERENCE, ANSWERER, EXTENSIONS, NOTIFY, REFERENCE, Way
from .packet_sink import PacketSink
from .run_statistics import Run, Sample

SOUND_MS: Final = 440.0
HOLD_S: Final = 0.2
SETTLE_S: Final = 20.0
ONSET_WITHIN_S: Final = 5.0
MILLISECOND: Final = timedelta(milliseconds=1)
"""Resolution of the times in records."""


@dataclass(frozen=True, slots=True)
class ServiceObservation:
    """The failed calls of a load, and the service's highest resident memory (MB) during the load."""

    failed: int
    most_mb: float


@dataclass
class CostBench:
    """The PBX, the service and the reference applications of a measurement.

    Create it with `cost_bench`.
    """

    asterisk: Asterisk
    service: Service
    reference: subprocess.Popen[str]
    scratch: Path
    loads: int = 0
    left: int = 0
    """Channels of earlier loads that even a hang-up did not end; later loads do not count them."""

    def run(self, way: Way, rate: float, seconds: float, hold_s: float = HOLD_S) -> Run:
        """Run a load, wait until its last call has ended, and return its results."""
        self.loads += 1
        folder = self.scratch / f"load-{self.loads}"
        pids = self._pids(way)
        began = datetime.now(UTC)
        spent_s = [processor_s(pid) for pid in pids]
        with PacketSink() as sink:
            with called(folder / "called", sink.port) as answering:
                load = Load(
                    self.asterisk.sip_address,
                    answering.port,
                    [LICENSED],
                    rate,
                    seconds,
                    folder / "caller",
                    f"{way}",
                    hold_s,
                )
                outcomes = load.outcomes()
                left = self._settle()
            heard = sink.by_port()
        spent_s = [processor_s(pid) - then for pid, then in zip(pids, spent_s, strict=True)]
        return Run(
            way=way,
            rate=rate,
            offered=load.offered,
            samples=tuple(_samples(way, outcomes, answering.arrivals(), heard)),
            retransmissions=load.retransmissions(),
            asterisk_ms_per_call=1000 * spent_s[0] / load.offered,
            service_ms_per_call=1000 * spent_s[1] / load.offered if len(pids) > 1 else 0.0,
            resident_mb=resident_mb(pids[1]) if len(pids) > 1 else None,
            records=self.records(began) if way.uses_hook else None,
            left=left,
        )

    def run_and_observe(self, way: Way, rate: float, seconds: float, hold_s: float) -> ServiceObservation:
        """Run a load; returns its failed calls, and the service's highest memory (MB) during it."""
        (_, service) = self._pids(way)
        most_mb, over = 0.0, threading.Event()

        def look() -> None:
            nonlocal most_mb
            while not over.wait(0.5):
                most_mb = max(most_mb, resident_mb(service))

        looking = threading.Thread(target=look)
        looking.start()
        try:
            run = self.run(way, rate, seconds, hold_s)
        finally:
            over.set()
            looking.join()
        return ServiceObservation(run.failed, most_mb)

    def _pids(self, way: Way) -> list[int]:
        """The pid of Asterisk, and that of the way's application, if it has one."""
        asterisk, service = self.asterisk.process, self.service.process
        assert asterisk
        assert service
        beside = [service.pid] if way.uses_hook else [self.reference.pid] if way in ANSWERED_BY_REFERENCE else []
        return [asterisk.pid, *beside]

    def records(self, since: datetime) -> int:
        """Number of complete records of calls that were connected after all their sounds.

        Only calls since `since` count.
        """
        return sum(
            record["complete"]
            and record["known_by"].keys() == record["profiles"].keys()
            and record["status"] == "CONNECTED"
            for record in self.service.records(since).values()
            if datetime.fromisoformat(min(record["times"].values())) >= since - MILLISECOND
        )

    def _settle(self) -> int:
        """Wait until the last call has ended. Hang up the channels that remain, and return their number."""
        left = self._left()
        if left:
            self.asterisk.command("channel request hangup all")
            self.left += self._left()
        time.sleep(0.3)  # wait for the evidence of the last calls
        return left

    def _left(self) -> int:
        deadline_s = time.monotonic() + SETTLE_S
        while (channels := self.asterisk.channels()) > self.left and time.monotonic() < deadline_s:
            time.sleep(0.1)
        self.left = min(self.left, channels)
        return channels - self.left


def _samples(
    way: Way, outcomes: Sequence[Outcome], arrivals: Sequence[Arrival], heard: Mapping[int, list[float]]
) -> Iterator[Sample]:
    """Samples of the connected calls. If the way has a sound, calls whose phone did not hear it are left out."""
    came = {arrival.call: arrival for arrival in arrivals}
    for outcome in outcomes:
        arrival = came.get(f"c{outcome.call}")
        if outcome.status != 200 or arrival is None:
            continue
        onset_s = _first(heard.get(arrival.port, []), arrival.answered_s)
        if onset_s is None and way.has_sound:
            continue
        yield Sample(
            post_dial_ms=1000 * (arrival.came_s - outcome.sent_s),
            onset_ms=None if onset_s is None else 1000 * (onset_s - arrival.answered_s),
            connected_ms=1000 * (outcome.final_s - arrival.answered_s) - (SOUND_MS if way.has_sound else 0.0),
        )


def _first(streams: Sequence[float], answered_s: float) -> float | None:
    at = bisect_left(streams, answered_s)
    return streams[at] if at < len(streams) and streams[at] < answered_s + ONSET_WITHIN_S else None


@contextmanager
def cost_bench(scratch: Path, registry: Path = LAB_REGISTRY) -> Iterator[CostBench]:
    """Start a PBX, the service and the reference applications for the block."""
    with (
        Asterisk(find_or_get(), scratch / "pbx", {"extensions.conf": EXTENSIONS}, site=BARE) as asterisk,
        Service(asterisk, registry, NOTIFY) as service,
        _reference(asterisk, scratch) as reference,
    ):
        yield CostBench(asterisk, service, reference, scratch)


@contextmanager
def _reference(asterisk: Asterisk, scratch: Path) -> Iterator[subprocess.Popen[str]]:
    password = scratch / "reference.password"
    password.write_text(asterisk.ari_password)
    with (
        (scratch / "reference.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "bench.cost.reference_applications", asterisk.ari_url, password, asterisk.sounds],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout
            if [process.stdout.readline() for _ in (REFERENCE, ANSWERER)] != ["ready\n"] * 2:
                raise RuntimeError(f"the reference does not start: {(scratch / 'reference.log').read_text()[-2000:]}")
            yield process
        finally:
            process.terminate()
