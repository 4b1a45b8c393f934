"""The rolling upgrade: its acts on each node, the faults that stop it, and its next run."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from idtone.core.errors import UsageError
from idtone.core.yaml_documents import parse
from idtone.operations.fleet.inventory import APT, Inventory
from idtone.operations.fleet.rolling_upgrade import Clock, NodeFaultError, RollingUpgrade
from idtone.operations.fleet.upgrade_journal import UpgradeJournal, open_journal
from idtone.operations.fleet.upgrade_plan import plan_steps
from idtone.operations.fleet.upgrade_rules import Step
from lab.operations.fleet.fake_fleet import INVENTORY, FakeFleet, FakeNode, address

NOW = datetime(2026, 11, 28, 4, tzinfo=UTC)
NODES = ("pbx-1", "pbx-2", "pbx-3")


class Silent:
    """A `Progress` that only records its calls."""

    def __init__(self) -> None:
        self.waited: list[str] = []

    def begin(self, node: str, step: Step) -> None: ...

    def waiting(self, words: str) -> None:
        self.waited.append(words)

    def end(self, node: str, step: Step, words: str) -> None: ...


class Operator:
    """An operator who runs the upgrade several times with one journal."""

    def __init__(self, fleet: FakeFleet, journal: Path, inventory: str = INVENTORY) -> None:
        self.fleet, self.journal = fleet, journal
        self.inventory = parse(inventory, "fleet.yaml", Inventory)
        self.progress = Silent()

    def upgrade(self, *only: str, until_empty: bool = False, afresh: bool = False) -> str:
        """Run the upgrade; returns the fault that stopped it, or an empty text."""
        chosen = [node for node in self.inventory.nodes if not only or node.node in only]
        clock = Clock(lambda: self.fleet.now_s, self.fleet.sleep)
        with open_journal(self.journal, lambda: NOW) as kept:
            kept.begin([node.node for node in chosen], afresh)
            rolling = RollingUpgrade(self.inventory, self.fleet, kept, self.progress, until_empty, 60, clock)
            try:
                rolling.run(chosen)
            except NodeFaultError as error:
                return f"{error}\n{error.output}".strip()
            if not kept.nodes - kept.done:
                kept.end()
        return ""


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet(*map(FakeNode, NODES))


@pytest.fixture
def operator(fleet: FakeFleet, tmp_path: Path) -> Operator:
    return Operator(fleet, tmp_path / "fleet.yaml.journal")


def upgraded(fleet: FakeFleet) -> list[str]:
    return [node.name for node in fleet.nodes.values() if node.serving == "0.2.0"]


def out(fleet: FakeFleet) -> set[str]:
    """Nodes that receive no calls from at least one dispatcher."""
    return {name for name in NODES for flags in fleet.flags.values() if "D" in flags.get(address(name), "")}


def test_one_node_after_the_other_and_never_two_at_once(operator, fleet):
    most: set[int] = set()
    fleet.each_second = lambda: most.add(len(out(fleet)))
    assert operator.upgrade() == ""
    assert (upgraded(fleet), out(fleet), most) == ([*NODES], set(), {1})
    assert all(flags == "AP" for each in fleet.flags.values() for flags in each.values())
    assert all(set(node.findings.values()) == {"good"} for node in fleet.nodes.values()), "the hook is the new one"
    order = [host for _, host, *words in fleet.ran if words[:1] == ["apt-get"]]
    assert order == [*NODES]
    assert [node.pid for node in fleet.nodes.values()] == [101, 101, 101], "the package's own hand-over is enough"
    plan = {
        words
        for node in operator.inventory.nodes
        for step in plan_steps(operator.inventory, node)
        for words in step.commands
    }
    assert set(fleet.ran) <= plan, "the plan shows every command"


def test_without_a_package_that_reloads_the_upgrade_hands_over(operator, fleet):
    fleet.nodes["pbx-1"].package_reloads = False
    assert operator.upgrade("pbx-1") == ""
    assert ("via", "pbx-1", "systemctl", "reload", "idtone") in fleet.ran
    assert (fleet.nodes["pbx-1"].serving, fleet.nodes["pbx-1"].pid) == ("0.2.0", 101)


Harm = Callable[[FakeFleet], None]


def on_reload(**changes: object) -> Harm:
    def harm(fleet: FakeFleet) -> None:
        def change(node: FakeNode) -> None:
            for name, value in changes.items():
                setattr(node, name, value)

        fleet.nodes["pbx-2"].on_reload = change

    return harm


def setting(**changes: object) -> Harm:
    def harm(fleet: FakeFleet) -> None:
        for name, value in changes.items():
            setattr(fleet.nodes["pbx-2"], name, value)

    return harm


def still_calls(fleet: FakeFleet) -> None:
    def call() -> None:
        fleet.nodes["pbx-2"].decided += 1

    fleet.each_second = call


FAULTS: list[tuple[Harm, str, bool]] = [
    # what happens on pbx-2, the fault at which the upgrade stops, whether it was taken out before
    (setting(running=False), "no service runs there; start it first", False),
    (setting(ari=False), "the service does not reach Asterisk's ARI; correct that first", False),
    (setting(fails={"idtone status"}), "idtone status says nothing that can be read", False),
    (setting(fails={"idtone doctor"}), "idtone doctor says nothing that can be read", False),
    (lambda fleet: fleet.flags["sip-2"].pop(address("pbx-2")),
     r"the dispatcher sip-2 has no destination sip:pbx-2:5060 in set 1; it has: sip:pbx-1:5060, sip:pbx-3:5060", False),
    (lambda fleet: fleet.flags["sip-2"].update({address("pbx-1"): "IP", address("pbx-3"): "IX"}),
     "no other destination of the dispatcher sip-2 takes calls", False),
    (lambda fleet: fleet.deaf.add("sip-1"), "the dispatcher sip-1 has not taken it out", False),
    (still_calls, "new calls still come after 60 s; if they come past the dispatchers, write `other_", True),
    (setting(fails={"apt-get install"}), f"the command failed: {' '.join(APT)}\nE: no such package", True),
    (setting(new_version="0.3.0"), "version 0.3.0 is installed, and the nodes before it got 0.2.0", True),
    (setting(fails={"systemctl reload"}, package_reloads=False), "the command failed: systemctl reload idtone", True),
    (on_reload(serving="0.1.0"), r"version 0.2.0 does not serve after 60 s", True),
    (on_reload(running=False), r"version 0.2.0 does not serve after 60 s", True),
    (setting(fails={"idtone dialplan"}), "the command failed: idtone dialplan export /etc/asterisk", True),
    (setting(fails={"asterisk -rx"}), "the command failed: asterisk -rx dialplan reload", True),
    (on_reload(registry=41), "the registry has version 41 (signed), and had 42 (signed)", True),
    (on_reload(findings={"service": "warning"}), "The service was good and is warning: x", True),
    (on_reload(findings={"new-topic": "bad"}), "The new-topic was not checked and is bad: x", True),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "fault", "is_out"), FAULTS, ids=[fault[:40] for _, fault, _ in FAULTS])
def test_it_stops_at_the_first_fault_and_leaves_the_node_out(operator, fleet, harm, fault, is_out):
    assert operator.upgrade("pbx-1") == ""
    harm(fleet)
    said = operator.upgrade("pbx-2", "pbx-3", afresh=False) if "0.3.0" not in fault else operator_of_three(operator)
    assert said.startswith(fault), said
    assert out(fleet) == ({"pbx-2"} if is_out else set())
    assert fleet.nodes["pbx-3"].serving == "0.1.0"
    entries = [json.loads(line) for line in operator.journal.read_text().splitlines()]
    assert entries[-1]["node"] == "pbx-2"
    assert entries[-1]["fault"] == said.partition("\n")[0], "what a command has printed is not in the journal"


def operator_of_three(operator: Operator) -> str:
    """Run the upgrade with three nodes, the first of which already has the new version."""
    return operator.upgrade(afresh=True)


def test_the_next_run_goes_on_where_the_first_stopped(operator, fleet):
    second = fleet.nodes["pbx-2"]
    second.fails = {"apt-get install"}
    assert operator.upgrade().startswith("the command failed")
    assert (upgraded(fleet), out(fleet)) == (["pbx-1"], {"pbx-2"})
    second.fails, second.findings["service"] = set(), "warning"
    ran = len(fleet.ran)
    assert operator.upgrade() == "The service was good and is warning: x", "as it was before the first run counts"
    second.findings["service"] = "good"
    assert operator.upgrade() == ""
    assert (upgraded(fleet), out(fleet)) == ([*NODES], set())
    assert not [command for command in fleet.ran[ran:] if command[1] == "pbx-1"], "a node that is done is left alone"
    ran = len(fleet.ran)
    assert operator.upgrade() == ""
    assert [host for _, host, *words in fleet.ran[ran:] if words[:1] == ["apt-get"]] == [*NODES], "another upgrade"


def test_it_waits_for_the_end_of_calls_only_if_it_is_told_to(operator, fleet):
    first = fleet.nodes["pbx-1"]
    first.in_progress = 2

    def end_a_call() -> None:
        first.in_progress = max(0, first.in_progress - 1) if fleet.now_s > 20 else first.in_progress

    fleet.each_second = end_a_call
    assert operator.upgrade("pbx-1") == ""
    assert (first.serving, fleet.now_s < 20) == ("0.2.0", True)
    first.in_progress, before = 2, fleet.now_s
    assert operator.upgrade("pbx-1", until_empty=True) == ""
    assert fleet.now_s > 20 > before
    assert "2 calls in progress, no new call for 5 s" in operator.progress.waited
    first.in_progress, fleet.each_second = 1, lambda: None
    assert operator.upgrade("pbx-1", until_empty=True).startswith("1 calls are in progress after 60 s; wait longer")


def test_calls_past_the_dispatchers_and_a_fleet_without_dispatchers(fleet, tmp_path):
    still_calls(fleet)
    other = INVENTORY.replace("address: 'sip:pbx-2:5060'}", "address: 'sip:pbx-2:5060', other_calls: true}")
    assert Operator(fleet, tmp_path / "1", other).upgrade("pbx-2") == ""
    alone = "nodes:\n  - {node: pbx-1, run: [via, pbx-1]}\n"
    assert Operator(fleet, tmp_path / "2", alone).upgrade() == ""
    assert upgraded(fleet) == ["pbx-1", "pbx-2"]


# -- the journal ----------------------------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[UpgradeJournal]:
    with open_journal(tmp_path / "journal", lambda: NOW) as kept:
        yield kept


def test_two_upgrades_at_once_are_refused(journal, tmp_path):
    with (
        pytest.raises(UsageError, match="another upgrade of this fleet runs"),
        open_journal(tmp_path / "journal", lambda: NOW),
    ):
        pass


def test_a_line_that_was_cut_off_is_dropped_and_a_damaged_one_is_told(operator, fleet):
    fleet.nodes["pbx-1"].fails = {"apt-get install"}
    operator.upgrade()
    with operator.journal.open("a") as file:
        file.write('{"at": "20')
    fleet.nodes["pbx-1"].fails = set()
    assert operator.upgrade() == ""
    lines = operator.journal.read_text().splitlines()
    for damage in ("{}{", '"x"', re.sub(r'"registry": \d+, ', "", next(line for line in lines if "before" in line))):
        operator.journal.write_text("\n".join([lines[0], damage, *lines[2:]]) + "\n")
        with pytest.raises(UsageError, match=r"journal:2: is not a line of a journal of upgrades"):
            operator.upgrade()
