"""The evidence of a real call, from the service that keeps it to one who has nothing but a pack."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from ..lab.asterisk import IDTONE
from ..lab.lab import LICENSED, Forwarding, lab
from ..lab.service import Service
from ..operations.exporting import WARRANT


async def ledger(service: Service, *arguments: object, typed: str = "") -> Any:
    """What a command prints as JSON, while the service runs."""
    command = [IDTONE, "ledger", *map(str, arguments), "--json"]
    if arguments[0] != "verify-pack":
        command += ["-c", service.settings]
    ended = await asyncio.to_thread(
        subprocess.run, command, input=typed, capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return json.loads(ended.stdout)


async def test_a_call_is_found_proven_and_given_out_while_the_service_runs(asterisk, service, tmp_path: Path):
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(LICENSED))
        await phones.talk_and_hang_up(placed)
        ending = await phones.ending(placed)
        await phones.nothing_is_left()
        # Another one goes on meanwhile: nothing is said of it yet.
        going_on = await phones.place(Forwarding(LICENSED))
        verdict = await ledger(service, "verify")
        assert (verdict["good"], verdict["open_calls"]) == (True, 1)
        assert verdict["leaves"] >= 1
        found = await ledger(service, "find", typed=f"{LICENSED}\n")
        assert {ending.call_id} < {record["call_id"] for record in found}
        made = await ledger(service, "export", ending.call_id, "--case", "R-7", *WARRANT, "-o", tmp_path / "pack.zip")
        await phones.talk_and_hang_up(going_on)
    told = await ledger(service, "verify-pack", tmp_path / "pack.zip", "--log-key", made["log_key"])
    (record,) = told["records"]
    assert (told["good"], told["log_is_known"], record["heard"]) == (True, True, True)
    assert record["opened"]["forwarding"] == f"+81{LICENSED[1:]}"
    assert (await ledger(service, "verify"))["good"]
    assert made["record"] in service.records()


async def test_no_file_of_the_ledger_and_no_log_holds_a_number(asterisk, service):
    async with lab(asterisk) as phones:
        placed = await phones.place(Forwarding(LICENSED))
        await phones.talk_and_hang_up(placed)
        await phones.ending(placed)
    held = {path.name: path.read_bytes() for path in service.ledger.parent.iterdir() if path.is_file()}
    assert {"ledger.sqlite3", "ledger.key.days", "ledger.key.sign"} <= set(held)
    held["log"] = service.log().encode()
    assert [name for name, content in held.items() if LICENSED[1:].encode() in content] == []
