"""A virtual environment with pip, with and without the machine's `ensurepip`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import environment


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="Debian's way, and this is no Debian")
def test_without_ensurepip_pip_comes_out_of_debians_package(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to(tmp_path / "python of before the upgrade")
    environment.make(folder)
    assert str(folder) in subprocess.check_output([folder / "bin/python", "-m", "pip", "--version"], text=True)


def test_an_environment_that_works_is_left_alone(monkeypatch):
    monkeypatch.setattr(environment.venv, "create", lambda *_, **__: pytest.fail("made anew"))
    environment.make(Path(sys.prefix))


def test_wrong_use_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["environment"])
    assert environment.main() == 2
    assert "FOLDER" in capsys.readouterr().err
