"""`idtone tone import`, which compares a recording with the registry."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from idtone.cli import app
from idtone.core.errors import TrustError
from idtone.core.terminal import command_line
from idtone.tones.making.synthesis import synthesise
from idtone.tones.profile_library import load_library
from lab.registry.trust.association import Association, Machine

FORMATS = ("--format", "sln,ulaw")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDTONE_CONFIG", raising=False)


@pytest.fixture
def master(tmp_path: Path) -> Path:
    path = tmp_path / "m.wav"
    soundfile.write(path, np.pad(synthesise(load_library()["sample"], 48_000), 4800), 48_000)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings with folders for all files; the named registry does not exist yet."""
    path = tmp_path / "idtone.yaml"
    path.write_text(
        f"sounds: {{directory: {tmp_path}/sounds, profiles: {tmp_path}/profiles}}\n"
        f"registry: {{source: {tmp_path}/registry.yaml, trust: unsigned}}\n"
    )
    return path


def registry(path: Path, sha256: str) -> Path:
    header = "{association: JUSA, version: 1, issued: 2026-11-01T00:00:00+09:00, expires: 2026-12-01T00:00:00+09:00}"
    path.write_text(
        f"registry: {header}\ntones: [{{id: jusa, title: 協会の音, sha256: '{sha256}'}}]\nmembers: []\n", "utf-8"
    )
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*arguments: object) -> int:
    try:
        command_line.run(lambda: app(["tone", "import", *map(str, arguments), *FORMATS]))
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError("it did not end")


def test_into_the_folders_of_the_settings(master, config, tmp_path, capsys):
    registry(tmp_path / "registry.yaml", sha256(master))
    assert run(master, "--id", "jusa", "--standard", "-c", config, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["title"], told["standard"], told["registry"]) == ("協会の音", True, "names this master")
    assert {path.name for path in (tmp_path / "sounds").iterdir()} == {"jusa.sln", "jusa.ulaw"}
    loaded = load_library(tmp_path / "profiles")["jusa"]
    assert loaded.standard
    assert loaded.sha256 == sha256(master)


def test_into_one_folder_without_a_registry_or_the_sounds_in_their_own(master, config, tmp_path, capsys):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    assert run(master, "--id", "own", "--title", "Ours", "-o", out, "-c", config, "--level", -20) == 0
    shown = capsys.readouterr().out
    assert "not asked" in shown
    assert f"{sha256(out / 'own.sln')}  {out}/own.sln" in shown
    assert load_library(out)["own"].level_dbm0 == -20
    assert run(master, "--id", "own", "-o", tmp_path / "two", "--sounds", elsewhere, "-c", config) == 0
    assert sorted(path.name for path in elsewhere.iterdir()) == ["own.sln", "own.ulaw"]
    assert "own.sha256" in {path.name for path in (tmp_path / "two").iterdir()}


def test_a_refusal_is_one_message_and_exit_code_2(master, config, tmp_path, capsys):
    right, wrong = registry(tmp_path / "right.yaml", sha256(master)), registry(tmp_path / "wrong.yaml", "0" * 64)
    bare = tmp_path / "bare.yaml"
    bare.write_text(f"registry: {{source: {tmp_path}/none.yaml, trust: unsigned}}\n")
    before = sorted(tmp_path.rglob("*"))
    for more, says in (
        ((master, "--expect-sha256", "f" * 64), "is expected"),
        ((master, "--registry", wrong), "names another master"),
        ((master, "--registry", right, "--id", "other", "--standard"), "is marked as the standard sound"),
        ((master, "--standard"), "there is no registry"),
        ((master, "--registry", "absent.yaml"), "absent.yaml: cannot be read"),
        ((master, "--id", "sample"), "is the id of another profile"),
        ((master, "-c", bare), "set sounds.profiles in the settings, or name one with -o"),
        ((), "an unsigned registry has no published masters; name the MASTER"),
    ):
        code, shown = run("--id", "jusa", "-c", config, *more), capsys.readouterr()
        assert (code, shown.out, "Traceback" in shown.err) == (command_line.UNUSABLE, "", False), says
        assert says in " ".join(shown.err.split())
        assert sorted(tmp_path.rglob("*")) == before, says


def test_the_master_that_the_association_publishes(master, tmp_path, capsys):
    association = Association(tmp_path / "association")
    (association.folder / "tones").mkdir()
    shutil.copy(master, association.folder / "tones" / "jusa.wav")
    named = registry(association.folder / "registry.yaml", sha256(master))
    association.begin()
    machine = Machine(association, tmp_path / "machine")
    machine.take()
    config = tmp_path / "idtone.yaml"
    config.write_text(
        f"sounds: {{directory: {tmp_path}/sounds, profiles: {tmp_path}/profiles}}\n"
        f"registry: {{source: {machine.source}, trust: {machine.trust}, cache: {machine.cache}}}\n"
    )
    assert run("--id", "jusa", "--standard", "-c", config, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["registry"], told["title"]) == ("names this master", "協会の音")
    assert load_library(tmp_path / "profiles")["jusa"].sha256 == sha256(master)

    shutil.rmtree(association.folder / "tones")
    named.write_text(named.read_text("utf-8").replace("version: 1", "version: 2"), "utf-8")
    association.publish()
    assert run("--id", "jusa", "--standard", "--replace", "-c", config) == 0, "the published master is still there"

    published = next((association.repository / "targets" / "tones").iterdir())
    published.write_bytes(published.read_bytes()[:-1] + b"x")
    capsys.readouterr()
    assert run("--id", "jusa", "--standard", "--replace", "-c", config) == 2
    assert "is not what the association signed" in " ".join(capsys.readouterr().err.split())
    assert run("--id", "other", "-c", config) == 2
    assert "no master of other is published" in " ".join(capsys.readouterr().err.split())

    (association.folder / "tones").mkdir()
    (association.folder / "tones" / "jusa.wav").write_bytes(b"another recording")
    named.write_text(named.read_text("utf-8").replace("version: 2", "version: 3"), "utf-8")
    with pytest.raises(TrustError, match=r"jusa\.wav: is not the master that registry\.yaml names for jusa"):
        association.publish()
