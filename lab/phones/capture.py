"""A capture of a phone's ports on the loopback interface, independent of the phone. Needs root on Linux."""

import contextlib
import ctypes
import os
import socket
import struct
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final, Self

from lab.rtp import Packet, dropped, parse_packet

Address = tuple[str, int]

KEPT_NS: Final = 120_000_000_000
ANY: Final = "0.0.0.0"

_IPV4: Final = 0x0800
_UDP: Final = 17
_RTCP: Final = range(64, 96)
"""Payload types that RTP does not use, because RTCP at the same port looks like them (RFC 5761, 4)."""
_OCTETS: Final = 1 << 24
"""Size of the socket's buffer in octets, enough for some ten seconds of many calls."""
_SO_RCVBUFFORCE: Final = 33
"""Socket option for a buffer above the system's limit.

The value is from asm-generic/socket.h, because Python has no name for it.
"""
_SO_ATTACH_FILTER: Final = 26
_ONLY_UDP: Final = b"".join(
    struct.pack("@HBBI", *each)
    for each in ((0x30, 0, 0, 9), (0x15, 0, 1, _UDP), (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0))
)
"""Filter for the kernel (linux/filter.h).

Without it, TCP segments would fill the buffer, and packets of phones would be dropped.
"""


class Capture:
    """RTP packets on the loopback interface by destination port, captured while the context is open.

    Raises OSError on exit if it missed packets.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._packets: list[tuple[Address, Packet]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._listen, name="phones-capture")

    @staticmethod
    def possible() -> bool:
        return hasattr(socket, "AF_PACKET") and os.geteuid() == 0

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _OCTETS)
        steps = ctypes.create_string_buffer(_ONLY_UDP, len(_ONLY_UDP))
        self._socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_ONLY_UDP) // 8, ctypes.addressof(steps))
        )
        self._socket.bind(("lo", _IPV4))
        self._socket.settimeout(0.5)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._thread.join()
        lost = dropped(self._socket)
        self._socket.close()
        if lost:
            raise OSError(f"the capture read too late: {lost} packets on the loopback interface were dropped")

    def take(self, sockets: Collection[Address], since_ns: int, until_ns: int) -> list[Packet]:
        """The packets that arrived at these sockets between these times.

        Packets older than two minutes are dropped. The last packets of a call may arrive after the next call has begun,
        so a stream that began before `since_ns` is left out.
        """
        oldest_ns = time.time_ns() - KEPT_NS
        with self._lock:
            self._packets = [each for each in self._packets if each[1].arrival_ns >= oldest_ns]
            mine = [
                packet for (host, port), packet in self._packets if (host, port) in sockets or (ANY, port) in sockets
            ]
        before = {packet.ssrc for packet in mine if packet.arrival_ns < since_ns}
        return [packet for packet in mine if since_ns <= packet.arrival_ns <= until_ns and packet.ssrc not in before]

    def _listen(self) -> None:
        while not self._closing:
            with contextlib.suppress(TimeoutError):
                data, address = self._socket.recvfrom(65535)
                if address[2] != socket.PACKET_OUTGOING and (found := media(data)):  # loopback shows each twice
                    with self._lock:
                        self._packets.append(found)


def media(data: bytes) -> tuple[Address, Packet] | None:
    """The destination of an RTP packet and the packet, or None for another datagram."""
    start = (data[0] & 0x0F) * 4
    if data[9] != _UDP or len(data) < start + 8:
        return None
    packet = parse_packet(data[start + 8 :], time.time_ns())
    if packet is None or packet.payload_type in _RTCP:
        return None
    return (socket.inet_ntoa(data[16:20]), int.from_bytes(data[start + 2 : start + 4], "big")), packet


def sockets(process: int) -> set[Address]:
    """Addresses on which a process and its children listen on UDP."""
    inodes = set()
    for each in _family(process):
        with contextlib.suppress(OSError):
            for opened in Path(f"/proc/{each}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(opened.readlink().name)
    found = set()
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        local, inode = line.split()[1], line.split()[9]
        if f"socket:[{inode}]" in inodes:
            host, _, port = local.partition(":")
            found.add((socket.inet_ntoa(bytes.fromhex(host)[::-1]), int(port, 16)))
    return found


def _family(process: int) -> list[int]:
    found = [process]
    for each in found:
        for tasks in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in tasks.read_text().split()]
    return found
