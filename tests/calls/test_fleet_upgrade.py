"""`idtone-fleet upgrade` of a real node: Kamailio, Asterisk with a call in progress, and the service."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.asterisk import FLEET, IDTONE, LOOPBACK, Asterisk
from lab.calls.assert_heard import assert_heard_then_connected
from lab.kamailio import Kamailio, find_or_get
from lab.lab import lab, wait_until
from lab.sip import Address
from lab.supervisor import Supervisor

HANG_UP = "import os, signal, sys; os.kill(int(sys.argv[1]), signal.SIGHUP)"
NOTE = "import subprocess, sys; open(sys.argv[1], 'w').write(subprocess.check_output(sys.argv[2:], text=True))"


class OtherNode(asyncio.DatagramProtocol):
    """Stand-in for another node. Kamailio sees only that it answers OPTIONS."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, sender: Any) -> None:
        lines = data.decode().split("\r\n")
        copied = [line for line in lines if line.startswith(("Via:", "From:", "To:", "Call-ID:", "CSeq:"))]
        answer = "\r\n".join(["SIP/2.0 200 OK", *copied, "Content-Length: 0", "", ""])
        self.transport.sendto(answer.encode(), sender)


@asynccontextmanager
async def other_node() -> AsyncIterator[Address]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(OtherNode, local_addr=(LOOPBACK, 0))
    try:
        yield transport.get_extra_info("sockname")
    finally:
        transport.close()


def inventory(folder: Path, asterisk: Asterisk, service: Supervisor, kamailio: Kamailio, note: Path) -> Path:
    """An inventory with one node on this machine.

    Its "installation" writes Kamailio's state at that time into `note`.
    """
    kamcmd = [*find_or_get().control, "-s", f"unix:{kamailio.control_socket}"]
    path = folder / "fleet.yaml"
    described = {
        "dispatchers": [{"name": "sip-1", "run": kamcmd, "group": "1"}],
        "nodes": [
            {
                "node": "lab", "address": "sip:{}:{}".format(*asterisk.sip_address), "asterisk_etc": str(asterisk.etc),
                "idtone": ["env", f"IDTONE_CONFIG={service.settings}", str(IDTONE)],
                "upgrade": [sys.executable, "-c", NOTE, str(note), *kamcmd, "dispatcher.list"],
                "reload": [sys.executable, "-c", HANG_UP, str(service.pid)],
            }
        ],
    }  # fmt: skip
    path.write_text(json.dumps(described))
    return path


@pytest.mark.nightly
async def test_a_node_is_upgraded_while_a_call_is_in_progress(
    asterisk: Asterisk, supervised: Supervisor, references: dict[str, Any], tmp_path: Path
) -> None:
    note = tmp_path / "dispatcher.list"
    async with other_node() as other, lab(asterisk) as phones:
        with Kamailio(find_or_get(), tmp_path / "kamailio", [asterisk.sip_address, other], []) as kamailio:
            both = {asterisk.sip_address: "AP", other: "AP"}
            await wait_until(lambda: kamailio.states() == both, "both nodes to answer OPTIONS", 10)
            placed = await phones.place()
            nodes = inventory(tmp_path, asterisk, supervised, kamailio, note)
            upgrading = await asyncio.create_subprocess_exec(
                FLEET,
                "upgrade",
                "--nodes",
                nodes,
                "--yes",
                "--json",
                env=os.environ | {"LANGUAGE": "en"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(100):
                output, shown = await upgrading.communicate()
            assert upgrading.returncode == 0, shown.decode()
            assert kamailio.states() == both
            await phones.talk_and_hang_up(placed)
        ending = await phones.ending(placed)
    # The node was out for longer than Kamailio waits between two OPTIONS, after which an inactive node would be back.
    uri = "sip:{}:{}".format(*asterisk.sip_address)
    assert f"URI: {uri}\n\t\t\t\t\tFLAGS: DX" in note.read_text()
    assert len(supervised.lives) == 2
    steps = [entry.get("step", entry.get("run")) for entry in json.loads(output)]
    assert steps == [
        "begin", "look", "drain", "wait", "install", "hand-over", "hook", "check", "put-back", "end",
    ]  # fmt: skip
    assert "lab: wait until no new calls come — 1 calls in progress (" in shown.decode()
    assert_heard_then_connected(placed, "sample", references)
    record = supervised.records()[ending.call_id]
    assert (record["status"], record["complete"], record["sent"]) == ("CONNECTED", True, True)
