"""Faults between values."""

from __future__ import annotations

import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.registry.notation import read_span

from .examples import GOOD, faults_of, spoiled, with_numbers


def test_the_example_is_good():
    assert faults_of(GOOD) == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "problem", "remedy"),
    [
        ("expires: 2026-12-01", "expires: 2026-10-01", 1, "registry.expires", "is not after `issued`", "Correct"),
        ("expires: 2026-12-01", "expires: 2026-11-01", 1, "registry.expires", "is not after `issued`", "Correct"),
        (
            "until: 2027-01-10", "until: 2026-01-10", 12, "members[0].licences[0].valid.until", "not after `from`",
            "Correct",
        ),
        ("tone: sample", "tone: simple", 10, "members[0].licences[0].tone", "'simple'", "Did you mean 'sample'"),
        ("tone: sample", "tone: zzz", 10, "members[0].licences[0].tone", "'zzz'", "Known here: sample"),
        ("id: m-0002", "id: m-0001", 15, "members[1].id", "same id as members[0].id", "own id"),
        (
            "- {id: sample,", "- {id: sample, title: A}\n  - {id: sample,", 4, "tones[1].id",
            "same id as tones[0].id", "",
        ),
        (
            "0312340001", "0312345650", 20, "members[1].numbers[0]",
            "overlaps members[0].numbers[1] of member m-0001", "one",
        ),
        ("0312340001", "0312345678", 20, "members[1].numbers[0]", "members[0].numbers", "one member"),
        (
            "0312340001", "0612345*", 20, "members[1].numbers[0]", "same as members[0].numbers[2] of member m-0001",
            "one",
        ),
        ("0312340001", "110", 20, "members[1].numbers[0]", "emergency", "remove it"),
        ("0312340001", "+12125551234", 20, "members[1].numbers[0]", "not a Japanese", "Write it like"),
        ("0312340001", "03123", 20, "members[1].numbers[0]", "not a Japanese", "Write it like"),
        ("0312340001", "03*", 20, "members[1].numbers[0]", "covers 100,000,000", "really holds"),
        ("0312345677", "0312345*", 22, "suspensions[0].number", "not a Japanese", "Write it like"),
        ("0312345677", "119", 22, "suspensions[0].number", "emergency", "remove it"),
    ],
)  # fmt: skip
def test_each_fault_names_line_field_and_remedy(old, new, line, field, problem, remedy):
    [fault] = faults_of(spoiled(old, new))
    assert (fault.line, fault.field) == (line, field)
    assert problem in fault.problem
    assert remedy in fault.remedy
    assert fault.remedy


def test_licence_ids_are_unique_over_all_members():
    licence = GOOD[GOOD.index("      - id: L-0001") : GOOD.index("    numbers:")]
    [fault] = faults_of(spoiled("    licences: []\n", f"    licences:\n{licence}"))
    assert (fault.line, fault.field) == (19, "members[1].licences[0].id")
    assert "members[0].licences[0].id" in fault.problem


def test_a_number_is_suspended_once_however_it_is_written():
    again = '  - {number: "03-1234-5677", since: 2026-04-01T00:00:00+09:00, reference: R-2}\n'
    [fault] = faults_of(GOOD + again)
    assert (fault.line, fault.field) == (23, "suspensions[1].number")
    assert "the same number as suspensions[0].number" in fault.problem


@pytest.mark.parametrize(
    ("entries", "places"),
    [
        (["0312345678", "0312345600-0312345699"], []),  # inside a wider one, as in the design's example
        (["0312345600-0312345699", "0312345600-0312345610"], []),
        (["0312345600-0312345649", "0312345650-0312345699"], []),
        (["0312345678", "03-1234-5678"], [1]),
        (["0312345600-0312345699", "03123456*"], [1]),
        (["0312345600-0312345650", "0312345650-0312345699"], [1]),
        (["0312345650-0312345699", "0312345600-0312345650"], [1]),
    ],
)
def test_entries_of_one_member(entries, places):
    faults = faults_of(with_numbers(entries))
    assert [fault.field for fault in faults] == [f"members[0].numbers[{place}]" for place in places]
    assert all("members[0].numbers[0] of member m-0" in fault.problem for fault in faults)


entry = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(
    lambda pair: f"03123456{pair[0]:02}-03123456{pair[0] + pair[1]:02}"
)


@given(st.lists(st.lists(entry, max_size=4), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
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


def test_no_fault_shows_a_number():
    text = spoiled("0312340001", "0312345650").replace("0312345677", "03123456789")
    faults = faults_of(text)
    assert len(faults) == 2
    assert not any("12345" in str(fault) for fault in faults)


def test_many_overlaps_are_found_quickly_and_not_all_listed():
    started = time.monotonic()
    faults = faults_of(with_numbers([f"03{number}" for number in range(12340000, 12360000)], ["031234*", "031235*"]))
    assert time.monotonic() - started < 20
    assert [fault.problem for fault in faults if not fault.line] == ["has 19800 more faults"]
    assert len(faults) == 201


HOSTILE = {
    "nested lists": "members: " + "[" * 1_000_000,
    "nested keys": "\n".join(" " * depth + "a:" for depth in range(1_400)),
    "unknown keys": "registry: {" + ",".join(f"k{n}: 1" for n in range(100_000)) + "}",
    "unknown members": "members: [" + "a," * 500_000 + "]",
    "empty members": "members: [" + "{}," * 300_000 + "]",
    "one key": "a" * 1_000_000 + ": 1",
    "one number": with_numbers(["0" * 1_000_000]),
    "hyphens": with_numbers(["-" * 1_000_000]),
    "huge version": spoiled("version: 42", "version: " + "9" * 1_000_000),
    "huge date": spoiled("since: 2026-03-01", "since: " + "2026-03-01" * 100_000),
    "huge id": spoiled("id: m-0001", "id: " + "m" * 1_000_000),
    "huge tone": spoiled("tone: sample", "tone: " + "s" * 1_000_000),
    "directives": "%TAG !a! x\n" * 90_000,
    "documents": "---\n" * 250_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_is_refused_quickly_and_briefly(name):
    started = time.monotonic()
    faults = faults_of(HOSTILE[name])
    assert time.monotonic() - started < 40  # about 1 s on an idle machine
    assert faults
    assert sum(len(str(fault)) for fault in faults) < 100_000
