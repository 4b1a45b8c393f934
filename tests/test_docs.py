"""The documentation agrees with the product. It names only what exists, and everything that exists."""

import inspect
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.call_control import journal_lines
from idtone.call_control.sound_delivery import KnownBy
from idtone.core.settings.settings import Settings, locations
from idtone.dialplan import Played
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_record import record_of_steps
from idtone.ledger.evidence.steps import CallStatus, StepKind
from idtone.service.node_state import STATE
from idtone.service.status_feed import FEED
from lab.idtone_programs import PROGRAMS, command_tree
from lab.repository import ROOT
from tools import messages
from tools.reference_pages import pages

DOCS = ROOT / "docs"
TOP = [
    ROOT / name for name in ("README.md", "README.ja.md", "CONTRIBUTING.md", "SECURITY.md") if (ROOT / name).exists()
]
PAGES = [*TOP, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
INSTALL = (DOCS / "how-to" / "install.md").read_text("utf-8")
HOOKS = [(folder / "reference" / "hook.md").read_text("utf-8") for folder in (DOCS, DOCS / "ja")]
PATIENCE_LINES = 200
"""Longest allowed page, in lines, if people read it from beginning to end."""
SECTIONS = set(Settings.model_fields)


def indented(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("   ")]


@pytest.fixture(scope="module")
def made() -> Mapping[Path, str]:
    """Path of each generated page → its text."""
    return pages()


def test_a_reference_page_is_what_the_code_says(made):
    assert [str(path) for path in made if path.read_text("utf-8") != made[path]] == [], "run make docs"


def test_no_page_is_longer_than_a_readers_patience(made):
    by_hand = {page for page in DOCS.rglob("*.md") if page.name != "evidence-format.md"} - made.keys()
    assert [page for page in by_hand if len(page.read_text("utf-8").splitlines()) > PATIENCE_LINES] == []


def test_every_page_is_in_the_index():
    for index in (DOCS / "index.md", DOCS / "ja" / "index.md"):
        targets = re.findall(r"\]\(([^)#:]+)", index.read_text("utf-8"))
        named = {index, *((index.parent / target).resolve() for target in targets)}
        own = {page for page in DOCS.rglob("*.md") if (DOCS / "ja" in page.parents) == (index.parent.name == "ja")}
        assert {page for page in own - named if page.parent.name != "adr"} == set()


def test_both_languages_have_the_same_commands():
    def blocks(path: Path) -> list[str]:
        """The text of each code block, without comments."""
        fenced = re.findall(r"^ *```\n(.*?)^ *```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        return [re.sub(r" *# .*$", "", block, flags=re.MULTILINE) for block in fenced]

    for page in (DOCS / "how-to").glob("*.md"):
        assert blocks(page) == blocks(DOCS / "ja" / "how-to" / page.name), page.name


def test_both_languages_name_the_same_things():
    def named(path: Path) -> set[str]:
        """The settings, modules, variables and files that the page names."""
        return set(re.findall(r"`([A-Za-z_.]*[_.][A-Za-z_.]+)`", path.read_text("utf-8")))

    for page in ("how-to/install.md", "reference/hook.md", "reference/files.md"):
        assert named(DOCS / page) == named(DOCS / "ja" / page), page


def test_every_page_is_on_the_site():
    named = re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    there = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.parent.name != "adr"}
    assert sorted(named) == sorted({*there, "adr/README.md"})


def test_status_arguments_and_variables_of_the_hook_are_explained_to_operators():
    head = (ROOT / "dialplan" / "idtone.conf").read_text("utf-8").partition("[globals]")[0]
    arguments = re.search(r"Arguments: +([A-Z_,\[\]]+)", head)
    assert arguments
    named = (*re.findall(r"[A-Z_]+", arguments[1]), *re.findall(r"IDTONE_[A-Z_]+", head))
    for page in HOOKS:
        assert [name for name in named if f"| `{name}` |" not in page] == []
        assert [status for status in CallStatus if f"`{status}`" not in page] == []


def test_every_word_of_the_evidence_is_explained_to_its_readers():
    fields = record_of_steps("", [steps.answered("c", datetime.now(UTC))]).to_json()
    for name, words in (
        ("reference/records.md", (*StepKind, *fields)),
        ("explanation/evidence.md", KnownBy),
        ("reference/journal.md", Played),
    ):
        for page in (DOCS / name, DOCS / "ja" / name):
            assert [word for word in words if f"`{word}`" not in page.read_text("utf-8")] == [], page


def test_readers_see_the_lines_of_the_journal_as_the_service_reads_them():
    lines = indented(inspect.getdoc(journal_lines) or "")
    assert {line.split(",")[0] for line in lines} == {"decided", "sounded", "reported", "ended"}
    for page in (DOCS / "reference" / "journal.md", DOCS / "ja" / "reference" / "journal.md"):
        assert all(line in page.read_text("utf-8").splitlines() for line in lines)


def test_a_dialplan_is_shown_as_the_hook_itself_shows_it():
    head = (ROOT / "dialplan" / "idtone.conf").read_text("utf-8").partition("; Arguments:")[0]
    shown = [line for line in indented(head.replace("\n;", "\n")) if line and not line.startswith("#include")]
    assert len(shown) == 3
    pages = "README.md README.ja.md docs/{}how-to/install.md docs/{}reference/hook.md"
    for page in {each for language in ("", "ja/") for each in pages.format(language, language).split()}:
        text = [line.strip() for line in (ROOT / page).read_text("utf-8").splitlines()]
        start = text.index(shown[0])
        assert text[start : start + len(shown)] == shown, page


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
    assert f"ln -s -t {Path(unit['ExecStart']).parent} /opt/idtone/bin/idtone*\n" in INSTALL
    assert f"adduser --system --ingroup {unit['Group']} {unit['User']}\n" in INSTALL


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_a_page_names_exist_and_links_lead_somewhere(page):
    text = page.read_text("utf-8")
    named = re.findall(r"`([a-z_]+(?:\.[a-z_][a-z0-9_]*)+)", text)
    known = {".".join(location[:depth]) for location in locations() for depth in range(1, len(location) + 1)}
    if page.name == "status.md":  # its fields have such names too
        known |= {each.name for each in (*FEED, *STATE)}
    ours = {
        name for name in named if name.partition(".")[0] in SECTIONS and not name.endswith((".conf", ".yaml", ".json"))
    }
    assert ours <= known
    for target, heading in re.findall(r"\]\(([^)#:]+)(#[^)]+)?\)", text):
        assert (page.parent / target).exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", (page.parent / target).read_text("utf-8"), re.MULTILINE)
            assert heading[1:] in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", TOP, ids=lambda page: page.name)
def test_files_and_targets_that_a_page_at_the_top_names_exist(page):
    text = page.read_text("utf-8")
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:cfg|conf|md|py|toml|yaml))`", text)
    assert not [name for name in named if not (ROOT / name).exists()]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:`|^)make ([a-z]+(?:-[a-z]+)*)", text, re.MULTILINE)) <= set(targets)


GONE = re.compile(
    "請求|件名|事件番号|持ち出|当番|決定|インスタンス|二名|二人|[^0-9]2 名|複写|写して|フォールバックになり"
)
"""Words that docs/ja/terms.md replaces by other ones: terms of the law, of the field, or of this project."""


def test_japanese_texts_use_the_words_of_the_terms_alone():
    texts = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES if page.match("*.ja.md")}
    texts |= {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in (DOCS / "ja").rglob("*.md")}
    texts |= {each.id: str(each.string) for each in messages.catalogue() if each.id}
    assert {name: found[0] for name, text in texts.items() if (found := GONE.search(text))} == {}


def test_every_command_is_in_the_changelog():
    """Until the first release the changelog names every command, so a new one cannot be forgotten."""
    changelog = " ".join((ROOT / "CHANGELOG.md").read_text("utf-8").split())
    for program in PROGRAMS:
        top = command_tree(program)
        assert f"`{program}" in changelog
        for name, command in getattr(top, "commands", {}).items():
            inner = getattr(command, "commands", None)
            written = f"`{program} {name} {' | '.join(inner)}`" if inner else f"`{program} {name}`"
            assert written in changelog
