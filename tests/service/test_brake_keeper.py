"""Brake reports of other nodes: the ones that a node accepts, and the state that it keeps after damage to the files."""

from pathlib import Path
from typing import Any

import pytest

from idtone.call_control.brake.shared_stops import Hold
from idtone.call_control.brake.state_files import key_of, lines_path, read_lines, read_state, state_path, write_state
from idtone.core.errors import UsageError
from idtone.core.settings.settings import Settings, load_settings
from idtone.service.brake_keeper import BrakeKeeper, brake_of, release_in_file
from lab.call_control.brake.brake_calls import NOON_S, call, count_passed, new_brake, offer

KEYS = {"pbx-1": "11" * 32, "pbx-2": "11" * 32, "stranger": "22" * 32}


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Settings]:
    settings = {}
    for node, key in KEYS.items():
        folder = tmp_path / node
        folder.mkdir()
        (folder / "fleet.key").write_text(key)
        (folder / "fleet.key").chmod(0o600)
        (folder / "idtone.yaml").write_text(
            f"node: {node}\nfleet: {{key_file: {folder / 'fleet.key'}}}\n"
            f"ledger: {{url: 'postgresql://idtone@127.0.0.1/idtone', spool: {folder / 'ledger.sqlite3'}}}\n"
        )
        settings[node] = load_settings(folder / "idtone.yaml", {})
    return settings


def stopped(settings: Settings) -> BrakeKeeper:
    brake = brake_of(settings)
    assert brake
    for _ in offer(brake, (call(n, n) for n in range(200))):
        pass
    return BrakeKeeper(settings, brake)


def heard(keeper: BrakeKeeper, node: str, state: Any) -> list[Hold]:
    holds: list[Hold] = []
    keeper._read(node, state, holds, {})
    return holds


def test_a_node_believes_what_the_fleets_key_has_made_for_that_node(made):
    listening = stopped(made["pbx-2"])
    told = stopped(made["pbx-1"]).stops_to_share()
    [hold] = heard(listening, "pbx-1", {"brake": told})
    assert (hold.label, hold.node, hold.call_id) == ("6001", "pbx-1", "")
    for node, state in (
        ("pbx-3", {"brake": told}),  # another node repeats it
        ("stranger", {"brake": stopped(made["stranger"]).stops_to_share()}),
        ("pbx-1", {"brake": told and {**told, "told": told["told"].replace("6001", "6002")}}),
        *(("pbx-1", state) for state in (None, 5, {}, {"brake": None}, {"brake": 5})),
        ("pbx-1", {"brake": {"told": "", "mac": "é"}}),
    ):
        assert heard(listening, node, state) == []


def test_what_is_written_is_read_by_the_next_process(made):
    settings = made["pbx-1"]
    stopped(settings).write()
    again = brake_of(settings)
    assert again
    assert count_passed(again, [call(0)], NOON_S + 60) == 0
    [hold] = read_state(state_path(settings)).holds
    release_in_file(settings, hold.token)
    released = brake_of(settings)
    assert released
    assert count_passed(released, [call(0)], NOON_S + 60) == 1
    for path in (state_path(settings), lines_path(settings)):
        assert path.stat().st_mode & 0o777 == 0o600


def test_another_key_keeps_the_stops_that_have_a_name(made, caplog):
    settings = made["pbx-1"]
    stopped(settings).write()
    settings.fleet.key_file.write_text("33" * 32)
    again = brake_of(settings)
    assert again
    assert count_passed(again, [call(0), call(0, 0, "6002")], NOON_S + 60) == 1
    assert read_lines(lines_path(settings), key_of(settings)) == {}


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"holds": [5], "released": {}}', b"\xff"])
def test_a_damaged_file_is_an_error_of_the_command_and_the_service_begins_without_it(made, damage, caplog):
    settings = made["pbx-1"]
    write_state(state_path(settings), key_of(settings), new_brake().state())
    state_path(settings).write_bytes(damage)
    lines_path(settings).write_bytes(damage)
    with pytest.raises(UsageError, match="is damaged"):
        read_state(state_path(settings))
    assert brake_of(settings)
    assert "is damaged" in caplog.text


def test_no_brake_where_the_operator_wants_none(made):
    off = load_settings(None, {"IDTONE_BRAKE_HIGHEST": "nothing"})
    assert brake_of(off) is None
    assert new_brake().stops_to_share() == {"stops": [], "released": {}}
