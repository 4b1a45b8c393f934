"""`idtone-fleet status | wait | calls`, on a real PostgreSQL."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from idtone.core.errors import IdtoneError, LedgerError, UsageError
from idtone.fleet_cli import app
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus
from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.ledger.store.postgresql import Server
from idtone.operations.fleet.commands import status
from lab.ledger.replication.nodes import Node, made_nodes, nodes
from lab.ledger.sample_evidence import NONCE, PLAY, forwarded
from lab.operations.fleet.example_states import GOOD, state

__all__ = ["made_nodes", "nodes"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200", "TZ": "UTC"})
    if isinstance(result.exception, IdtoneError):
        raise result.exception
    return result


@pytest.fixture
def says(nodes: dict[str, Node]) -> Callable[..., None]:
    """Function that reports a good state of a node, with changes."""

    def reports(name: str, **changes: Any) -> None:
        later = {"registry__expires": (datetime.now(UTC) + timedelta(days=9)).isoformat()}
        connection = nodes[name].connection()
        connection.report("aaaa", json.dumps(state(**later | changes)))
        connection.close()

    for name in nodes:
        reports(name)
    return reports


def test_the_state_of_all_nodes(says):
    good = run("status")
    assert good.exit_code == 0
    heading, *rows = (line.split() for line in good.stdout.splitlines())
    assert heading[:4] == ["node", "state", "calls", "calls/s"]
    assert [row[:4] for row in rows[:3]] == [[name, "serving", "2", "1.5"] for name in ("osaka", "sendai", "tokyo")]
    assert "3 of 3 nodes report 6 4.5 75.0 % 0" in " ".join(rows[3])
    assert "nothing is wrong, and no node differs" in good.stdout


def test_a_node_without_asterisk_is_found(says):
    says("sendai", ari__connected=False, instance__version="0.0.9")
    bad, found = run("status"), run("status", "--json")
    assert (bad.exit_code, found.exit_code) == (1, 1)
    assert "sendai: its service is not connected to Asterisk. See on the node: idtone doctor" in bad.stdout
    told = json.loads(found.stdout)
    assert [(each["node"], each["condition"]) for each in told["nodes"]] == [
        ("osaka", "serving"),
        ("sendai", "without-asterisk"),
        ("tokyo", "serving"),
    ]
    assert told["nodes"][0]["state"]["calls"] == GOOD["calls"]
    assert 0 <= told["nodes"][0]["silent_seconds"] < 60
    assert [(each["node"], each["rule"]) for each in told["findings"]] == [
        ("sendai", "asterisk"),
        ("sendai", "version"),
    ]
    assert (told["totals"]["in_progress"], told["totals"]["sent_ratio"], told["unreadable"]) == (6, 0.75, [])


def test_what_cannot_be_read_is_told(nodes, says, postgresql, server, monkeypatch):
    nodes["osaka"].in_copy(postgresql, "UPDATE {}.meta SET value = 'x/idtone' WHERE key = 'origin'")
    result = run("status")
    assert (result.exit_code, "whose schema is another" in result.stdout) == (1, True)
    with pytest.raises(UsageError, match="whose schema is another"):
        run("wait", "--within", 0)
    monkeypatch.setenv("IDTONE_LEDGER_URL", server.url)
    for command in ("status", "wait"):
        with pytest.raises(UsageError, match="no node has reported to this PostgreSQL yet"):
            run(command)
    monkeypatch.setenv("IDTONE_LEDGER_URL", nodes["tokyo"].settings.own_url())
    for command in ("status", "wait", "calls"):
        with pytest.raises(UsageError, match=r"ledger\.url names the file of one node"):
            run(command)


def test_watching_goes_on_while_postgresql_is_away():
    with NodeReportsReader(Server("postgresql://idtone@127.0.0.1:1/idtone")) as reader:
        with pytest.raises(LedgerError):
            status.read_fleet(reader, is_patient=False)
        seen = status.read_fleet(reader, is_patient=True)
    assert (seen.fleet, seen.is_good) == (None, False)
    assert "see that PostgreSQL runs" in status.as_object(seen)["trouble"]
    assert "see that PostgreSQL runs" in str(status.screen(seen))


def test_waiting_for_a_registry(says):
    done = run("wait", "--within", 0)
    assert (done.exit_code, done.stderr) == (0, "")
    assert [line.split(" after ")[0] for line in done.stdout.splitlines()] == [
        f"{name} confirms version 42" for name in ("osaka", "sendai", "tokyo")
    ]
    says("tokyo", registry__suspensions_sha256="6f" * 32, registry__issued="2026-11-02T00:00:00+09:00")
    for options in ((), ("--suspensions", "6F6F6F6F6F")):
        missing = run("wait", "--within", 0, *options, "--json")
        told = json.loads(missing.stdout)
        assert (missing.exit_code, told["missing"]) == (1, ["osaka", "sendai"])
        (confirmed,) = told["confirmed"]
        assert (confirmed["node"], confirmed["version"], confirmed["suspensions_sha256"]) == ("tokyo", 42, "6f" * 32)
        assert confirmed["seconds"] >= 0
    missing = run("wait", "--within", 0.3, "--registry-version", 43)
    not_confirmed = (1, "", "not confirmed within 0.3 s: osaka, sendai, tokyo\n")
    assert (missing.exit_code, missing.stdout, missing.stderr) == not_confirmed


def test_waiting_for_one_node(says):
    says("tokyo", registry__suspensions_sha256="6f" * 32, registry__issued="2026-11-02T00:00:00+09:00")
    assert run("wait", "--within", 0, "--node", "tokyo").exit_code == 0
    assert run("wait", "--within", 0, "--node", "tokio").exit_code == 1
    with pytest.raises(UsageError, match="is not a SHA-256"):
        run("wait", "--suspensions", "6f6f")


@pytest.mark.nightly
def test_the_calls_in_progress_of_all_nodes(nodes, says):
    now = datetime.now(UTC)
    for number, name in enumerate(("tokyo", "osaka")):
        call_id = f"{name}-now"
        at = now - timedelta(minutes=10 + number)
        going_on = [steps.decided(forwarded(call_id), PLAY, at, nonce=NONCE), steps.answered(call_id, at)]
        over = [
            steps.decided(forwarded(f"{name}-over"), PLAY, at, nonce=NONCE),
            steps.ended(f"{name}-over", now, CallStatus.CANCEL),
        ]
        nodes[name].write(going_on, over)
        nodes[name].replicate()
    listed = json.loads(run("calls", "--json").stdout)
    *earlier, osaka, tokyo = [(each["node"], each["call"], each["outcome"], each["state"]) for each in listed]
    assert (osaka, tokyo) == (("osaka", "osaka-now", "PLAY", "answered"), ("tokyo", "tokyo-now", "PLAY", "answered"))
    assert {(node, state) for node, _, _, state in earlier} == {(node, "dialling") for node in nodes}, "of any age"
    assert json.loads(run("calls", "--limit", 1, "--json").stdout) == listed[:1]
    assert "tokyo-now" in run("calls", "--node", "tokyo").stdout
    header, *rows = run("calls", "--csv").stdout.splitlines()
    assert header == "node,call,decided,outcome,reason,state"
    assert [row.partition(",2")[0] for row in rows] == [f"{each['node']},{each['call']}" for each in listed]


def edition(version: int, *overrides: str) -> dict[str, Any]:
    return {
        "version": version,
        "sha256": f"{version:064}",
        "signed": "2026-11-28T04:00:00+00:00",
        "overrides": overrides,
    }


@pytest.mark.nightly
def test_which_node_uses_which_settings_and_what_it_sets_otherwise(says):
    same = run("diff")
    assert (same.exit_code, "only settings of its own" in same.stdout) == (0, True)
    says("osaka", settings=edition(6))
    says("sendai", format=9)
    says("tokyo", settings=edition(7, "log.level: debug", "policy.waiting: 100"))
    shown = run("diff")
    assert shown.exit_code == 1
    assert [" ".join(line.split()) for line in shown.stdout.splitlines()] == [
        "node state version SHA-256 set otherwise",
        "osaka serving 6, not 7 00000000",
        "sendai another format not known",
        "tokyo serving 7 00000000 log.level: debug, policy.waiting: 100",
    ]
    told = json.loads(run("diff", "--json").stdout)
    assert [(each["node"], each["known"], each["version"]) for each in told] == [
        ("osaka", True, 6),
        ("sendai", False, None),
        ("tokyo", True, 7),
    ]
    for name in ("osaka", "sendai", "tokyo"):
        says(name, settings=edition(7, f"node: {name}"))
    assert run("diff").exit_code == 0, "what a node sets otherwise is meant"
