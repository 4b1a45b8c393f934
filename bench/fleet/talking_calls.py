"""The cost of a call with talk beside that of silent calls: processor time, memory, open files.

    python -m bench.fleet.talking_calls [--calls 200] [--seconds 20] [--json]

Both parties send a packet each 20 ms (G.711), and Asterisk relays it. Lost packets would make the figures too small, so
the packets that arrive are counted.
"""

import os
import resource
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from lab.asterisk import LOOPBACK
from lab.asterisk_installation import find_or_get
from lab.lab import LICENSED
from lab.processes import end_in_order, open_files, processor_s, resident_mb
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.sipp import Load, called

from ..bench_output import PROGRESS, options, report
from ..calls_in_progress import READY_S, BusyAsterisk

RATE: Final = 20.0
PACKET_S: Final = 0.02
PARTS: Final = 10
"""Number of groups of calls. Their packets are spread over the 20 ms, because real calls do not send in step."""
SOUND_OVER_S: Final = 3.0
ROOM: Final = 8 * 1024 * 1024
RELAYED: Final = 0.98
"""The smallest share of packets that must arrive."""


@dataclass(frozen=True, slots=True)
class TalkResults:
    """The cost of one call in progress."""

    calls: int
    asterisk_ms_per_s: float
    """Asterisk's processor time for each second in which both parties send."""
    silent_asterisk_ms_per_s: float
    asterisk_mb: float
    open_files: float
    relayed: float
    """The share of packets that arrived."""


class _Receiver:
    """A thread that counts received packets."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        self.socket.bind((LOOPBACK, 0))
        self.socket.settimeout(0.2)
        self.port: int = self.socket.getsockname()[1]
        self.count = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.socket.recv(256)
            except TimeoutError:
                continue
            self.count += 1


@contextmanager
def receiver() -> Iterator[_Receiver]:
    """Run a receiver for the called parties during the block."""
    found = _Receiver()
    thread = threading.Thread(target=found.run)
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        thread.join()
        found.socket.close()


@contextmanager
def _started(service: Service) -> Iterator[None]:
    service.start(timeout_s=READY_S)
    try:
        yield
    finally:
        service.stop()


def rtp_ports(pid: int) -> list[int]:
    """RTP ports of all legs at Asterisk: its open even ports in `BusyAsterisk`'s range."""
    own = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    sockets = (line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:])
    ports = {int(each[1].rpartition(":")[2], 16) for each in sockets if f"socket:[{each[9]}]" in own}
    return sorted(port for port in ports if 5000 <= port < 20_000 and port % 2 == 0)


def send_talk(ports: Sequence[int], seconds: float) -> int:
    """Send packets to all ports; returns the number of packets for each port."""
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        began_s = time.monotonic()
        while time.monotonic() < began_s + seconds:
            for part in range(PARTS):
                packet = struct.pack("!BBHII", 0x80, 0, sent & 0xFFFF, 160 * sent & 0xFFFFFFFF, 7) + b"\xff" * 160
                for port in ports[part::PARTS]:
                    sender.sendto(packet, (LOOPBACK, port))
                due_s = began_s + (sent + (part + 1) / PARTS) * PACKET_S
                time.sleep(max(0.0, due_s - time.monotonic()))
            sent += 1
    return sent


def measure(scratch: Path, calls: int, seconds: float) -> TalkResults:
    """Measure silent calls, then the same calls with talk, and return the cost."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asterisk = BusyAsterisk(find_or_get(), scratch / "pbx")
    asterisk.calls, asterisk.lines = calls, ["line0", "line1", "line2", "line3"]
    try:
        service = Service(asterisk, LAB_REGISTRY)
        with (
            asterisk,
            _started(service),
            receiver() as heard,
            called(scratch / "called", heard.port) as answering,
        ):
            assert asterisk.process
            pid = asterisk.process.pid
            empty_mb, empty_files = resident_mb(pid), open_files(pid)
            load = Load(
                asterisk.sip_address,
                answering.port,
                [LICENSED],
                RATE,
                calls / RATE,
                scratch / "caller",
                hold_s=calls / RATE + SOUND_OVER_S + 3 * seconds,
                endpoints=asterisk.lines,
            )
            try:
                time.sleep(calls / RATE + SOUND_OVER_S)
                ports, up = rtp_ports(pid), asterisk.channels() // 2
                if (up, len(ports)) != (calls, 2 * calls):
                    raise RuntimeError(f"{up} calls with {len(ports)} ports are up instead of {calls}")
                mb, files = resident_mb(pid) - empty_mb, open_files(pid) - empty_files
                spent_s = [processor_s(pid)]
                time.sleep(seconds)
                spent_s.append(processor_s(pid))
                before = heard.count
                sent = send_talk(ports, seconds)
                spent_s.append(processor_s(pid))
                time.sleep(0.5)
                relayed = (heard.count - before) / (sent * calls)
            finally:
                load.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if relayed < RELAYED:
        raise RuntimeError(f"only {relayed:.0%} of the packets arrived: the machine has other work")
    silent_s, talking_s = (after_s - before_s for before_s, after_s in pairwise(spent_s))
    return TalkResults(
        calls,
        1000 * talking_s / (sent * PACKET_S) / calls,
        1000 * silent_s / seconds / calls,
        mb / calls,
        files / calls,
        relayed,
    )


def main() -> None:
    chosen = options(__doc__, calls=200, seconds=20.0).parse_args()
    end_in_order()
    with tempfile.TemporaryDirectory(prefix="idtone-talking-") as folder:
        PROGRESS.print(f"{chosen.calls} calls …")
        found = measure(Path(folder), chosen.calls, chosen.seconds)
    report("a call in progress", asdict(found), chosen.json)


if __name__ == "__main__":
    main()
