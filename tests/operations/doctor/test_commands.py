"""The presentation of findings to people."""

import io

import pytest
from rich.console import Console

from idtone.core.terminal import command_line
from idtone.operations.doctor import commands
from idtone.operations.doctor.commands import show
from idtone.operations.doctor.findings import bad, good, unknown, warning
from lab.patch_library import patch_library

FINDINGS = [
    good("ari", "answers [bold]as it should[/bold]"),
    bad("ledger-key", "other users can read /k", "chmod 600 /k" + "k" * 200),
    unknown("hook-file", "not asked", "Correct it first"),
    unknown("hook-loaded", "not asked", "Correct it first"),
    warning("registry-fresh", "expires soon", "Fetch the next"),
]


def shown(problems: bool = False, **options) -> str:
    out = io.StringIO()
    show(FINDINGS, Console(file=out, width=100, highlight=False, **options), () if problems else None)
    return out.getvalue()


def test_the_worst_comes_first_and_remedies_can_be_copied():
    text = shown()
    assert "\x1b" not in text
    assert "answers [bold]as it should[/bold]" in text, "the text is not read as markup"
    remedies = [line for line in text.splitlines() if line.startswith("  → ")]
    assert remedies == [f"  → chmod 600 /k{'k' * 200}", "  → Fetch the next", "  → Correct it first"]
    assert text.splitlines()[-1] == "1 good, 1 warning, 1 bad, 2 not checked"
    for finding in FINDINGS[1:]:
        assert finding.why in text


def test_problems_alone_are_shown_and_all_are_counted():
    text = shown(problems=True)
    assert "as it should" not in text
    for finding in FINDINGS[1:]:
        assert finding.found in text
    assert text.splitlines()[-1] == "1 good, 1 warning, 1 bad, 2 not checked"


def test_each_remedy_says_why_fix_leaves_it():
    out = io.StringIO()
    left = {"ledger-key": "It is evidence.", "registry-fresh": "It is the association's."}
    show(FINDINGS[:2] + FINDINGS[-1:], Console(file=out, width=100, highlight=False), None, left)
    lines = out.getvalue().splitlines()
    after = {remedy: lines[at + 1] for at, remedy in enumerate(lines) if remedy.startswith("  → ")}
    assert list(after.values()) == ["  left to you: It is evidence.", "  left to you: It is the association's."]


def test_the_table_in_a_pipe_is_bounded_and_not_padded(capsys):
    show([good("ari", "answers " * 100)], command_line.screen(highlight=False))
    lines = capsys.readouterr().out.splitlines()
    assert 100 < max(map(len, lines)) <= 120
    assert [line for line in lines if line.endswith(" ")] == []


def test_colours_only_on_a_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31mbad" in shown(force_terminal=True, color_system="standard")


@pytest.mark.parametrize(("terminal", "after_s", "told"), [(True, 2.0, True), (True, 0.5, False), (False, 2.0, False)])
def test_progress_is_shown_only_on_a_terminal_and_only_for_slow_checks(monkeypatch, terminal, after_s, told):
    out = io.StringIO()
    clock_s = [100.0]
    patch_library(monkeypatch, commands, "time", monotonic=lambda: clock_s[0])
    waiting = commands.Waiting(Console(file=out, force_terminal=terminal, width=100))
    clock_s[0] += after_s
    waiting(["ledger", "watchdog"])
    waiting.status.stop()
    assert ("checking The ledger, The watchdog" in out.getvalue()) is told
