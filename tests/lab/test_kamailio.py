"""The shipped configuration on a real Kamailio, between nodes and a carrier that are sockets of this test."""

import re
import select
import socket
import subprocess
from collections.abc import Iterator

import pytest

from lab.asterisk import LOOPBACK, free_ports
from lab.kamailio import CONFIGURATION, SAMPLES, Kamailio, KamailioInstallation, find_or_get
from lab.kamailio_peers import KamailioWithPeers, invite, new_peer

NUMBER, OWN = "05011112222", "0312345678"
CONGESTED = 'Reason: Q.850;cause=42;text="overload"\r\n'
ELSEWHERE = "Reason: Q.850;cause=34\r\n"


@pytest.fixture(scope="module")
def installation() -> KamailioInstallation:
    return find_or_get()


@pytest.fixture(scope="module")
def between(installation, tmp_path_factory) -> Iterator[KamailioWithPeers]:
    nodes, carrier = [new_peer(), new_peer()], new_peer()
    addresses = [node.address for node in nodes]
    with Kamailio(installation, tmp_path_factory.mktemp("sip"), addresses, [carrier.address], f"^{OWN}$") as running:
        for each in (*nodes, carrier):
            each.proxy = running.address
        yield KamailioWithPeers(running, nodes, carrier)
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
