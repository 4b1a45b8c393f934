"""The root of the command line."""

import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from idtone import __version__
from idtone.cli import app
from idtone.core.terminal import command_line
from idtone.service.commands import UNUSABLE_SETTINGS
from lab.idtone_programs import PROGRAMS, command_tree

ROOT = Path(__file__).parents[2]
NOUNS = {
    "idtone": set(
        "backup brake canary console dialplan doctor ledger lines registry restore serve setup status suspend"
        " suspensions tone".split()
    ),
    "idtone-evidence": set("disclosure duty forget hold log monitor paper reconcile verify witness".split()),
    "idtone-fleet": set("calls diff new-key new-signing-key sign status upgrade wait".split()),
    "idtone-office": set(
        "application chain condition course customer desk document duty evaluation form history key licence log member"
        " misuse paper never-originating node number publication refusal report request site sound suspension".split()
    ),
}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands and groups below a command: the words of the command line, and the command or group."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


SHOWN = {(program, *path): command for program in PROGRAMS for path, command in commands(command_tree(program))}


def help_page(command: Any, words: tuple[str, ...]) -> str:
    page: str = command.get_help(command.context_class(command, info_name=" ".join(words)))
    return page


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDTONE_CONFIG", raising=False)
    monkeypatch.delenv("IDTONE_ARI_PASSWORD", raising=False)


def test_the_version():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"idtone {__version__}\n")


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_every_command_has_help(words):
    program, *path = words
    result = CliRunner().invoke(PROGRAMS[program], [*path, "--help"], prog_name=program)
    shown = SHOWN[words]
    command = shown.loaded() if hasattr(shown, "loaded") else shown
    assert result.exit_code == 0
    assert " ".join(("Usage:", *words)) in result.output
    assert command.help, "the help has a summary"
    assert command.help.split()[0] in result.output
    silent = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert not silent, "every parameter says what it is for"
    bracketed = [each.metavar for each in command.params if set(each.metavar or "") & set("[]…")]
    assert not bracketed, "the usage itself shows what may be left out, and repeated"
    if hasattr(shown, "outlined"):
        assert help_page(shown.outlined(), words) == help_page(command, words), "the help is that of the command itself"
    if path and not hasattr(command, "commands"):
        assert shown.help == " ".join(command.help.partition("\n\n")[0].split()), "its group shows its summary"
    elif program in NOUNS and not path:
        assert set(shown.commands) == NOUNS[program]
        assert {line.strip("│ ").partition(" ")[0] for line in result.output.splitlines()} >= NOUNS[program]


def test_the_program_of_a_node_is_small():
    """Evidence officers, fleets and offices have their own programs."""
    leaves = [words for words, command in SHOWN.items() if words[0] == "idtone" and not hasattr(command, "commands")]
    groups = [words for words, command in SHOWN.items() if getattr(command, "invoke_without_command", False)]
    assert len(leaves) + len(groups) <= 40


def test_until_names_a_last_day_wherever_the_office_asks_for_one():
    """An office counts in days, so a mistake of one day would matter."""
    said = {
        " ".join(words): parameter.help
        for words, command in SHOWN.items()
        if words[0] == "idtone-office" and hasattr(command, "loaded") and not hasattr(command, "commands")
        for parameter in command.loaded().params
        if parameter.name in ("until", "mark_until")
    }
    assert len(said) > 10
    assert [(name, text) for name, text in said.items() if "first day" in text] == []


def test_a_room_names_no_module_of_another_room():
    """The import linter cannot see these imports, because they are strings."""
    for room in "console ledger member office operations registry tones".split():
        texts = [path.read_text("utf-8") for path in (ROOT / room).rglob("*.py")]
        assert {other for text in texts for other in re.findall(r'"idtone\.(\w+)[\w.]*:\w+"', text)} == {room}


def test_garbage_collection_is_on_again_after_a_command_is_loaded():
    assert CliRunner().invoke(app, ["tone", "list"]).exit_code == 0
    assert gc.isenabled()


COMPLETIONS = {
    "idtone reg": ["registry"],
    "idtone ledger s": ["show", "stats"],
    "idtone ledger exp": ["export"],
    "idtone tone import --ex": ["--expect-sha256"],
    "idtone tone show s": ["sample"],
    "idtone tone play no": ["notice"],
    "idtone tone verify x.wav --profile sam": ["sample"],
    "idtone tone lint -c /nowhere s": [],
    "idtone tone generate --format sln1": ["sln12", "sln16", "sln192"],
    "idtone tone generate --format wav,ul": ["wav,ulaw"],
    "idtone tone import --format al": ["alaw", "all"],
}


@pytest.mark.parametrize("typed", COMPLETIONS)
def test_the_shell_completes_commands_and_options(typed, monkeypatch, capsys):
    asked = {"_IDTONE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        command_line.run(lambda: app([], prog_name="idtone"))
    out, err = capsys.readouterr()
    assert (ended.value.code or 0, out.split(), err) == (0, COMPLETIONS[typed], "")


def test_serve_without_a_password_names_the_setting(tmp_path, capsys):
    settings = tmp_path / "idtone.yaml"
    settings.write_text(
        f"sounds: {{directory: {tmp_path}/sounds}}\nledger: {{url: 'sqlite:///{tmp_path}/l.sqlite3'}}\n"
    )
    with pytest.raises(SystemExit) as ended:
        command_line.run(lambda: app(["serve", "-c", str(settings)]))
    assert ended.value.code == UNUSABLE_SETTINGS
    shown = capsys.readouterr()
    assert "ari.password_file" in shown.err
    assert "IDTONE_ARI_PASSWORD" in shown.err
    assert shown.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idtone.yaml"], "the command writes nothing"
