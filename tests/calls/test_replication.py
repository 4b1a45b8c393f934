"""Calls do not notice whether the PostgreSQL is there that their evidence is replicated to."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from typing import Any

import pytest

from idtone.ledger.store.postgresql import Server

from ..conftest import LAB_REGISTRY
from ..lab.asterisk import IDTONE
from ..lab.lab import LICENSED, Forwarding, lab
from ..lab.postgresql import PostgreSQL
from ..lab.service import Service


async def told(service: Service, *arguments: str) -> Any:
    """What `idtone` prints as JSON."""
    ended = await asyncio.to_thread(
        subprocess.run,
        [IDTONE, *arguments, "--json", "-c", service.settings],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture
def replicating(asterisk, beside, server: Server):
    beside.away()
    with Service(asterisk, LAB_REGISTRY, shared=server) as service:
        yield service


async def test_a_call_is_connected_while_postgresql_is_away_and_replicated_when_it_is_back(
    asterisk, replicating: Service, postgresql: PostgreSQL
):
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(LICENSED))
        await phones.talk_and_hang_up(placed)
        first = (await phones.ending(placed)).call_id
        await asyncio.to_thread(replicated, replicating, first)
        postgresql.kill()
        try:
            placed = await phones.place(Forwarding(LICENSED))
            await phones.talk_and_hang_up(placed)
            second = await phones.ending(placed)
            assert second.status == "CONNECTED"
            assert replicating.record(second.call_id)["heard"]
            doctor = {each["id"]: each for each in await told(replicating, "doctor")}
            assert doctor["ledger-postgresql"]["state"] == "warning"
            assert "Connection refused" in doctor["ledger-postgresql"]["found"]
        finally:
            postgresql.start()
        await asyncio.to_thread(replicated, replicating, second.call_id)
        await phones.nothing_is_left()
    (node,) = await told(replicating, "ledger", "replicas")
    assert (node["node"], node["lag"]) == ("lab", 0)
    assert [(each["good"], each["key_from"]) for each in await told(replicating, "ledger", "verify")] == [(True, "own")]
    assert {record["call_id"] for record in await told(replicating, "ledger", "find", "--number", LICENSED)} >= {
        first, second.call_id,
    }  # fmt: skip
    doctor = {each["id"]: each for each in await told(replicating, "doctor")}
    assert doctor["ledger-postgresql"]["state"] == "good", doctor["ledger-postgresql"]
    log = replicating.log()
    assert "evidence is not replicated, and kept here: postgresql://idtone@127.0.0.1" in log
    assert str(replicating.shared and replicating.shared.password) not in log


def replicated(service: Service, call_id: str) -> None:
    """Wait until PostgreSQL has it."""
    deadline_s = time.monotonic() + 60
    while True:
        ended = subprocess.run(
            [IDTONE, "ledger", "show", call_id, "-c", service.settings], capture_output=True, text=True, check=False
        )
        if ended.returncode == 0:
            return
        assert time.monotonic() < deadline_s, ended.stderr + service.log()
        time.sleep(0.3)
