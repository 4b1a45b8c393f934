"""The receiver of the called phones' media, which records the first packet of each stream."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Final

from lab.asterisk import LOOPBACK

_ROOM: Final = 8 * 1024 * 1024
_STAMP: Final = struct.Struct("qq")
_SO_TIMESTAMPNS: Final = 35
"""Socket option of Linux; Python has no name for it."""


class PacketSink:
    """A receiver of RTP packets.

    A stream is a source port and an SSRC, because Asterisk reuses its ports.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((LOOPBACK, 0))
        self._socket.settimeout(0.2)
        self.port: int = self._socket.getsockname()[1]
        self._first: dict[tuple[int, bytes], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> PacketSink:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                octets, ancillary, _, (_, port) = self._socket.recvmsg(256, 64)
            except TimeoutError:
                continue
            stream = (port, octets[8:12])
            if stream not in self._first:
                # The kernel's time of arrival: this thread may be late.
                seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
                self._first[stream] = seconds + nanoseconds / 1e9

    def by_port(self) -> dict[int, list[float]]:
        """Times of the streams' first packets by source port, in seconds since the epoch, in order."""
        found: dict[int, list[float]] = {}
        for (port, _), at in sorted(self._first.items(), key=lambda each: each[1]):
            found.setdefault(port, []).append(at)
        return found
