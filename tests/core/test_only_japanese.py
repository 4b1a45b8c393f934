"""No text that a person reads on a terminal bypasses the catalogue of translations."""

import ast
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.core.command_language import run
from lab.idtone_programs import PROGRAMS, command_tree
from lab.repository import ROOT, modules, parsed

__all__ = ["run"]
JAPANESE = {"LANG": "ja_JP.UTF-8"}
PRINTS = {"print", "echo", "secho", "confirm", "prompt", "ask_secret", "confirmed"}
NAMES = re.compile(r"\b(bold|SHA-256|Call-ID|false_alarm|(?:at|idtone|https?|id)(?=:| \{))")
"""Names that are the same in both languages."""
WORDS = re.compile(r"[A-Za-z]{3,}")
_ENGLISH = re.compile(r"(?<![-\w./'`\"])[a-z]{2,}(?: [a-z]{2,}){2,}")
_COMMAND = re.compile(r"idtone[a-z-]*(?: [a-z][a-z-]*)+")


def english(text: str) -> list[str]:
    """Places with three English words in a row that are not a command."""
    return _ENGLISH.findall(_COMMAND.sub("", text))


def literals(node: ast.AST) -> Iterator[str]:
    """The literal texts of a value, without those in calls: a call may translate its text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield from literals(part) if isinstance(part, ast.Constant) else ("{",)
    elif isinstance(node, ast.IfExp):
        yield from (*literals(node.body), *literals(node.orelse))
    elif isinstance(node, ast.BinOp):
        yield from (*literals(node.left), *literals(node.right))
    elif isinstance(node, ast.Starred | ast.List | ast.Tuple):
        for inner in ast.iter_child_nodes(node):
            yield from literals(inner)


def printed(path: Path) -> Iterator[str]:
    source = path.read_text("utf-8")
    if not any(f"{name}(" in source for name in PRINTS):
        return
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            text = "".join(part for argument in node.args for part in literals(argument)) if name in PRINTS else ""
            if WORDS.search(NAMES.sub("", text)):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {text}"


def test_what_a_module_prints_or_asks_is_translated():
    assert [each for path in sorted(modules()) for each in printed(path)] == []


def leaves(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, *words, name)


@pytest.mark.breadth
def test_the_help_of_each_command_is_japanese(run: Callable[..., tuple[int, str, str]]):
    found = []
    for words in (words for program in PROGRAMS for words in leaves(command_tree(program), program)):
        _, text, _ = run(*words, "--help", columns="400", **JAPANESE)
        assert "使い方:" in text, words
        found += [(words, *english(text))] if english(text) else []
    assert found == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ledger show", "引数 'CALL_ID' を指定してください"),
        ("site sign package --key k.pem", "オプション '--trust' を指定してください"),
        ("bogus", "コマンド 'bogus' はありません"),
        ("ledger list --bogus", "--bogus"),
        ("ledger list --limit x", "整数で指定してください"),
        ("ledger list --limit 0", "--limit"),
        ("ledger list --outcome x", "次のいずれかです"),
        ("ledger list --since", "--since"),
        ("ledger list --odd=1", "--odd"),
        ("ledger list more", "more"),
        ("registry check no-such-file", "no-such-file"),
    ],
)
def test_wrong_use_is_explained_in_japanese(run: Callable[..., tuple[int, str, str]], words: str, said: str):
    code, _, error = run(*words.split(), **JAPANESE)
    assert (code, said in error, english(error)) == (2, True, []), error


TWO = "suspension {} --reference R-1 --requested 2026-11-01"


@pytest.mark.parametrize(
    ("words", "typed", "asked"),
    [
        (TWO.format("number"), "0312345678\n", "番号(2 人目がもう一度入力)"),
        (TWO.format("range"), "0312*\n", "番号帯または先頭の桁"),
        (TWO.format("member"), "m-0001\n", "会員(2 人目がもう一度入力)"),
        ("suspension lift --why x", "0312345678\n", "同じもの(2 人目がもう一度入力)"),
    ],
)
def test_what_a_person_is_asked_and_confirms_is_japanese(
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: str,
    typed: str,
    asked: str,
):
    (tmp_path / "registry.yaml").touch()
    monkeypatch.setenv("IDTONE_CONSOLE_OFFICE", str(tmp_path))
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    code, out, error = run(*words.split(), **JAPANESE)
    assert (code, asked in error, english(out + error)) == (2, True, []), error
