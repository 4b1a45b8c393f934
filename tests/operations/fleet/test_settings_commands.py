"""`idtone-fleet new-signing-key`, `sign` and `diff`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from idtone.core.errors import DocumentError, LedgerError, TrustError, UsageError
from idtone.core.settings.settings import load_settings
from idtone.fleet_cli import app

SHARED = "policy: {unlicensed: refuse, waiting: 50}\nlog: {level: debug}\n"


@pytest.fixture(autouse=True)
def _no_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("IDTONE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("IDTONE_PASSPHRASE", "a long passphrase")


class Desk:
    """A folder in which an operator signs settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key, self.shared, self.signed = folder / "fleet.pem", folder / "shared.yaml", folder / "fleet.signed"
        self.shared.write_text(SHARED)

    def run(self, *words: object) -> Result:
        """Run one command, and return its result.

        Raises the command's error.
        """
        result = CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def told(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def sign(self, *options: object) -> Any:
        return self.told("sign", self.shared, "--key", self.key, "-o", self.signed, *options)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.run("new-signing-key", made.key)
    return made


def test_a_signed_file_is_that_of_the_key_and_each_edition_gets_the_next_version(desk, tmp_path):
    trust = desk.told("new-signing-key", desk.key)["trust"]
    assert desk.run("new-signing-key", desk.key).stdout == f"{trust}\n", "the key that is there is shown, not replaced"
    assert desk.key.stat().st_mode & 0o777 == 0o600
    first = desk.sign()
    assert (first["version"], first["trust"], first["changed"]) == (1, [trust], [])
    desk.shared.write_text(SHARED.replace("50", "60"))
    second = desk.sign()
    assert (second["version"], second["changed"]) == (2, ["policy.waiting"])
    assert desk.sign("--version", 9)["version"] == 9
    with pytest.raises(UsageError, match="has version 9, and nodes refuse an older one; choose a larger --version"):
        desk.sign("--version", 9)
    shown = desk.run("sign", desk.shared, "--key", desk.key, "-o", desk.signed).stdout
    assert shown.splitlines() == [
        f"{desk.signed}: version 10 of the fleet's settings",
        f"fleet.trust on the nodes: {trust}",
    ]
    node = tmp_path / "idtone.yaml"
    node.write_text(f"node: pbx-1\nfleet: {{settings: {desk.signed}, trust: {trust}}}\n")
    assert load_settings(node, {}).policy.waiting == 60


def test_what_cannot_be_signed_leaves_the_signed_file_as_it_is(desk, monkeypatch):
    desk.sign()
    before = desk.signed.read_bytes()
    desk.shared.write_text(f"{SHARED}node: pbx-1\n")
    with pytest.raises(DocumentError, match=r"shared\.yaml:3:1: node: is a key that each node has for itself"):
        desk.sign()
    desk.shared.write_text("ledger: {url: 'postgresql://a:b@db/x'}\n")
    with pytest.raises(LedgerError, match=r"ledger\.url holds a password, which many may read"):
        desk.sign()
    desk.shared.write_text("# " + "x" * 262_000 + "\n")
    with pytest.raises(UsageError, match="is larger than 262144 bytes; remove comments"):
        desk.sign()
    desk.shared.write_text(SHARED)
    monkeypatch.setenv("IDTONE_PASSPHRASE", "another one")
    with pytest.raises(TrustError, match="is not a key, or the passphrase is wrong"):
        desk.sign()
    assert desk.signed.read_bytes() == before
    monkeypatch.setenv("IDTONE_PASSPHRASE", "a long passphrase")
    other = desk.folder / "other.pem"
    desk.run("new-signing-key", other)
    with pytest.raises(DocumentError, match="is not signed by the expected key"):
        desk.told("sign", desk.shared, "--key", other, "-o", desk.signed)


def test_two_files_are_compared(desk, tmp_path):
    desk.sign()
    other = tmp_path / "other.signed"
    other.write_bytes(desk.signed.read_bytes())
    same = desk.run("diff", desk.signed, other)
    assert (same.exit_code, same.stdout) == (0, "all keys have the same values\n")
    assert same.stderr == "signatures are not verified: fleet.trust is not set here\n"
    desk.shared.write_text("policy: {unlicensed: refuse, silent: ['0312345678']}\n")
    desk.sign()
    found = desk.run("diff", other, desk.signed)
    assert found.exit_code == 1
    assert [line.split() for line in found.stdout.splitlines()[1:]] == [
        ["log.level", "debug", "info"],
        ["policy.silent", "(not", "shown)", "(not", "shown)"],
        ["policy.waiting", "50", "20"],
    ]
    assert "0312345678" not in found.stdout
    plain = desk.told("diff", desk.signed, desk.shared)
    assert plain["differences"] == {}
    assert [each["version"] for each in plain["files"]] == [2, None]
    with pytest.raises(UsageError, match=r"name the file to compare it with; fleet\.settings is not set here"):
        desk.run("diff", desk.signed)


def test_a_node_compares_with_its_own_file_and_verifies(desk, tmp_path):
    trust, node = desk.told("new-signing-key", desk.key)["trust"], tmp_path / "idtone.yaml"
    desk.sign()
    node.write_text(f"fleet: {{settings: {desk.signed}, trust: {trust}}}\n")
    desk.shared.write_text(SHARED.replace("50", "60"))
    assert desk.told("diff", desk.shared, "-c", node)["differences"] == {"policy.waiting": [60, 50]}
    altered = tmp_path / "altered.signed"
    altered.write_text(desk.signed.read_text().replace("waiting: 50", "waiting: 60"))
    with pytest.raises(DocumentError, match="the signature of idtone-fleet is not on this text"):
        desk.run("diff", altered, "-c", node)
    with pytest.raises(UsageError, match=r"ledger\.url names the file of one node"):
        desk.run("diff", "-c", node)
