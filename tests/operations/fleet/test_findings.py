"""Findings on the nodes, and the reading of their reports. Pure."""

from dataclasses import replace
from datetime import datetime

import pytest

from idtone.ledger.replication.node_reports import NodeReports
from idtone.operations.fleet.findings import _ABSENCES, _RULES, findings
from idtone.operations.fleet.node_rows import COLUMNS, row_of, total_row
from idtone.operations.fleet.node_states import Condition, Fleet, fleet_of, totals
from idtone.operations.fleet.registry_spread import Wanted, spread
from lab.operations.fleet.example_states import GOOD, NOW, fleet, report, state

NEWER = {"registry__issued": "2026-11-01T17:00:00+09:00", "registry__suspensions_sha256": "6f" * 32}
SHARED = {"version": 3, "sha256": "aa", "overrides": ["agi.listen"]}
CASES = {
    "rivals": state(rivals=3),
    "asterisk": state(ari__connected=False),
    "clock": state(clock={"least_seconds": 0.51, "most_seconds": 2.0}),
    "version": state(instance__version="0.0.12"),
    "registry": state(registry__issued="2026-10-31T00:00:00+09:00"),
    "registry-expired": state(registry__expires="2026-11-01T08:59:59+00:00"),
    "registry-trust": state(registry__trust="unsigned"),
    "hook": state(hook__current=False),
    "settings": state(settings={**SHARED, "version": 2}),
    "fallback": state(fallback__current=False),
    "ledger": state(ledger__unwritten_steps=3),
    "ledger-room": state(ledger__room_days=3.0),
    "replication": state(replication__trouble="no"),
    "witnesses": state(ledger__witness_troubles=[{"name": "w", "trouble": "no"}]),
}
"""Name of a fault → state of a node that has it. A second node has none."""


def test_each_rule_has_a_case():
    assert set(CASES) == {rule.name for rule in _RULES}


@pytest.mark.parametrize("rule", CASES)
def test_each_rule_names_the_node_that_differs(rule):
    good = state(settings=SHARED)
    wrong = CASES[rule] if rule == "settings" else {**CASES[rule], "settings": SHARED}
    assert findings(fleet(good, good)) == []
    (found,) = findings(fleet(good, wrong))
    assert (found.node, found.rule) == ("b", rule)
    assert found.found
    assert found.remedy


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clock": {"least_seconds": -0.9, "most_seconds": -0.7}}, "its clock is 0.7 s ahead of PostgreSQL's"),
        ({"clock": {"least_seconds": 0.6, "most_seconds": 40}}, "its clock is 0.6 s behind PostgreSQL's"),
        ({"clock": {"least_seconds": -30, "most_seconds": 0.1}}, ""),  # the answer took long
        ({"clock": None}, ""),
        ({"instance__version": "0.10.0"}, "it runs idtone 0.1.0, and others 0.10.0"),
        ({"registry__version": 0, "registry__issued": None}, "it has no registry"),
        ({"hook__current": None}, ""),
        ({"hook__current": False, "hook__loaded": ""}, "Asterisk has not loaded the hook"),
        ({"settings": SHARED}, "it does not use the shared settings, which others do"),
        ({"fallback__current": False, "fallback__trouble": "a disk"}, "a disk"),
        ({"ledger__trouble": "a disk", "ledger__unwritten_steps": 3}, "a disk"),
        ({"replication__trouble": "no", "replication__unreplicated_steps": 1200}, "1,200 steps wait: no"),
    ],
)
def test_the_words(changes, words):
    assert [each.found for each in findings(fleet(GOOD, state(**changes)))] == ([words] if words else [])


def test_settings_of_one_version_that_are_not_the_same_are_told():
    (found,) = findings(fleet(state(settings=SHARED), state(settings={**SHARED, "sha256": "bb"})))
    assert (found.node, found.rule) == ("a", "settings")


def test_a_registry_that_is_spreading_is_no_difference_yet():
    old = GOOD
    for taken, expected in (("2026-11-01T08:59:58.000+00:00", []), ("2026-11-01T08:59:50.000+00:00", ["a"])):
        new = state(**NEWER, registry__taken=taken)
        assert [each.node for each in findings(fleet(old, new))] == expected


def test_a_node_that_does_not_report_now_has_one_finding():
    old = {"format": 1, "running": True}
    reports = (
        report("a", state(ari__connected=False, rivals=9), 5.5),
        report("b", state(running=False, ari__connected=False), 600),
        report("c", None, 600),
        report("d", {"format": 2, "anything": []}),
        report("e", old),
        report("f", "no object"),
        replace(report("g", GOOD), heard=None),
        report("h", GOOD, 4.9),
        report("i", GOOD, -3),  # after the transaction that reads it
    )
    one = fleet_of(NodeReports(NOW, reports, ()))
    assert [(each.node, each.rule) for each in findings(one)] == [
        ("a", "silent"), ("b", "stopped"), ("c", "no-state"), ("d", "format"), ("e", "unreadable"), ("f", "format"),
        ("g", "silent"),
    ]  # fmt: skip
    assert {each.rule for each in findings(one)} == {each.rule for each in _ABSENCES}
    assert [node.condition for node in one.nodes][-2:] == [Condition.SERVING] * 2
    assert "(2)" in next(each.found for each in findings(one) if each.node == "d")
    assert all(len(row_of(node)) == len(COLUMNS) for node in one.nodes)
    assert totals(one).reporting == 2


def test_two_ledgers_of_one_node_are_told():
    both = (report("a", GOOD, key="x"), report("a", GOOD, 600, key="y"))
    rules = [each.rule for each in findings(fleet_of(NodeReports(NOW, both, ())))]
    assert rules == ["two-ledgers", "silent", "two-ledgers"]


def test_newer_and_hostile_reports_are_read_as_far_as_they_are_known():
    more = {**state(), "new": {"field": 1}}
    more["calls"] = {**more["calls"], "new": 2}
    hostile = state(instance__version="\x1b[2J<b>" + "x" * 900, ari__asterisk=None)
    newer, odd = fleet(more, hostile).nodes
    assert (newer.condition, odd.condition) == (Condition.SERVING, Condition.SERVING)
    assert odd.state
    assert odd.state.instance.version.startswith("�[2J<b>xx")
    assert len(odd.state.instance.version) == 500
    for wrong in (state(calls__decided=-1), state(at="yesterday"), state(at="2026-11-01T00:00:00"), []):
        assert fleet(wrong).nodes[0].state is None


def test_the_rows_and_their_totals():
    silent = report("c", GOOD, 60)
    two = fleet(GOOD, state(calls__in_progress=1, calls__a_second=None, replication__unreplicated_steps=4))
    one = Fleet(NOW, (*two.nodes, *fleet_of(NodeReports(NOW, (silent,), ())).nodes))
    assert row_of(one.nodes[0]) == (
        "a", "serving", "2", "1.5", "75.0 %", "42", "3", "0.1.0", "22.5.0", "±0 s", "0",
    )  # fmt: skip
    assert row_of(one.nodes[2])[:6] == ("c", "silent", "–", "–", "–", "42")
    assert total_row(totals(one)) == (
        "2 of 3 nodes report", "", "3", "1.5", "75.0 %", "", "", "", "", "", "4",
    )  # fmt: skip


def test_who_uses_a_wanted_registry():
    def names(one: Fleet, wanted: Wanted, *nodes: str) -> tuple[list[str], list[str]]:
        found = spread(one, wanted, nodes)
        return [each.node for each in found.confirmed], list(found.missing)

    new, late = state(**NEWER, registry__taken="2026-11-01T08:59:59+00:00"), state(**NEWER, fallback__current=False)
    one = fleet(new, GOOD, late, state(**NEWER, running=False))
    assert names(one, Wanted()) == (["a"], ["b", "c", "d"])
    assert names(one, Wanted(), "a", "z") == (["a"], ["z"])
    assert names(one, Wanted(suspensions="6f6f6f6f")) == (["a"], ["b", "c", "d"])
    assert names(one, Wanted(version=42)) == (["a", "b"], ["c", "d"])
    assert names(one, Wanted(version=43)) == ([], ["a", "b", "c", "d"])
    (confirmed,) = spread(one, Wanted()).confirmed
    assert confirmed.taken == datetime.fromisoformat("2026-11-01T08:59:59+00:00")
