"""The language of texts for people, and the catalogue of translations."""

from __future__ import annotations

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

from idtone import translation
from idtone.errors import AgiError, AriRefused, DocumentError, Fault, IdtoneError, JournalError, UsageError
from idtone.translation import Message, capitalised, joined, translated

from .. import ROOT, messages
from ..test_house import modules

VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
PROGRAM = "import sys; sys.argv[0] = 'idtone'; from idtone.cli import main; main()"
FINDING = Message("{path} is missing", path="/x")
IN_JAPANESE = "/x がありません"


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """The language is read once in a process; a test may change it."""
    translation._catalogue.cache_clear()
    yield
    translation._catalogue.cache_clear()


def speak(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], env=outside | {"COLUMNS": "200"} | environment,
        capture_output=True, encoding="utf-8", check=False, timeout=60,
    )  # fmt: skip


# -- the language -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "ja_JP.UTF-8"},
        {"LANG": "ja"},
        {"LANG": "ja_JP.eucJP"},
        {"LANG": "en_GB.UTF-8", "LC_MESSAGES": "ja_JP.UTF-8"},
        {"LC_MESSAGES": "en_GB.UTF-8", "LC_ALL": "ja_JP.UTF-8"},
        {"LC_ALL": "C.UTF-8", "LANGUAGE": "ja"},
        {"LANGUAGE": "de:ja:en"},
        {"LANGUAGE": "", "LANG": "ja_JP.UTF-8@x"},
    ],
)
def test_japanese_where_the_environment_says_so(monkeypatch, environment):
    speak(monkeypatch, **environment)
    assert translated(FINDING) == IN_JAPANESE


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LANG": "C"},
        {"LANG": "de_DE.UTF-8"},
        {"LANG": "jam_JM"},
        {"LANG": "ja_JP.UTF-8", "LC_ALL": "C.UTF-8"},
        {"LC_ALL": "ja_JP.UTF-8", "LANGUAGE": "en:ja"},
    ],
)
def test_english_otherwise(monkeypatch, environment):
    speak(monkeypatch, **environment)
    assert translated(FINDING) == "/x is missing"


def test_a_message_is_its_english_text(monkeypatch):
    speak(monkeypatch, LANG="ja_JP.UTF-8")
    assert FINDING == "/x is missing"
    assert json.dumps({"found": FINDING}) == '{"found": "/x is missing"}'
    assert f"{FINDING}" == "/x is missing"
    assert Message("`{{a: {b}}}`", b=1) == "`{a: 1}`"


def test_messages_in_messages_and_lists_are_translated(monkeypatch):
    speak(monkeypatch, LANG="ja_JP.UTF-8")
    assert (
        translated(joined("; ", [FINDING, "of no catalogue", FINDING]))
        == f"{IN_JAPANESE}; of no catalogue; {IN_JAPANESE}"
    )
    assert translated(Message("missing: {names}", names=FINDING)) == f"ありません: {IN_JAPANESE}"
    assert translated("") == ""


def test_an_error_keeps_its_message(monkeypatch):
    speak(monkeypatch, LANG="ja_JP.UTF-8")
    assert translated(str(UsageError(FINDING))) == IN_JAPANESE
    fault = Fault("a.yaml", 2, 3, "ari.url", Message("is missing"), Message("Add it"))
    error = DocumentError([fault])
    assert f"{error}" == "a.yaml:2:3: ari.url: is missing. Add it"
    assert translated(str(error)) == "a.yaml:2:3: ari.url: ありません。追加してください。"


def test_a_process_can_give_an_error_to_another_one(monkeypatch):
    speak(monkeypatch, LANG="ja_JP.UTF-8")
    error = UsageError(Message("{path} is missing", path=Path("/{x}")))
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert arrived.args == error.args
    assert translated(str(arrived)) == "/{x} がありません"


def test_a_capital_begins_the_english_text_alone(monkeypatch):
    speak(monkeypatch, LANG="ja_JP.UTF-8")
    assert capitalised(Message("swap its ends")) == "Swap its ends"
    assert translated(capitalised(Message("swap its ends"))) == "両端を入れ替えてください"
    assert capitalised("of no catalogue") == "Of no catalogue"


def test_an_error_in_a_message_is_translated(monkeypatch):
    speak(monkeypatch, LANG="ja_JP.UTF-8")
    assert translated(Message("missing: {names}", names=UsageError(FINDING))) == f"ありません: {IN_JAPANESE}"


# -- the catalogue ----------------------------------------------------------------------------------------------------


def test_the_catalogue_has_every_text_and_no_other():
    assert {message.id for message in messages.catalogue() if message.id} == set(messages.texts()), "run make messages"


def test_every_text_has_its_translation():
    assert not [message.id for message in messages.catalogue() if not message.string]


def fields(text: str) -> set[tuple[str, str, str]]:
    """The fields of a template, with their conversions and formats."""
    return {
        (name, conversion or "", form or "")
        for _, name, form, conversion in Formatter().parse(text)
        if name is not None
    }


def test_every_translation_has_the_fields_of_its_text():
    places = messages.texts()
    wrong = [
        message.id
        for message in messages.catalogue()
        if message.id and places[message.id] and fields(message.id) != fields(message.string)
    ]
    assert not wrong


def test_every_translation_has_the_commands_and_options_of_its_text():
    quoted = re.compile(r"`[^`]+`|(?<![\w-])--[a-z][\w-]+|asterisk -rx '[^']+'|idtone\.yaml|\[blue\]|\[/\]")
    wrong = [
        message.id
        for message in messages.catalogue()
        if message.id and set(quoted.findall(message.id)) - set(quoted.findall(message.string))
    ]
    assert not wrong


def test_the_compiled_catalogue_is_made_of_the_text():
    with messages.MO.open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    catalogue = messages.catalogue()
    texts = {message.id: message.string for message in catalogue if message.id}
    assert {text: compiled.gettext(text) for text in texts} == texts
    assert len(compiled._catalog) == len(texts) + 1, "run make messages"  # type: ignore[attr-defined]
    assert messages.PO.read_bytes() == messages.written(messages.updated(catalogue)), "run make messages"


@pytest.mark.parametrize("text", sorted(messages.LIBRARY))
def test_a_text_of_the_library_is_still_in_it(text):
    import typer

    sources = [path.read_text("utf-8") for path in Path(typer.__file__).parent.rglob("*.py")]
    assert any(f'"{text}"' in source for source in sources)


# -- the program ------------------------------------------------------------------------------------------------------


def test_help_is_japanese_without_that_locale_on_the_machine():
    shown = run("--help", LC_ALL="ja_JP.UTF-8")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "音を作成、表示、検証します。" in shown.stdout
    assert "オプション" in shown.stdout
    assert "このヘルプを表示します。" in shown.stdout
    assert "Make, show and verify sounds." in run("--help", LC_ALL="C.UTF-8").stdout


def test_the_help_of_a_command_is_japanese_and_whole_on_a_narrow_terminal():
    shown = run("ledger", "verify", "--help", LANG="ja_JP.UTF-8", COLUMNS="80")
    assert (shown.returncode, shown.stderr) == (0, "")
    text = re.sub(r"[\s│]", "", shown.stdout)
    assert "別の場所に保管したチェックポイント。繰り返し指定できます。" in text
    assert "終了コード1:問題があるか、" in text
    assert "…" not in text


def test_an_error_is_japanese(tmp_path):
    settings = tmp_path / "idtone.yaml"
    settings.write_text("node: a\nnobody: 1\n")
    shown = run("ledger", "list", "-c", str(settings), LANG="ja_JP.UTF-8")
    assert shown.returncode == 2
    assert shown.stderr.startswith(f"idtone: {settings}:2:1: nobody: 知られていないキーです。")


def test_the_log_of_the_service_is_english_under_systemd():
    assert "\nEnvironment=LANGUAGE=en\n" in (ROOT / "config" / "idtone.service").read_text("utf-8")


def test_the_doctor_speaks_japanese_to_people_and_english_to_programs(tmp_path):
    settings = tmp_path / "idtone.yaml"
    settings.write_text(
        f"node: a\nari: {{url: 'http://127.0.0.1:9/ari', password_file: {tmp_path}/none}}\n"
        f"sounds: {{directory: {tmp_path}/sounds}}\n"
        f"registry: {{source: {tmp_path}/registry.yaml, trust: unsigned}}\n"
        f"ledger: {{url: 'sqlite:///{tmp_path}/l.sqlite3', key_file: {tmp_path}/key}}\n"
    )
    arguments = ("doctor", "-c", str(settings), "--asterisk-etc", str(tmp_path))
    shown = run(*arguments, LANG="ja_JP.UTF-8")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "動いていません。台帳のロックを持つプロセスがありません" in shown.stdout
    assert "  → systemctl start idtone または idtone serve を実行してください" in shown.stdout
    assert "While it does not run" not in shown.stdout
    for_programs = [run(*arguments, "--json", LC_ALL=locale) for locale in ("ja_JP.UTF-8", "C.UTF-8")]
    found = [
        {finding["id"]: (finding["looked_at"], finding["state"], finding["why"]) for finding in json.loads(each.stdout)}
        for each in for_programs
    ]
    assert found[0] == found[1]
    assert "it does not run: no process holds the ledger's lock" in for_programs[0].stdout
    assert not re.search("[\u3040-\u30ff]", for_programs[0].stdout)


def error_texts(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of errors that cannot be translated, by their lines."""
    shown = {error.__name__ for error in subclasses(IdtoneError)} - {error.__name__ for error in LOGGED}
    for call in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(call, ast.Call) and getattr(call.func, "id", getattr(call.func, "attr", "")) in shown:
            for text in call.args:
                if isinstance(text, ast.JoinedStr) or (isinstance(text, ast.Constant) and " " in str(text.value)):
                    yield text.lineno, ast.unparse(text)


def subclasses(error: type[IdtoneError]) -> Iterator[type[IdtoneError]]:
    for each in error.__subclasses__():
        yield each
        yield from subclasses(each)


LOGGED = (AgiError, JournalError, AriRefused)
"""What Asterisk sends is for the log, which is in English."""


def test_the_text_of_an_error_is_a_message() -> None:
    assert not {path.relative_to(ROOT): found for path in modules() if (found := dict(error_texts(path)))}
