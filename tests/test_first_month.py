"""The tasks of the first month: both languages have the same commands, and the index names each task with its test.

`tests/packages/first_month.py` runs them on a node.
"""

import re
from pathlib import Path

import pytest

from idtone.service import troubles
from lab.alert_rules import ALERTS
from lab.machine.failures import FAILURES, HAPPENINGS
from lab.machine.first_month import ACTS, ENGLISH, JAPANESE, LATER, SECOND, blocks, commands

EACH = (*ACTS, *LATER, *SECOND)
OFFICE = ("office-first-day.md", "office-holder-leaves.md", "office-lost-key.md", "office-moves.md")
PAGES = sorted({"first-day.md", *OFFICE, *(act.page for act in EACH)})


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_commands(page: str) -> None:
    assert blocks(ENGLISH / page) == blocks(JAPANESE / page) != []


def test_the_first_sound_needs_at_most_eight_commands() -> None:
    assert len(commands("first day", "first-day.md")) <= 8


@pytest.mark.parametrize("folder", [ENGLISH, JAPANESE])
def test_the_index_names_each_act(folder) -> None:
    listed = set(re.findall(r"`([\w-]+)`", (folder / "first-month.md").read_text("utf-8")))
    assert {act.name for act in EACH} <= listed
    names = {name for page in folder.glob("*.md") for name, _ in blocks(page) if not name.startswith("office: ")}
    marked = {name.removeprefix("act: ") for name in names} - {"first day"}
    assert marked == {act.name for act in EACH}, "no test runs a marked block"


@pytest.mark.parametrize("folder", [ENGLISH, JAPANESE])
def test_at_least_forty_acts_have_their_commands_on_the_page_that_the_index_names(folder) -> None:
    index = (folder / "first-month.md").read_text("utf-8")
    rows = re.findall(r"^\| .+ \| \[.+\]\(([\w-]+\.md).*\) \| (.+) \|$", index, re.MULTILINE)
    known = {act.name: act.page for act in EACH} | {"first-day": "first-day.md"}
    acts = [(page, names) for page, cell in rows if (names := set(re.findall(r"`([^`]+)`", cell))) <= known.keys()]
    assert len(acts) >= 40
    assert [page for page, names in acts if {known[name] for name in names} != {page}] == []


@pytest.mark.parametrize("folder", [ENGLISH, JAPANESE])
def test_the_page_of_failures_has_each(folder) -> None:
    text = (folder / "when-something-fails.md").read_text("utf-8")
    table = [line for line in text.splitlines() if re.search(r"\| (`Idtone\w+`\D*)+ \|$", line)]
    assert len(table) == len(FAILURES)
    assert set(re.findall(r"Idtone\w+", " ".join(table))) == {each.alert for each in FAILURES.values()}


def test_each_trouble_has_an_alert_that_fires_within_two_minutes() -> None:
    """`tests/packages/first_month.py` provokes each of these troubles."""
    source = Path(troubles.__file__).read_text("utf-8")
    named = re.findall(r'Trouble\(\s*f?"([\w-]+(?:{[\w.]+})?)"', source)
    known = {re.sub("{.+}", "incoming", name) for name in named} - {"licence-lapses-soon-incoming"}
    assert known == {*FAILURES}
    waits = {alert["alert"]: alert.get("for", "0m") for alert in ALERTS}
    assert {waits[each.alert] for each in FAILURES.values()} <= {"0m", "1m"}
    assert {*FAILURES} == {"ledger", *(name for each in HAPPENINGS for name in each.failures)}
