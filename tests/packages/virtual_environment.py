"""A virtual environment with pip, made without the machine's `ensurepip`: `make test-packages`."""

import shutil
import subprocess

import pytest

from lab import virtual_environment


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="Debian's way, and this is no Debian")
def test_without_ensurepip_pip_comes_out_of_debians_package(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual_environment.importlib.util, "find_spec", lambda name: None)
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to(tmp_path / "python of before the upgrade")
    virtual_environment.make(folder)
    assert str(folder) in subprocess.check_output([folder / "bin/python", "-m", "pip", "--version"], text=True)
