"""The member's own suspensions on the node of a running service: its commands and their effects."""

import json
import subprocess
from typing import Any

from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.registry.suspensions.suspension_file import read_suspensions
from lab.asterisk import IDTONE
from lab.service import Service


def command(service: Service, *words: str, typed: str = "", code: int = 0) -> Any:
    """The JSON output of the installed `idtone`, run as the service's user. Asserts the exit code."""
    ended = subprocess.run(
        service.as_itself([IDTONE, *words, "--json", "-c", service.settings]),
        input=typed,
        capture_output=True,
        text=True,
        env=service._environment(),
        timeout=600,
    )
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout)


def acts(service: Service, suspension: str) -> list[object]:
    with LedgerReader.open(f"sqlite:///{service.ledger}") as reader:
        found = reader.acts(frozenset({StepKind.DUTY}))
    return [step.details["act"] for step in found if step.details["subject"] == suspension]


def states(service: Service) -> list[str]:
    found = read_suspensions(service.ledger.with_name(f"{service.ledger.name}.suspensions"))
    return [each.state for each in found.suspensions]
