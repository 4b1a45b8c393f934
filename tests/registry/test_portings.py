"""Portings: numbers that one member hands over to another at a given time."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.calls import Direction, Outcome, Reason
from idtone.core.decision import Policy, decide
from idtone.core.numbers import parse
from idtone.registry.compiled_registry import compile_registry, unpack
from idtone.registry.differences import registry_differences
from idtone.registry.index import RegistryIndex
from idtone.registry.number_notation import read_span
from idtone.registry.parsers import parse_registry
from lab.core.fake_registry import call
from lab.registry.compiled_file import octets_of
from lab.registry.examples import GOOD, faults_of, index_of
from lab.terminal import Terminal

HEAD = GOOD.partition("suspensions:")[0]
MORE = "  - {id: m-0003, name: {ja: 甲, en: A}, pledge: {signed: 2026-01-05}}\n"
CHAIN = """\
chains:
  - numbers: "0312345600-0312345649"
    links: [{from: m-0001, to: m-0003, checked: {by: m-0001, day: 2026-04-01, document: D}}]
"""
PORTINGS = """\
portings:
  - {numbers: "0312345640-0312345659", from: m-0001, to: m-0002, at: 2026-11-20T00:00:00+09:00}
  - {numbers: "0312340001", from: m-0002, to: m-0001, at: 2026-11-20T00:00:00+09:00}
"""
TEXT = HEAD + MORE + CHAIN + PORTINGS
DAY = datetime.fromisoformat("2026-11-20T00:00:00+09:00")
SECOND = timedelta(seconds=1)


def test_this_registry_is_good():
    assert faults_of(TEXT) == ()
    moved = TEXT.replace('    numbers:\n      - "0312340001"\n', "")
    moved = moved.replace('"0312345678"', '"0312345678", "0312340001"', 1)
    assert faults_of(moved) == (), "the numbers may be in the ranges of the one that gets them"


@pytest.mark.parametrize(
    ("old", "new", "field", "problem", "remedy"),
    [
        ("from: m-0001, to: m-0002, at", "from: m-0009, to: m-0002, at", "portings[0].from",
         "names the member 'm-0009', which is not", "Did you mean"),
        ("from: m-0001, to: m-0002, at", "from: m-0001, to: zzz, at", "portings[0].to",
         "'zzz', which is not in", "Enter"),
        ("from: m-0001, to: m-0002, at", "from: m-0001, to: m-0001, at", "portings[0].to",
         "is the member that hands them over", "Name the member that gets them"),
        ('"0312345640-0312345659", from', '"0312345690-0312345709", from', "portings[0].numbers",
         "neither all in the ranges of m-0001 nor all in those of m-0002", "Enter them with the member"),
        ('"0312345640-0312345659", from', '"110", from', "portings[0].numbers", "emergency", "remove it"),
        ('{numbers: "0312340001", from: m-0002, to: m-0001', '{numbers: "0312345659", from: m-0001, to: m-0003',
         "portings[1].numbers", "overlaps portings[0].numbers", "one porting only"),
        ("to: m-0001, at: 2026-11-20T00:00:00+09:00", "to: m-0001, at: 2026-11-20T00:00:00", "portings[1].at",
         "time zone", ""),
    ],
)  # fmt: skip
def test_each_fault_has_its_place_and_no_number(old, new, field, problem, remedy):
    assert TEXT.count(old) == 1
    [fault] = faults_of(TEXT.replace(old, new))
    assert (fault.field, fault.line > 0) == (field, True)
    assert problem in fault.problem
    assert remedy in fault.remedy
    assert "12345" not in fault.problem


def test_a_chain_may_begin_with_either_member_but_with_no_other():
    later = CHAIN + '  - {numbers: "0312345650-0312345659", links: [{from: m-0002, to: m-0003}]}\n'
    assert faults_of(TEXT.replace(CHAIN, later)) == ()
    [fault] = faults_of(TEXT.replace(CHAIN, later.replace("{from: m-0002, to: m-0003}", "{from: m-0003, to: m-0001}")))
    assert fault.field == "chains[1].numbers"
    [fault] = faults_of(TEXT.replace(CHAIN, later.replace("5659", "5660", 1).replace("5650-", "5650-")))
    assert fault.field == "chains[1].numbers", "one number of it is not ported"


MOMENTS = {"before": DAY - SECOND, "from then on": DAY}
HOLDERS = {
    # number: who is in charge before, and from then on, by which chain
    "0312345639": ("m-0001>m-0003", "m-0001>m-0003"),
    "0312345640": ("m-0001>m-0003", "m-0002"),
    "0312345649": ("m-0001>m-0003", "m-0002"),
    "0312345650": ("m-0001", "m-0002"),
    "0312345659": ("m-0001", "m-0002"),
    "0312345660": ("m-0001", "m-0001"),
    "0312340001": ("m-0002", "m-0001"),
}


@pytest.mark.parametrize("number", HOLDERS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_who_holds_the_number_is_decided_by_time(number, moment):
    for index in (index_of(TEXT), compiled_index()):
        holding = index.holding(parse(number), MOMENTS[moment])
        members = ">".join(holding.members)
        assert members == HOLDERS[number][moment == "from then on"]
        for member in ("m-0001", "m-0002"):
            decision = decide(call(parse(number), Direction.OUTGOING), index, Policy(member=member), MOMENTS[moment])
            assert (decision.reason is Reason.NUMBER_OF_ANOTHER_MEMBER) == (member not in members)
            assert (decision.outcome is Outcome.REFUSE) == (member not in members)


def compiled_index() -> RegistryIndex:
    index = RegistryIndex.__new__(RegistryIndex)
    index._hold(unpack(octets_of(compile_registry(parse_registry(TEXT, "registry.yaml")))), (), None)
    return index


def test_the_own_numbers_have_their_times():
    index = index_of(TEXT)
    found = {
        member: [
            (span.first % 10_000, span.last % 10_000, period.since, period.until)
            for span, period in index.own_spans(member)
        ]
        for member in ("m-0002", "m-0003")
    }
    assert found["m-0002"] == [(1, 1, None, DAY), (5640, 5649, DAY, None), (5650, 5659, DAY, None)]
    assert found["m-0003"] == [(5600, 5639, None, None), (5640, 5649, None, DAY)]
    everything = list(index.own_spans(None))
    assert all(period == (None, None) for _, period in everything)
    assert sum(len(span) for span, _ in everything) == 1_101


@pytest.mark.parametrize("member", ["m-0001", "m-0002"])
def test_a_suspended_stock_keeps_a_ported_number_only_while_it_is_in_it(member):
    entry = f"suspensions: [{{member: {member}, since: 2026-11-01T00:00:00+09:00, reference: R-1}}]\n"
    index = index_of(TEXT + entry)
    for number, (before, after) in HOLDERS.items():
        for moment, members in ((DAY - SECOND, before), (DAY, after)):
            stopped = any(each.in_force(moment) for each in index.suspensions_of(parse(number)))
            assert stopped == (member in members.split(">")), (number, moment)
            in_file = any(
                int(parse(number).e164) in span and each.in_force(moment) for span, each in index.suspended_spans()
            )
            assert in_file == stopped, "Asterisk gets the same"


marks = st.lists(st.integers(0, 99), max_size=10, unique=True).map(sorted)


def _entries(places: list[int]) -> list[str]:
    return [f"03123456{low:02}-03123456{high:02}" for low, high in zip(places[::2], places[1::2], strict=False)]


@given(marks, marks)
@settings(max_examples=80, deadline=None)
def test_each_number_of_a_porting_and_no_other_changes_its_holder(chained, handed):
    """Portings and chains can be anywhere in a range, overlap, and be next to each other. The compiled form gives the
    same answers.
    """
    chains = [f'  - {{numbers: "{each}", links: [{{from: m-0001, to: m-0003}}]}}\n' for each in _entries(chained)]
    portings = [
        f'  - {{numbers: "{each}", from: m-0001, to: m-0002, at: {DAY.isoformat()}}}\n' for each in _entries(handed)
    ]
    text = HEAD + MORE
    text += f"chains:\n{''.join(chains)}" if chains else ""
    text += f"portings:\n{''.join(portings)}" if portings else ""
    document = parse_registry(text, "registry.yaml")
    ready = compile_registry(document)
    assert unpack(octets_of(ready)) == ready
    index = RegistryIndex(document)
    for number in range(81312345595, 81312345705):
        held = 81312345600 <= number <= 81312345699
        resold, ported = (any(number in read_span(each) for each in _entries(one)) for one in (chained, handed))
        for moment in MOMENTS.values():
            holding = index.holding(parse(f"+{number}"), moment)
            assert (holding is not None) == held
            if holding:
                gone = ported and moment >= DAY
                assert holding.member == ("m-0002" if gone else "m-0003" if resold else "m-0001")


def test_differences_in_words():
    old, new = parse_registry(HEAD + MORE, "r"), parse_registry(HEAD + MORE + PORTINGS, "r")
    one = "…5640 to …5659 (20 numbers)"
    assert list(registry_differences(old, new)) == [
        f"the porting of {one} is new: m-0001 > m-0002 at 2026-11-20T00:00:00+09:00",
        "the porting of …0001 is new: m-0002 > m-0001 at 2026-11-20T00:00:00+09:00",
    ]
    later = parse_registry((HEAD + MORE + PORTINGS).replace("2026-11-20", "2026-11-21", 1), "r")
    assert list(registry_differences(new, later)) == [
        f"the porting of {one} is m-0001 > m-0002 at 2026-11-21T00:00:00+09:00, "
        "was m-0001 > m-0002 at 2026-11-20T00:00:00+09:00"
    ]
    assert "is removed: m-0001 > m-0002" in next(iter(registry_differences(new, old)))


def test_show_and_decide(tmp_path):
    file = tmp_path / "registry.yaml"
    file.write_text(TEXT)

    def run(*words: object, typed: str = "") -> tuple[int, Any, str]:
        return Terminal().run("registry", *words, typed=typed)

    _, out, _ = run("show", file)
    assert "portings" in out
    assert "…5640 to …5659 (20 numbers)  m-0001 > m-0002  at 2026-11-20T00:00:00+09:00" in out
    _, told, _ = run("show", file, "--number", "--json", typed="0312345650\n")
    assert told["porting"]["giver"] == "m-0001"
    for at, outcome in (("2026-11-19T23:59:59+09:00", "PLAY"), ("2026-11-20T00:00:00+09:00", "REFUSE")):
        _, told, _ = run(
            "decide",
            "--registry",
            file,
            "--number",
            "0312345650",
            "--direction",
            "incoming",
            "--member",
            "m-0001",
            "--at",
            at,
            "--json",
        )
        assert told["outcome"] == outcome
