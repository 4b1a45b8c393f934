"""Wholesale chains: their rules, their look-up, and their presentation."""

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idtone.core.calls import Reason, WholesaleChain
from idtone.core.decision import Policy, decide
from idtone.core.numbers import parse
from idtone.registry.compiled_registry import compile_registry, day_begins, unpack
from idtone.registry.differences import registry_differences
from idtone.registry.index import RegistryIndex
from idtone.registry.number_notation import read_span
from idtone.registry.parsers import parse_registry
from lab.core.fake_registry import NOW, call
from lab.registry.compiled_file import octets_of
from lab.registry.examples import GOOD, faults_of, index_of
from lab.terminal import Terminal

HEAD = GOOD.partition("suspensions:")[0]
MEMBERS = "".join(f"  - {{id: m-000{n}, name: {{ja: 甲, en: A}}, pledge: {{signed: 2026-01-05}}}}\n" for n in (3, 4))
CHECK = "checked: {by: m-0001, day: 2026-04-01, document: D}"
CHAIN = f"""\
chains:
  - numbers: "0312340001"
    links:
      - {{from: m-0002, to: m-0001, {CHECK.replace("by: m-0001", "by: m-0002")}}}
  - numbers: "0612345*"
    links:
      - {{from: m-0001, to: m-0002, {CHECK}}}
      - {{from: m-0002, to: m-0003, {CHECK}}}
      - {{from: m-0003, to: m-0004}}
"""
TEXT = HEAD + MEMBERS + CHAIN
LINKS = "chains[1].links"


def test_this_registry_is_good():
    assert faults_of(TEXT) == ()


@pytest.mark.parametrize(
    ("old", "new", "field", "problem", "remedy"),
    [
        ("to: m-0004", "to: m-0009", f"{LINKS}[2].to", "the member 'm-0009', which is not", "Did you mean 'm-0004'"),
        ("from: m-0002, to: m-0003, checked: {by: m-0001", "from: m-0002, to: m-0003, checked: {by: zzz",
         f"{LINKS}[1].checked.by", "'zzz', which is not in `members`", "Enter the member first"),
        ("from: m-0003, to", "from: m-0001, to", f"{LINKS}[2].from", "m-0001, but the link before it ends with m-0003",
         "in the order"),
        ("to: m-0004", "to: m-0001", f"{LINKS}[2].to", "m-0001, which is in the chain already", "circle"),
        ("to: m-0004", "to: m-0003", f"{LINKS}[2].to", "m-0003, which is in the chain already", "circle"),
        ("from: m-0002, to: m-0003, checked: {by: m-0001", "from: m-0002, to: m-0003, checked: {by: m-0003",
         f"{LINKS}[1].checked.by", "m-0003, which is not above m-0003", "Name the wholesaler"),
        ("from: m-0002, to: m-0003, checked: {by: m-0001", "from: m-0002, to: m-0003, checked: {by: m-0004",
         f"{LINKS}[1].checked.by", "m-0004, which is not above m-0003", "Name the wholesaler"),
        ('- numbers: "0612345*"', '- numbers: "0612345999-0612346000"', "chains[1].numbers",
         "that m-0001, with which its chain begins, does not hold", "Begin the chain"),
        ('- numbers: "0312340001"', '- numbers: "0612345678"', "chains[0].numbers",
         "m-0002, with which its chain begins, does not hold", "Begin the chain"),
        ('- numbers: "0612345*"', '- numbers: "06123"', "chains[1].numbers", "not a Japanese", "Write it like"),
        ('- numbers: "0612345*"', '- numbers: "110"', "chains[1].numbers", "emergency", "remove it"),
        ("day: 2026-04-01, document: D}}\n  - num", "day: 2026-04-01}}\n  - num", "chains[0].links[0].checked.document",
         "is missing", "Add it"),
    ],
)  # fmt: skip
def test_each_fault_has_its_place_and_no_number(old, new, field, problem, remedy):
    assert TEXT.count(old) == 1
    [fault] = [fault for fault in faults_of(TEXT.replace(old, new)) if fault.field == field]
    assert problem in fault.problem
    assert remedy in fault.remedy
    assert "12345" not in fault.problem


def test_a_number_is_in_one_chain():
    more = f'  - numbers: "0612345678"\n    links: [{{from: m-0001, to: m-0003, {CHECK}}}]\n'
    [fault] = faults_of(TEXT + more)
    assert (fault.field, fault.problem) == ("chains[2].numbers", "overlaps chains[1].numbers")


def test_chains_have_an_end():
    links = "".join(f"      - {{from: m-{n:04}, to: m-{n + 1:04}}}\n" for n in range(4, 20))
    [fault] = [fault for fault in faults_of(TEXT + links) if fault.field == LINKS]
    assert "more than 16 entries" in fault.problem


def test_the_member_in_charge_is_the_last_of_the_chain():
    index, now = index_of(TEXT), datetime.fromisoformat("2026-11-10T09:00:00+09:00")
    chained = index.holding(parse("0612345678"), now)
    on = day_begins(date(2026, 4, 1))
    assert chained.chain == WholesaleChain(("m-0001", "m-0002", "m-0003", "m-0004"), (on, on, None))
    assert (chained.member, chained.licences) == ("m-0004", ())
    resold = index.holding(parse("0312340001"), now)
    assert (resold.member, [licence.id for licence in resold.licences]) == ("m-0001", ["L-0001"])
    for number, reason, chain in (
        ("0312340001", Reason.LICENCE_VALID, "m-0002>m-0001"),
        ("0612345678", Reason.CHAIN_UNCHECKED, "m-0001>m-0002>m-0003>m-0004"),
        ("0312345678", Reason.LICENCE_VALID, None),
    ):
        decision = decide(call(parse(number)), index, Policy(member="m-0001"), now)
        assert (decision.reason, decision.wholesale_chain) == (reason, chain), number


@pytest.mark.parametrize("member", ["m-0001", "m-0003", "m-0004"])
def test_a_suspension_of_any_member_of_the_chain_stops_its_numbers(member):
    entry = f"{{member: {member}, since: 2026-03-01T00:00:00+09:00, reference: R-1}}"
    index = index_of(f"{TEXT}suspensions: [{entry}]\n")
    assert index.suspensions_of(parse("0612345678"))
    assert not index.suspensions_of(parse("0399999999"))
    assert bool(index.suspensions_of(parse("0312345678"))) == (member == "m-0001")
    assert any(81612345678 in span for span, _ in index.suspended_spans())


cuts = st.lists(st.integers(0, 99), max_size=8, unique=True).map(sorted)


@given(cuts)
@settings(max_examples=60, deadline=None)
def test_each_number_of_a_chain_and_no_other_has_the_chain(marks):
    """Chains can be anywhere in a range, at its ends and next to each other. The compiled form gives the
    same answers.
    """
    entries = [f"03123456{low:02}-03123456{high:02}" for low, high in zip(marks[::2], marks[1::2], strict=False)]
    chains = [f'  - {{numbers: "{entry}", links: [{{from: m-0001, to: m-0002, {CHECK}}}]}}\n' for entry in entries]
    document = parse_registry(f"{HEAD}chains:\n{''.join(chains)}" if chains else HEAD, "registry.yaml")
    ready = compile_registry(document)
    assert unpack(octets_of(ready)) == ready
    index = RegistryIndex(document)
    chained = [read_span(entry) for entry in entries]
    for number in range(81312345595, 81312345705):
        holding = index.holding(parse(f"+{number}"), NOW)
        held = 81312345600 <= number <= 81312345699
        assert (holding is not None) == held
        if holding:
            resold = any(number in span for span in chained)
            assert (holding.member, bool(holding.chain)) == (("m-0002", True) if resold else ("m-0001", False))


def test_differences_in_words():
    old = parse_registry(TEXT, "")
    changed = TEXT.replace("to: m-0004}", f"to: m-0004, {CHECK.replace('D}', 'E}')}}}")
    words = "m-0001 > m-0002 (checked 2026-04-01 by m-0001: D) > m-0003 (checked 2026-04-01 by m-0001: D) > m-0004"
    assert list(registry_differences(old, parse_registry(changed, ""))) == [
        f"the wholesale chain of …5000 to …5999 (1,000 numbers) is {words} (checked 2026-04-01 by m-0001: E), "
        f"was {words} (not checked)"
    ]
    bare = parse_registry(HEAD + MEMBERS, "")
    removed, added = list(registry_differences(old, bare)), list(registry_differences(bare, old))
    assert removed[0] == ("the wholesale chain of …0001 is removed: m-0002 > m-0001 (checked 2026-04-01 by m-0002: D)")
    assert added[1].startswith("the wholesale chain of …5000 to …5999 (1,000 numbers) is new: m-0001 > ")


def test_show_draws_the_chain_of_a_number_as_a_tree(tmp_path):
    file, config = tmp_path / "registry.yaml", tmp_path / "idtone.yaml"
    file.write_text(TEXT)
    config.write_text("policy: {chain_check: P30D}")

    def show(typed: str, *options: object) -> tuple[int, Any, str]:
        return Terminal().run("registry", "show", file, *options, typed=typed)

    code, out, err = show("06-1234-5678\n", "--number")
    assert (code, err) == (0, "Number: ")
    assert out.splitlines() == [
        "m-0001  良い電話株式会社 / Good Telecom: holds …5000 to …5999 (1,000 numbers)",
        "└── m-0002  次の電話株式会社 / Next Telecom: checked 2026-04-01 by m-0001: D",
        "    └── m-0003  甲 / A: checked 2026-04-01 by m-0001: D",
        "        └── m-0004  甲 / A: not checked, in charge",
    ]
    _, out, _ = show("0312340001\n", "--number", "--json", "-c", config)
    assert out == {
        "number": "…0001", "numbers": "…0001", "holder": "m-0002", "member": "m-0001",
        "links": [{"wholesaler": "m-0002", "reseller": "m-0001", "checked_by": "m-0002", "checked_on": "2026-04-01",
                   "document": "D", "counts": False, "certification": None}], "porting": None,
    }  # fmt: skip
    code, out, _ = show("0312345678\n", "--number")
    assert (code, out) == (0, "m-0001  良い電話株式会社 / Good Telecom: holds …5678, in charge\n")
    assert show("0399999999\n", "--number")[:2] == (1, "no member holds the number\n")
    code, _, err = show("", "m-0001", "--number")
    assert (code, "cannot go together" in err) == (2, True)
    _, out, _ = show("")
    assert "  …5000 to …5999 (1,000 numbers)  m-0001 > m-0002 > m-0003 > m-0004 (not checked)" in out
