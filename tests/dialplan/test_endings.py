"""The table of endings has every possible cell once, and every proof in it is an existing test."""

import ast
from collections import Counter
from itertools import product

from idtone.ledger.evidence.steps import CallStatus, q850_cause
from lab.endings import IMPOSSIBLE, TABLE, Event, Step, endings_table
from lab.repository import ROOT, parsed
from tools.endings_page import PAGE, PAGE_JA, page

INTERFACES, NOTIFY = ("ari", "agi"), ("called", "both")


def test_every_cell_is_in_the_table_or_is_declared_impossible():
    never = {(step, event) for event, steps, _ in IMPOSSIBLE for step in steps}
    there = endings_table().keys()
    for step, event, interface, notify in product(Step, Event, INTERFACES, NOTIFY):
        assert ((step, event, interface, notify) in there) != ((step, event) in never), (step, event, interface, notify)


def test_no_cell_is_in_the_table_twice():
    places = Counter(
        (step, row.event, *more) for row in TABLE for step in row.steps for more in product(row.interfaces, row.notify)
    )
    assert not [place for place, times in places.items() if times > 1]


def test_the_table_uses_the_words_of_the_ledger():
    assert {status for row in TABLE for status in row.status} <= set(CallStatus)
    assert all(q850_cause(number) == number for row in TABLE for number in row.cause)


def test_every_row_has_its_proofs_and_each_is_a_test():
    assert all(row.proof for row in TABLE)
    for proof in {proof for row in TABLE for proof in row.proof}:
        file, _, name = proof.partition("::")
        found = parsed((ROOT / file).read_text()).body
        assert name in {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}, proof


def test_the_page_matches_the_table():
    assert PAGE.read_text("utf-8") == page(japanese=False), "run `make docs`"
    assert PAGE_JA.read_text("utf-8") == page(japanese=True), "run `make docs`"
