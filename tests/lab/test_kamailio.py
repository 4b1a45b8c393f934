"""The shipped configuration on a real Kamailio, between nodes and a carrier that are sockets of this test."""

from __future__ import annotations

import re
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab.asterisk import LOOPBACK, free_ports
from lab.kamailio import CONFIGURATION, SAMPLES, Kamailio, KamailioInstallation, find_or_get
from lab.sip import Address

NUMBER, OWN = "05011112222", "0312345678"
WITHIN_S = 5.0
CONGESTED = 'Reason: Q.850;cause=42;text="overload"\r\n'
ELSEWHERE = "Reason: Q.850;cause=34\r\n"


def invite(dialled: str, proxy: Address, sender: Address, call: str, more: str = "") -> bytes:
    here = f"{sender[0]}:{sender[1]}"
    lines = (
        f"INVITE sip:{dialled}@{proxy[0]}:{proxy[1]} SIP/2.0", f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{call}",
        f"From: <sip:05012345678@{sender[0]}>;tag=t{call}", f"To: <sip:{dialled}@{proxy[0]}>", f"Call-ID: {call}",
        "CSeq: 1 INVITE", f"Contact: <sip:x@{here}>", "Max-Forwards: 70", f"{more}Content-Length: 0",
    )  # fmt: skip
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


@dataclass
class Place:
    """A node or a carrier."""

    socket: socket.socket

    @property
    def address(self) -> Address:
        return self.socket.getsockname()  # type: ignore[no-any-return]

    def next(self, beginning: str, call: str) -> str:
        """The next message of a call that begins so; others are passed over, and OPTIONS answered."""
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


def place() -> Place:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((LOOPBACK, free_ports(1, socket.SOCK_DGRAM)[0]))
    return Place(opened)


@pytest.fixture(scope="module")
def installation() -> KamailioInstallation:
    return find_or_get()


@dataclass
class Between:
    kamailio: Kamailio
    nodes: list[Place]
    carrier: Place
    calls: int = 0

    def call(self, sender: Place, dialled: str, more: str = "") -> str:
        """Its Call-ID."""
        self.calls += 1
        name = f"call-{self.calls}"
        sender.socket.sendto(invite(dialled, self.kamailio.address, sender.address, name, more), self.kamailio.address)
        return name

    def asked(self, call: str) -> tuple[Place, str]:
        """The node that gets the next INVITE of a call, and the INVITE."""
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


@pytest.fixture(scope="module")
def between(installation, tmp_path_factory) -> Iterator[Between]:
    nodes, carrier = [place(), place()], place()
    addresses = [node.address for node in nodes]
    with Kamailio(installation, tmp_path_factory.mktemp("sip"), addresses, [carrier.address], f"^{OWN}$") as running:
        for each in (*nodes, carrier):
            each.proxy = running.address
        yield Between(running, nodes, carrier)
    for each in (*nodes, carrier):
        each.socket.close()


def test_the_shipped_configuration_is_read_without_a_word_of_its_own(installation, tmp_path):
    Kamailio(installation, tmp_path / "good", [(LOOPBACK, 5060)], []).check()
    as_shipped = [*installation.command, "-c", "-f", str(SAMPLES / CONFIGURATION), "-L", str(installation.modules)]
    listed = f'IDTONE_LIST="{SAMPLES / "dispatcher.list"}"'
    done = subprocess.run([*as_shipped, "-A", listed], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    broken = Kamailio(installation, tmp_path / "bad", [], [])
    with (tmp_path / "bad" / "idtone-dispatcher.cfg").open("a") as file:
        file.write("route[X] { nonsense(); }\n")
    with pytest.raises(RuntimeError, match="nonsense"):
        broken.check()


def test_a_call_goes_to_the_next_node_while_one_is_overloaded_and_is_told_when_to_try_again(between):
    call = between.call(between.carrier, OWN, "Idtone-Chain: forged\r\n")
    first, request = between.asked(call)
    assert "Idtone-Chain" not in request
    assert "Record-Route" in request
    first.answer(request, "503 Service Unavailable", CONGESTED)
    second, request = between.asked(call)
    assert second is not first
    second.answer(request, "503 Service Unavailable", CONGESTED)
    refused = between.carrier.next("SIP/2.0 503", call)
    assert "Retry-After: 5\r\n" in refused
    assert "Reason: Q.850;cause=42\r\n" in refused


@pytest.mark.parametrize(
    ("status", "passed_on"), [("403 Forbidden", 403), ("486 Busy Here", 486), ("503 Service Unavailable", 500)]
)
def test_what_comes_from_the_called_network_is_passed_on(between, status, passed_on):
    call = between.call(between.carrier, OWN)
    node, request = between.asked(call)
    node.answer(request, status, ELSEWHERE)
    refused = between.carrier.next(f"SIP/2.0 {passed_on}", call)
    assert "Retry-After" not in refused
    assert ELSEWHERE in refused


def test_the_chain_is_kept_between_nodes_and_leaves_with_no_call(between):
    chain = "Idtone-Chain: v1.chain\r\n"
    call = between.call(between.nodes[0], NUMBER, chain)
    outside = between.carrier.next("INVITE", call)
    assert "Idtone-Chain" not in outside
    between.carrier.answer(outside, "486 Busy Here", chain)
    assert "Idtone-Chain" not in between.nodes[0].next("SIP/2.0 486", call)
    call = between.call(between.nodes[0], OWN, chain)
    node, request = between.asked(call)
    assert chain in request
    node.answer(request, "486 Busy Here")
    between.nodes[0].next("SIP/2.0 486", call)


def test_a_node_that_is_taken_out_gets_no_calls(between):
    out, other = between.nodes
    host, port = out.address
    between.kamailio.kamcmd("dispatcher.set_state", "dx", "1", f"sip:{host}:{port}")
    try:
        assert between.kamailio.states()[out.address].startswith("D")
        for _ in range(8):
            call = between.call(between.carrier, OWN)
            node, request = between.asked(call)
            assert node is other
            node.answer(request, "486 Busy Here")
            between.carrier.next("SIP/2.0 486", call)
    finally:
        between.kamailio.set_state("ap", out.address)
    assert between.kamailio.states()[out.address].startswith("A")


def test_strangers_get_no_answer_and_no_number_is_logged(between):
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind(("127.0.0.2", free_ports(1, socket.SOCK_DGRAM)[0]))
    with stranger:
        stranger.sendto(
            invite(OWN, between.kamailio.address, stranger.getsockname(), "stranger"), between.kamailio.address
        )
        for damaged in (
            b"INVITE sip:0312345678@ SIP/2.0\r\n\r\n",
            b"INVITE sip:0312345678@x:y:z SIP/2.0\r\nVia: 0312345678\r\n\r\n",
        ):
            between.carrier.socket.sendto(damaged, between.kamailio.address)
        call = between.call(between.carrier, OWN)
        node, request = between.asked(call)
        node.answer(request, "486 Busy Here")
        between.carrier.next("SIP/2.0 486", call)
        assert not select.select([stranger], [], [], 0)[0]
    assert not re.search(r"0?312345678|5011112222|5012345678", between.kamailio.log_file.read_text())
