"""The root of the command line: what `idtone` offers before any room has its say."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
import typer
from typer.testing import CliRunner

from idtone import __version__, console
from idtone.cli import app

GROUPS = {"agi", "serve", "doctor", "tone", "registry", "ledger", "dialplan"}


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group, as it is typed."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDTONE_CONFIG", raising=False)
    monkeypatch.delenv("IDTONE_ARI_PASSWORD", raising=False)


def test_the_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"idtone {__version__}\n")


def test_the_help_lists_the_groups() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert {line.strip("│ ").partition(" ")[0] for line in result.output.splitlines()} >= GROUPS
    assert {path[0] for path in COMMANDS if path} == GROUPS


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "idtone")
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert " ".join(("Usage:", "root", *path)) in result.output
    summary = COMMANDS[path].help
    assert summary, "it says what it is for"
    assert summary.split()[0] in result.output


@pytest.mark.parametrize("path", [path for path, command in COMMANDS.items() if not hasattr(command, "commands")])
def test_every_parameter_says_what_it_is_for(path: tuple[str, ...]) -> None:
    silent = [parameter.name for parameter in COMMANDS[path].params if not getattr(parameter, "help", None)]
    assert not silent


def test_serve_without_a_password_names_the_setting(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "idtone.yaml"
    settings.write_text(
        f"sounds: {{directory: {tmp_path}/sounds}}\nledger: {{url: 'sqlite:///{tmp_path}/l.sqlite3'}}\n"
    )
    with pytest.raises(SystemExit) as ended:
        console.run(lambda: app(["serve", "-c", str(settings)]))
    assert ended.value.code == console.UNUSABLE
    shown = capsys.readouterr()
    assert "ari.password_file" in shown.err
    assert "IDTONE_ARI_PASSWORD" in shown.err
    assert shown.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idtone.yaml"], "nothing was touched"
