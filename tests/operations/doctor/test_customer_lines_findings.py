"""The doctor's findings on the table of the customers' lines."""

from datetime import UTC, datetime

import pytest

from idtone.call_control.fallback_lines import lines_text
from idtone.core.errors import DocumentError, Fault
from idtone.core.yaml_documents import parse
from idtone.operations.doctor import customer_lines_findings
from idtone.operations.doctor.findings import State
from idtone.registry.customer_lines.lines_document import LinesDocument, entries_of
from idtone.registry.index import RegistryIndex
from idtone.registry.sources import parse_document
from lab.registry.customer_lines.line_tables import GOOD, index_of
from lab.registry.examples import GOOD as REGISTRY


def test_without_a_table_it_says_that_nothing_is_checked():
    finding = customer_lines_findings.not_set()
    assert (finding.state, "customers' numbers are not checked" in finding.found) == (State.WARNING, True)


def test_a_faulty_table_is_bad_and_shows_the_place_alone():
    faults = [
        Fault("numbers.yaml", 7, 3, "lines[1].numbers[0]", "is not a number", "Correct it"),
        Fault("numbers.yaml", 9, 3, "lines[2].customer", "0312345678 is no id", "Correct it"),
    ]
    finding = customer_lines_findings.faulty(DocumentError(faults))
    assert finding.state is State.BAD
    assert "numbers.yaml:7: lines[1].numbers[0] is not a number (2 faults)" in finding.found
    assert "0312345678" not in finding.found


def test_entries_that_nobody_checked_are_a_warning():
    assert customer_lines_findings.readable(index_of(GOOD).totals).state is State.WARNING
    checked = GOOD.partition("  - customer: c-2")[0]
    assert customer_lines_findings.readable(index_of(checked).totals).state is State.GOOD


def test_the_table_of_the_fallback_is_missing_empty_damaged_or_good(tmp_path):
    path, whole = tmp_path / "fallback-lines.conf", lines_text(index_of(GOOD))
    for text, trouble, state, found in (
        (None, "cannot be read", State.UNKNOWN, "cannot be read"),
        (None, "", State.BAD, "is missing"),
        (lines_text(None), "", State.BAD, "the service has read no table, or it has more than 100,000 entries"),
        (whole[:-10], "", State.BAD, "is damaged"),
        (whole.replace("6001", "6002", 1), "", State.BAD, "is damaged"),
        (whole, "", State.GOOD, "Asterisk has the table"),
    ):
        finding = customer_lines_findings.fallback_table(text, trouble, path)
        assert (finding.state, found in finding.found) == (state, True), finding.found


@pytest.mark.parametrize(
    ("member", "number", "state"),
    [
        ("m-0001", "0312345678", State.GOOD),
        ("m-0001", "0399999999", State.WARNING),
        ("m-0002", "0312345678", State.WARNING),
        (None, "0312345678", State.WARNING),
    ],
)
def test_numbers_that_the_member_does_not_hold(member, number, state):
    registry = RegistryIndex(parse_document(REGISTRY, "registry.yaml"))
    text = f"lines: [{{endpoints: [a], numbers: ['{number}']}}]"
    finding = customer_lines_findings.number_holders(
        entries_of(parse(text, "numbers.yaml", LinesDocument)), registry, member, datetime.now(UTC)
    )
    assert finding.state is state
    assert number not in finding.found


def test_endpoints_without_a_line():
    knows = index_of(GOOD).knows
    assert customer_lines_findings.endpoints(["6001", "carrier"], knows, {"carrier"}).state is State.GOOD
    finding = customer_lines_findings.endpoints(["6001", "6099", "0312345678"], knows, set())
    assert (finding.state, finding.found) == (State.WARNING, "…5678, 6099")
    many = customer_lines_findings.endpoints([f"x{number:03}" for number in range(40)], knows, set())
    assert many.found.endswith("and 30 more")
