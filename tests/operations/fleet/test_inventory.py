"""The inventory of a fleet, and the command runner."""

import sys
import time

import pytest

from idtone.core.errors import DocumentError
from idtone.operations.fleet.command_runner import CommandResult, SubprocessRunner
from idtone.operations.fleet.inventory import APT, read_inventory, with_prefix
from idtone.operations.fleet.kamailio_dispatcher import destination_flags, has_other_active, is_in, is_out
from lab.operations.fleet.fake_fleet import INVENTORY


def test_the_words_of_a_command_reach_the_other_machine_as_they_are():
    """ssh joins its words for a shell on the other machine, so each word is quoted. Other prefixes do not join them."""
    words = ("asterisk", "-rx", "dialplan reload")
    assert with_prefix((), words) == words
    assert with_prefix(("sudo",), words) == ("sudo", *words)
    assert with_prefix(("ssh", "root@pbx-1"), words) == ("ssh", "root@pbx-1", "asterisk", "-rx", "'dialplan reload'")
    assert with_prefix(("/usr/bin/ssh", "-p", "22", "x"), ("a;b", "$c"))[-2:] == ("'a;b'", "'$c'")


def test_an_inventory(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(INVENTORY)
    inventory = read_inventory(path)
    assert [node.node for node in inventory.nodes] == ["pbx-1", "pbx-2", "pbx-3"]
    assert inventory.nodes[0].upgrade == APT
    assert (inventory.dispatchers[0].group, inventory.dispatchers[0].run) == (1, ("via", "sip-1", "kamcmd"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("dispatchers: []", "1:1: nodes: is missing"),
        ("nodes: []", "1:1: nodes: has too few entries"),
        ("nodes:\n  - {node: a}\n  - {node: a}", "2:6: nodes[0].node: is the name of two nodes"),
        (
            "nodes:\n  - {node: a, address: x}\n  - {node: b, address: x}",
            "2:15: nodes[0].address: is the address of two",
        ),
        ("nodes: [{node: a}]\ndispatchers: [{name: x, run: [k]}]", "1:9: nodes[0].address: is missing, and there are"),
        ("nodes: [{node: a, run: ssh a}]", "1:19: nodes[0].run: is not a list"),
        ("nodes: [{node: a, upgrade: []}]", "1:19: nodes[0].upgrade: has too few entries"),
        ("nodes: [{node: a, adress: x}]", "1:19: nodes[0].adress: is not a known key. Did you mean 'address'"),
    ],
)
def test_what_is_wrong_in_an_inventory_is_located(tmp_path, text, fault):
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_inventory(path)
    assert str(caught.value).startswith(f"{path}:{fault}")


def test_a_command_runs_without_a_shell_and_its_end_is_told(tmp_path):
    runner = SubprocessRunner()
    program = "import sys; print(sys.argv[1:]); print('e', file=sys.stderr); sys.exit(3)"
    ran = runner.run([sys.executable, "-c", program, "a b", "$HOME", "*"], 60)
    assert ran == CommandResult(3, "['a b', '$HOME', '*']\n", "e\n")
    assert runner.run([str(tmp_path / "none")], 1) == CommandResult(
        None, errors=f"{tmp_path}/none: No such file or directory"
    )
    assert runner.run([sys.executable, "-c", "input()"], 60).status == 1, "there is no input"


def test_a_command_that_does_not_end_is_killed_with_what_it_has_started():
    begun_s = time.monotonic()
    ran = SubprocessRunner().run(["sh", "-c", "echo so far; sleep 600 & wait"], 1.5)
    assert time.monotonic() - begun_s < 60, "the pipe of its child is closed too"
    assert (ran.status, ran.output) == (None, "so far\n")
    assert ran.errors.endswith("no end within 1.5 s")


KAMCMD = """\
{
	NRSETS: 2
	RECORDS: {
		SET: {
			ID: 2
			TARGETS: {
				DEST: {
					IDX: 0
					URI: sip:192.0.2.9:5060
					FLAGS: AX
				}
			}
		}
		SET: {
			ID: 1
			TARGETS: {
				DEST: {
					IDX: 0
					URI: sip:192.0.2.11:5060
					FLAGS: DX
					PRIORITY: 0
				}
				DEST: {
					URI: sip:192.0.2.12:5060;transport=tcp
					FLAGS: TP
				}
			}
		}
	}
}
"""
JSON = (
    '{"result": {"NRSETS": 1, "RECORDS": [{"SET": {"ID": 1, "TARGETS": [{"DEST": {"URI": "sip:192.0.2.11:5060", '
    '"FLAGS": "AP", "PRIORITY": 0}}]}}]}}'
)


def test_the_states_of_the_destinations():
    found = destination_flags(KAMCMD, 1)
    assert found == {"sip:192.0.2.11:5060": "DX", "sip:192.0.2.12:5060;transport=tcp": "TP"}
    assert destination_flags(KAMCMD, 3) == {}
    assert destination_flags(JSON, 1) == {"sip:192.0.2.11:5060": "AP"}
    assert [(is_in(flags), is_out(flags)) for flags in ("AP", "TP", "IP", "DX")] == [
        (True, False),
        (True, False),
        (False, False),
        (False, True),
    ]
    assert has_other_active(found, "sip:192.0.2.11:5060")
    assert not has_other_active(found, "sip:192.0.2.12:5060;transport=tcp")
