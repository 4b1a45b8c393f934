"""`idtone ledger export`, and the verification of its packs by a third party."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from idtone.cli import app
from idtone.errors import IdtoneError, LedgerError, UsageError
from idtone.ledger.disclosure.pack_file import read_zip, write_zip
from idtone.ledger.keys.key_ring import KeyRing
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing.ledger_writer import LedgerWriter
from idtone.persons import acting
from idtone.settings import load_settings

from ..ledger.replication.nodes import made_nodes, nodes  # noqa: F401  fixtures
from ..ledger.sample_evidence import decided, heard_call, put


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with a ledger of two calls, and one in progress."""
    path = tmp_path / "idtone.yaml"
    path.write_text(
        f"node: pbx-1\nledger: {{url: 'sqlite:///{tmp_path}/ledger/l.sqlite3', key_file: {tmp_path}/ledger/key}}\n"
    )
    settings = load_settings(path, {})
    with LedgerWriter.open(settings.ledger.url, "pbx-1", KeyRing.of(settings.ledger, "pbx-1")) as writer:
        put(writer, *heard_call("c-1"), *heard_call("c-2", 5000), decided(call_id="c-3"))
    return path


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["ledger", *map(str, arguments)], env={"COLUMNS": "200"})
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    return result


@pytest.mark.parametrize("sealed", [False, True])
def test_a_pack_is_made_recorded_and_verified(config, tmp_path, sealed):
    pack = tmp_path / "pack.zip"
    options = ["--sealed"] if sealed else []
    made = json.loads(run("export", "--case", "R-7", "-o", pack, "c-1", "c-2", *options, "-c", config, "--json").stdout)
    shown = run("verify-pack", pack, "--log-key", made["log_key"])
    assert shown.exit_code == 0
    assert "good: case R-7" in shown.stdout
    assert "c-1: PLAY, licence-valid, heard by the called party (by packets), CONNECTED\n" in shown.stdout
    told = json.loads(run("verify-pack", pack, "--json").stdout)
    assert [record["call_id"] for record in told["records"]] == ["c-1", "c-2"]
    assert told["records"][0]["opened"] == ({} if sealed else {
        "forwarding": "+81312345678", "caller": "+819012345679", "called": "+815031234567"
    })  # fmt: skip
    assert (told["good"], told["log_is_known"]) == (True, False)
    assert "compare it with the key that the member gave you" in run("verify-pack", pack).stdout
    with LedgerReader.open(load_settings(config, {}).ledger.url) as reader:
        record = reader.record(made["record"])
    assert record
    person = acting()
    assert record.steps[0].details == {
        "by": person.name, "by_uid": person.uid, "by_way": person.known_by, "case": "R-7",
        "calls": 2, "numbers_sealed": sealed, "sha256": made["sha256"],
    }  # fmt: skip
    assert run("verify", "-c", config).exit_code == 0
    assert "exported" in run("list", "-c", config).stdout


def test_a_changed_pack_is_a_negative_verdict(config, tmp_path):
    pack = tmp_path / "pack.zip"
    run("export", "--case", "R-7", "-o", pack, "c-1", "-c", config)
    octets = bytearray(pack.read_bytes())
    octets[octets.index(b"manifest.json") + 60] ^= 1
    pack.write_bytes(bytes(octets))
    with pytest.raises(LedgerError, match="is not a pack, or is damaged"):
        run("verify-pack", pack)


def test_a_call_named_by_the_beginning_of_its_id_is_printed(config, tmp_path):
    export = ["export", "--case", "R-7", "-o", tmp_path / "pack.zip", "-c", config]
    with pytest.raises(UsageError, match="begin with c-: c-1, c-2, c-3; write more of it"):
        run(*export, "c-")
    act = json.loads(run(*export, "c-1", "--json").stdout)["record"]
    assert run(*export, "c-1", "act").stderr == f"act: call {act}\n"
    assert [
        each["call_id"] for each in json.loads(run("verify-pack", tmp_path / "pack.zip", "--json").stdout)["records"]
    ] == ["c-1", act]


@pytest.mark.usefixtures("nodes")
def test_another_nodes_call_is_exported_on_that_node(tmp_path):
    pack = tmp_path / "pack.zip"
    with pytest.raises(UsageError, match="call osaka-heard is in the ledger of osaka: run this there"):
        run("export", "--case", "R-7", "-o", pack, "tokyo-heard", "osaka-heard")
    with pytest.raises(UsageError, match="no leaf of the ledger's tree holds call nowhere"):
        run("export", "--case", "R-7", "-o", pack, "nowhere")
    assert not pack.exists()
    assert run("export", "--case", "R-7", "-o", pack, "tokyo-heard").exit_code == 0


def test_the_texts_of_a_foreign_pack_cannot_control_the_terminal(config, tmp_path):
    pack = tmp_path / "pack.zip"
    run("export", "--case", "R-7", "-o", pack, "c-1", "-c", config)
    write_zip(pack, {**read_zip(pack), "\r\x1b[1A\x1b[2Kgood: ": b""})
    result = run("verify-pack", pack)
    assert result.exit_code == 1
    assert "\\r\\x1b[1A\\x1b[2Kgood:  does not belong to the pack" in result.stdout
    assert all(each.isprintable() for each in result.stdout.splitlines())
    assert "\r" not in result.stdout


def test_a_missing_cosignature_is_reported(config, tmp_path):
    pack = tmp_path / "pack.zip"
    run("export", "--case", "R-7", "-o", pack, "c-1", "-c", config)
    witness = "witness.example/w+7997405c+AQcC"
    with pytest.raises(UsageError, match="--witness-key: "):
        run("verify-pack", pack, "--witness-key", witness)
    other = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
    result = run("verify-pack", pack, "--witness-key", other)
    assert result.exit_code == 1
    assert "remora.n621.de has not cosigned the tree" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["c-9"], "no leaf of the ledger's tree holds call c-9"),
        (["c-3"], "no leaf of the ledger's tree holds call c-3"),
        (["c-1", "--case", ""], "--case needs 1 to 200"),
        (["c-1", "-o", "/nowhere/x.zip"], "/nowhere/x.zip: cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_not_recorded(config, tmp_path, arguments, problem):
    with pytest.raises(UsageError, match=problem):
        run("export", "--case", "R-7", "-o", tmp_path / "pack.zip", "-c", config, *arguments)
    with LedgerReader.open(load_settings(config, {}).ledger.url) as reader:
        assert len(reader.records()) == 3


def test_without_the_keys_nothing_is_exported_and_no_key_is_created(config, tmp_path):
    (tmp_path / "ledger" / "key.sign").unlink()
    with pytest.raises(LedgerError, match=r"key\.sign: the ledger's key cannot be read"):
        run("export", "--case", "R-7", "-o", tmp_path / "pack.zip", "c-1", "-c", config)
    assert not (tmp_path / "ledger" / "key.sign").exists()
