"""Devices between the PBX and a phone: a NAT, a lossy network, a wrong address, a media relay.

Each is a proxy for SIP over UDP in front of one phone. It changes only the session descriptions, as such a device does.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from lab.asterisk import LOOPBACK, free_ports
from lab.rtp import Packet, parse_packet
from lab.sip import BRANCH_COOKIE, Address, Request, Response, SipError, parse

_HOST = re.compile(rb"(?<=c=IN IP4 )\S+")
_PORT = re.compile(rb"(?<=m=audio )\d+")
_RTCP = re.compile(rb"a=rtcp:[^\r\n]*\r\n")


class MediaPath(Protocol):
    """The changes of a call's session descriptions. `call` is its Call-ID."""

    async def offer(self, call: str, body: bytes) -> bytes:
        """Change the PBX's offer for the phone."""

    async def answer(self, call: str, body: bytes, status: int) -> bytes:
        """Change the phone's answer for the PBX."""

    async def close(self) -> None: ...


def change_media_address(body: bytes, host: str | None = None, port: int | None = None) -> bytes:
    """The session description with another media address. None keeps the host or the port."""
    if host:
        body = _HOST.sub(host.encode(), body)
    if port is not None:
        body = _PORT.sub(str(port).encode(), body)
    return _RTCP.sub(b"", body)


@dataclass
class AnnouncedAddress:
    """A phone that announces a wrong `host` or `port`. If `early`, it does so only before the answer."""

    host: str | None = None
    port: int | None = None
    early: bool = False

    async def offer(self, call: str, body: bytes) -> bytes:
        return body

    async def answer(self, call: str, body: bytes, status: int) -> bytes:
        return body if self.early and status == 200 else change_media_address(body, self.host, self.port)

    async def close(self) -> None:
        pass


@dataclass
class LossyNetwork:
    """A network that loses `percent` of the RTP packets in each direction, but no RTCP.

    It records the packets that reach the phone.
    """

    percent: int
    announced: str = LOOPBACK
    """Address that the phone announces. Behind NAT, it differs from the phone's own."""
    received: list[Packet] = field(default_factory=list)
    """Packets that reached the phone in the latest call."""
    _relays: dict[str, tuple[_Relay, _Relay]] = field(default_factory=dict)
    _random: random.Random = field(default_factory=lambda: random.Random(26))

    async def offer(self, call: str, body: bytes) -> bytes:
        self.received = []
        pair = self._relays[call] = await _relays(self)
        for relay in pair:
            relay.far = _address(body, relay.component)
        return change_media_address(body, LOOPBACK, pair[0].port)

    async def answer(self, call: str, body: bytes, status: int) -> bytes:
        for relay in self._relays[call]:
            relay.near = _address(body, relay.component)
        return change_media_address(body, self.announced, self._relays[call][0].port)

    def loses(self) -> bool:
        return self._random.random() * 100 < self.percent

    async def close(self) -> None:
        for pair in self._relays.values():
            for relay in pair:
                relay.transport.close()


class _Relay(asyncio.DatagramProtocol):
    """Relay of one component (RTP or RTCP) between the PBX (`far`) and the phone (`near`)."""

    def __init__(self, lossy: LossyNetwork, component: int) -> None:
        self.lossy, self.component, self.port = lossy, component, 0
        self.near: Address | None = None
        self.far: Address | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, source: Address) -> None:
        to = self.near if source == self.far else self.far
        if to is None or (self.component == 0 and self.lossy.loses()):
            return
        self.transport.sendto(data, to)
        if to == self.near and self.component == 0 and (packet := parse_packet(data, time.time_ns())):
            self.lossy.received.append(packet)


async def _relays(lossy: LossyNetwork) -> tuple[_Relay, _Relay]:
    """Relays for RTP and, at the next port, for RTCP."""
    loop = asyncio.get_running_loop()
    while True:
        while (first := free_ports(1, socket.SOCK_DGRAM)[0]) % 2:
            pass
        made: list[_Relay] = []
        try:
            for component in (0, 1):
                _, relay = await loop.create_datagram_endpoint(
                    lambda component=component: _Relay(lossy, component), local_addr=(LOOPBACK, first + component)
                )
                relay.port = first + component
                made.append(relay)
        except OSError:  # another program has the next port
            for relay in made:
                relay.transport.close()
            continue
        return made[0], made[1]


def _address(body: bytes, component: int) -> Address:
    host, port = _HOST.search(body), _PORT.search(body)
    assert host
    assert port
    return host[0].decode(), int(port[0]) + component


class NetworkDevice(asyncio.DatagramProtocol):
    """SIP proxy in front of the phone at `phone`. The PBX dials the proxy's `port`."""

    def __init__(self, phone: Address, media: MediaPath, port: int) -> None:
        self.phone, self.media, self.port = phone, media, port
        self._vias: dict[str, Address] = {}
        self._done: dict[tuple[str, str, int], bytes] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, source: Address) -> None:
        task = asyncio.create_task(self._pass(data, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ended(self) -> None:
        """Cancel all work in progress, so that no new media path is created."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass(self, data: bytes, source: Address) -> None:
        async with self._turn:
            try:
                message = parse(data)
            except SipError:
                return
            if isinstance(message, Request):
                await self._forward(message, source)
            else:
                await self._back(message)

    async def _forward(self, request: Request, source: Address) -> None:
        branch = request.branch
        # The same for a retransmission, a CANCEL and the ACK of a refusal, because they belong to one transaction.
        ours = f"{BRANCH_COOKIE}between{branch.removeprefix(BRANCH_COOKIE)}"
        self._vias[ours] = source
        if request.body and request.method == "INVITE":
            key = (request.call_id, branch, 0)
            if key not in self._done:
                self._done[key] = await self.media.offer(request.call_id, request.body)
            request.body = self._done[key]
        request.headers.insert(0, ("Via", f"SIP/2.0/UDP {LOOPBACK}:{self.port};branch={ours}"))
        request.uri = replace(request.uri, host=self.phone[0], port=self.phone[1])
        self.transport.sendto(request.encode(), self.phone)

    async def _back(self, response: Response) -> None:
        source = self._vias.get(response.branch)
        if source is None:
            return
        if response.body and response.sequence[1] == "INVITE":
            key = (response.call_id, response.branch, response.status)
            if key not in self._done:
                self._done[key] = await self.media.answer(response.call_id, response.body, response.status)
            response.body = self._done[key]
        del response.headers[next(at for at, each in enumerate(response.headers) if each[0].lower() == "via")]
        self.transport.sendto(response.encode(), source)


@asynccontextmanager
async def network_device(phone: Address, media: MediaPath) -> AsyncIterator[NetworkDevice]:
    """Context with a running proxy in front of this phone."""
    (port,) = free_ports(1, socket.SOCK_DGRAM)
    loop = asyncio.get_running_loop()
    transport, proxy = await loop.create_datagram_endpoint(
        lambda: NetworkDevice(phone, media, port), local_addr=(LOOPBACK, port)
    )
    try:
        yield proxy
    finally:
        transport.close()
        await proxy.ended()
        await media.close()
