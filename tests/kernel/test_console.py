"""How a command ends, and what it prints."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import typer

from idtone import console
from idtone.errors import DocumentError, Fault, UsageError


def ending(app: typer.Typer, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        console.run(lambda: app(list(arguments)))
    return int(ended.value.code or 0)


@pytest.fixture
def app() -> typer.Typer:
    app = console.group("A group.")

    @app.command()
    def good() -> None:
        print("done")

    @app.command()
    def bad() -> None:
        print("no")
        console.negative()

    @app.command()
    def misused() -> None:
        raise UsageError("there is no such thing")

    @app.command()
    def unusable() -> None:
        raise DocumentError(
            [Fault("b.yaml", 1, 2, "a", "is wrong", "Mend it"), Fault("a.yaml", 0, 0, "", "is gone", "Look")]
        )

    return app


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("good", 0, "done\n", ""),
        ("bad", 1, "no\n", ""),
        ("misused", 2, "", "idtone: there is no such thing\n"),
        ("unusable", 2, "", "idtone: a.yaml: is gone. Look\nb.yaml:1:2: a: is wrong. Mend it\n"),
    ],
)
def test_endings(
    app: typer.Typer, command: str, code: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(app, command) == code
    assert capsys.readouterr() == (out, err)


def test_wrong_use_is_exit_2(app: typer.Typer) -> None:
    assert ending(app, "nothing") == 2
    assert ending(app, "good", "--nothing") == 2


def test_a_group_without_command_shows_its_help(app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    ending(app)
    shown = capsys.readouterr()
    assert "misused" in shown.out + shown.err


def test_what_is_not_ours_is_not_hidden() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        console.run(broken)


def test_json_is_one_document_with_readable_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"name": "良い電話", "at": datetime(2026, 11, 1, tzinfo=UTC), "list": [1]})
    out = capsys.readouterr().out
    assert "良い電話" in out
    assert json.loads(out) == {"name": "良い電話", "at": "2026-11-01 00:00:00+00:00", "list": [1]}
    assert out.endswith("}\n")
