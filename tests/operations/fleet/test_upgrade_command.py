"""`idtone-fleet upgrade` on the terminal: its plan, its message after a fault, and its next run."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from idtone.core.errors import UsageError
from idtone.fleet_cli import app
from idtone.operations.fleet.command_runner import SubprocessRunner
from idtone.operations.fleet.commands import upgrade as command
from idtone.operations.fleet.inventory import APT
from lab.operations.fleet.fake_fleet import INVENTORY, FakeFleet, FakeNode, address


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    """Inventory of nodes for which no step has to wait."""
    path = tmp_path / "fleet.yaml"
    path.write_text(INVENTORY.replace(":5060'}", ":5060', other_calls: true}"))
    return path


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> FakeFleet:
    made = FakeFleet(*map(FakeNode, ("pbx-1", "pbx-2", "pbx-3")))
    monkeypatch.setattr(command, "SubprocessRunner", lambda: made)
    return made


def run(nodes: Path, *words: str, typed: str = "") -> Result:
    """Run the upgrade, and return its result.

    Raises the command's error.
    """
    arguments = ["upgrade", "--nodes", str(nodes), *words]
    result = CliRunner().invoke(app, arguments, input=typed, env={"COLUMNS": "200", "LANGUAGE": "en"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_plan_is_shown_and_nothing_is_run(nodes, fleet):
    shown = run(nodes, "--dry-run", "--only", "pbx-2").stdout.splitlines()
    assert shown[0] == "pbx-2"
    assert {
        "  take it out of the dispatchers: no new calls",
        "    via sip-1 kamcmd dispatcher.set_state dx 1 sip:pbx-2:5060",
        "    via pbx-2 asterisk -rx 'dialplan reload'",
    } <= set(shown)
    told = json.loads(run(nodes, "--json").stdout)
    assert [each["node"] for each in told[::8]] == ["pbx-1", "pbx-2", "pbx-3"]
    assert ["via", "pbx-1", "asterisk", "-rx", "dialplan reload"] in told[5]["commands"]
    assert run(nodes, "--dry-run").stdout == run(nodes, "--dry-run").stdout
    assert (fleet.ran, list(nodes.parent.iterdir())) == ([], [nodes])


def test_after_a_fault_it_says_how_to_go_on_or_back(nodes, fleet):
    fleet.nodes["pbx-2"].fails = {"apt-get install"}
    stopped = run(nodes, "--yes")
    assert stopped.exit_code == 1
    assert stopped.stdout.splitlines()[-7:] == [
        f"pbx-2: the command failed: {' '.join(APT)}",
        "E: no such package",
        "To go on: correct it, then run the same command again. It begins with this node.",
        "To go back on pbx-2: install version 0.1.0 again, export its hook, and run: via pbx-2 systemctl reload idtone",
        "pbx-2 stays out of the dispatchers. To put it back by hand:",
        "  via sip-1 kamcmd dispatcher.set_state ap 1 sip:pbx-2:5060",
        "  via sip-2 kamcmd dispatcher.set_state ap 1 sip:pbx-2:5060",
    ]


def test_after_a_fault_the_next_run_goes_on(nodes, fleet):
    fleet.nodes["pbx-2"].fails = {"apt-get install"}
    run(nodes, "--yes")
    fleet.nodes["pbx-2"].fails = set()
    gone_on = run(nodes, typed="y\n")
    assert gone_on.exit_code == 0
    assert f"{nodes}.journal: an earlier upgrade has stopped; done: pbx-1" in gone_on.stdout
    assert "pbx-1:" not in gone_on.stdout
    assert "pbx-3: hand over to the new version; calls in progress continue — 0 calls in progress" in gone_on.stdout
    assert {node.serving for node in fleet.nodes.values()} == {"0.2.0"}
    assert all(flags == "AP" for each in fleet.flags.values() for flags in each.values())


def test_a_node_that_was_not_taken_out_needs_no_way_back(nodes, fleet):
    fleet.flags["sip-1"].pop(address("pbx-1"))
    stopped = run(nodes, "--yes", "--json")
    assert stopped.exit_code == 1
    assert json.loads(stopped.stdout)[-1]["fault"].startswith("the dispatcher sip-1 has no destination sip:pbx-1:5060")
    assert stopped.stderr.splitlines()[-1].startswith("To go on:")


def test_wrong_use_does_nothing(nodes, fleet):
    with pytest.raises(UsageError, match=r"--only pbx-9: .*fleet\.yaml has no such node; it has pbx-1, pbx-2, pbx-3"):
        run(nodes, "--only", "pbx-9")
    with pytest.raises(UsageError, match="nothing was done"):
        run(nodes, typed="n\n")
    assert fleet.ran == []
    fleet.nodes["pbx-2"].fails = {"apt-get install"}
    run(nodes, "--yes")
    with pytest.raises(
        UsageError, match=r"these nodes are done in the upgrade that .* has; --afresh begins another one"
    ):
        run(nodes, "--yes", "--only", "pbx-1")
    assert run(nodes, "--yes", "--only", "pbx-1", "--afresh").exit_code == 0


def test_the_real_runner_is_used_without_a_test(nodes):
    assert command.SubprocessRunner is SubprocessRunner
    nodes.write_text("nodes: [{node: pbx-1, idtone: ['false']}]")
    stopped = run(nodes, "--yes")
    assert stopped.exit_code == 1
    assert "pbx-1: idtone status says nothing that can be read" in stopped.stdout
