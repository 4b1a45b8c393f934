"""Data of the first release. Later releases must read them, because nodes of a fleet can have different versions for a
time.

The folder `first_release` has the recorded data. Never change a file there.
"""

import asyncio
import json
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from idtone.call_control import journal_lines
from idtone.call_control.request import Request
from idtone.core.numbers import parse
from idtone.core.settings.settings import Settings
from idtone.core.settings.shared_settings import SIGNED_BY, read_shared
from idtone.core.signed_notes import Signer
from idtone.ledger.replication.node_reports import NodeReport
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.schema import check_version, make_or_upgrade
from idtone.ledger.store.sqlite import connect_for_writing
from idtone.operations.fleet.node_states import Condition, SharedSettings, node_of
from idtone.operations.fleet.upgrade_rules import NodeStatus, read_findings
from idtone.service import hand_over
from idtone.service.hand_over import Peer

RECORDED = Path(__file__).parent / "first_release"


def text(name: str) -> str:
    return (RECORDED / name).read_text("utf-8")


def test_the_request_of_its_hook():
    request = Request.read(text("request").split("\n")[:-1])
    assert request
    assert (request.call_id, request.number, request.direction) == ("1795.1-1", "0312345678", "incoming")
    assert (request.called, request.dial_string, request.caller) == ("0312340000", "PJSIP/101", "+81901234567")
    assert (request.chain, request.diverting, request.own_dial) == ("1795.0-1", "0312345678", False)
    assert (request.asked_s, request.sip_call_id) == (1795597718.123456, "abc@192.0.2.9")
    assert (request.channel, request.account) == ("PJSIP/6001-00000001", "acme")


def test_the_lines_of_its_journal():
    decided, sounded, reported, ended = map(journal_lines.read, text("journal").splitlines())
    assert isinstance(decided, journal_lines.Decided)
    assert isinstance(sounded, journal_lines.Sounded)
    assert isinstance(reported, journal_lines.Reported)
    assert isinstance(ended, journal_lines.Ended)
    assert (decided.call.forwarding_number, decided.call.sip_call_id) == (parse("0312345678"), "abc@192.0.2.9")
    assert {line.call_id for line in (decided, sounded, reported, ended)} == {decided.call_id}
    assert ended.status == "CONNECTED"


async def test_its_hand_over():
    """The two instances are of different releases, and each reads the packets of the other instance."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        peer, packets = Peer(ours), text("hand-over").splitlines()
        for packet in packets:
            await asyncio.to_thread(theirs.send, packet.encode())
        said = [await peer.next_message() for _ in packets]
    assert said[0]["take-over"] == hand_over.VERSION, "with another version, systemctl reload no longer takes over"
    assert "agi" in said[1]
    assert [next(iter(each)) for each in said] == ["take-over", "agi", "ready", "over", "serving"]


def test_its_ledger(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(text("ledger.sql"))
    with closing(connect_for_writing(path)) as database:
        make_or_upgrade(database, str(path))
        check_version(database, str(path))
    with LedgerReader.open(f"sqlite:///{path}") as reader:
        (record,) = reader.records()
    assert (record.call_id, record.delivery, record.anomalies) == ("1795.9-1", {"called": "sent"}, ())


def test_its_state_in_postgresql():
    at = datetime(2026, 11, 1, 9, tzinfo=UTC)
    node = node_of(NodeReport("pbx-1", "pbx-1/idtone", "", at, json.loads(text("state.json"))), at)
    assert node.condition is Condition.SERVING
    assert node.state
    assert (node.state.instance.version, node.state.calls.in_progress, node.state.registry.version) == ("0.1.0", 2, 42)
    assert node.state.settings == SharedSettings(version=7, sha256="ab" * 32, overrides=("policy.waiting: 100",))


def test_what_its_commands_say_to_an_upgrade():
    status, findings = NodeStatus.read(text("status.json")), read_findings(text("doctor.json"))
    assert status
    assert findings
    assert (status.running, status.version, status.registry, status.trust) == (True, "0.1.0", 42, "unsigned")
    assert findings["hook-file"].state == "good"


def test_its_settings_of_a_fleet():
    shared = read_shared(RECORDED / "fleet-settings.signed", Signer(SIGNED_BY, b"1" * 32).key)
    assert (shared.version, shared.signed) == (7, datetime(2026, 11, 28, 4, tzinfo=UTC))
    assert shared.settings == Settings.model_validate(
        {"node": shared.settings.node, "policy": {"waiting": 50}, "log": {"level": "debug"}}
    )
