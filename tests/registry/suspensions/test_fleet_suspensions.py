"""Own suspensions that the nodes of a fleet send each other until all nodes agree."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import permutations

import pytest

from idtone.core.errors import UsageError
from idtone.operations.doctor import suspension_finding
from idtone.operations.doctor.findings import State
from idtone.registry.suspensions.fleet_suspensions import TOLD_LIMIT, SuspensionSeal, suspensions_to_send, taken_over
from idtone.registry.suspensions.own_suspension import (
    NodeConfirmation,
    OwnSuspension,
    OwnSuspensions,
    approved,
    closed,
    lifted,
    put_to_use,
)
from idtone.registry.suspensions.suspension_paper import suspension_paper
from idtone.registry.suspensions.suspension_states import DutyKind, SuspensionState
from lab.registry.suspensions.samples import DUE, NOW, SATO, SUZUKI, act, in_force, stop

LATER = NOW + timedelta(seconds=2)


class Node:
    def __init__(self, name: str, *held: OwnSuspension) -> None:
        self.name, self.held = name, OwnSuspensions(suspensions=held)

    def hear(self, *others: Node) -> None:
        """Read the other nodes' suspensions, and apply the new ones, as the service does."""
        says = {each.name: suspensions_to_send(each.held, each.name) for each in others}
        held = taken_over(self.held, self.name, says)
        used = [put_to_use(each, LATER, True, DUE) for each in held.suspensions]
        over = [each.model_copy(update={"over": LATER}) if each.lifted and not each.over else each for each in used]
        self.held = OwnSuspensions(suspensions=tuple(over))

    @property
    def one(self) -> OwnSuspension:
        [one] = self.held.suspensions
        return one


def test_each_node_stops_what_one_has_stopped_and_says_when():
    home, other, third = Node("a", in_force()), Node("b"), Node("c")
    other.hear(home, third)
    assert (other.one.state, other.one.in_force, other.one.home) == (SuspensionState.IN_FORCE, LATER, "a")
    assert list(other.one.spans()) == list(home.one.spans())
    home.hear(other, third)
    assert home.one.elsewhere == (
        NodeConfirmation(node="b", in_force=LATER, by_service=True),
        NodeConfirmation(node="c"),
    )
    assert (home.one.waiting_nodes(), home.one.in_force) == (["c"], NOW)
    third.hear(other)
    assert third.one.home == "a", "a copy of a copy"
    assert [len(each.one.open_duties()) for each in (home, other, third)] == [1, 1, 1]
    home.hear(other, third)
    assert home.one.waiting_nodes() == []
    held = home.held
    home.hear(other, third)
    assert home.held == held


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_any_node_lifts_it_and_one_that_was_away_learns_it_from_any_other(order):
    first, second, third = (Node(name) for name in order)
    first.held = OwnSuspensions(suspensions=(in_force(),))
    for each in (second, third):
        each.hear(first)
    second.held = second.held.put(lifted(second.one, act(SUZUKI)))
    third.hear(second)
    first.hear(third)
    assert [each.one.state for each in (first, second, third)] == [SuspensionState.LIFTED] * 3
    assert (first.one.lifted, first.one.over) == (second.one.lifted, LATER)
    new = Node("d")
    new.hear(first, second, third)
    assert new.held == OwnSuspensions(), "nothing is to be stopped"


def test_a_node_that_lost_its_file_has_its_own_again():
    home, other = Node("a", in_force()), Node("b")
    other.hear(home)
    home.held = OwnSuspensions()
    home.hear(other)
    assert (home.one.home, home.one.stops) == ("", True)


def test_another_person_approves_on_another_node():
    home, other = Node("a", stop(persons=2)), Node("b")
    other.hear(home)
    assert other.one.state is SuspensionState.ASKED
    with pytest.raises(UsageError, match="sato has asked for this"):
        approved(other.one, act(SATO.__class__(2001, "sato", SATO.known_by)))
    other.held = other.held.put(approved(other.one, act(SUZUKI)))
    home.hear(other)
    assert home.one.state is SuspensionState.IN_FORCE
    other.held = other.held.put(closed(home.one, DutyKind.CONTRACT_END, act(), date(2026, 12, 20), "D-1"))
    home.hear(other)
    assert home.one.open_duties() == []


def test_the_seal_shows_no_number_and_opens_for_that_node_and_key_alone():
    seal, held = SuspensionSeal(b"1" * 32), suspensions_to_send(OwnSuspensions(suspensions=(in_force(),)), "a")
    text = seal.sealed("a", held)
    assert "12345678" not in text
    assert seal.opened("a", text) == held
    for opened in (
        seal.opened("b", text),
        SuspensionSeal(b"2" * 32).opened("a", text),
        seal.opened("a", text[:-8]),
        seal.opened("a", "é"),
        seal.opened("a", ""),
        seal.opened("a", None),
        seal.opened("a", 5),
    ):
        assert opened is None
    home = Node("a")
    assert taken_over(home.held, "a", {"b": None}) == home.held


def test_what_stops_calls_is_told_before_what_is_over():
    over = tuple(lifted(in_force(), act()) for _ in range(500))
    many = stop().model_copy(update={"numbers": tuple((8130000_0000 + n, 8130000_0000 + n) for n in range(4000))})
    told = suspensions_to_send(OwnSuspensions(suspensions=(many, *over)), "a")
    assert many.numbers == told.suspensions[-1].numbers
    assert len(told.suspensions) > 50
    assert len(told.model_dump_json(exclude_defaults=True)) < TOLD_LIMIT + 100


def test_the_paper_and_the_doctor_name_the_nodes_that_have_not_confirmed():
    home, other = Node("a", in_force()), Node("b")
    other.hear(home)
    home.hear(other, Node("c"))
    tables = [section.table for section in suspension_paper(home.one, "a", None, (), "key", NOW).sections]
    [nodes] = [table.rows for table in tables if table and table.columns[0].startswith("ノード")]
    assert [row[:2] for row in nodes] == [("b", "2026-12-01 12:00:02.000+09:00"), ("c", "未確認 / not confirmed")]
    for after, state in ((timedelta(seconds=30), State.GOOD), (timedelta(minutes=2), State.WARNING)):
        found = suspension_finding.judge([home.one], NOW + after)
        assert (found.state, "not confirmed by c" in found.found) == (state, state is State.WARNING)
