"""SIP as octets: a caller whose messages no SIP library would write, and phones that only count calls.

The lab's normal phones rightly refuse to write or read most of these messages.
"""

import asyncio
import contextlib
import re
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import Final, Self

from lab.rtp import HOST, Address

REPEATS_S: Final = (0.25, 0.5, 0.75)
"""Seconds without a response before a message is repeated.

A message without a response was not understood.
"""
FINAL_S: Final = 10.0
"""Seconds to wait for the final response."""
_UNRESERVED: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/")
"""Characters that need no escape in a user part (RFC 3261, 25.1)."""


def escape_user(user: bytes) -> bytes:
    """The octets, escaped as in the user part of a SIP URI."""
    return b"".join(bytes([octet]) if octet in _UNRESERVED else b"%%%02x" % octet for octet in user)


def quote_name(name: bytes) -> bytes:
    """The octets as a quoted display name, with a space in place of each line break or NUL."""
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", re.sub(rb"[\r\n\0]", b" ", name)) + b'"'


def sdp(port: int = 40_000) -> bytes:
    return (f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n").encode()


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an INVITE that other programs read, as octets that are escaped by SIP's rules."""

    called: bytes
    caller: bytes = b"05012345678"
    name: bytes = b""
    diverted: bytes = b""
    history: bytes = b""

    def invite(self, via: Address, to: Address, headers: bytes = b"") -> bytes:
        own = b"%s:%d" % (via[0].encode(), via[1])
        called = b"<sip:%s@%s:%d>" % (escape_user(self.called), to[0].encode(), to[1])
        lines = [
            b"INVITE %s SIP/2.0" % called[1:-1],
            b"Via: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport" % (own, secrets.token_hex(8).encode()),
            b"Max-Forwards: 70",
            b"From: %s <sip:%s@%s>;tag=1" % (quote_name(self.name), escape_user(self.caller), own),
            b"To: " + called,
            b"Call-ID: " + secrets.token_hex(8).encode(),
            b"CSeq: 1 INVITE",
            b"Contact: <sip:attacker@%s>" % own,
            b"Content-Type: application/sdp",
        ]  # fmt: skip
        if self.diverted:
            name, user = quote_name(self.name), escape_user(self.diverted)
            lines.append(b"Diversion: %s <sip:%s@%s>;reason=unconditional" % (name, user, own))
        if self.history:
            lines.append(b"History-Info: <sip:%s@%s>;index=1" % (escape_user(self.history), own))
        body = sdp()
        return b"\r\n".join([*lines, headers + b"Content-Length: %d" % len(body), b"", body])


class Endpoint(asyncio.DatagramProtocol):
    """A UDP port that sends and receives datagrams."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self.socket.bind((HOST, 0))
        self.address: Address = self.socket.getsockname()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=self.socket)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport:
            self._transport.close()

    def send(self, data: bytes, address: Address) -> None:
        assert self._transport
        self._transport.sendto(data, address)


def header(message: bytes, name: bytes) -> bytes:
    """The first header with this name, including its line break, or empty bytes if it is missing."""
    found = re.search(rb"(?im)^%s[ \t]*:[^\r\n]*\r\n" % re.escape(name), message)
    return found[0] if found else b""


def call_id(message: bytes) -> bytes:
    return (header(message, b"Call-ID") or header(message, b"i")).partition(b":")[2].strip()


class Attacker(Endpoint):
    """Sends hostile messages and returns the final status of each."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: set[bytes] = set()
        """Call-IDs of all answered messages."""
        self._waiting: dict[bytes, asyncio.Queue[bytes]] = {}

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if not data.startswith(b"SIP/2.0 "):  # a BYE, or a request for this endpoint
            self.send(respond(data, b"200 OK"), addr)
            return
        self.heard.add(call_id(data))
        if waiting := self._waiting.get(call_id(data)):
            waiting.put_nowait(data)

    async def send_invite(self, invite: bytes, address: Address) -> int:
        """Send an INVITE and return the final status, or 0 without any response.

        Hangs up an answered call at once. Raises TimeoutError if only provisional responses arrive.
        """
        responses = self._waiting[call_id(invite)] = asyncio.Queue()
        response = b""
        for repeat_s in REPEATS_S:
            self.send(invite, address)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(repeat_s):
                    response = await responses.get()
                    break
        else:
            return 0
        async with asyncio.timeout(FINAL_S):
            while response[8:9] == b"1":
                response = await responses.get()
        status = int(response[8:11])
        self.send(self._follow(invite, response, b"ACK", b"1"), address)
        if status == 200:
            self.send(self._follow(invite, response, b"BYE", b"2"), address)
        return status

    def _follow(self, invite: bytes, response: bytes, method: bytes, number: bytes) -> bytes:
        success = response[8:9] == b"2"
        uri = re.search(rb"<([^>]*)>", header(response, b"Contact")) if success else None
        target = uri[1] if uri else invite.split(b" ", 2)[1]
        via = header(invite, b"Via")
        if success:
            via = re.sub(rb"branch=[^;\r]*", b"branch=z9hG4bK" + secrets.token_hex(8).encode(), via)
        kept = b"".join(header(message, name) for message, name in ((invite, b"From"), (response, b"To")))
        return (
            b"%s %s SIP/2.0\r\n" % (method, target)
            + via
            + kept
            + header(invite, b"Call-ID")
            + b"CSeq: %s %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n" % (number, method)
        )


def respond(request: bytes, status: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    copied = b"".join(header(request, name) for name in (b"Via", b"From", b"Call-ID", b"CSeq"))
    to = header(request, b"To").rstrip()
    tag = b"" if b";tag=" in to else b";tag=" + secrets.token_hex(4).encode()
    return (
        b"SIP/2.0 %s\r\n" % status
        + copied
        + to
        + tag
        + b"\r\n"
        + headers
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )


@dataclass(eq=False)
class Counter(Endpoint):
    """A phone that is always busy, or always answers. It records the Request-URI of each INVITE."""

    answering: bool = False
    invited: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._seen: set[bytes] = set()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        method, _, rest = data.partition(b" ")
        if method == b"INVITE":
            if call_id(data) not in self._seen:
                self._seen.add(call_id(data))
                self.invited.append(rest.partition(b" ")[0])
            self.send(self._answer(data), addr)
        elif method not in (b"ACK", b"SIP/2.0"):
            self.send(respond(data, b"200 OK"), addr)

    def _answer(self, invite: bytes) -> bytes:
        if not self.answering:
            return respond(invite, b"486 Busy Here")
        contact = f"Contact: <sip:lab@{self.address[0]}:{self.address[1]}>\r\n".encode()
        return respond(invite, b"200 OK", contact + b"Content-Type: application/sdp\r\n", sdp())

    def users_of(self, call: str) -> list[bytes]:
        """Users that a call of the lab dialled at this phone. The call's mark in the Request-URI identifies it."""
        mark = b";lab=" + call.encode()
        return [uri.removeprefix(b"sip:").partition(b"@")[0] for uri in self.invited if uri.endswith(mark)]


def unique_name() -> str:
    return f"h{time.time_ns():x}{secrets.token_hex(3)}"
