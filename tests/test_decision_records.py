"""docs/adr/README.md gives each decision the title of its record, and related records name each other."""

import re
from pathlib import Path

from lab.repository import ROOT

FOLDER = ROOT / "docs" / "adr"
TEMPLATE = FOLDER / "0000-template.md"
RECORDS = sorted(path for path in FOLDER.glob("[0-9]*.md") if path != TEMPLATE)
INDEX = (FOLDER / "README.md").read_text("utf-8")

LINK = r"\[(?:\d+)\]\((?P<{}>\d{{4}}-[a-z0-9-]+\.md)\)"
HEAD = re.compile(
    r"# (?P<number>\d+)\. (?P<title>.+)\n\n"
    rf"(?P<status>Accepted, \d{{4}}-\d\d(?:; revised by {LINK.format('revised')})?"
    rf"|Superseded by {LINK.format('superseded')}, \d{{4}}-\d\d)\."
    r"(?P<more>[^#]*)\n\n## Context\n"
)
"""Pattern of a title, followed by a status line that begins with one of these words. The rest of that paragraph is
free.
"""


def head(path: Path) -> re.Match[str]:
    found = HEAD.match(path.read_text("utf-8"))
    assert found, f"{path.name} does not begin as {TEMPLATE.name} does"
    return found


def test_the_records_are_counted_from_one_and_begin_as_the_template():
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))
    for path in (TEMPLATE, *RECORDS):
        assert int(head(path)["number"]) == int(path.name[:4]), path.name


def test_the_index_has_the_title_and_the_status_of_each_record_and_no_other():
    for path in RECORDS:
        found = head(path)
        row = f"| [{found['number']}]({path.name}) | {found['title']} | {found['status']} | "
        (line,) = [line for line in INDEX.splitlines() if line.startswith(row)]
        assert re.fullmatch(r"[^|]+\. \|", line.removeprefix(row)), "one sentence follows"
    assert re.findall(r"^\| \[\d+\]\((.+?)\)", INDEX, re.MULTILINE) == [path.name for path in RECORDS]


def test_a_later_decision_and_the_earlier_one_name_each_other():
    heads = {path.name: head(path) for path in RECORDS}
    words = {"revised": "revises", "superseded": "supersedes"}
    earlier_says = {(later, word, name) for name, of in heads.items() for word in words if (later := of[word])}
    later_says = {
        (name, word, earlier)
        for name, of in heads.items()
        for word, verb in words.items()
        for clause in re.findall(rf"\b{verb} ([^;]*)", of["more"], re.IGNORECASE)
        for earlier in re.findall(LINK.format("earlier"), clause)
    }
    assert earlier_says == later_says
