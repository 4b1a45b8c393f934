"""docs/evidence-vectors. All verifiers accept and refuse the same vectors, by the same rules."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key

from bench.evidence_mutations import mutate_packs, mutate_pages, mutate_tiles
from idtone.ledger.evidence.format_rules import Rule
from lab.ledger.example_pack import PAGE
from lab.ledger.vectors import FOLDER, bases, lines, packed, vectors
from lab.ledger.vectors.ledger_files import LedgerFiles, rows_of, without_day
from lab.ledger.vectors.logs_table import OURS, logs, metadata, of
from lab.ledger.vectors.manipulations import ledger_outcomes
from lab.ledger.vectors.tree_table import trees
from lab.ledger.vectors.verifiers import ROOT, UNREAD, VERIFIERS

WHAT_CANNOT_BE_IN_A_VECTOR = {Rule.REPORT, Rule.PROFILE, Rule.LEAF_LEFT_OUT, Rule.TIMESTAMP}
OF_A_REQUEST = {each.value for each in Rule if each.startswith("request-")} | {Rule.SELECTION}
"""Rules that a verifier may name for a fault of a request."""
LINES = 825


@pytest.fixture(scope="module")
def known() -> list[dict[str, Any]]:
    return vectors()


def test_the_folder_has_what_idtone_makes_200_of_each_and_each_rule(known):
    """The ZIP files' own octets are left out, because they differ between versions of zlib."""
    for name, text in lines().items():
        assert name == "zips.jsonl" or (FOLDER / name).read_text("utf-8") == text, "python -m lab.ledger.vectors"
    broken = Counter(each["rule"] for each in known)
    assert broken[None] >= 200
    assert len(known) - broken[None] >= 200
    assert broken.keys() - {None} == {*Rule} - WHAT_CANNOT_BE_IN_A_VECTOR
    assert re.findall(r"^\| `([a-z-]+)` \|.*\|.*\|$", PAGE.read_text("utf-8").partition("### 7.1")[2], re.MULTILINE)[
        : len(Rule)
    ]
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_660_000


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


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_an_association_may_sign_with_keys_in_tokens(verifier):
    """Signatures of tokens are not test vectors, because each signature is different."""
    token, other = generate_private_key(SECP256R1()), generate_private_key(SECP384R1())
    made = {
        None: metadata(logs(OURS), named=(token, other), by=(token, other)),
        "registry": metadata(logs(OURS), named=(token, other), by=(token,), bad=(other,)),
    }
    told = VERIFIERS[verifier](
        [packed("tokens", rule, of(logs(OURS), made=signed), bases()) for rule, signed in made.items()], bases()
    )
    assert [_fits(rule, rules) for rule, rules in zip(made, told, strict=True)] == [True, True]


def test_the_page_names_each_rule():
    named = re.findall(r"^\| `([a-z-]+)` \| .* \| [0-9, ]*\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(Rule)


def test_the_second_opinion_is_short_and_needs_nothing_but_node():
    program = ROOT / "tools" / "second-opinion" / "verify-pack.mjs"
    text = program.read_text("utf-8")
    assert len(text.splitlines()) <= LINES
    own = {"./timestamp.mjs", "./verify-pack.mjs"}
    imported = {
        name for path in program.parent.glob("*.mjs") for name in re.findall(r'from "([^"]+)"', path.read_text())
    }
    assert {each for each in imported if not each.startswith("node:")} == own
    assert {Path(path.name).suffix for path in program.parent.iterdir()} == {".mjs", ".md"}
    rules = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', text))
    assert {*map(str, Rule)} - rules == WHAT_CANNOT_BE_IN_A_VECTOR - {Rule.TIMESTAMP}


def test_a_ledger_of_such_leaves_is_not_good_before_the_signature_and_after_it(tmp_path):
    """`make bench-tampering` also tests packs, and counts the results."""
    outcomes = list(ledger_outcomes(tmp_path))
    assert [each for each in outcomes if each.found is False] == []
    assert sum(each.found is True for each in outcomes) > 70


def test_a_ledger_of_good_leaves_is_good(tmp_path):
    """No step is missing, because `verify` reads the calls in progress."""
    files, held = LedgerFiles(tmp_path), 0
    for name, rule, leaves in trees():
        content = [without_day(each) for each in leaves]
        rows = rows_of(content) if rule is None else []
        if rows and [row[0] for row in rows] == [*range(1, len(rows) + 1)]:
            held += 1
            assert files.faults(rows, content) == [], name
    assert held > 10


@pytest.mark.parametrize("where", [mutate_pages, mutate_tiles, mutate_packs])
def test_a_random_change_is_found_or_says_the_same(where, tmp_path):
    """The test tries some changes; `make bench-tampering` tries 20,000."""
    assert [each for each in where(tmp_path, 40, 7) if each.missed and not each.harmless] == []
