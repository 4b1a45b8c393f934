"""Commands and settings that a reader copies from the documents work. test_tutorial runs the tutorial as a whole, and
`tests/calls` runs the dialplans.
"""

import functools
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from idtone.core.settings.settings import LedgerSettings, Settings
from idtone.ledger.store.postgresql import Server
from idtone.office.commands import COMMANDS as OFFICE_COMMANDS
from lab.idtone_programs import PROGRAMS, command_tree
from lab.repository import ROOT

DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *sorted(page for page in DOCS.rglob("*.md") if page.name != "evidence-format.md")]
"""Pages with code blocks. The evidence format is left out: its blocks are octets, and have tests of their own."""
PLACEHOLDERS = ("…",)
AS_USER = re.compile(r"^(?:sudo(?: -u \S+)?|runuser -u \S+ --) ")


def blocks(page: Path) -> list[str]:
    return re.findall(r"^ *```\w*\n(.*?)^ *```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def joined(block: str) -> list[str]:
    """The lines of the block. A line that ends with a backslash is joined with the next."""
    return re.sub(r"\\\n +", "", block).splitlines()


def commands(block: str) -> list[list[str]]:
    """The words of each line that calls one of our programs. Text behind three spaces explains the line, and is left
    out.
    """
    lines = [re.split(r" {3,}| *[#<>|&]+(?= |$)", AS_USER.sub("", line.strip()))[0] for line in joined(block)]
    lines = [line for line in lines if "$(" not in line]  # a shell writes the rest of it
    return [shlex.split(line) for line in lines if line.startswith(tuple(f"{program} " for program in PROGRAMS))]


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


@functools.cache
def loaded(command: Any) -> Any:
    return command.loaded()


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_has_the_options_and_arguments_that_a_page_gives_it(words):
    command, rest = command_tree(words[0]), [word for word in words[1:] if word not in PLACEHOLDERS]
    while hasattr(command, "commands") and (rest or not command.invoke_without_command):
        name, *rest = rest
        command = command.commands[name]
    command = loaded(command) if hasattr(command, "loaded") else command  # a group may be a command by itself
    given, left = parsed(command, rest)
    assert not left
    assert not [each.name for each in command.params if each.required and not given.get(each.name)]


def parsed(command: Any, rest: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The options and arguments of a command, and the words that it does not accept."""
    given, left, _ = command.make_parser(command.context_class(command)).parse_args(rest)
    return given, left


SPANS = [
    (f"{page.relative_to(ROOT)}: {span}", f"{noun} {verb}", shlex.split(rest))
    for page in PAGES
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.M | re.S))
    for noun, _, words in [span.removeprefix("idtone-office ").partition(" | ")[0].partition(" ")]
    for verb, _, rest in [words.partition(" ")]
    if f"{noun} {verb}" in OFFICE_COMMANDS
]
"""Mentions of `idtone-office` commands in sentences and tables: the place, noun and verb, and the rest."""


def unusable(name: str, rest: list[str]) -> bool:
    """True if a command does not accept these words, or if they name the folder `.`. A sentence may leave words out."""
    noun, verb = name.split()
    command = loaded(command_tree("idtone-office").commands[noun].commands[verb])
    words = [word.strip("[]") for word in rest]
    plain = [word for before, word in zip(["", *words], words, strict=False) if word != "…" or before.startswith("-")]
    return "." in plain or bool(parsed(command, [*plain, *values(command, plain)])[1])


def values(command: Any, words: list[str]) -> list[str]:
    """A value for an option that ends a sentence, because the sentence leaves the value out."""
    last = words[-1] if words else ""
    return ["x" for each in command.params if last in each.opts and not getattr(each, "is_flag", True)]


def test_sentences_and_tables_name_the_associations_commands_as_they_are():
    assert len(SPANS) > 100
    assert [where for where, name, rest in SPANS if unusable(name, rest)] == []
    for old in ("history show .", "member find . 第一", "licence renew office L-0001 --until 2027-01-01"):
        noun, verb, *rest = old.split()
        assert unusable(f"{noun} {verb}", rest), old


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


OUTSIDE = ["EXTEN", "CALLERID(num)", "FROM_DID", "OUTNUM", "DIAL_NUMBER", "TRUNKEXTEN", "WAZO_DSTNUM"]
"""Variables whose value a caller or a carrier chooses."""
FILTERED = re.compile(r"\$\{FILTER\([^,{}]+,\$\{CUT\([\w()]+,(?:\\;,1|@,\$\{FIELDQTY\(\w+,@\)\})\)\}\)\}")
ASKED = re.compile(r'\$\{REGEX\("[^"]+" \$\{\w+\}\)\}')
DIGITS = re.compile(r"_?[0-9XZN+*#]+")
"""Pattern of an extension that matches only digits."""


def unfiltered(block: str) -> list[str]:
    """The lines of the block that pass a value from outside to an application without a filter."""
    found, clean, digits = [], set(), False
    for line in block.splitlines():
        if pattern := re.search(r"^\s*(?:exten\s*=>?\s*)?(_?[^\s,]+)(?:,1,|\s*=>\s*\{)", line):
            digits = bool(DIGITS.fullmatch(pattern[1]))
        rest = ASKED.sub("", FILTERED.sub("", line))
        raw = [
            name for name in OUTSIDE if f"${{{name}" in rest and name not in clean and not (digits and name == "EXTEN")
        ]
        if assigned := re.search(r"(?:Set\(_*|^\s*)(\w+)=\S*\$\{FILTER", line):
            clean.update([] if raw else [assigned[1]])
        if raw or re.search(r"go\([^)]*\bextension\b(?!:match)", line):
            found.append(line.strip())
    return found


def is_dialplan(block: str) -> bool:
    return bool(re.search(r"\bDial\(|\bGosub\(|\bexten *=|app\[|goto ", block)) and "DIALSTRING" not in block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_dialplan_filters_what_comes_from_outside(page):
    """Readers copy these dialplans. Unfiltered, `&` in a dialled number would ring another phone, and `/110` would look
    like an emergency.
    """
    assert [line for block in blocks(page) if is_dialplan(block) for line in unfiltered(block)] == []


@pytest.mark.parametrize(
    "line",
    [
        "exten = _0.,1,Dial(PJSIP/${EXTEN}@trunk)",
        "exten = _0.,1,Dial(PJSIP/${FILTER(0-9,${EXTEN})}@trunk)",
        "exten = _0X!,1,Gosub(idtone-forward,s,1(Local/1@a,${CALLERID(num)},outgoing,,${NUMBER}))",
        " same = n,Set(_DIAL=PJSIP/${OUTNUM}@trunk)",
        "        goto members,${EXTEN},1;",
        '            return go("members", extension, 1)',
    ],
)
def test_a_value_from_outside_that_is_not_filtered_is_found(line):
    assert unfiltered(line) == [line.strip()]


def test_each_recipe_is_the_same_in_both_languages():
    recipe = re.compile(r"<!-- recipe: (\S+) -->\n *```\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
    english, japanese = (
        {name: text for page in sorted(folder.glob("*.md")) for name, text in recipe.findall(page.read_text("utf-8"))}
        for folder in (DOCS / "how-to", DOCS / "ja" / "how-to")
    )
    assert len(english) >= 8
    assert english == japanese
