"""The report of `idtone setup` at its end."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from idtone.core.settings.settings import Settings
from idtone.operations.doctor import machine_findings
from idtone.operations.setup import commands
from lab.patch_library import patch_library


def test_a_service_that_still_connects_is_looked_at_again(monkeypatch):
    """The service reports to systemd that it is ready before Asterisk has answered."""
    looks = [False, False, True]

    def run(*_: Any, **__: Any) -> list[Any]:
        return [machine_findings.service(True), machine_findings.application(looks.pop(0), True)]

    monkeypatch.setattr(commands, "run", run)
    wishes: Any = SimpleNamespace(config=Path("idtone.yaml"), folder=Path())
    findings = commands._examined(Settings(), wishes)
    assert not looks
    assert findings == [machine_findings.service(True), machine_findings.application(True, True)]


def test_a_service_that_does_not_run_is_not_waited_for(monkeypatch):
    found = [machine_findings.service(False), machine_findings.application(False, False)]
    monkeypatch.setattr(commands, "run", lambda *_, **__: found)
    patch_library(monkeypatch, commands, "time", sleep=lambda _: pytest.fail("it waits"))
    wishes: Any = SimpleNamespace(config=Path("idtone.yaml"), folder=Path())
    assert commands._examined(Settings(), wishes) is found
