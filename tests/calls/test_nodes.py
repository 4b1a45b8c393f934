"""Two PBXs of a fleet, each with its service.

The sound is played once on a call through both. No header from outside, whether forged, old or repeated, prevents a
sound. A suspension by one node is also in force on the other.
"""

import asyncio
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from textwrap import dedent

import pytest

from idtone.call_control.chain_token import VALID, mac_of, token_text
from idtone.core.calls import RemoteCall
from idtone.core.numbers import parse
from idtone.ledger.keys.key_file import KEY_BYTES
from idtone.ledger.store.postgresql import Server
from lab.asterisk import Asterisk, free_ports
from lab.calls.assert_heard import assert_heard_then_connected, assert_nothing_before_voice
from lab.calls.assert_proved import RECOGNISED_S
from lab.calls.own_suspensions import acts, command, states
from lab.lab import CALLED_NUMBER, LICENSED, Forwarding, Lab, PlacedCall, lab, wait_until
from lab.nightly_tests import rest_in_breadth
from lab.pjsip_conf import pjsip, trunk
from lab.publication import LAB_REGISTRY
from lab.service import Service
from lab.site import make_reachable
from lab.sound_detection import hear, hear_whole

KEY = bytes(range(KEY_BYTES))
HEADER = "Idtone-Chain"
AGAIN = "0312345679"
"""Another number of the same member. Node A forwards to it, and node B forwards it once more."""
ADDRESSES = {"node-a": "127.0.0.2", "node-b": "127.0.0.3"}
ANSWERED = "9"
"""Prefix of a number for which the PBX answers the call before it calls the hook."""
HUNTED = "8"
"""Prefix of a number for which the PBX first forwards to a busy line."""
DIALPLAN = f"""
    [from-lab](+)
    exten = _{ANSWERED}X!,1,Answer()
     same = n,Goto(${{EXTEN:1}},1)
    exten = _{HUNTED}X!,1,Gosub(idtone-forward,s,1(Local/busy@lines/n,{LICENSED},incoming,,{AGAIN}))
     same = n,Goto(${{EXTEN:1}},1)
    [lines]
    exten = busy,1,Busy()
"""


@dataclass
class Node:
    """A PBX and its service. `trunk` is its endpoint for the other PBX."""

    name: str
    trunk: str
    asterisk: Asterisk
    service: Service


@pytest.fixture(scope="module")
def nodes(installation, tmp_path_factory, postgresql) -> Iterator[tuple[Node, Node]]:
    key_file = tmp_path_factory.mktemp("fleet") / "fleet.key"
    key_file.write_text(f"{KEY.hex()}\n")
    key_file.chmod(0o600)
    with ExitStack() as life:
        shared = Server.named(life.enter_context(postgresql.database()), postgresql.password)
        made = []
        for name, other in zip(ADDRESSES, reversed(ADDRESSES), strict=True):
            exported = {"IDTONE_NODE": name, "IDTONE_FLEET_TRUNKS": other}
            pbx = Asterisk(installation, tmp_path_factory.mktemp(name), exported=exported)
            fleet = f"key_file: {key_file}, trunks: [{other}]"
            metrics = f"127.0.0.1:{free_ports(1)[0]}"
            pbx.site.own(key_file, "idtone")
            make_reachable(key_file.parent)
            service = Service(pbx, LAB_REGISTRY, node=name, fleet=fleet, metrics=metrics, shared=shared)
            made.append(Node(name, other, pbx, service))
        ports = dict(zip(ADDRESSES, free_ports(len(ADDRESSES)), strict=True))
        for node in made:
            here, there = ((ADDRESSES[name], ports[name]) for name in (node.name, node.trunk))
            files = node.asterisk._files()
            node.asterisk.dialplan_files = {
                "pjsip.conf": pjsip(node.asterisk.sip_address) + trunk(node.trunk, here, there),
                "extensions.conf": files["extensions.conf"] + DIALPLAN,
                "asterisk.conf": f"{dedent(files['asterisk.conf'])}[options]\nsystemname = {node.name}\n",
            }
            life.enter_context(node.asterisk)
            life.enter_context(node.service)
        yield made[0], made[1]


def to_b(a: Node) -> Forwarding:
    """A call that node A forwards to a number of node B, which forwards it to the phone."""
    return Forwarding(destination=f"PJSIP/*{AGAIN}*{{port}}*{{name}}@{a.trunk}", dialled=AGAIN)


async def passing_both(nodes: tuple[Node, Node], phones: Lab) -> tuple[PlacedCall, list[dict]]:
    """Place a call through both nodes, and return it with its new records in the evidence of A and of B."""
    before = [set(await asyncio.to_thread(node.service.records)) for node in nodes]
    placed, _ = await phones.call(to_b(nodes[0]), RECOGNISED_S)
    await phones.nothing_is_left()
    new = []
    for node, known in zip(nodes, before, strict=True):
        records = await asyncio.to_thread(node.service.records)
        new += [record for call_id, record in records.items() if call_id not in known]
    return placed, new


async def test_a_call_that_passes_two_nodes_is_sounded_once(nodes, references):
    a, b = nodes
    async with lab(a.asterisk) as phones:
        placed, (outer, inner) = await passing_both(nodes, phones)
    assert_heard_then_connected(placed, "sample", references)
    assert (outer["node"], outer["skip"], outer["sent"], outer["status"]) == (a.name, None, True, "CONNECTED")
    assert (inner["node"], inner["skip"], [*inner["known_by"]], inner["status"]) == (
        b.name,
        "announced",
        [],
        "CONNECTED",
    )
    assert (inner["chain_node"], inner["chain_call"]) == (a.name, outer["call_id"])
    assert (outer["chain_node"], outer["chain_call"]) == (None, None)
    for record in (outer, inner):
        assert (record["outcome"], record["complete"], record["anomalies"]) == ("PLAY", True, [])
        assert record["sip_call_id_token"]
    with a.service._reader() as reader:
        (found,) = reader.find_sip_call_id(placed.caller.request.call_id)
    assert found.call_id == outer["call_id"]
    for pbx in (a.asterisk, b.asterisk):
        assert pbx.complaints() == []


async def test_a_call_that_hunts_is_no_leg_of_its_own_busy_call(nodes, references):
    """The system's name, including its dash, may be part of the ids of the channels."""
    a, _ = nodes
    async with lab(a.asterisk) as phones:
        placed, ending = await phones.call(Forwarding(dialled=f"{HUNTED}{CALLED_NUMBER}"), RECOGNISED_S)
        await phones.nothing_is_left()
    assert ending.call_id.startswith(a.name)
    assert ending.call_id.endswith("-2")
    assert_heard_then_connected(placed, "sample", references)


async def real_token(a: Node) -> str:
    """A token of node A for a call to `CALLED_NUMBER`. In these tests the trunk leads to the phone."""
    async with lab(a.asterisk) as phones:
        placed, _ = await phones.call(Forwarding(endpoint=a.trunk), RECOGNISED_S)
    assert placed.called
    return placed.called.request.get(HEADER)


def token(seconds_ago: float = 0, dialled: str = CALLED_NUMBER, key: bytes = KEY) -> str:
    """A token in the format of node A's."""
    at_s, call = int(time.time() - seconds_ago), RemoteCall("node-a", f"{time.time():.2f}-1")
    return token_text(at_s, call, mac_of(key, at_s, call, parse(dialled)))


def results(node: Node) -> Counter[str]:
    """Results of the tokens that a node received, from its metrics."""
    with urllib.request.urlopen(f"http://{node.service.metrics}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r'^idtone_chain_tokens_total\{result="(\w+)"\} ([0-9.]+)$', text, re.MULTILINE)
    return Counter({result: int(float(count)) for result, count in found})


@pytest.mark.nightly
async def test_only_a_token_of_the_fleet_that_comes_by_a_trunk_counts(nodes, references):
    a, b = nodes
    real = await real_token(a)
    assert real.startswith("v1.")
    old_s = VALID.total_seconds() + 2
    cases: list[tuple[str, Callable[[], str], str, str]] = [
        # its endpoint, its header, what is dialled before the number, and the node's result for the token
        ("", lambda: real, "", ""),
        (a.name, lambda: real, "", "accepted"),
        (a.name, lambda: real, "", "repeated"),
        (a.name, token, "", "accepted"),
        (a.name, token, ANSWERED, ""),
        (a.name, lambda: token(dialled=AGAIN), "", "forged"),
        (a.name, lambda: token(key=bytes(KEY_BYTES)), "", "forged"),
        (a.name, lambda: token(old_s), "", "expired"),
        (a.name, lambda: token(-old_s), "", "expired"),
        (a.name, lambda: f"{token()[:-1]}~", "", "malformed"),
        (a.name, lambda: "announced; x=${SHELL(id)}", "", "malformed"),
    ]
    before = results(b)
    async with lab(b.asterisk) as phones:
        for endpoint, header, prefix, result in cases:
            headers = ((HEADER, header()),)
            forwarding = Forwarding(endpoint=endpoint, dialled=f"{prefix}{CALLED_NUMBER}", headers=headers)
            placed, ending = await phones.call(forwarding, RECOGNISED_S)
            phones.pair(placed)  # an answered call gets its final response before the phone rings
            case = f"{endpoint} {headers} {prefix}: {ending}"
            assert placed.called, case
            assert (placed.called.request.get(HEADER) != "") is (endpoint == a.name), case
            record = b.service.record(ending.call_id)
            assert record["chain_node"] == (a.name if result == "accepted" else None), case
            if result == "accepted":
                assert_nothing_before_voice(placed, references)
            elif prefix:
                assert hear(placed.called.packets, placed.called.answered_ns, reference=references["sample"]).times
            else:
                assert_heard_then_connected(placed, "sample", references)
        await phones.nothing_is_left()
    assert results(b) - before == Counter(result for *_, result in cases if result)
    log = b.service.log()
    for why in ("it was not made with our fleet key", "its time is more than 30 s off", "already been connected here"):
        assert why in log
    assert CALLED_NUMBER[1:] not in log


@rest_in_breadth("down", [0, 1], ids=["a", "b"])
async def test_a_node_whose_service_is_down_announces_too(nodes, references, down):
    """Two sounds are the safe result, because the hook can neither create nor check a token."""
    nodes[down].service.stop()
    try:
        async with lab(nodes[0].asterisk) as phones:
            placed, _ = await phones.call(to_b(nodes[0]), RECOGNISED_S)
            assert placed.called
            for profile in ("notice", "sample"):
                heard = hear_whole(placed.called.packets, placed.called.answered_ns, reference=references[profile])
                assert heard.times == 1, profile
            await phones.nothing_is_left()
    finally:
        nodes[down].service.start()


async def test_a_number_that_one_node_stops_is_stopped_on_the_other_one(nodes):
    """The suspension is in force within seconds, also in Asterisk's file.

    A node that was down learns after its start that the suspension was lifted.
    """
    a, b = nodes

    async def placed() -> tuple[str, str]:
        _, ending = await phones.call()
        return ending.status, ending.reason

    stop = ("suspend", "--reference", "R-77", "--why", "the police called")
    stopped = await asyncio.to_thread(command, a.service, *stop, typed=LICENSED)
    [elsewhere] = stopped["elsewhere"]
    began = [datetime.fromisoformat(each["in_force"]) for each in (stopped, elsewhere)]
    print(f"\nidtone suspend: in force here, and {(began[1] - began[0]).total_seconds():.3f} s later on the other node")
    assert (elsewhere["node"], elsewhere["by_service"]) == (b.name, True)
    refused = ("REFUSED", "number-suspended")
    async with lab(b.asterisk) as phones:
        assert await placed() == refused
        await asyncio.to_thread(b.service.stop)
        assert await placed() == refused
        lift = ("suspensions", "lift", stopped["id"], "--why", "by mistake")
        lifted = await asyncio.to_thread(command, a.service, *lift)
        assert (lifted["state"], "over" in lifted["elsewhere"][0]) == ("lifted", False)
        await asyncio.to_thread(b.service.start)
        again_s = time.monotonic()
        await wait_until(lambda: states(b.service) == ["lifted"], "the node that was away to hear of it")
        print(
            f"after its start, a node that was away knows that it is lifted within {time.monotonic() - again_s:.3f} s"
        )
        await wait_until(lambda: "suspension-lift-in-force" in acts(b.service, stopped["id"]), "the end of the stop")
        assert await placed() == ("CONNECTED", "licence-valid")
    told = [each for each in acts(b.service, stopped["id"]) if each.startswith("suspension")]
    assert told == ["suspension-in-force", "suspension-lift-in-force"]
