"""The association's desk and a member's machine on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from idtone import console
from idtone.cli import app
from idtone.errors import TrustError
from idtone.registry.trust.desk import load_key, make_key

from ..examples import GOOD
from .association import STOPPED, SUSPENSIONS

PHRASE = "of the test"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with a repository; its keys beside it."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "registry.yaml").write_text(GOOD.partition("suspensions:")[0])
    (folder / "suspensions.yaml").write_text(SUSPENSIONS)
    monkeypatch.setenv("IDTONE_PASSPHRASE", PHRASE)
    code, told, _ = run(capsys, "init", folder, "--keys", tmp_path / "keys", "--json")
    assert code == 0
    assert told["root"] == str(folder / "repository" / "metadata" / "1.root.json")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any, str]:
    """Exit code, standard output (JSON where it was asked for) and standard error."""
    try:
        console.run(lambda: app(["registry", *map(str, arguments)]))
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, json.loads(shown.out) if "--json" in arguments and shown.out else shown.out, shown.err


def keys(folder: Path, *names: str) -> list[object]:
    return [word for name in names for word in ("--key", folder.with_name("keys") / f"{name}.pem")]


def test_from_the_desk_to_the_member(desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "idtone.yaml"
    root = desk / "repository" / "metadata" / "1.root.json"
    config.write_text(f"registry: {{source: {desk / 'repository'}, trust: {root}, cache: {tmp_path / 'cache'}}}\n")
    ask = ("decide", "--number", "0312345677", "--direction", "incoming", "-c", config, "--json")
    code, _, error = run(capsys, *ask)
    assert (code, "run `idtone registry update`" in error) == (2, True)
    code, told, _ = run(capsys, "update", "-c", config, "--json")
    assert (code, told["version"], told["trust"], told["suspensions"]) == (0, 42, "signed", 0)

    (desk / "suspensions.yaml").write_text(STOPPED)
    code, told, _ = run(capsys, "publish", desk, *keys(desk, "duty-1", "duty-2"), "--json")
    assert (code, told["signed"]) == (0, ["suspensions", "snapshot", "timestamp"])
    run(capsys, "update", "-c", config)
    code, told, _ = run(capsys, *ask)
    assert (code, told["reason"], told["registry_trust"]) == (1, "number-suspended", "signed")
    code, told, _ = run(capsys, "show", "-c", config, "--json")
    assert (told["trust"], len(told["suspensions"])) == ("signed", 1)


def test_too_few_keys_publish_nothing(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "suspensions.yaml").write_text(STOPPED)
    code, out, error = run(capsys, "publish", desk, *keys(desk, "duty-1"))
    assert (code, out) == (2, "")
    assert "takes the signatures of 2 of its 2 keys (duty), and 1 of those given" in error


def test_a_fault_is_told_by_file_line_and_field(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "suspensions.yaml").write_text(STOPPED.replace("reference: R-1", "referenz: R-1"))
    code, _, error = run(capsys, "publish", desk, *keys(desk, "duty-1", "duty-2"))
    assert code == 2
    assert f"{desk / 'suspensions.yaml'}:3:" in error


def test_suspensions_can_be_checked_before_anybody_is_called(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "suspensions.yaml").write_text(STOPPED)
    code, told, _ = run(capsys, "check", desk / "suspensions.yaml", "--json")
    assert (code, told["good"], told["suspensions"]) == (0, True, 1)
    (desk / "suspensions.yaml").write_text(STOPPED.replace("03123", "03x23"))
    code, told, _ = run(capsys, "check", desk / "suspensions.yaml", "--json")
    assert (code, told["good"], told["faults"][0]["line"]) == (1, False, 3)


def test_keys_are_replaced(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = [desk.with_name("keys") / f"duty-{number}.pem" for number in (3, 4)]
    arguments = [word for path in new for word in ("--new", path)]
    old = keys(desk, "root-1", "root-2", "duty-1", "duty-2")
    code, told, error = run(capsys, "rotate", desk, "duty", *arguments, *old, "--json")
    assert code == 0, error
    assert {"root", "targets", "suspensions", "snapshot", "timestamp"} == set(told["signed"])
    (desk / "suspensions.yaml").write_text(STOPPED)
    assert run(capsys, "publish", desk, *keys(desk, "duty-1", "duty-2"))[0] == 2
    assert run(capsys, "publish", desk, *keys(desk, "duty-3", "duty-4"))[0] == 0


def test_who_loses_the_passphrase_has_no_key(desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("IDTONE_PASSPHRASE", "another")
    code, _, error = run(capsys, "publish", desk, *keys(desk, "duty-1", "duty-2"))
    assert (code, "is no key, or the passphrase is another one" in error) == (2, True)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = make_key(path, PHRASE)
    assert load_key(path, PHRASE).public_key == made.public_key
    assert b"ENCRYPTED" in path.read_bytes()
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(TrustError, match="others can read this key"):
            load_key(path, PHRASE)


def test_nothing_is_begun_twice_and_no_key_is_written_over(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, "init", desk, "--keys", desk.with_name("others"))
    assert (code, "there is a repository already" in error) == (2, True)
    assert not desk.with_name("others").exists()
    (desk / "repository").rename(desk / "before")
    code, _, error = run(capsys, "init", desk, "--keys", desk.with_name("keys"))
    assert (code, "a key cannot be written here" in error) == (2, True)


def test_keys_do_not_lie_in_what_is_published(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (desk, desk / "repository" / "keys"):
        code, _, error = run(capsys, "init", desk, "--keys", folder)
        assert (code, "the keys would lie in what is published" in error) == (2, True)


def test_nobody_gets_an_unsigned_registry_by_forgetting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "idtone.yaml"
    config.write_text(f"registry: {{source: {tmp_path}}}\n")
    code, _, error = run(capsys, "show", "-c", config)
    assert (code, "registry.trust: is not set" in " ".join(error.split())) == (2, True), error
