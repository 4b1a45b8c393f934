"""The ledgers of several nodes, read together: by the commands, on a real PostgreSQL."""

import json
from datetime import timedelta

import pytest

from idtone.core.errors import LedgerError, UsageError
from idtone.core.settings.settings import load_settings
from idtone.ledger.commands.options import days_of
from idtone.ledger.replication.node_ledgers import Ledgers, replica_of
from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.meta import CHECKPOINT, facts
from idtone.ledger.store.postgresql import Server, schema_of
from idtone.ledger.verification.verification_queries import LedgerRows
from lab.ledger.commands.run_ledger import follow_list, json_output, listed_calls, output_words, run
from lab.ledger.replication.nodes import EMPTIED, NAMES, Node
from lab.ledger.sample_evidence import CALLER, FORWARDING, NOW, heard_call
from lab.ledger.sample_ledger import overwrite
from lab.postgresql import change_url, database_of


def nodes_of(*arguments: object) -> list[str]:
    return [each["node"] for each in json_output(*arguments)]


def test_the_calls_of_all_nodes_are_listed_in_their_order_and_counted(untouched):
    heading, *listed = output_words(run("list"))
    assert heading[:3] == ["node", "time", "call"]
    names = [call[3] for call in listed]
    assert names == [
        "osaka-refused", "osaka-going-on", "osaka-heard", "sendai-going-on", "tokyo-going-on", "sendai-heard",
        "tokyo-heard", "sendai-refused", "tokyo-refused",
    ]  # fmt: skip
    assert [call[0] for call in listed] == [name.partition("-")[0] for name in names]
    # Numbers are shown by their last digits where the keys are.
    shown = {call[3]: call[5] for call in listed}
    assert (shown["tokyo-heard"], shown["osaka-heard"]) == ("…5678", "fixed")
    assert listed_calls("list", "--limit", 5) == [
        *(f"{name}-heard" for name in NAMES),
        "sendai-refused",
        "tokyo-refused",
    ]
    assert listed_calls("list", "--node", "sendai") == [name for name in names if name.startswith("sendai")]
    with pytest.raises(UsageError, match="there is no ledger of a node nagoya yet"):
        run("list", "--node", "nagoya")
    with pytest.raises(UsageError, match="this ledger is the file of one node"):
        run("list", "--node", "tokyo", "--ledger", untouched["tokyo"].settings.own_url())
    everything = ["stats", "--since", (NOW - timedelta(days=1)).isoformat()]
    assert sum(each["calls"] for each in json_output(*everything)) == 9
    assert sum(each["calls"] for each in json_output(*everything, "--node", "osaka")) == 3


def test_numbers_are_found_where_the_keys_are_and_it_is_told_where_not(untouched):
    keys = untouched["osaka"].settings.key_file
    for options, number, found_on, not_on in (
        ([], CALLER, {"tokyo"}, ["osaka", "sendai"]),
        (["--keys", f"osaka={keys}"], FORWARDING, {"osaka", "tokyo"}, ["sendai"]),
    ):
        found = run("find", *options, "--json", typed=number)
        assert {record["node"] for record in json.loads(found.stdout)} == found_on
        assert [line.split(",")[0] for line in found.stderr.splitlines()] == [
            f"not searched: {name}" for name in not_on
        ]
    with pytest.raises(UsageError, match="is not a node and a file"):
        run("find", "--keys", str(keys), typed=FORWARDING)


def test_a_call_is_shown_and_proven_wherever_it_was(nodes):
    assert len(json_output("show", "osaka-heard")["steps"]) == 6
    assert run("show", "nowhere").exit_code == run("prove", "osaka-going-on").exit_code == 1
    with nodes["osaka"].own() as own:
        proof = str(own.proofs("osaka-heard")[0].proof)
    assert run("prove", "osaka-heard").stdout == run("prove", "osaka-h").stdout == proof
    with pytest.raises(UsageError, match="begin with osaka: osaka-going-on, osaka-heard"):
        run("show", "osaka")
    for name in ("osaka", "sendai"):
        nodes[name].write(heard_call("the same"))
        nodes[name].replicate()
    with pytest.raises(UsageError, match="osaka and sendai each have a call the same; say by --node"):
        run("show", "the same")
    assert run("show", "the same", "--node", "sendai").exit_code == 0


@pytest.mark.nightly
def test_a_node_that_comes_later_is_followed_too(nodes, tmp_path):
    with follow_list("--json") as process:

        def next_call() -> str:
            return json.loads(process.stdout.readline())["call_id"]

        assert {next_call() for _ in nodes} == {f"{name}-heard" for name in nodes}
        for node in (nodes["osaka"], Node.at(tmp_path, "nagoya", nodes["osaka"].server)):
            node.write(heard_call(f"{node.name}-later", 500_000))
            node.replicate()
            assert next_call() == f"{node.name}-later"


def test_every_node_is_verified_and_it_is_told_whose_word_its_key_is(untouched):
    verified = json_output("verify", "--log-key", str(untouched["osaka"].key))
    assert [(each["node"], each["good"], each["key_from"]) for each in verified] == [
        ("osaka", True, "given"),
        ("sendai", True, "postgresql"),
        ("tokyo", True, "own"),
    ]
    assert "compare it with what `idtone-evidence log key` prints on the node" in run("verify").stdout


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("UPDATE {}.steps SET at = at + 1 WHERE id = 2", "call sendai-heard: leaf 0 is not what was written"),
        ("DELETE FROM {}.steps WHERE id = 2", "the steps 2 to 2 are missing"),
        ("UPDATE {}.meta SET value = replace(value, '\n1\n', '\n2\n') WHERE key = 'checkpoint'", "the signature of"),
    ],
)
def test_what_was_changed_in_postgresql_is_told_with_its_node(nodes, postgresql, change, fault):
    nodes["sendai"].in_copy(postgresql, change)
    verified = run("verify")
    assert verified.exit_code == 1
    assert any(line.startswith("sendai: ") and fault in line for line in verified.stdout.splitlines())
    assert "tokyo: good" in verified.stdout


@pytest.mark.nightly
def test_a_whole_history_by_another_key_is_found_by_who_has_the_key(nodes, tmp_path, postgresql):
    """An attacker with write access to PostgreSQL replaces a ledger with another ledger and its key."""
    forged = Node.at(tmp_path / "forged", "osaka", nodes["osaka"].server)
    forged.write(heard_call("osaka-other"))
    forged.in_copy(postgresql, "DROP SCHEMA {} CASCADE")
    forged.replicate()
    assert run("verify").exit_code == 0
    assert run("verify", "--log-key", str(nodes["osaka"].key)).exit_code == 1
    with pytest.raises(LedgerError, match="another node replicates as osaka/idtone"):
        nodes["osaka"].replicate()


@pytest.mark.nightly
def test_a_key_or_checkpoint_that_fits_no_ledger_is_told(nodes, tmp_path, postgresql):
    """Otherwise a dropped ledger, or a ledger with another name, would count as good."""
    osaka, tokyo = str(nodes["osaka"].key), nodes["tokyo"]
    checkpoint = tmp_path / "checkpoint"
    with nodes["osaka"].ledger.reading() as own:
        checkpoint.write_text(facts(own)[CHECKPOINT])
    assert run("verify", "--log-key", osaka, "--checkpoint", checkpoint).exit_code == 0
    other = Node.at(tmp_path / "other", "osaka", tokyo.server).key
    with pytest.raises(UsageError, match="two keys of osaka/idtone are given"):
        run("verify", "--log-key", osaka, "--log-key", str(other))
    both = ["--log-key", osaka, "--log-key", str(tokyo.key)]
    assert run("verify", "--ledger", tokyo.settings.own_url(), *both).exit_code == 1
    nodes["osaka"].in_copy(postgresql, "DROP SCHEMA {} CASCADE")
    for given, fault in (
        (["--log-key", osaka], "--log-key osaka/idtone: there is no ledger by this name"),
        (["--checkpoint", checkpoint], "a checkpoint of osaka/idtone: there is no ledger by this name"),
    ):
        verified = run("verify", *given)
        assert (verified.exit_code, fault in verified.stderr, "tokyo: good" in verified.stdout) == (1, True, True)


@pytest.mark.nightly
def test_what_a_copy_lacks_of_what_was_signed_is_counted(nodes, postgresql):
    """The copy may lag.

    The copy may also have been set back to an earlier state, with its checkpoint.
    """

    def missing() -> list[int]:
        return [each["missing_leaves"] for each in json_output("verify")]

    tokyo = nodes["tokyo"]
    tokyo.write(heard_call("later"), heard_call("and later"))
    assert "missing      2 leaves that this node has signed" in run("verify", "--node", "tokyo").stdout
    tokyo.replicate()
    assert missing() == [0, 0, 0]
    for statement in (EMPTIED, "DELETE FROM {}.meta WHERE key = 'checkpoint'"):
        tokyo.in_copy(postgresql, statement)
    assert missing() == [0, 0, 3]


@pytest.mark.nightly
def test_a_schema_does_not_show_its_ledger_as_another_ones(nodes, tmp_path, postgresql):
    mallory = Node.at(tmp_path, "mallory", nodes["osaka"].server)
    mallory.write(heard_call("forged"))
    mallory.replicate()
    mallory.in_copy(postgresql, "UPDATE {}.steps SET node = 'osaka'")
    assert {*nodes_of("list")} == {*NAMES, "mallory"}
    assert listed_calls("list", "--node", "mallory") == ["forged"]
    mallory.in_copy(postgresql, "UPDATE {}.meta SET value = 'osaka' WHERE key = 'node'")
    why = "mallory/idtone and osaka/idtone each say that they are of the node osaka, and have different keys"
    assert why in run("list", "--node", "osaka").stderr
    assert why in run("log replicas").stderr
    mallory.in_copy(postgresql, "UPDATE {}.meta SET value = 'osaka/idtone' WHERE key = 'origin'")
    listed = run("list", "--json")
    assert "it says that it is the ledger osaka/idtone, whose schema is another" in listed.stderr
    assert "forged" not in listed.stdout
    assert run("verify").exit_code == 1


def test_the_nodes_are_listed_with_how_far_they_have_come(nodes):
    nodes["tokyo"].write(heard_call("not replicated"))
    listed = json_output("log replicas")
    assert [(each["node"], each["steps"], each["leaves"], each["signed"], each["lag"]) for each in listed] == [
        (name, 8, 1, 1, 0) for name in NAMES
    ]
    assert listed[0]["key"] == str(nodes["osaka"].key)
    assert output_words(run("log replicas"))[1][:6] == ["osaka", "osaka/idtone", "8", "1", "1", "0"]
    with pytest.raises(UsageError, match="names the file of one node"):
        run("log replicas", "--ledger", nodes["tokyo"].settings.own_url())
    # A log that continues after damage is no other node.
    osaka = nodes["osaka"]
    overwrite(osaka.settings.spool)
    osaka.write(heard_call("going on"))
    osaka.replicate()
    result = run("log replicas", "--json")
    assert [each["log"] for each in json.loads(result.stdout)][:2] == ["osaka/idtone", "osaka/idtone.2"]
    assert result.stderr == ""


def test_a_ledger_that_cannot_be_read_does_not_hide_the_others(nodes, postgresql):
    nodes["osaka"].in_copy(postgresql, "UPDATE {}.meta SET value = '99' WHERE key = 'schema_version'")
    listed = run("list")
    assert len(output_words(listed)) == 1 + 6
    assert f"schema {schema_of(nodes['osaka'].key.name)}: a newer idtone made this ledger" in listed.stderr
    assert run("verify").exit_code == run("log replicas").exit_code == 1


def test_a_copy_gives_the_same_records_proofs_and_keys(untouched):
    node = untouched["tokyo"]
    days = days_of(node.settings)
    with LedgerReader(node.replica, days) as copy, LedgerReader.open(node.settings.own_url(), days) as own:
        assert copy.records() == own.records()
        assert copy.proofs("tokyo-heard") == own.proofs("tokyo-heard")
        assert copy.record_key("tokyo-heard") == own.record_key("tokyo-heard")
        assert copy.consistency(0, 1) == own.consistency(0, 1)
        assert copy.signed_leaves(node.key, []) == own.signed_leaves(node.key, []) == 1
    with LedgerRows.reading(node.ledger) as own, LedgerRows.reading(node.replica) as copy:
        texts = own.texts(0, 8, node.name)
        assert copy.texts(0, 8, node.name) == texts
    assert (len(texts), all(text for _, _, text in texts)) == (8, True)


def test_an_empty_postgresql_has_no_nodes(server):
    with pytest.raises(UsageError, match="there is no ledger of any node yet"):
        Ledgers.in_postgresql([server], {})


@pytest.mark.nightly
def test_a_reader_needs_no_right_to_write(nodes, postgresql):
    url = nodes["tokyo"].settings.url
    role = f"auditor_{database_of(url)}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'y'")
    reader = Server(change_url(url, user=role), "y")
    try:
        refused = Ledgers.in_postgresql([reader], {})
        assert refused.nodes == []
        assert all("let its user have USAGE and SELECT there" in each for each in refused.unreadable)
        for node in nodes.values():
            node.in_copy(postgresql, f"GRANT USAGE ON SCHEMA {{}} TO {role}")
            node.in_copy(postgresql, f"GRANT SELECT ON ALL TABLES IN SCHEMA {{}} TO {role}")
        ledgers = Ledgers.in_postgresql([reader], {})
        assert [ledger.node for ledger in ledgers.nodes] == NAMES
        assert len(ledgers.records()) == 9
    finally:
        postgresql.execute(f"DROP OWNED BY {role}", database_of(url))
        postgresql.execute(f"DROP ROLE {role}")


def test_nodes_on_two_servers_are_read_together_also_while_one_of_them_is_away(nodes, postgresql, monkeypatch):
    """One node moves to a second server by its settings alone.

    The first server still has the node's old replica.
    """
    with postgresql.another() as second:
        first_url = nodes["tokyo"].settings.url
        moved = nodes["tokyo"].changed(url=second.url())
        monkeypatch.setenv("IDTONE_LEDGER_URL", moved.settings.url)
        monkeypatch.setenv("IDTONE_LEDGER_OTHERS", f"{moved.settings.url},{first_url}")
        servers = Server.all_of(load_settings(None).ledger)
        moved.write(heard_call("tokyo-moved", 500_000))
        assert set(nodes_of("list")) == set(NAMES)  # the second server is still empty
        assert moved.replicate() == moved.own().newest_place()
        assert listed_calls("list", "--limit", 1) == ["tokyo-moved"]
        assert len(listed_calls("list")) == 10  # those of the old replica are not counted twice
        assert replica_of(servers, "tokyo").reader.knows("tokyo-moved")
        assert replica_of(servers, "osaka").origin == nodes["osaka"].key.name
        with NodeReportsReader(*servers) as reader:
            assert [each.node for each in reader.read().reports] == NAMES
            second.kill()
            seen = reader.read()
            assert [each.node for each in seen.reports] == NAMES  # tokyo by its old replica
            assert [second.url().split("@")[1] in each for each in seen.silent] == [True]
            assert seen.silent == reader.read().silent  # it is not asked again at once
        found = run("list", "--json")
        assert {each["node"] for each in json.loads(found.stdout)} == set(NAMES)
        assert second.url().split("@")[1] in found.stderr
        nodes["osaka"].write(heard_call("osaka-meanwhile", 600_000))
        assert nodes["osaka"].replicate() > 0  # another node's replica does not wait for it
    with pytest.raises(LedgerError, match="see that PostgreSQL runs"):
        Ledgers.in_postgresql([servers[0]], {})
