"""Test sockets that act as nodes and as a carrier, connected by a real Kamailio."""

import re
import select
import socket
import time
from dataclasses import dataclass

from lab.asterisk import LOOPBACK, free_ports
from lab.kamailio import Kamailio
from lab.sip import Address

WITHIN_S = 60.0


def invite(dialled: str, proxy: Address, sender: Address, call: str, more: str = "") -> bytes:
    here = f"{sender[0]}:{sender[1]}"
    lines = (
        f"INVITE sip:{dialled}@{proxy[0]}:{proxy[1]} SIP/2.0", f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{call}",
        f"From: <sip:05012345678@{sender[0]}>;tag=t{call}", f"To: <sip:{dialled}@{proxy[0]}>", f"Call-ID: {call}",
        "CSeq: 1 INVITE", f"Contact: <sip:x@{here}>", "Max-Forwards: 70", f"{more}Content-Length: 0",
    )  # fmt: skip
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


@dataclass
class Peer:
    """A UDP socket that acts as a node or as a carrier."""

    socket: socket.socket

    @property
    def address(self) -> Address:
        return self.socket.getsockname()  # type: ignore[no-any-return]

    def next(self, beginning: str, call: str) -> str:
        """Wait for the next message of a call that starts with `beginning`, and return it.

        Skips other messages, and answers OPTIONS.
        """
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            left_s = max(0.0, deadline_s - time.monotonic())
            assert select.select([self.socket], [], [], left_s)[0], f"no {beginning}"
            assert left_s, f"no {beginning}"
            octets, sender = self.socket.recvfrom(65536)
            text = octets.decode()
            if text.startswith(beginning) and f"Call-ID: {call}\r\n" in text:
                return text
            if text.startswith("OPTIONS"):
                self.answer(text, "200 OK", sender=sender)

    def answer(self, request: str, status: str, more: str = "", sender: Address | None = None) -> None:
        copied = "".join(re.findall(r"^(?:Via|From|Call-ID|CSeq|Record-Route):.*\r\n", request, re.MULTILINE))
        (to,) = re.findall(r"^To:.*$", request, re.MULTILINE)
        whole = f"SIP/2.0 {status}\r\n{copied}{to.strip()};tag=n\r\n{more}Content-Length: 0\r\n\r\n"
        self.socket.sendto(whole.encode(), sender or self.proxy)

    proxy: Address = (LOOPBACK, 0)


def new_peer() -> Peer:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((LOOPBACK, free_ports(1, socket.SOCK_DGRAM)[0]))
    return Peer(opened)


@dataclass
class KamailioWithPeers:
    kamailio: Kamailio
    nodes: list[Peer]
    carrier: Peer
    calls: int = 0

    def call(self, sender: Peer, dialled: str, more: str = "") -> str:
        """Begin a call and return its Call-ID."""
        self.calls += 1
        name = f"call-{self.calls}"
        sender.socket.sendto(invite(dialled, self.kamailio.address, sender.address, name, more), self.kamailio.address)
        return name

    def asked(self, call: str) -> tuple[Peer, str]:
        """The node that receives the next INVITE of a call, and this INVITE."""
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            left_s = max(0.0, deadline_s - time.monotonic())
            ready = select.select([node.socket for node in self.nodes], [], [], left_s)[0]
            assert ready, "no node was asked"
            assert left_s, "no node was asked"
            for node in self.nodes:
                if node.socket in ready:
                    text, sender = node.socket.recvfrom(65536)
                    request = text.decode()
                    if request.startswith("INVITE") and f"Call-ID: {call}\r\n" in request:
                        return node, request
                    if request.startswith("OPTIONS"):
                        node.answer(request, "200 OK", sender=sender)
