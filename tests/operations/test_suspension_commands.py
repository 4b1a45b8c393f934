"""`idtone suspend` and `idtone suspensions` while no service runs: persons, customers, papers, refusals."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from idtone.call_control.fallback_conf import read_remembered
from idtone.core.errors import IdtoneError, UsageError
from idtone.core.persons import Person
from idtone.core.settings.settings import load_settings
from idtone.ledger.evidence.steps import StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.operations import suspension_acts
from idtone.operations.doctor import suspension_finding
from idtone.registry.suspensions.suspension_file import read_suspensions, suspensions_path
from lab.idtone_programs import locate_command
from lab.japan_today import today
from lab.ledger.sample_evidence import ALICE, BOB
from lab.registry.customer_lines.line_tables import GOOD as TABLE
from lab.registry.examples import GOOD

NUMBER = "0312345678"
WHY = ("--reference", "R-77", "--why", "the police called")


@pytest.fixture
def node(config: Path, tmp_path: Path) -> Path:
    """Settings of a node with a registry, a table of lines and a folder for Asterisk."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    (tmp_path / "registry.yaml").write_text(GOOD)
    (tmp_path / "lines.yaml").write_text(TABLE)
    config.write_text(
        f"{config.read_text()}sounds: {{directory: {sounds}}}\nlines: {{source: {tmp_path}/lines.yaml}}\n"
        f"registry: {{source: {tmp_path}/registry.yaml, trust: unsigned}}\nassociation: {{member: m-0001}}\n"
    )
    return config


def run(config: Path, *words: object, typed: str = "", code: int = 0) -> Any:
    """Run a command, and return its JSON, which must not have a telephone number."""
    result = CliRunner().invoke(*locate_command([*map(str, words), "--json", "-c", str(config)]), input=typed)
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    assert result.exit_code == code, result.output
    assert NUMBER[1:] not in result.output
    return json.loads(result.stdout)


def be(monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    monkeypatch.setattr(suspension_acts, "acting_person", lambda: person)


def stopped(config: Path) -> set[str]:
    return set(read_remembered(load_settings(config, {}).sounds.directory).suspended)


def acts(config: Path) -> list[object]:
    with LedgerReader.open(load_settings(config, {}).ledger.url) as reader:
        return [step.details["act"] for step in reader.acts(frozenset({StepKind.DUTY}))]


def test_two_persons_stop_a_number_and_lift_it(node, monkeypatch):
    node.write_text(f"{node.read_text()}policy: {{own_suspensions: two-persons}}\n")
    be(monkeypatch, ALICE)
    asked = run(node, "suspend", *WHY, typed=NUMBER, code=1)
    assert (asked["state"], stopped_or_none(node)) == ("asked", None)
    with pytest.raises(UsageError, match="alice has asked for this"):
        run(node, "suspensions", "approve", asked["id"], "--yes")
    be(monkeypatch, BOB)
    one = run(node, "suspensions", "approve", asked["id"], "--yes")
    assert (one["state"], one["by_service"], one["asked"]["by"], one["approved"]["by"]) == (
        "in-force",
        False,
        "alice",
        "bob",
    )
    assert "81312345678" in stopped(node)
    with pytest.raises(UsageError, match="is of these numbers already"):
        run(node, "suspend", *WHY, typed="+81-3-1234-5678")
    run(node, "suspensions", "lift", asked["id"][:6], "--why", "lifted by the police")
    assert "81312345678" in stopped(node), "until another person approves its end"
    be(monkeypatch, ALICE)
    assert run(node, "suspensions", "approve", asked["id"], "--yes")["state"] == "lifted"
    assert "81312345678" not in stopped(node)
    assert acts(node) == [
        "suspension-asked",
        "suspension-in-force",
        "suspension-approved",
        "suspension-lift-asked",
        "suspension-lifted",
    ]


def stopped_or_none(config: Path) -> set[str] | None:
    return stopped(config) or None


def test_a_customer_is_one_act_and_what_follows_is_closed_by_acts(node):
    one = run(node, "suspend", "--customer", "c-1", "--authority", "見本警察署", *WHY)
    assert (one["customer"], one["numbers"] > 1, one["state"]) == ("c-1", True, "in-force")
    assert stopped(node)
    assert [duty["kind"] for duty in one["duties"]] == ["contractor-report", "contract-end"]
    run(node, "duty", "close", one["id"], "contract-end", "--document", "D-1")
    closed = run(node, "duty", "close", one["id"], "contractor-report", "--document", "D-2", "--on", "2026-12-01")
    assert [duty["document"] for duty in closed["duties"]] == ["D-2", "D-1"]
    found = read_suspensions(suspensions_path(load_settings(node, {}))).suspensions
    assert suspension_finding.judge(found, found[0].asked.at).found == "1 in force"
    assert acts(node)[-2:] == ["suspension-duty-closed"] * 2


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_duty_is_closed_on_the_day_in_japan(node, monkeypatch, zone):
    """At any time, it is another day in one of these zones. Many servers keep UTC, where it is so each morning."""
    one = run(node, "suspend", "--customer", "c-1", *WHY)
    day = today()
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        closed = run(node, "duty", "close", one["id"], "contract-end", "--document", "D-1")
    time.tzset()
    (duty,) = [each for each in closed["duties"] if each["kind"] == "contract-end"]
    assert duty["on"] == day.isoformat()


def test_the_paper_is_signed_and_a_changed_one_is_noticed(node, tmp_path):
    one = run(node, "suspend", "-", *WHY, typed=f"{NUMBER}\n0312345600-0312345609\n")
    made = run(node, "paper", one["id"], "-o", tmp_path / "R-77.pdf")
    paper = Path(made["paper"])
    words = ["verify", "paper", str(paper), "-c", str(node)]
    assert CliRunner().invoke(*locate_command(words)).exit_code == 0
    assert (acts(node)[-1], paper.stat().st_mode & 0o777) == ("suspension-paper", 0o600)
    paper.write_bytes(paper.read_bytes() + b" ")
    ended = CliRunner().invoke(*locate_command(words))
    assert (ended.exit_code, "is NOT what" in ended.stdout) == (1, True)


@pytest.mark.parametrize(
    ("words", "typed", "why"),
    [
        ((NUMBER,), "", "must not stand on the command line"),
        (("--customer", "c-999"), "", "has no numbers of customer 'c-999'"),
        (("--customer", "c-1", "-"), NUMBER, "cannot go together"),
        ((), "", "no number was given"),
        (("-",), "110", "that number cannot be used"),
        (("-",), f"{NUMBER} 0312348888", "two numbers go on two lines"),
        (("--authority", "03-1234-5678"), NUMBER, "contains a telephone number"),
    ],
)
def test_what_is_refused_changes_nothing(node, words, typed, why):
    with pytest.raises(UsageError, match=why):
        run(node, "suspend", *words, *WHY, typed=typed)
    assert run(node, "suspensions", "list", "--all") == []
