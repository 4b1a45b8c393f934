"""The language of texts for people, and the catalogue of translations."""

import ast
import gettext
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
import typer

from idtone.core.errors import AgiError, AriRefused, DocumentError, Fault, IdtoneError, JournalError, UsageError
from idtone.core.translation import Message, capitalised, joined, translated
from lab.core.command_language import VARIABLES, run, set_language
from lab.repository import ROOT, modules, parsed
from tools import messages

__all__ = ["run"]
FINDING = Message("{path} is missing", path="/x")
IN_JAPANESE = "/x がありません"


@pytest.fixture
def in_japanese(monkeypatch: pytest.MonkeyPatch) -> None:
    set_language(monkeypatch, LANG="ja_JP.UTF-8")


# -- the language -----------------------------------------------------------------------------------------------------


JAPANESE = [
    {"LANG": "ja_JP.UTF-8"}, {"LANG": "ja"}, {"LANG": "ja_JP.eucJP"}, {"LANGUAGE": "de:ja:en"},
    {"LANG": "en_GB.UTF-8", "LC_MESSAGES": "ja_JP.UTF-8"}, {"LC_MESSAGES": "en_GB.UTF-8", "LC_ALL": "ja_JP.UTF-8"},
    {"LC_ALL": "C.UTF-8", "LANGUAGE": "ja"}, {"LANGUAGE": "", "LANG": "ja_JP.UTF-8@x"},
]  # fmt: skip
ENGLISH = [
    {}, {"LANG": "C"}, {"LANG": "de_DE.UTF-8"}, {"LANG": "jam_JM"}, {"LANG": "ja_JP.UTF-8", "LC_ALL": "C.UTF-8"},
    {"LC_ALL": "ja_JP.UTF-8", "LANGUAGE": "en:ja"},
]  # fmt: skip


def test_japanese_where_the_environment_says_so_and_english_otherwise(monkeypatch):
    for environment in (*JAPANESE, *ENGLISH):
        set_language(monkeypatch, **environment)
        assert translated(FINDING) == (IN_JAPANESE if environment in JAPANESE else "/x is missing"), environment


@pytest.mark.usefixtures("in_japanese")
def test_a_message_is_its_english_text_and_is_translated_at_the_edge():
    assert FINDING == f"{FINDING}" == "/x is missing"
    assert json.dumps({"found": FINDING}) == '{"found": "/x is missing"}'
    assert Message("`{{a: {b}}}`", b=1) == "`{a: 1}`"
    together = translated(joined("; ", [FINDING, "of no catalogue", FINDING]))
    assert together == f"{IN_JAPANESE}; of no catalogue; {IN_JAPANESE}"
    for inner in (FINDING, UsageError(FINDING), UsageError("{path} is missing", path="/x")):
        assert translated("missing: {names}", names=inner) == f"ありません: {IN_JAPANESE}"
    for text, shown in {"swap its ends": "両端を入れ替えてください", "of no {catalogue": "of no {catalogue"}.items():
        assert translated("missing: {names}", names=UsageError(text)) == f"ありません: {shown}"
    assert translated("") == ""


@pytest.mark.usefixtures("in_japanese")
def test_a_capital_is_for_english_alone():
    assert capitalised(Message("swap its ends")) == "Swap its ends"
    assert translated(capitalised(Message("swap its ends"))) == "両端を入れ替えてください"
    assert capitalised("of no catalogue") == "Of no catalogue"


@pytest.mark.usefixtures("in_japanese")
def test_an_error_keeps_its_message_and_gives_it_to_another_process():
    assert translated(str(UsageError(FINDING))) == IN_JAPANESE
    error = DocumentError([Fault("a.yaml", 2, 3, "ari.url", Message("is missing"), Message("Add it"))])
    assert f"{error}" == "a.yaml:2:3: ari.url: is missing. Add it"
    assert translated(str(error)) == "a.yaml:2:3: ari.url: ありません。追加してください。"
    arrived = pickle.loads(pickle.dumps(UsageError("{path} is missing", path=Path("/{x}"))))  # noqa: S301  our own
    assert translated(str(arrived)) == "/{x} がありません"


# -- the catalogue ----------------------------------------------------------------------------------------------------


def test_the_catalogue_has_every_text_and_its_translation():
    texts = messages.texts()
    translations = {message.id: message.string for message in messages.catalogue() if message.id}
    assert translations.keys() == texts.keys(), "run make messages"
    assert not [text for text, translation in translations.items() if not translation]
    wrong = [text for text, translation in translations.items() if texts[text] and fields(text) != fields(translation)]
    assert not wrong, "a translation has the fields of its text"
    quoted = re.compile(r"`[^`]+`|(?<![\w-])--[a-z][\w-]+|asterisk -rx '[^']+'|idtone\.yaml|\[blue\]|\[/\]")
    wrong = [
        text
        for text, translation in translations.items()
        if set(quoted.findall(text)) - set(quoted.findall(translation))
    ]
    assert not wrong, "a translation has the commands and options of its text"


def fields(text: str) -> set[tuple[str, str, str]]:
    """Fields of a template, with their conversions and formats."""
    parsed = Formatter().parse(text)
    return {(name, conversion or "", form or "") for _, name, form, conversion in parsed if name is not None}


def test_the_compiled_catalogue_is_made_of_the_text():
    with messages.MO.open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    catalogue = messages.catalogue()
    texts = {message.id: message.string for message in catalogue if message.id}
    assert {text: compiled.gettext(text) for text in texts} == texts
    assert len(compiled._catalog) == len(texts) + 1, "run make messages"  # type: ignore[attr-defined]
    assert messages.PO.read_bytes() == messages.po_file(messages.updated_catalogue(catalogue)), "run make messages"


def test_each_text_of_the_library_is_still_in_it():
    source = "".join(path.read_text("utf-8") for path in Path(typer.__file__).parent.rglob("*.py"))
    assert [text for text in messages.LIBRARY if f'"{text}"' not in source] == []


# -- the program ------------------------------------------------------------------------------------------------------


def test_help_is_japanese_without_that_locale_on_the_machine(run):
    program = "import sys; sys.argv[0] = 'idtone'; from idtone.cli import main; main()"
    outside = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment = outside | {"COLUMNS": "200", "LC_ALL": "ja_JP.UTF-8"}
    shown = subprocess.check_output([sys.executable, "-c", program, "--help"], env=environment, encoding="utf-8")
    for text in ("音を作成、表示、検証します。", "オプション", "このヘルプを表示します。"):
        assert text in shown
    assert "Make, show and verify sounds." in run("--help", LC_ALL="C.UTF-8")[1]


def test_the_help_of_a_command_is_japanese_and_whole_on_a_narrow_terminal(run):
    code, shown, error = run("ledger", "verify", "--help", LANG="ja_JP.UTF-8", columns="80")
    assert (code, error) == (0, "")
    text = re.sub(r"[\s│]", "", shown)
    assert "別の場所に保管したチェックポイント。繰り返し指定できます。" in text
    assert "終了コード1:問題があるか、" in text
    assert "…" not in text


def test_an_error_is_japanese(run, tmp_path):
    settings = tmp_path / "idtone.yaml"
    settings.write_text("node: a\nnobody: 1\n")
    code, _, error = run("ledger", "list", "-c", str(settings), LANG="ja_JP.UTF-8")
    assert code == 2
    assert error.startswith(f"idtone: {settings}:2:1: nobody: 未知のキーです。")


def test_the_log_of_the_service_is_english_under_systemd():
    assert "\nEnvironment=LANGUAGE=en\n" in (ROOT / "config" / "idtone.service").read_text("utf-8")


def test_the_doctor_speaks_japanese_to_people_and_english_to_programs(run, tmp_path):
    settings = tmp_path / "idtone.yaml"
    settings.write_text(
        f"node: a\nari: {{url: 'http://127.0.0.1:9/ari', password_file: {tmp_path}/none}}\n"
        f"sounds: {{directory: {tmp_path}/sounds}}\n"
        f"registry: {{source: {tmp_path}/registry.yaml, trust: unsigned}}\n"
        f"ledger: {{url: 'sqlite:///{tmp_path}/l.sqlite3', key_file: {tmp_path}/key}}\n"
    )
    arguments = ("doctor", "-c", str(settings), "--asterisk-etc", str(tmp_path))
    code, shown, error = run(*arguments, LANG="ja_JP.UTF-8")
    assert (code, error) == (1, "")
    assert "動いていません。台帳のロックを持つプロセスがありません" in shown
    assert "  → systemctl start idtone または idtone serve を実行してください" in shown
    assert "While it does not run" not in shown
    _, for_programs, _ = run(*arguments, "--json", LC_ALL="ja_JP.UTF-8")
    assert "it does not run: no process holds the ledger's lock" in for_programs
    assert not re.search("[\u3040-\u30ff]", for_programs)


def error_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Lines and texts of errors that cannot be translated."""
    shown = {error.__name__ for error in subclasses(IdtoneError)} - {error.__name__ for error in LOGGED}
    source = path.read_text("utf-8")
    if not any(name in source for name in shown):
        return
    for call in ast.walk(parsed(source)):
        if isinstance(call, ast.Call) and (name := getattr(call.func, "id", getattr(call.func, "attr", ""))) in shown:
            for text in call.args:
                is_text = isinstance(text, ast.Constant) and " " in str(text.value)
                if isinstance(text, ast.JoinedStr) or (
                    is_text and text not in call.args[: messages.translated_arguments(name)]
                ):
                    yield text.lineno, ast.unparse(text)


def subclasses(error: type[IdtoneError]) -> Iterator[type[IdtoneError]]:
    for each in error.__subclasses__():
        yield each
        yield from subclasses(each)


LOGGED = (AgiError, JournalError, AriRefused)
"""Errors about Asterisk's messages, which are for the log in English."""


def test_the_text_of_an_error_can_be_translated():
    assert not {path.relative_to(ROOT): found for path in modules() if (found := dict(error_texts(path)))}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("tone lint", "引数 'PROFILE' を指定してください。"),
        ("tone lst", "'list'"),
        ("ledger list --nosuch", "オプション --nosuch はありません"),
        ("ledger list --sinc 3d", "オプション --sinc はありません(候補: --json, --licence, --since)"),
        ("ledger list --limit x", "'--limit' の値が正しくありません: 整数で指定してください"),
        ("ledger list --limit 0", "'--limit' の値が正しくありません: 1 以上で指定してください"),
        ("ledger list --limit", "オプション '--limit' には値が必要です。"),
        ("ledger list --json=3", "オプション '--json' に値は指定できません。"),
        ("ledger list more", "余分な引数があります: more"),
        (
            "registry decide --number 1 --direction up",
            "'up' は指定できません。次のいずれかです: 'incoming', 'outgoing'",
        ),
    ],
)
def test_wrong_use_is_said_in_japanese(run, command, said):
    code, _, errors = run(*command.split(), LANG="ja_JP.UTF-8")
    assert code == 2
    assert said in errors
