"""The evidence of a real call, from the service to a reader who has only the pack."""

from pathlib import Path

from lab.command_json import command_json
from lab.lab import LICENSED, lab
from lab.operations.ledger_commands import WARRANT


async def test_a_call_is_found_proven_and_given_out_while_the_service_runs(asterisk, service, tmp_path: Path):
    async with lab(asterisk) as phones:
        _, ending = await phones.call()
        await phones.nothing_is_left()
        # Another call continues meanwhile, and must not appear in the pack yet.
        going_on = await phones.place()
        verdict = command_json(service, "ledger", "verify")
        assert (verdict["good"], verdict["open_calls"]) == (True, 1)
        assert verdict["leaves"] >= 1
        found = command_json(service, "ledger", "find", typed=f"{LICENSED}\n")
        assert {ending.call_id} < {record["call_id"] for record in found}
        pack = tmp_path / "pack.zip"
        made = command_json(service, "ledger", "export", ending.call_id, "--case", "R-7", *WARRANT, "-o", pack)
        await phones.talk_and_hang_up(going_on)
    told = command_json(service, "verify", "pack", pack, "--log-key", made["log_key"])
    (record,) = told["records"]
    assert (told["good"], told["log_is_known"], record["sent"]) == (True, True, True)
    assert record["opened"]["forwarding"] == f"+81{LICENSED[1:]}"
    assert command_json(service, "ledger", "verify")["good"]
    with service._reader() as reader:
        assert reader.record(made["record"])


async def test_no_file_of_the_ledger_and_no_log_holds_a_number(asterisk, service):
    async with lab(asterisk) as phones:
        await phones.call()
    held = {path.name: path.read_bytes() for path in service.ledger.parent.iterdir() if path.is_file()}
    assert {"ledger.sqlite3", "ledger.key.days", "ledger.key.sign"} <= set(held)
    held["log"] = service.log().encode()
    assert [name for name, content in held.items() if LICENSED[1:].encode() in content] == []
