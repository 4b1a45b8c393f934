"""docs/reference/asvs.md has each requirement of levels 1 and 2 once, and names files that exist."""

import re

from lab.repository import ROOT

SECTIONS = """
1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1 4.3:2 4.4:4 5.1:1 5.2:3
5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1 9.1:3
9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 12.1:3 12.2:2 12.3:4
13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4
17.3:2
"""
"""Sections of ASVS 5.0.0 with requirements of levels 1 and 2: the first ones of each, and how many there are."""


def test_each_requirement_has_its_row_and_each_file_exists():
    text = (ROOT / "docs" / "reference" / "asvs.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\d., –]+) \| (met|open|operator|not applicable) \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) == len(re.findall(r"^\| \d", text, re.MULTILINE))
    named: list[str] = []
    for numbers, _, _ in rows:
        for part in numbers.split(", "):
            first, _, last = part.partition("–")
            section, _, start = first.rpartition(".")
            end = (last or first).rpartition(".")[2]
            assert not last or last.rpartition(".")[0] == section, part
            named += [f"{section}.{number}" for number in range(int(start), int(end) + 1)]
    wanted = [
        f"{section}.{number}"
        for section, count in (each.split(":") for each in SECTIONS.split())
        for number in range(1, int(count) + 1)
    ]
    assert sorted(named) == sorted(wanted)
    assert [path for path in re.findall(r"`([\w/.-]+/[\w/.-]+)`", text) if not (ROOT / path).exists()] == []
