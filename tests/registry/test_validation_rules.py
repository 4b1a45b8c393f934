"""Faults of several values together."""

import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.registry.number_notation import read_span
from lab.registry.examples import GOOD, faults_of, replace_in_good, with_numbers


def test_licences_and_suspensions_are_unique_over_the_file():
    licence = GOOD[GOOD.index("      - id: L-0001") : GOOD.index("    numbers:")]
    [fault] = faults_of(replace_in_good("    licences: []\n", f"    licences:\n{licence}"))
    assert (fault.line, fault.field) == (19, "members[1].licences[0].id")
    assert "members[0].licences[0].id" in fault.problem


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ('number: "0312345677"', 'number: "03-1234-5677"', "the same number as suspensions[0].number"),
        ('numbers: "0612345*"', 'numbers: "0612345000-0612345999"', "the same range as suspensions[0].numbers"),
        ('number: "0312345677"', 'numbers: "0312345677"', "the same range as suspensions[0].number"),
        ("member: m-0001", "member: m-0001", "the same member as suspensions[0].member"),
        ("member: m-0001", "member: m-0001, kind: no-new-numbers", None),
        ('number: "0612345678"', 'numbers: "0612345*"', None),
        ('numbers: "06123456*"', 'numbers: "0612345*"', None),
    ],
)
def test_each_suspension_stands_once(first, second, problem):
    rest = "since: 2026-04-01T00:00:00+09:00, reference: R}\n"
    text = GOOD.partition("  - {number:")[0] + "".join(f"  - {{{what}, {rest}" for what in (first, second))
    assert [fault.problem for fault in faults_of(text)] == ([f"is {problem}"] if problem else [])


def test_entries_of_one_member():
    for entries, places in (
        (["0312345678", "0312345600-0312345699"], []),  # inside a wider one, as in the design's example
        (["0312345600-0312345699", "0312345600-0312345610"], []),
        (["0312345600-0312345649", "0312345650-0312345699"], []),
        (["0312345678", "03-1234-5678"], [1]),
        (["0312345600-0312345699", "03123456*"], [1]),
        (["0312345600-0312345650", "0312345650-0312345699"], [1]),
        (["0312345650-0312345699", "0312345600-0312345650"], [1]),
    ):
        faults = faults_of(with_numbers(entries))
        assert [fault.field for fault in faults] == [f"members[0].numbers[{place}]" for place in places], entries
        assert all("members[0].numbers[0] of member m-0" in fault.problem for fault in faults)


entry = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(
    lambda pair: f"03123456{pair[0]:02}-03123456{pair[0] + pair[1]:02}"
)


@given(st.lists(st.lists(entry, max_size=4), min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_members_share_a_number_exactly_where_a_fault_names_two_members(members):
    held = [
        {n for text in entries for n in range(read_span(text).first, read_span(text).last + 1)} for entries in members
    ]
    shared = any(one & other for one, other in combinations(held, 2))
    between = [f for f in faults_of(with_numbers(*members)) if "one member who holds it" in f.remedy]
    assert bool(between) == shared
    for fault in between:
        first, second = int(fault.problem.split("members[")[1][0]), int(fault.field[8])
        assert held[first] & held[second]


def test_many_overlaps_are_found_quickly_and_not_all_listed():
    started = time.monotonic()
    faults = faults_of(with_numbers([f"03{number}" for number in range(12340000, 12342000)], ["031234*"]))
    assert time.monotonic() - started < 10
    assert [fault.problem for fault in faults if not fault.line] == ["has 1800 more faults"]
    assert len(faults) == 201


HOSTILE = {
    "unknown keys": "registry: {" + ",".join(f"k{n}: 1" for n in range(10_000)) + "}",
    "unknown members": "members: [" + "a," * 30_000 + "]",
    "empty members": "members: [" + "{}," * 20_000 + "]",
    "one key": "a" * 300_000 + ": 1",
    "one number": with_numbers(["0" * 300_000]),
    "hyphens": with_numbers(["-" * 300_000]),
    "huge version": replace_in_good("version: 42", "version: " + "9" * 300_000),
    "huge date": replace_in_good("since: 2026-03-01", "since: " + "2026-03-01" * 30_000),
    "huge id": replace_in_good("id: m-0001", "id: " + "m" * 300_000),
    "huge tone": replace_in_good("tone: sample", "tone: " + "s" * 300_000),
}
"""Hostile texts that the YAML reader accepts. tests/core/test_yaml_documents.py has the texts that it refuses."""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_quickly_and_briefly(name):
    started = time.monotonic()
    faults = faults_of(HOSTILE[name])
    assert time.monotonic() - started < 20  # about 0.1 s on an idle machine
    assert faults
    assert sum(len(str(fault)) for fault in faults) < 100_000
