"""The faults of a table of lines: each names file, line and field, and no number."""

import pytest

from idtone.core.errors import DocumentError
from idtone.core.yaml_documents import parse
from idtone.registry.customer_lines.consistency import document_faults
from idtone.registry.customer_lines.lines_document import LinesDocument
from lab.registry.customer_lines.line_tables import GOOD
from lab.repository import ROOT


def faults_of(text: str) -> list[str]:
    with pytest.raises(DocumentError) as error:
        parse(text, "numbers.yaml", LinesDocument, document_faults)
    return [f"{fault.line} {fault.field}: {fault.problem}" for fault in error.value.faults]


def test_the_examples_are_good():
    for text in (GOOD, (ROOT / "config" / "numbers.yaml").read_text("utf-8")):
        parse(text, "numbers.yaml", LinesDocument, document_faults)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("lines: [{endpoints: ['1'], numbers: ['031234567']}]",
         ["1 lines[0].numbers[0]: this Japanese number needs 10 digits, counted from its first 0"]),
        ("lines: [{endpoints: ['1'], numbers: ['06*']}]",
         ["1 lines[0].numbers[0]: this covers 100,000,000 numbers, but an entry may cover 1,000,000 at most"]),
        ("lines: [{numbers: ['0312345678']}]",
         ["1 lines[0].endpoints: is missing, and so are `accounts` and `customer`"]),
        ("lines: [{endpoints: ['1']}]", ["1 lines[0].numbers: is missing"]),
        ("lines: [{customer: c-1, endpoints: ['1'], from: 2026-02-01, until: 2026-02-01}]",
         ["1 lines[0].until: is not after `from`"]),
        ("lines: [{customer: '0312345678', endpoints: ['1']}]",
         ["1 lines[0].customer: may be a telephone number, and evidence keeps it in clear"]),
        ("lines: [{customer: c-1, endpoints: [' 1']}]",
         ["1 lines[0].endpoints[0]: is not the name of an endpoint or an account code"]),
        ("lines: [{endpoint: '1', numbers: ['0312345678']}]", ["1 lines[0].endpoint: is not a known key"]),
        # One number, or one line, of two customers at once
        ("lines:\n"
         " - {customer: a, endpoints: ['1'], numbers: ['0312345678', '0312345600-0312345609']}\n"
         " - {customer: b, endpoints: ['2'], numbers: ['0399999999', '0312345605']}",
         ["3 lines[1].numbers[1]: is a number of another customer too, at the same time"]),
        ("lines:\n"
         " - {customer: a, endpoints: ['1'], numbers: ['0312345678'], until: 2026-03-02}\n"
         " - {customer: b, endpoints: ['2'], numbers: ['0312345678'], from: 2026-03-01}",
         ["3 lines[1].numbers[0]: is a number of another customer too, at the same time"]),
        ("lines:\n - {customer: a, endpoints: ['1', '2']}\n - {customer: b, endpoints: ['3', '2']}",
         ["3 lines[1].endpoints[1]: is a line of another customer too, at the same time"]),
        ("lines:\n - {customer: a, accounts: [x]}\n - {customer: b, accounts: [x]}",
         ["3 lines[1].accounts[0]: is a line of another customer too, at the same time"]),
    ],
)  # fmt: skip
def test_each_fault_has_its_place(text, faults):
    assert faults_of(text) == faults


def test_a_number_changes_hands_on_a_day():
    text = (
        "lines:\n"
        " - {customer: a, endpoints: ['1'], numbers: ['0312345678'], until: 2026-03-01}\n"
        " - {customer: b, endpoints: ['1'], numbers: ['0312345678'], from: 2026-03-01}"
    )
    parse(text, "numbers.yaml", LinesDocument, document_faults)
