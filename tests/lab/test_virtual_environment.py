"""A virtual environment with pip; tests/packages/virtual_environment.py makes one without the machine's `ensurepip`."""

import sys
from pathlib import Path

import pytest

from lab import virtual_environment


def test_an_environment_that_works_is_left_alone(monkeypatch):
    monkeypatch.setattr(virtual_environment.venv, "create", lambda *_, **__: pytest.fail("made anew"))
    virtual_environment.make(Path(sys.prefix))


def test_wrong_use_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["environment"])
    assert virtual_environment.main() == 2
    assert "FOLDER" in capsys.readouterr().err
