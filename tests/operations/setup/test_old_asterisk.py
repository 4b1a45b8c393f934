"""setup and doctor refuse an Asterisk that is too old, before they change anything. Here a script takes its place;
`make test-asterisk SUITE=bullseye` runs lab/operations/old_asterisk.py on a real one.
"""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from idtone.cli import app
from idtone.core.errors import UsageError
from lab.operations.bare_asterisk import NEW, USER

CONFIGURATION = {
    "asterisk.conf": "[directories]\n",
    "extensions.conf": "[general]\n",
    "http.conf": "[general]\n",
    "modules.conf": "[modules]\nautoload = yes\n",
}


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    for name, text in CONFIGURATION.items():
        (folder / name).write_text(text)
    return folder


def asterisk(folder: Path, version: str, runs: bool) -> None:
    """Write a program in place of Asterisk.

    The program records each command, except the queries for its version.
    """
    program = folder / "asterisk"
    answer = f"echo '  Version:   {version}'" if runs else "exit 1"
    program.write_text(
        "#!/bin/sh\n"
        f"case \"$*\" in *'core show settings') {answer} ;;\n"
        f"-V) echo 'Asterisk {version}' ;;\n"
        f'*) echo "$*" >> {folder}/asked ;; esac\n'
    )
    program.chmod(0o755)


@pytest.mark.parametrize("version", ["16.28.0~dfsg-0+deb11u4", "18.26.4", "certified/18.9-cert13", "GIT-18-1a2b3c4"])
@pytest.mark.parametrize("runs", [True, False])
def test_an_old_asterisk_is_refused_and_nothing_is_changed(etc, tmp_path, monkeypatch, version, runs):
    asterisk(tmp_path, version, runs)
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), os.environ["PATH"])))
    config, copies = tmp_path / "idtone.yaml", tmp_path / "copies"
    places = ("--asterisk-etc", str(etc), "--copies", str(copies))
    refused = f"Asterisk {version} is too old: idtone needs Asterisk 20 or newer"
    if runs:  # else setup says that it does not
        tried = CliRunner().invoke(app, ["setup", "-c", str(config), "--user", USER, *NEW, *places])
        assert isinstance(tried.exception, UsageError)
        assert refused in str(tried.exception)
        assert not config.exists()

    config.write_text("ari: {url: 'http://127.0.0.1:1/ari'}\nregistry: {source: none.yaml, trust: unsigned}\n")
    told = {"IDTONE_ARI_PASSWORD": "some-password-of-many-characters"}
    tried = CliRunner().invoke(app, ["doctor", "-c", str(config), "--fix", "--yes", "--json", *places], env=told)
    assert tried.exit_code == 1, tried.output
    result = json.loads(tried.stdout)
    (finding,) = (each for each in result["findings"] if each["id"] == "asterisk-version")
    assert (finding["state"], finding["found"].startswith(refused)) == ("bad", True), finding
    assert result["changes"] == []
    assert {path.name: path.read_text() for path in etc.iterdir()} == CONFIGURATION
    assert not copies.exists()
    assert not (tmp_path / "asked").exists(), (tmp_path / "asked").read_text()
