"""What the documentation says is there, and what is there is in the documentation."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime

import pytest
import typer.main

from idtone.call_control import journal_lines
from idtone.call_control.hearing import KnownBy
from idtone.calls import Outcome, Reason
from idtone.cli import app
from idtone.dialplan import Played
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.records import fold
from idtone.ledger.evidence.steps import CallStatus, StepKind
from idtone.settings import Settings, locations

from .test_house import ROOT

TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [*TOP, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPERATING = (ROOT / "docs" / "operating.md").read_text("utf-8")
EVIDENCE = (ROOT / "docs" / "evidence.md").read_text("utf-8")
SECTIONS = set(Settings.model_fields)


def indented(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("   ")]


@pytest.mark.parametrize("word", [*Outcome, *Reason, *CallStatus])
def test_every_outcome_reason_and_status_is_explained_to_operators(word):
    assert f"`{word.value}`" in OPERATING


@pytest.mark.parametrize("word", [*StepKind, *fold("", [steps.answered("c", datetime.now(UTC))]).to_json()])
def test_every_step_and_field_of_the_evidence_is_explained_to_its_readers(word):
    assert f"`{word}`" in EVIDENCE


@pytest.mark.parametrize("word", [*KnownBy, *Played])
def test_by_what_it_is_known_that_a_sound_was_heard_is_explained_to_its_readers(word):
    assert f"`{word}`" in EVIDENCE


def test_readers_see_the_lines_of_the_journal_as_the_service_reads_them():
    lines = indented(inspect.getdoc(journal_lines) or "")
    assert {line.split(",")[0] for line in lines} == {"decided", "sounded", "ended"}
    assert all(line in EVIDENCE.splitlines() for line in lines)


@pytest.mark.parametrize("page", ["README.md", "docs/operating.md"])
def test_a_dialplan_is_shown_as_the_hook_itself_shows_it(page):
    head = (ROOT / "dialplan" / "idtone.conf").read_text("utf-8").partition("; Arguments:")[0]
    shown = [line for line in indented(head.replace("\n;", "\n")) if line and not line.startswith("#include")]
    assert len(shown) == 3
    text = [line.strip() for line in (ROOT / page).read_text("utf-8").splitlines()]
    start = text.index(shown[0])
    assert text[start : start + len(shown)] == shown


def test_the_steps_of_the_readme_come_in_the_order_in_which_they_work():
    steps = ["Install `idtone`", "ari.conf", "/etc/idtone/idtone.yaml", "dialplan export", "#include", "reload",
             "systemctl enable", "idtone doctor"]  # fmt: skip
    text = (ROOT / "README.md").read_text("utf-8").partition("## On a real PBX")[2]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)


def test_what_is_installed_is_what_the_unit_runs():
    unit = dict(
        re.findall(r"^(ExecStart|User|Group)=(\S+)", (ROOT / "config" / "idtone.service").read_text(), re.MULTILINE)
    )
    installing = OPERATING.partition("## Installing")[2].partition("\n## ")[0]
    assert f"ln -s /opt/idtone/bin/idtone {unit['ExecStart']}\n" in installing
    assert f"adduser --system --ingroup {unit['Group']} {unit['User']}\n" in installing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_a_page_names_exist(page):
    named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)", page.read_text("utf-8"))
    known = {".".join(location[:depth]) for location in locations() for depth in range(1, len(location) + 1)}
    unknown = {
        name for name in named if name.partition(".")[0] in SECTIONS and not name.endswith((".conf", ".yaml"))
    } - known
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, heading in re.findall(r"\]\(([^)#:]+)(#[^)]+)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", (page.parent / target).read_text("utf-8"), re.MULTILINE)
            assert heading in {f"#{re.sub('[^a-z0-9 -]', '', each.lower()).replace(' ', '-')}" for each in headings}


@pytest.mark.parametrize("page", TOP, ids=lambda page: page.name)
def test_files_and_targets_that_a_page_at_the_top_names_exist(page):
    text = page.read_text("utf-8")
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:cfg|conf|md|py|toml|yaml))`", text)
    assert not [name for name in named if not (ROOT / name).exists()]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:`|^)make ([a-z]+(?:-[a-z]+)*)", text, re.MULTILINE)) <= set(targets)


def test_every_command_is_in_the_changelog():
    """Until the first release the changelog names each command; a new one cannot be forgotten."""
    changelog = " ".join((ROOT / "CHANGELOG.md").read_text("utf-8").split())
    root = typer.main.get_command(app)
    for name, command in root.commands.items():
        inner = getattr(command, "commands", None)
        written = f"`idtone {name} {' | '.join(inner)}`" if inner else f"`idtone {name}`"
        assert written in changelog
