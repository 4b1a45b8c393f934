"""Evaluations in the registry: their faults, and the texts about their differences."""

import pytest

from idtone.registry.differences import registry_differences
from idtone.registry.parsers import parse_registry
from lab.registry.examples import GOOD, faults_of

ENTRY = f"""\
  - member: m-0001
    grade: good
    title: {{ja: 優良, en: Good}}
    percent: "80.5"
    period: {{from: 2025-01-01, until: 2026-01-01}}
    valid: {{from: 2026-02-01T00:00:00+09:00, until: 2027-02-01T00:00:00+09:00}}
    criteria: {{version: 1, sha256: {"ab" * 32}}}
    result: {"cd" * 32}
    badge: {"ef" * 32}
"""
BARE = GOOD.partition("suspensions:")[0]
TEXT = f"{BARE}evaluations:\n{ENTRY}"


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        (TEXT, None, ""),
        (TEXT.replace("- member: m-0001", "- member: m-0009"), "evaluations[0].member", "is no member"),
        (TEXT + ENTRY, "evaluations[1].member", "evaluated twice"),
        (TEXT.replace("until: 2026-01-01", "until: 2025-01-01"), "evaluations[0].period.until", "not after `from`"),
        (TEXT.replace("2027-02-01T", "2026-02-01T"), "evaluations[0].valid.until", "not after `from`"),
        (TEXT.replace('"80.5"', "high"), "evaluations[0].percent", "should match pattern"),
        (TEXT.replace("cd" * 32, "cd" * 31), "evaluations[0].result", "is not a SHA-256"),
    ],
)
def test_faults(text, field, problem):
    faults = faults_of(text)
    assert [fault.field for fault in faults] == [field] * bool(field)
    assert all(problem in fault.problem for fault in faults)


def test_differences():
    bare, evaluated, better = (parse_registry(text, "") for text in (BARE, TEXT, TEXT.replace("80.5", "85.5")))
    words = (
        "evaluation of m-0001: good (優良 / Good), {} %, for 2025-01-01/2025-12-31 by criteria 1, valid from "
        "2026-02-01T00:00:00+09:00 until 2027-01-31, result cdcdcdcd…"
    )
    assert list(registry_differences(bare, evaluated)) == [words.format("80.5")]
    assert list(registry_differences(evaluated, better)) == [words.format("85.5")]
    assert list(registry_differences(better, bare)) == ["evaluation of m-0001 is removed"]
    assert list(registry_differences(better, better)) == []
