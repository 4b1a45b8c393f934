"""RTP (RFC 3550): one thread sends and receives for all streams of a lab.

Received packets have the kernel's time stamp (SO_TIMESTAMPNS, CLOCK_REALTIME), so the scheduling of this process does
not affect measurements. Sent packets follow an absolute schedule: a late packet does not delay the next. All times are
nanoseconds of `time.time_ns()`.
"""

from __future__ import annotations

import errno
import heapq
import os
import random
import select
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import count, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from .codecs import CODECS, FRAME, encode_frames
from .g711 import PCMU, Samples

if TYPE_CHECKING:
    from .srtp import Srtp

Address = tuple[str, int]

HOST: Final = "127.0.0.1"
FRAME_NS: Final = 20_000_000

SWITCH_INTERVAL_S: Final = 0.0005
"""Maximum time in seconds that another thread may hold the interpreter.

Python's default of 5 ms would be audible.
"""
_HEADER: Final = struct.Struct("!BBHII")
_REPORT: Final = struct.Struct("!BBHIIIIIII")
"""A receiver report with one block (RFC 3550, 6.4.2)."""
_TIMESPEC: Final = struct.Struct("@qq")
# asm-generic/socket.h and linux/sock_diag.h: Python has no names for these constants
_SO_TIMESTAMPNS: Final = 35
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("@9I")
_DROPS: Final = 8
"""Index of the drop counter in _MEMINFO."""
_ANCILLARY: Final = socket.CMSG_SPACE(_TIMESPEC.size)


class Packet(NamedTuple):
    """One received RTP packet."""

    arrival_ns: int
    sequence: int
    timestamp: int
    ssrc: int
    payload_type: int
    payload: bytes


class Inserted(NamedTuple):
    """A packet that replaces 20 ms of the voice."""

    payload_type: int
    payload: bytes
    age: int = 0
    """Number of packets since the start of the event. All packets of an event carry the time of its start."""
    marked: bool = False


class Stream:
    """RTP socket of one party, created by `Media.open`. `packets` holds all packets that it received."""

    def __init__(self, media: Media) -> None:
        self.packets: list[Packet] = []
        self.started_ns: int | None = None
        """Time of the first sent packet."""
        self.worst_delay_ms = 0.0
        """Largest delay in ms of a sent packet behind the schedule, which is the lab's own error."""
        self._media = media
        self._rtp, self._rtcp = _bind_pair(media.host)
        self.port: int = self._rtp.getsockname()[1]
        self._sequence, self._timestamp, self._ssrc = (random.getrandbits(bits) for bits in (16, 32, 32))
        self.remote: Address = (media.host, 0)
        """Destination of the next packet. It may be changed at any time."""
        self.quiet = False
        """True if nothing is sent while the timestamps continue. It may be changed at any time."""
        self.payload_type = PCMU
        """Payload type of sent packets."""
        self._frames: Sequence[bytes] = ()
        self._ticks = FRAME
        self._next = 0
        self._inserted: deque[Inserted] = deque()
        self._due_ns = 0
        self.reports_s: float | None = None
        """Interval of its reports in seconds, or None if it sends no reports."""
        self.srtp = _srtp() if media.srtp else None
        self._reported_ns = 0

    def fileno(self) -> int:
        return self._rtp.fileno()

    @property
    def speaking(self) -> bool:
        return bool(self._frames)

    def speak(self, remote: Address, payload_type: int, voice: Samples) -> None:
        """Send `voice` (complete frames) to `remote` in a loop.

        The loop ends with the next call of `speak`, or when the stream is closed.
        """
        self.transmit(remote, payload_type, encode_frames(voice, payload_type), CODECS[payload_type].ticks)

    def transmit(self, remote: Address, payload_type: int, frames: Sequence[bytes], ticks: int) -> None:
        """Send encoded payloads in a loop, as `speak` does. Each is 20 ms, or `ticks` of the RTP clock."""
        with self._media.lock:
            fresh = not self._frames
            self.remote, self.payload_type, self._frames, self._next = remote, payload_type, frames, 0
            self._ticks = ticks
            if fresh:
                now_ns = self._due_ns = time.time_ns()
                self._media.schedule(self, self.send(now_ns))

    @property
    def key(self) -> str:
        """Our key for the session description, or an empty string without encryption."""
        return self.srtp.key if self.srtp else ""

    def agree(self, remote: Address, key: str) -> None:
        """Send to `remote` from now on, and decrypt received packets with this key."""
        self.remote = remote
        if self.srtp:
            self.srtp.accept(key)

    def insert(self, packets: Iterable[Inserted]) -> None:
        """Send these packets in place of the voice, which continues afterwards at its scheduled position."""
        with self._media.lock:
            self._inserted.extend(packets)

    def close(self) -> None:
        """Stop sending and receiving. `packets` is kept and complete from then on."""
        self._media.close_stream(self)

    def send(self, now_ns: int) -> int:
        """Send the frame that is due, and return the time of the next one."""
        if not self.quiet:
            packet = self._packet()
            if not self._media.loses():
                self._rtp.sendto(self.srtp.protect(packet) if self.srtp else packet, self.remote)
            self._sequence = (self._sequence + 1) & 0xFFFF
        self.started_ns = self.started_ns or now_ns
        self.worst_delay_ms = max(self.worst_delay_ms, (now_ns - self._due_ns) / 1e6)
        self._next = (self._next + 1) % len(self._frames)
        self._timestamp = (self._timestamp + self._ticks) & 0xFFFFFFFF
        self._due_ns += FRAME_NS
        if self.reports_s is not None and now_ns - (self._reported_ns or self.started_ns) >= self.reports_s * 1e9:
            self._reported_ns = now_ns
            self.report()
        return self._due_ns

    def report(self) -> None:
        """Send an RTCP report about the present source, if any packet came from it (RFC 3550, 6.4.2)."""
        source = [packet for packet in self.packets if packet.ssrc == self.packets[-1].ssrc]
        if not source:
            return
        highest = source[0].sequence + max((each.sequence - source[0].sequence) & 0xFFFF for each in source)
        lost = highest - source[0].sequence + 1 - len(source)
        block = (source[0].ssrc, lost & 0xFFFFFF, highest, _jitter(source), 0, 0)
        host, port = self.remote
        report = _REPORT.pack(0x81, 201, 7, self._ssrc, *block)
        self._rtcp.sendto(self.srtp.protect_report(report) if self.srtp else report, (host, port + 1))

    def _packet(self) -> bytes:
        voice = Inserted(self.payload_type, self._frames[self._next], marked=self.started_ns is None)
        payload_type, payload, age, marked = self._inserted.popleft() if self._inserted else voice
        timestamp = (self._timestamp - age * self._ticks) & 0xFFFFFFFF
        header = _HEADER.pack(0x80, (0x80 if marked else 0) | payload_type, self._sequence, timestamp, self._ssrc)
        return header + payload

    def receive(self) -> bool:
        """Receive one datagram. Returns False if none is waiting."""
        received = receive_stamped(self._rtp)
        if received is None:
            return False
        data, arrival_ns, _ = received
        plain = self.srtp.unprotect(data) if self.srtp else data
        packet = parse_packet(plain, arrival_ns) if plain else None
        if packet and not self._media.loses():
            self.packets.append(packet)
        return True

    def close_sockets(self) -> int:
        """Close the sockets, and return the number of packets that the kernel dropped.

        The kernel drops packets that are not read in time.
        """
        lost = dropped(self._rtp)
        self._rtp.close()
        self._rtcp.close()
        return lost


class Media:
    """The thread of all streams of a lab, used as a context manager.

    Raises OSError on exit if the lab itself lost packets, because the captures then do not show what Asterisk sent.
    `host` is the address of the streams. `loss` is the percentage of packets lost in each direction. If `srtp`, all
    packets are encrypted.
    """

    def __init__(self, host: str = HOST, loss: int = 0, srtp: bool = False) -> None:
        self.host = host
        self.srtp = srtp
        self._loss = loss
        self._chance = random.Random(loss)
        self.lock = threading.Lock()
        """Held while streams are served or changed, but not while the thread waits."""
        self._streams: dict[int, Stream] = {}
        self._schedule: list[tuple[int, int, Stream]] = []
        self._tie = count()
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._closing = False
        self._dropped = 0
        self._switch_interval_s = sys.getswitchinterval()
        self._thread = threading.Thread(target=self._serve, name="lab-media")

    def __enter__(self) -> Self:
        self._switch_interval_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._stamping = stamping()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        sys.setswitchinterval(self._switch_interval_s)
        for stream in list(self._streams.values()):
            self.close_stream(stream)
        self._stamping.close()
        self._poll.close()
        os.close(self._wake)
        if self._dropped:
            raise OSError(f"the lab's phones read too late: {self._dropped} packets that came to them were dropped")

    def open(self) -> Stream:
        """Open a stream that listens on a free even port."""
        stream = Stream(self)
        with self.lock:
            self._streams[stream.fileno()] = stream
            self._poll.register(stream, select.EPOLLIN)
        return stream

    def schedule(self, stream: Stream, due_ns: int) -> None:
        """Make the stream send from `due_ns` on. The caller must hold the lock."""
        heapq.heappush(self._schedule, (due_ns, next(self._tie), stream))
        if self._schedule[0][2] is stream:
            os.eventfd_write(self._wake, 1)

    def loses(self) -> bool:
        """True if the next packet must be lost."""
        return self._chance.randrange(100) < self._loss

    def close_stream(self, stream: Stream) -> None:
        with self.lock:
            if self._streams.pop(stream.fileno(), None):
                self._schedule = [entry for entry in self._schedule if entry[2] is not stream]
                heapq.heapify(self._schedule)
                self._poll.unregister(stream)
                while stream.receive():
                    pass
                self._dropped += stream.close_sockets()

    def _serve(self) -> None:
        while not self._closing:
            events = self._poll.poll(self._wait_s())
            with self.lock:
                self._send_due()
                for descriptor, _ in events:
                    if descriptor == self._wake:
                        os.eventfd_read(self._wake)
                    elif descriptor in self._streams:
                        # There may be nothing to receive: since the poll, a closed stream's descriptor may belong to a
                        # new stream.
                        self._streams[descriptor].receive()

    def _wait_s(self) -> float | None:
        with self.lock:
            return max(0.0, (self._schedule[0][0] - time.time_ns()) / 1e9) if self._schedule else None

    def _send_due(self) -> None:
        # Packets due later than now must wait: on an overloaded machine, other threads must still get the lock.
        due_ns = time.time_ns()
        while self._schedule and self._schedule[0][0] <= due_ns:
            stream = self._schedule[0][2]
            heapq.heapreplace(self._schedule, (stream.send(time.time_ns()), next(self._tie), stream))


def _jitter(packets: Sequence[Packet]) -> int:
    """Jitter of the packets (RFC 3550, 6.4.1), in units of 8 kHz.

    It is at least 1 for two packets or more, because it is often 0 on the loopback interface.
    """
    jitter = 0.0
    for before, packet in pairwise(packets):
        late = (packet.arrival_ns - before.arrival_ns) * 8 // 1_000_000 - (packet.timestamp - before.timestamp)
        jitter += (abs(late) - jitter) / 16
    return max(1, min(round(jitter), 0xFFFFFFFF)) if len(packets) > 1 else 0


def parse_packet(data: bytes, arrival_ns: int) -> Packet | None:
    """The packet in a datagram, or None if it is not RTP version 2 (RFC 3550, 5.1)."""
    if len(data) < _HEADER.size or data[0] >> 6 != 2:
        return None
    flags, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    start, end = _HEADER.size + 4 * (flags & 0x0F), len(data)
    if flags & 0x10:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if flags & 0x20:
        end -= data[-1]
    return Packet(arrival_ns, sequence, timestamp, ssrc, second & 0x7F, data[start:end]) if start <= end else None


def _srtp() -> Srtp:
    from .srtp import Srtp  # a library for tests, which the demo does not have

    return Srtp()


def stamp_arrivals(udp: socket.socket) -> None:
    """Make the kernel record the arrival of each datagram."""
    udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def dropped(opened: socket.socket) -> int:
    """Number of datagrams that the kernel dropped because the socket's buffer was full."""
    counts = opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    return int(_MEMINFO.unpack(counts)[_DROPS])


def stamping() -> socket.socket:
    """A socket that keeps the kernel's time stamps switched on while it is open. Raises OSError.

    The kernel switches time stamps on shortly after the first socket requests them. Until then, the stamp of a datagram
    is the time when it is read. This happened to two of the first five datagrams in a test.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((HOST, 0))
    udp.setblocking(False)
    stamp_arrivals(udp)
    for _ in range(500):
        udp.sendto(b"", udp.getsockname())
        sent_ns = time.time_ns()
        time.sleep(0.002)
        received = receive_stamped(udp)
        if received and received[1] <= sent_ns:
            return udp
    raise OSError("the kernel does not stamp datagrams when they arrive")


def receive_stamped(udp: socket.socket) -> tuple[bytes, int, Address] | None:
    """A datagram, its arrival time from the kernel (CLOCK_REALTIME, ns) and its sender, or None if none is waiting."""
    try:
        data, ancillary, _, (host, port, *_) = udp.recvmsg(65536, _ANCILLARY)
    except BlockingIOError:
        return None
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            return data, seconds * 1_000_000_000 + nanoseconds, (host, port)
    raise OSError("the kernel did not say when a datagram arrived; the lab needs Linux with SO_TIMESTAMPNS")


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bind_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Sockets on an even port and the next odd one, so that no other program receives our RTCP."""
    while True:
        rtp, rtcp = (socket.socket(family(host), socket.SOCK_DGRAM) for _ in range(2))
        try:
            rtp.bind((host, 0))
            port = rtp.getsockname()[1]
            if port % 2 == 0:
                rtcp.bind((host, port + 1))
                rtp.setblocking(False)
                stamp_arrivals(rtp)
                return rtp, rtcp
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        rtp.close()
        rtcp.close()
