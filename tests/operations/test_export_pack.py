"""`idtone ledger export`, and the verification of its packs by a third party."""

import json
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError, UsageError
from idtone.core.persons import acting_person
from idtone.core.settings.settings import load_settings
from idtone.ledger.disclosure.pack_file import read_zip, write_zip
from idtone.ledger.store.ledger_reader import LedgerReader
from lab.ledger.replication.nodes import Node
from lab.ledger.sample_evidence import heard_call
from lab.operations.ledger_commands import WARRANT, run


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return tmp_path / "pack.zip"


@pytest.fixture
def exported(config: Path, pack: Path) -> Path:
    """Export the pack of the call c-1, and return its path."""
    run("export", "--case", "R-7", *WARRANT, "-o", pack, "c-1", "-c", config)
    return pack


@pytest.mark.parametrize("sealed", [False, True])
def test_a_pack_is_made_recorded_and_verified(config, pack, sealed):
    options = ["--sealed"] if sealed else []
    made = json.loads(
        run("export", "--case", "R-7", *WARRANT, "-o", pack, "c-1", "c-2", *options, "-c", config, "--json").stdout
    )
    shown = run("verify pack", pack, "--log-key", made["log_key"])
    assert shown.exit_code == 0
    assert "good: case R-7" in shown.stdout
    assert "c-1: PLAY, licence-valid, sound for called party: sent (by packets), CONNECTED\n" in shown.stdout
    told = json.loads(run("verify pack", pack, "--json").stdout)
    assert [record["call_id"] for record in told["records"]] == ["c-1", "c-2"]
    numbers = {"forwarding": "+81312345678", "caller": "+819012345679", "called": "+815031234567"}
    assert told["records"][0]["opened"] == ({} if sealed else numbers)
    assert {name: told["basis"][name] for name in ("basis", "authority", "valid_until")} == {
        "basis": "warrant",
        "authority": "見本警察署",
        "valid_until": "2096-12-31",
    }
    assert "legal basis       令状による差押え等" in shown.stdout
    assert "発付裁判所 / issued by<td>見本簡易裁判所" in read_zip(pack)["report.html"].decode()
    assert (told["good"], told["log_is_known"]) == (True, False)
    assert "compare it with the key that the member gave you" in run("verify pack", pack).stdout
    with LedgerReader.open(load_settings(config, {}).ledger.url) as reader:
        record = reader.record(made["record"])
    person = acting_person()
    assert record.steps[0].details == {
        "by": person.name, "by_uid": person.uid, "by_way": person.known_by, "case": "R-7",
        "calls": 2, "numbers_sealed": sealed, "sha256": made["sha256"], **told["basis"],
    }  # fmt: skip
    assert run("verify", "-c", config).exit_code == 0
    assert "exported" in run("list", "-c", config).stdout


def test_a_changed_pack_is_a_negative_verdict(exported):
    octets = exported.read_bytes()
    at = octets.index(b"manifest.json") + 60
    exported.write_bytes(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :])
    with pytest.raises(LedgerError, match="is not a pack, or is damaged"):
        run("verify pack", exported)
    exported.write_bytes(octets)
    write_zip(exported, {**read_zip(exported), "\r\x1b[1A\x1b[2Kgood: ": b""})
    result = run("verify pack", exported)
    assert result.exit_code == 1
    assert "\\r\\x1b[1A\\x1b[2Kgood:  does not belong to the pack" in result.stdout
    assert all(each.isprintable() for each in result.stdout.splitlines()), "its texts cannot control the terminal"
    assert "\r" not in result.stdout


def test_a_call_named_by_the_beginning_of_its_id_is_printed(config, tmp_path):
    export = ["export", "--case", "R-7", *WARRANT, "-o", tmp_path / "pack.zip", "-c", config]
    with pytest.raises(UsageError, match="begin with c-: c-1, c-2, c-3; write more of it"):
        run(*export, "c-")
    act = json.loads(run(*export, "c-1", "--json").stdout)["record"]
    assert run(*export, "c-1", "act").stderr == f"act: call {act}\n"
    assert [
        each["call_id"] for each in json.loads(run("verify pack", tmp_path / "pack.zip", "--json").stdout)["records"]
    ] == ["c-1", act]


@pytest.mark.nightly
def test_another_nodes_call_is_exported_on_that_node(tmp_path, server, monkeypatch, pack):
    for name in ("tokyo", "osaka"):
        node = Node.at(tmp_path, name, server)
        node.write(heard_call(f"{name}-heard"))
        node.replicate()
        if name == "tokyo":
            here = node.settings
            ledger = {"URL": here.url, "PASSWORD": here.password, "SPOOL": here.spool, "KEY_FILE": here.key_file}
            for setting, value in {"NODE": name, **{f"LEDGER_{each}": ledger[each] for each in ledger}}.items():
                monkeypatch.setenv(f"IDTONE_{setting}", str(value))
    with pytest.raises(UsageError, match="call osaka-heard is in the ledger of osaka: run this there"):
        run("export", "--case", "R-7", *WARRANT, "-o", pack, "tokyo-heard", "osaka-heard")
    with pytest.raises(UsageError, match="no leaf of the ledger's tree holds call nowhere"):
        run("export", "--case", "R-7", *WARRANT, "-o", pack, "nowhere")
    assert not pack.exists()
    assert run("export", "--case", "R-7", *WARRANT, "-o", pack, "tokyo-heard").exit_code == 0


def test_a_missing_cosignature_is_reported(exported):
    with pytest.raises(UsageError, match="--witness-key: "):
        run("verify pack", exported, "--witness-key", "witness.example/w+7997405c+AQcC")
    other = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
    result = run("verify pack", exported, "--witness-key", other)
    assert result.exit_code == 1
    assert "remora.n621.de has not cosigned the tree" in result.stdout


def test_a_pack_of_one_person_says_so(exported):
    assert "approved by  nobody: it was made by one person alone" in run("verify pack", exported).stdout
    result = run("verify pack", exported, "--two-persons")
    assert result.exit_code == 1
    assert "the pack was made by one person alone" in result.stdout


def test_what_cannot_be_exported_is_not_recorded(config, tmp_path, pack):
    export = ("export", "--case", "R-7", *WARRANT, "-o", pack, "-c", config)
    for arguments, problem in (
        (["c-9"], "no leaf of the ledger's tree holds call c-9"),
        (["c-3"], "no leaf of the ledger's tree holds call c-3"),
        (["c-1", "--case", ""], "--case needs 1 to 200"),
        (["c-1", "-o", "/nowhere/x.zip"], "/nowhere/x.zip: cannot be written"),
    ):
        with pytest.raises(UsageError, match=problem):
            run(*export, *arguments)
    with LedgerReader.open(load_settings(config, {}).ledger.url) as reader:
        assert len(reader.records()) == 3
    (tmp_path / "ledger" / "key.sign").unlink()
    with pytest.raises(LedgerError, match=r"key\.sign: the key cannot be read"):
        run(*export, "c-1")
    assert not (tmp_path / "ledger" / "key.sign").exists(), "no key is created"
