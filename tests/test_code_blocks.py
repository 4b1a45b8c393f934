"""What a reader copies out of the documents works: commands, settings. The tutorial is run as a whole (test_tutorial);
`tests/calls` runs the dialplans.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main
import yaml

from idtone.cli import app
from idtone.ledger.store.postgresql import Server
from idtone.settings import LedgerSettings, Settings

from . import ROOT

DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *sorted(page for page in DOCS.rglob("*.md") if page.name != "evidence-format.md")]
"""The blocks of the format are its bytes, which have tests of their own."""
PLACEHOLDERS = ("…",)


def blocks(page: Path) -> list[str]:
    return re.findall(r"^ *```\w*\n(.*?)^ *```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def joined(block: str) -> list[str]:
    """Its lines; one that ends with a backslash continues in the next."""
    return re.sub(r"\\\n +", "", block).splitlines()


def commands(block: str) -> list[list[str]]:
    """The words of each line that calls idtone. What stands behind three spaces explains the line."""
    lines = [re.split(r" {3,}| *[#<>|&]+(?= |$)", line.strip())[0] for line in joined(block)]
    return [shlex.split(line)[1:] for line in lines if line.startswith("idtone ")]


COMMANDS = [
    pytest.param(words, id=f"{page.relative_to(ROOT)}: {' '.join(words)}")
    for page in PAGES
    for block in blocks(page)
    for words in commands(block)
]
SETTINGS = [
    pytest.param(yaml.safe_load(block), id=str(page.relative_to(ROOT)))
    for page in PAGES
    for block in blocks(page)
    if block.startswith("node:")
]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_has_the_options_and_arguments_that_a_page_gives_it(words):
    command, rest = typer.main.get_command(app), [word for word in words if word not in PLACEHOLDERS]
    while hasattr(command, "commands"):
        name, *rest = rest
        command = command.commands[name]
    command = command.loaded()
    context = command.context_class(command)
    given, left, _ = command.make_parser(context).parse_args(rest)
    assert not left
    assert not [each.name for each in command.params if each.required and not given.get(each.name)]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_settings_of_a_page_are_settings(settings):
    for name, value in settings.items():
        assert name in Settings.model_fields
        if isinstance(value, dict):
            assert value.keys() <= Settings.model_fields[name].annotation.model_fields.keys()
    ledger = LedgerSettings(**settings.get("ledger", {}))
    if ledger.is_shared():
        Server.named(ledger.url)


def test_there_is_something_to_copy():
    assert len(COMMANDS) > 40
    assert len(SETTINGS) >= 2
