"""docs/evidence-vectors: all programs that verify accept and refuse the same, by the same rules."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from idtone.ledger.evidence.rules import Rule

from .example_pack import PAGE
from .vectors import FOLDER, bases, lines, vectors
from .vectors.verifiers import ROOT, UNREAD, VERIFIERS

WHAT_CANNOT_BE_IN_A_VECTOR = {Rule.REPORT, Rule.PROFILE, Rule.LEAF_LEFT_OUT}
OF_A_REQUEST = {each.value for each in Rule if each.startswith("request-")} | {Rule.SELECTION}
"""What is wrong with a request may be named by another of these."""
LINES = 600


@pytest.fixture(scope="module")
def known() -> list[dict[str, Any]]:
    return vectors()


def test_the_folder_has_what_idtone_makes_200_of_each_and_each_rule(known):
    """But for the ZIP files' own octets, which differ between versions of zlib."""
    for name, text in lines().items():
        assert name == "zips.jsonl" or (FOLDER / name).read_text("utf-8") == text, "python -m tests.ledger.vectors"
    broken = Counter(each["rule"] for each in known)
    assert broken[None] >= 200
    assert len(known) - broken[None] >= 200
    assert broken.keys() - {None} == {*Rule} - WHAT_CANNOT_BE_IN_A_VECTOR
    assert re.findall(r"^\| `([a-z-]+)` \|.*\|.*\|$", PAGE.read_text("utf-8").partition("### 7.1")[2], re.MULTILINE)[
        : len(Rule)
    ]
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_800_000


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_each_verifier_accepts_and_refuses_what_the_vectors_say(known, verifier):
    told = VERIFIERS[verifier](known, bases())
    assert len(told) == len(known)
    wrong = [
        (each["name"], each["rule"], sorted(rules))
        for each, rules in zip(known, told, strict=True)
        if not _fits(each["rule"], rules)
    ]
    assert wrong == []


def _fits(rule: str | None, found: frozenset[str] | None) -> bool:
    if found is None or rule is None:
        return not found
    return found == UNREAD or rule in found or (rule in OF_A_REQUEST and not OF_A_REQUEST.isdisjoint(found))


def test_the_page_names_each_rule():
    named = re.findall(r"^\| `([a-z-]+)` \| .* \| [0-9, ]*\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(Rule)


def test_the_second_opinion_is_short_and_needs_nothing_but_node():
    program = ROOT / "tools" / "second-opinion" / "verify-pack.mjs"
    text = program.read_text("utf-8")
    assert len(text.splitlines()) <= LINES
    assert all(each.startswith("node:") for each in re.findall(r'from "([^"]+)"', text))
    assert {Path(path.name).suffix for path in program.parent.iterdir()} == {".mjs", ".md"}
    rules = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', text))
    assert {*map(str, Rule)} - rules == WHAT_CANNOT_BE_IN_A_VECTOR
