"""Calls are the same with and without the PostgreSQL that has the replica."""

import pytest
from typer.testing import CliRunner

from idtone.cli import app
from idtone.ledger.store.postgresql import Server
from lab.command_json import command_json
from lab.lab import LICENSED, lab, wait_until
from lab.postgresql import PostgreSQL
from lab.publication import LAB_REGISTRY
from lab.service import Service


@pytest.fixture
def replicating(asterisk, shared_service, server: Server):
    shared_service.stop()
    with Service(asterisk, LAB_REGISTRY, shared=server) as service:
        yield service


@pytest.mark.nightly
async def test_a_call_is_connected_while_postgresql_is_away_and_replicated_when_it_is_back(
    asterisk, replicating: Service, postgresql: PostgreSQL
):
    async with lab(asterisk) as phones:
        first = (await phones.call())[1].call_id
        await replicated(replicating, first)
        postgresql.kill()
        try:
            _, second = await phones.call()
            assert second.status == "CONNECTED"
            assert replicating.record(second.call_id)["sent"]
            doctor = {each["id"]: each for each in command_json(replicating, "doctor", code=None)}
            assert doctor["ledger-postgresql"]["state"] == "warning"
            assert "Connection refused" in doctor["ledger-postgresql"]["found"]
        finally:
            postgresql.start()
        await replicated(replicating, second.call_id)
        await phones.nothing_is_left()
    (node,) = command_json(replicating, "log", "replicas")
    assert (node["node"], node["lag"]) == ("lab", 0)
    assert [(each["good"], each["key_from"]) for each in command_json(replicating, "ledger", "verify")] == [
        (True, "own")
    ]
    assert {record["call_id"] for record in command_json(replicating, "ledger", "find", "--number", LICENSED)} >= {
        first,
        second.call_id,
    }
    doctor = {each["id"]: each for each in command_json(replicating, "doctor", code=None)}
    assert doctor["ledger-postgresql"]["state"] == "good", doctor["ledger-postgresql"]
    (node,) = command_json(replicating, "idtone-fleet", "status", code=None)["nodes"]
    state = node["state"]
    assert (node["node"], node["condition"], state["hook"]["current"]) == ("lab", "serving", True)
    assert (state["calls"]["decided"], state["calls"]["over"], state["calls"]["sent"]) == (2, 2, 2)
    assert (state["replication"], state["rivals"]) == ({"unreplicated_steps": 0, "trouble": ""}, 0)
    log = replicating.log()
    assert "evidence is not replicated, and kept here: postgresql://idtone@127.0.0.1" in log
    assert str(replicating.shared and replicating.shared.password) not in log


async def replicated(service: Service, call_id: str) -> None:
    """Wait until PostgreSQL has the call's record."""
    shown = ["ledger", "show", call_id, "-c", str(service.settings)]
    await wait_until(lambda: CliRunner().invoke(app, shown).exit_code == 0, f"{call_id} in PostgreSQL", 60)
