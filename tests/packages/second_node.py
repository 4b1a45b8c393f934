"""A second node joins the first one, serves, and leaves: `make test-packages DRILLS=all`. Each node is installed from
the package on its own Debian 13, by the commands of the pages. The tests run one after the other.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from lab.machine.first_month import SECOND, commands
from lab.machine.machine import CHOSEN, Machine, image
from lab.machine.operator_node import OperatorNode
from lab.unpacked_packages import cache_directory

RELEASE: Final = "trixie"
"""Debian release for which the pages are written."""
pytestmark = [
    pytest.mark.skipif(RELEASE not in CHOSEN, reason="RELEASES does not name trixie"),
    pytest.mark.skipif(
        os.environ.get("DRILLS") != "all", reason="`make test-packages DRILLS=all` runs the first month"
    ),
]
HOME: Final = Path("root")
OF_DATABASE: Final = ("postgresql.password", "db.pem")
OF_FIRST: Final = ("fleet.key", "50-fleet.yaml")
"""Files of the first node that the page copies to the second one."""

_ACTS: Final = {act.name: act for act in SECOND}
REPLICATED_S: Final = 30


class Nodes(NamedTuple):
    database: OperatorNode
    """The machine of the database. It is not a node."""
    first: OperatorNode
    second: OperatorNode


@pytest.fixture(scope="module")
def nodes(packages: dict[str, list[Path]]) -> Iterator[Nodes]:
    """Three fresh Debians that share a network, with the packages in root's home."""
    with ExitStack() as undo:
        made = []
        for name in ("db", "pbx-tokyo-1", "fresh"):
            scratch = tempfile.TemporaryDirectory(prefix="second-node-", dir=cache_directory(os.environ, print))
            machine = undo.enter_context(Machine(image(RELEASE), Path(undo.enter_context(scratch))))
            machine.run("hostnamectl", "set-hostname", name)
            node = OperatorNode(machine)
            node.resemble()
            for package in packages[RELEASE]:
                shutil.copy(package, node.root / HOME)
            with (node.root / "etc/hosts").open("a") as hosts:
                hosts.write("127.0.0.1 db.example.jp\n")
            made.append(node)
        yield Nodes(*made)
        for node in made[1:]:
            print(node.machine.run("sh", "-c", "journalctl --unit 'idtone*' --no-pager --lines 100 || true"))


def _install(node: OperatorNode, http_port: int) -> None:
    """Run the first day. Asterisk's port differs on each node, because they share a network."""
    lines = commands("first day", "first-day.md")
    (until,) = (number for number, line in enumerate(lines, 1) if line.endswith("asterisk"))
    node.type(lines[:until])
    http = node.root / "etc/asterisk/http.conf"
    http.write_text(http.read_text().replace("[general]", f"[general]\nbindport={http_port}", 1))
    node.machine.run("systemctl", "restart", "asterisk")
    node.type(lines[until:])
    node.prepare_calls()


def test_a_second_node_joins_and_serves(nodes: Nodes, showed: Callable[[str], None]) -> None:
    database, first, second = nodes
    database.machine.run("apt-get", "update", "--quiet")  # as Debian's installer leaves it
    database.do(_ACTS["second-database"])
    _install(first, 8188)
    before = first.bad()
    first.do(_ACTS["second-key"])
    second.do(_ACTS["second-name"])
    _install(second, 8288)
    before_second = second.bad()
    for giver, names in ((database, OF_DATABASE), (first, OF_FIRST)):
        for name, taker in ((name, taker) for name in names for taker in (first, second) if taker is not giver):
            shutil.copy(giver.root / HOME / name, taker.root / HOME)
    for node, known in ((first, before), (second, before_second)):
        said = node.do(_ACTS["second-join"])
        node.is_as_good(known, said)
    said = second.do(_ACTS["second-look"])
    assert all(name in said for name in ("pbx-tokyo-1", "pbx-osaka-1")), said
    call = second.call()
    assert (call["node"], call["outcome"]) == ("pbx-osaka-1", "PLAY")
    replicated_s = first.wait(
        lambda: call["call_id"] in {each["call_id"] for each in first.records(1000)}, "the call's replica", REPLICATED_S
    )
    showed(f"it joins in {second.took['second-join']:.0f} s; the first one has its call after {replicated_s:.0f} s")


def test_the_second_node_leaves_and_the_first_is_as_good_as_before(nodes: Nodes, showed: Callable[[str], None]) -> None:
    database, first, second = nodes
    before = first.bad()
    plan = second.root / "etc/asterisk/extensions.conf"
    plan.write_text(plan.read_text().replace("Gosub(idtone-forward", "NoOp(gosub"))
    second.machine.run("asterisk", "-rx", "dialplan reload")
    said = second.do(_ACTS["second-leave"])
    assert not (second.root / "etc/asterisk/idtone.conf").exists(), said
    assert (second.root / "var/lib/idtone/pbx-osaka-1/pbx-osaka-1/idtone/checkpoint").exists(), said
    said = database.do(_ACTS["second-left"])
    assert "pbx-osaka-1/idtone" in (database.root / HOME / "pbx-osaka-1.sql").read_text(), said
    first.machine.run("idtone-fleet", "status")
    first.is_as_good(before, said)
    showed(f"it leaves in {second.took['second-leave']:.0f} s, and its evidence stays in the database")
