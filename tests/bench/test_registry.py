"""The bench's registry: members and numbers, chains, generations, suspended ranges."""

import random

import pytest

from bench.large_registry import FIRST_ISSUED, registry_text, some_number, suspend_ranges
from bench.registry import ASKED, MEMBERS, NUMBERS, chain_cost, suspending
from idtone.core.number_spans import disjoint
from idtone.core.numbers import parse
from idtone.registry.compiled_registry import compile_registry
from idtone.registry.index import RegistryIndex, Signed
from idtone.registry.parsers import parse_registry, parse_suspensions
from idtone.registry.validation_rules import suspension_faults

EACH = NUMBERS // MEMBERS
HELD = parse_registry(registry_text(4 * EACH, 4), "registry.yaml")


def test_each_member_holds_numbers_that_do_not_become_one_range_and_is_asked_about():
    assert len(compile_registry(HELD).spans.firsts) == 4 * (1 + EACH - 60)
    index, dice = RegistryIndex(HELD), random.Random(1)
    found = [index.holding(parse(some_number(dice, 4 * EACH, 4)), FIRST_ISSUED) for _ in range(1_000)]
    assert {held and held.member for held in found} == {f"m-{member:05}" for member in range(4)}


def test_numbers_beside_and_in_chains_are_measured():
    found = chain_cost(8 * EACH, 8, 4, questions=100)
    assert found["chains"] == 4
    assert all(found[name] > 0 for name in ("without_us", "beside_ratio", "chained_ratio"))


@pytest.mark.parametrize("generation", [0, 1, 999])
def test_a_generation_is_known_by_its_time_and_suspends_the_number_whose_turn_it_is(generation):
    signed = Signed(parse_suspensions(suspending(generation), "suspensions.yaml"), HELD.registry.expires)
    index = RegistryIndex(HELD, signed)
    assert (index.issued - FIRST_ISSUED).total_seconds() == generation
    assert [bool(index.suspensions_of(parse(number))) for number in ASKED] == [generation % 2 == 0, generation % 2 == 1]


@pytest.mark.parametrize(("spans", "stock"), [(10, False), (40, True)])
def test_the_suspended_ranges_are_disjoint_and_those_of_the_members(spans, stock):
    document = suspend_ranges(spans, 4, EACH, stock)
    assert not list(suspension_faults(document))
    index = RegistryIndex(HELD, Signed(document, HELD.registry.expires))
    assert len(index.suspensions) == spans + stock
    assert len(list(disjoint(index.suspended_spans(stocks=False)))) == spans
