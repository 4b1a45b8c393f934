"""The ledgers of several nodes, read together: by the commands, on a real PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from idtone.errors import LedgerError, UsageError
from idtone.ledger.commands.shared import days_of
from idtone.ledger.replication.node_ledgers import Ledgers
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.meta import CHECKPOINT, facts
from idtone.ledger.store.postgresql import Server, schema_of
from idtone.ledger.verification.verification_queries import LedgerRows
from tests.lab.postgresql import PostgreSQL, changed, database_of

from ..commands.test_commands import PROGRAM, lines, run
from ..sample_evidence import CALLER, FORWARDING, NOW, PLAY, REFUSE, decided, heard_call
from .nodes import Node

NAMES = ["osaka", "sendai", "tokyo"]


@pytest.fixture
def nodes(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, Node]:
    """Three, of which this machine is tokyo; one call each that was heard, and some that were not."""
    nodes = {name: Node.at(tmp_path, name, server) for name in NAMES}
    for number, (name, node) in enumerate(nodes.items()):
        node.write(
            heard_call(f"{name}-heard", number * 1000),
            [decided(REFUSE, f"{name}-refused", number * 100_000)],
            [decided(PLAY, f"{name}-going-on", number)],
        )
        node.replicate()
    here = nodes["tokyo"].settings
    monkeypatch.setenv("IDTONE_NODE", "tokyo")
    monkeypatch.setenv("IDTONE_LEDGER_URL", here.url)
    monkeypatch.setenv("IDTONE_LEDGER_PASSWORD", str(here.password))
    monkeypatch.setenv("IDTONE_LEDGER_SPOOL", str(here.spool))
    monkeypatch.setenv("IDTONE_LEDGER_KEY_FILE", str(here.key_file))
    return nodes


@pytest.mark.usefixtures("nodes")
def test_list_shows_the_calls_of_all_nodes_in_their_order() -> None:
    heading, *calls = lines(run("list"))
    assert heading[:3] == ["node", "time", "call"]
    assert [call[3] for call in calls] == [
        f"{name}-{what}"
        for what, name in [
            ("refused", "osaka"), ("going-on", "osaka"), ("heard", "osaka"),
            ("going-on", "sendai"), ("going-on", "tokyo"), ("heard", "sendai"), ("heard", "tokyo"),
            ("refused", "sendai"), ("refused", "tokyo"),
        ]
    ]  # fmt: skip
    assert [call[0] for call in calls] == [call[3].partition("-")[0] for call in calls]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_limit_keeps_the_newest_of_all(nodes: dict[str, Node], limit: int) -> None:
    listed = [record["call_id"] for record in json.loads(run("list", "--limit", limit, "--json").stdout)]
    latest = {}
    for node in nodes.values():
        with node.own() as own:
            latest |= {record.call_id: max(step.at for step in record.steps) for record in own.records()}
    assert set(listed) == set(sorted(latest, key=lambda name: latest[name])[-limit:])


def test_one_node_can_be_asked_for(nodes: dict[str, Node]) -> None:
    calls = json.loads(run("list", "--node", "sendai", "--json").stdout)
    assert {call["node"] for call in calls} == {"sendai"}
    assert len(calls) == 3
    with pytest.raises(UsageError, match="there is no ledger of a node nagoya yet"):
        run("list", "--node", "nagoya")
    with pytest.raises(UsageError, match="this is the file of one node"):
        run("list", "--node", "tokyo", "--ledger", nodes["tokyo"].settings.own())


def test_numbers_are_found_where_the_keys_are_and_it_is_told_where_not(nodes: dict[str, Node]) -> None:
    found = run("find", "--json", typed=CALLER)
    assert {record["node"] for record in json.loads(found.stdout)} == {"tokyo"}
    assert [line.split(",")[0] for line in found.stderr.splitlines()] == ["not searched: osaka", "not searched: sendai"]
    keys = nodes["osaka"].settings.key_file
    found = run("find", "--keys", f"osaka={keys}", "--json", typed=FORWARDING)
    assert [record["node"] for record in json.loads(found.stdout)] == ["osaka", "tokyo"]
    assert [line.split(",")[0] for line in found.stderr.splitlines()] == ["not searched: sendai"]
    with pytest.raises(UsageError, match="is not a node and a file"):
        run("find", "--keys", str(keys), typed=FORWARDING)


def test_numbers_are_shown_by_their_last_digits_where_the_keys_are(nodes: dict[str, Node]) -> None:
    shown = {call[3]: call[5] for call in lines(run("list"))[1:]}
    assert (shown["tokyo-heard"], shown["osaka-heard"]) == ("…5678", "fixed")


def test_a_call_is_shown_and_proven_wherever_it_was(nodes: dict[str, Node]) -> None:
    assert len(json.loads(run("show", "osaka-heard", "--json").stdout)["steps"]) == 6
    assert run("show", "nowhere").exit_code == 1
    proven = run("prove", "osaka-heard").stdout
    with nodes["osaka"].own() as own:
        assert proven == str(own.proofs("osaka-heard")[0].proof)
    assert run("prove", "osaka-going-on").exit_code == 1
    assert run("prove", "osaka-h").stdout == proven
    with pytest.raises(UsageError, match="begin with osaka: osaka-going-on, osaka-heard"):
        run("show", "osaka")


def test_what_several_nodes_have_is_not_guessed(nodes: dict[str, Node]) -> None:
    for name in ("osaka", "sendai"):
        nodes[name].write(heard_call("the same"))
        nodes[name].replicate()
    with pytest.raises(UsageError, match="osaka and sendai each have a call the same; say by --node"):
        run("show", "the same")
    assert run("show", "the same", "--node", "sendai").exit_code == 0


def test_a_node_that_comes_later_is_followed_too(nodes: dict[str, Node], tmp_path: Path, server: Server) -> None:
    command = [sys.executable, "-c", PROGRAM, "ledger", "list", "--follow", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert following.stdout
            there = {json.loads(following.stdout.readline())["call_id"] for _ in nodes}
            assert there == {f"{name}-heard" for name in nodes}
            nodes["osaka"].write(heard_call("osaka-later", 500_000))
            nodes["osaka"].replicate()
            assert json.loads(following.stdout.readline())["call_id"] == "osaka-later"
            nagoya = Node.at(tmp_path, "nagoya", server)
            nagoya.write(heard_call("nagoya-first", 600_000))
            nagoya.replicate()
            assert json.loads(following.stdout.readline())["node"] == "nagoya"
        finally:
            following.terminate()


@pytest.mark.usefixtures("nodes")
def test_calls_are_counted_over_all_nodes() -> None:
    everything = ["stats", "--since", (NOW - timedelta(days=1)).isoformat(), "--json"]
    assert sum(each["calls"] for each in json.loads(run(*everything).stdout)) == 9
    assert sum(each["calls"] for each in json.loads(run(*everything, "--node", "osaka").stdout)) == 3


def test_every_node_is_verified_and_it_is_told_whose_word_its_key_is(nodes: dict[str, Node]) -> None:
    verified = run("verify", "--json", "--log-key", str(nodes["osaka"].key))
    assert [(each["node"], each["good"], each["key_from"]) for each in json.loads(verified.stdout)] == [
        ("osaka", True, "given"),
        ("sendai", True, "postgresql"),
        ("tokyo", True, "own"),
    ]
    assert "compare it with what `idtone ledger key` prints on the node" in run("verify").stdout


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE {}.steps SET at = at + 1 WHERE id = 2", "call sendai-heard: leaf 0 is not what was written"),
        ("DELETE FROM {}.steps WHERE id = 2", "the steps 2 to 2 are missing"),
        ("DELETE FROM {}.sought", "call sendai-heard: it is not found by its numbers"),
        ("UPDATE {}.meta SET value = replace(value, '\n1\n', '\n2\n') WHERE key = 'checkpoint'", "the signature of"),
    ],
)
def test_what_was_changed_in_postgresql_is_told_with_its_node(
    nodes: dict[str, Node], postgresql: PostgreSQL, change: str, told: str
) -> None:
    nodes["sendai"].in_copy(postgresql, change)
    verified = run("verify")
    assert verified.exit_code == 1
    assert any(line.startswith("sendai: ") and told in line for line in verified.stdout.splitlines())
    assert "tokyo: good" in verified.stdout


def test_a_whole_history_by_another_key_is_found_by_who_has_the_key(
    nodes: dict[str, Node], tmp_path: Path, postgresql: PostgreSQL, server: Server
) -> None:
    """Whoever may write everything in PostgreSQL can put another ledger there, with its key."""
    forged = Node.at(tmp_path / "forged", "osaka", server)
    forged.write(heard_call("osaka-other"))
    forged.in_copy(postgresql, "DROP SCHEMA {} CASCADE")
    forged.replicate()
    assert run("verify").exit_code == 0
    assert run("verify", "--log-key", str(nodes["osaka"].key)).exit_code == 1
    with pytest.raises(LedgerError, match="another node replicates as osaka/idtone"):
        nodes["osaka"].replicate()


def test_a_key_or_checkpoint_that_fits_no_ledger_is_told(
    nodes: dict[str, Node], tmp_path: Path, postgresql: PostgreSQL, server: Server
) -> None:
    """Else a ledger that was dropped, or is shown by another name, would be good."""
    osaka = str(nodes["osaka"].key)
    checkpoint = tmp_path / "checkpoint"
    with nodes["osaka"].ledger.reading() as own:
        checkpoint.write_text(facts(own)[CHECKPOINT])
    assert run("verify", "--log-key", osaka, "--checkpoint", checkpoint).exit_code == 0
    other = Node.at(tmp_path / "other", "osaka", server).key
    with pytest.raises(UsageError, match="two keys of osaka/idtone are given"):
        run("verify", "--log-key", osaka, "--log-key", str(other))
    file = nodes["tokyo"].settings.own()
    assert run("verify", "--ledger", file, "--log-key", osaka, "--log-key", str(nodes["tokyo"].key)).exit_code == 1
    nodes["osaka"].in_copy(postgresql, "DROP SCHEMA {} CASCADE")
    for given, told in (
        (["--log-key", osaka], "--log-key osaka/idtone: there is no ledger by this name"),
        (["--checkpoint", checkpoint], "a checkpoint of osaka/idtone: there is no ledger by this name"),
    ):
        verified = run("verify", *given)
        assert (verified.exit_code, told in verified.stderr) == (1, True)
        assert "tokyo: good" in verified.stdout


def test_what_a_copy_lacks_of_what_was_signed_is_counted(nodes: dict[str, Node], postgresql: PostgreSQL) -> None:
    """It may lag, and may have been cut back, with its checkpoint, to what it was once."""
    tokyo = nodes["tokyo"]
    tokyo.write(heard_call("later"), heard_call("and later"))
    assert "missing      2 leaves that this node has signed" in run("verify", "--node", "tokyo").stdout
    tokyo.replicate()
    assert [each["missing_leaves"] for each in json.loads(run("verify", "--json").stdout)] == [0, 0, 0]
    tokyo.in_copy(postgresql, "TRUNCATE {}.steps, {}.hashes, {}.sought")
    tokyo.in_copy(postgresql, "DELETE FROM {}.meta WHERE key = 'checkpoint'")
    assert [each["missing_leaves"] for each in json.loads(run("verify", "--json").stdout)] == [0, 0, 3]


def test_a_schema_does_not_show_its_ledger_as_another_ones(
    nodes: dict[str, Node], tmp_path: Path, postgresql: PostgreSQL, server: Server
) -> None:
    mallory = Node.at(tmp_path, "mallory", server)
    mallory.write(heard_call("forged"))
    mallory.replicate()
    mallory.in_copy(postgresql, "UPDATE {}.steps SET node = 'osaka'")
    assert {each["node"] for each in json.loads(run("list", "--json").stdout)} == {*NAMES, "mallory"}
    assert [each["call_id"] for each in json.loads(run("list", "--node", "mallory", "--json").stdout)] == ["forged"]
    mallory.in_copy(postgresql, "UPDATE {}.meta SET value = 'osaka' WHERE key = 'node'")
    told = "mallory/idtone and osaka/idtone each say that they are of the node osaka, and have different keys"
    assert told in run("list", "--node", "osaka").stderr
    assert told in run("replicas").stderr
    mallory.in_copy(postgresql, "UPDATE {}.meta SET value = 'osaka/idtone' WHERE key = 'origin'")
    listed = run("list", "--json")
    assert "it says that it is the ledger osaka/idtone, whose schema is another" in listed.stderr
    assert "forged" not in listed.stdout
    assert run("verify").exit_code == 1


def test_what_goes_on_after_damage_is_no_other_node(nodes: dict[str, Node]) -> None:
    osaka = nodes["osaka"]
    osaka.settings.spool.write_bytes(b"\0" * 100 + osaka.settings.spool.read_bytes()[100:])
    osaka.write(heard_call("going on"))
    osaka.replicate()
    listed = run("replicas", "--json")
    assert [each["log"] for each in json.loads(listed.stdout)][:2] == ["osaka/idtone", "osaka/idtone.2"]
    assert listed.stderr == ""


def test_the_nodes_are_listed_with_how_far_they_have_come(nodes: dict[str, Node]) -> None:
    nodes["tokyo"].write(heard_call("not replicated"))
    listed = json.loads(run("replicas", "--json").stdout)
    assert [(each["node"], each["steps"], each["leaves"], each["signed"], each["lag"]) for each in listed] == [
        (name, 8, 1, 1, 0) for name in NAMES
    ]
    assert listed[0]["key"] == str(nodes["osaka"].key)
    assert lines(run("replicas"))[1][:6] == ["osaka", "osaka/idtone", "8", "1", "1", "0"]
    with pytest.raises(UsageError, match="names the file of one node"):
        run("replicas", "--ledger", nodes["tokyo"].settings.own())


def test_a_ledger_that_cannot_be_read_does_not_hide_the_others(nodes: dict[str, Node], postgresql: PostgreSQL) -> None:
    nodes["osaka"].in_copy(postgresql, "UPDATE {}.meta SET value = '99' WHERE key = 'schema_version'")
    listed = run("list")
    assert len(lines(listed)) == 1 + 6
    assert f"schema {schema_of(nodes['osaka'].key.name)}: a newer idtone made this ledger" in listed.stderr
    assert run("verify").exit_code == 1
    assert run("replicas").exit_code == 1


def test_a_copy_gives_the_same_records_proofs_and_keys(nodes: dict[str, Node], server: Server) -> None:
    node = nodes["tokyo"]
    days = days_of(node.settings)
    copy = LedgerReader(server.database(schema_of(node.key.name), "copy"), days)
    with copy, LedgerReader.open(node.settings.own(), days) as own:
        assert copy.records() == own.records()
        assert copy.proofs("tokyo-heard") == own.proofs("tokyo-heard")
        assert copy.record_key("tokyo-heard") == own.record_key("tokyo-heard")
        assert copy.consistency(0, 1) == own.consistency(0, 1)
        assert copy.signed_leaves(node.key, []) == own.signed_leaves(node.key, []) == 1
    databases = (node.ledger, server.database(schema_of(node.key.name), "copy"))
    texts = []
    for database in databases:
        with LedgerRows.reading(database) as rows:
            texts.append(rows.texts(0, 8, node.name))
    assert texts[0] == texts[1]
    assert len(texts[0]) == 8
    assert all(text for _, _, text in texts[0])


def test_an_empty_postgresql_has_no_nodes(server: Server) -> None:
    with pytest.raises(UsageError, match="there is no ledger of any node yet"):
        Ledgers.in_postgresql(server, {})


def test_a_reader_needs_no_right_to_write(nodes: dict[str, Node], postgresql: PostgreSQL, server: Server) -> None:
    database = database_of(server.url)
    role = f"auditor_{database}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'y'")
    reader = Server(changed(server.url, user=role), "y")
    try:
        refused = Ledgers.in_postgresql(reader, {})
        assert refused.nodes == []
        assert all("let its user have USAGE and SELECT there" in each for each in refused.unreadable)
        for node in nodes.values():
            node.in_copy(postgresql, f"GRANT USAGE ON SCHEMA {{}} TO {role}")
            node.in_copy(postgresql, f"GRANT SELECT ON ALL TABLES IN SCHEMA {{}} TO {role}")
        ledgers = Ledgers.in_postgresql(reader, {})
        assert [ledger.node for ledger in ledgers.nodes] == NAMES
        assert len(ledgers.records()) == 9
    finally:
        postgresql.execute(f"DROP OWNED BY {role}", database)
        postgresql.execute(f"DROP ROLE {role}")
