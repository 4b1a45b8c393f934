"""A node's reports on itself in PostgreSQL, and their readers. It reports each second, even while its replica has a
fault.
"""

import json
import logging
from functools import partial

import pytest

from idtone.core.errors import LedgerError
from idtone.ledger.replication import ask_servers, node_reports, replicator
from idtone.ledger.replication.node_ledgers import Ledgers
from idtone.ledger.replication.node_reports import NodeReportsReader
from idtone.ledger.replication.replicator import Replicator
from idtone.ledger.store.postgresql import Server, schema_of
from lab.ledger.replication.faulty_network import STALL, FaultyNetwork
from lab.ledger.replication.nodes import NAMES, Node
from lab.ledger.sample_evidence import heard_call, wait_until
from lab.ledger.sample_ledger import overwrite
from lab.postgresql import change_url, database_of

STATE = json.dumps({"format": 1, "name": "?%{}", "padding": "x" * 1200})
until = partial(wait_until, within_s=180)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicator, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(replicator, "BACK_OFF_S", 0.1)


def report_of(node: Node):
    with NodeReportsReader(node.server) as reader:
        (report,) = reader.read().reports
    return report


def state_of(node: Node):
    return report_of(node).state


def test_a_report_stands_beside_the_replica_with_the_time_of_postgresql(node, postgresql):
    node.replicate()
    connection = node.connection()
    with NodeReportsReader(node.server) as reader:
        before = reader.read()
        assert [each.state for each in before.reports] == [None]
        first = connection.report("aaaa", STATE)
        second = connection.report("bbbb", STATE)
        after = reader.read()
    connection.close()
    assert (first.before, second.before, second.writer) == (None, "aaaa", "bbbb")
    for exchange in (first, second):  # both clocks are this machine's
        assert exchange.ahead_least_s <= 0 <= exchange.ahead_most_s
        assert exchange.ahead_most_s - exchange.ahead_least_s < 60
    (report,) = after.reports
    assert (report.node, report.origin, report.state) == ("pbx-1", "pbx-1/idtone", json.loads(STATE))
    assert before.now < report.heard < after.now
    ((text,),) = node.in_copy(postgresql, "SELECT CAST(value AS jsonb) ->> 'writer' FROM {}.meta WHERE key = 'state'")
    assert text == "bbbb"


@pytest.mark.nightly
def test_a_report_changes_no_index(node, postgresql):
    node.replicate()
    connection = node.connection()
    for number in range(40):
        connection.report("aaaa", json.dumps({"format": 1, "number": number, "padding": "x" * 1200}))
    connection.close()
    counts = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = CAST('{}.meta' AS regclass)"

    def updates() -> tuple[int, int]:
        (row,) = node.in_copy(postgresql, counts)
        return row

    until(lambda: updates()[0] >= 39)
    made, hot = updates()
    assert hot >= 0.8 * made


@pytest.mark.nightly
def test_the_state_comes_while_nothing_happens_and_while_the_replica_differs(node, postgresql, caplog):
    node.write(heard_call("c-0"))
    node.replicate()
    node.in_copy(postgresql, "UPDATE {}.steps SET node = 'other' WHERE id = 1")
    one, made = Replicator(node.settings, node.name), []

    def state(exchange) -> str:
        made.append(exchange)
        return json.dumps({"number": len(made), "trouble": one.status.trouble})

    one.report(state)
    with caplog.at_level(logging.ERROR):
        one.begin()
        until(lambda: len(made) > 5)
        found = state_of(node)
        assert found["number"] > 1
        assert "is not the beginning of" in found["trouble"]
        node.in_copy(postgresql, "UPDATE {}.steps SET node = 'pbx-1' WHERE id = 1")
        until(lambda: one.status.behind == 0 and not one.status.trouble)
        until(lambda: state_of(node)["trouble"] == "")
        count = len(made)
        until(lambda: len(made) > count + 3)  # while nothing is to be replicated
        one.report(None)
        one.close()
    assert made[0] is None
    assert {each.writer for each in made[1:]} == {made[1].writer}
    assert {each.before for each in made[2:]} == {made[1].writer}
    assert [record.message for record in caplog.records if "the state of this node" in record.message] == []


def test_a_state_comes_at_once_when_it_is_asked_for_and_at_the_end(node, monkeypatch):
    monkeypatch.setattr(replicator, "LOOK_EVERY_S", 30)
    node.replicate()
    one, made = Replicator(node.settings, node.name), []

    def state(_) -> str:
        made.append(None)
        return json.dumps({"number": len(made)})

    one.report(state)
    one.begin()
    until(lambda: len(made) == 1)
    one.report_soon()
    until(lambda: len(made) == 2)
    one.close()
    assert state_of(node) == {"number": 3}


@pytest.mark.nightly
def test_the_state_comes_again_after_an_outage_and_the_log_tells_once(node, postgresql, caplog):
    node.replicate()
    with FaultyNetwork(postgresql.port) as between, caplog.at_level(logging.DEBUG):
        one = Replicator(node.through(between).settings, node.name)
        numbers = iter(range(10**6))
        one.report(lambda _: json.dumps({"number": next(numbers)}))
        one.begin()
        until(lambda: state_of(node))
        between.refuses = True
        between.cut()
        until(lambda: one.status.trouble)
        last = state_of(node)["number"]
        between.refuses = False
        until(lambda: state_of(node)["number"] > last + 1)
        one.close()
    told = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert sum("evidence is not replicated" in message for message in told) == 1
    assert sum("the state of this node" in message for message in told) <= 1


def test_a_node_does_not_report_as_another_one(tmp_path, node, server):
    node.replicate()
    other = Node.at(tmp_path / "other", "pbx-1", server).connection()
    with pytest.raises(LedgerError, match="another node replicates as pbx-1/idtone"):
        other.report("aaaa", STATE)
    assert state_of(node) is None


@pytest.mark.nightly
def test_a_ledger_that_follows_a_damaged_one_takes_its_place(node):
    node.write(heard_call("c-0"))
    node.replicate()
    overwrite(node.settings.spool)
    node.write(heard_call("c-1"))
    node.replicate()
    assert report_of(node).origin == "pbx-1/idtone.2"


def test_a_server_that_hangs_holds_up_the_others_once(node, postgresql, monkeypatch):
    """The server accepts connections and answers nothing, so its own time limits do not apply."""
    node.replicate()
    monkeypatch.setattr(node_reports, "AGAIN_S", 0.0)
    with FaultyNetwork(postgresql.port) as between:
        servers = [node.through(between).server, node.server]
        with NodeReportsReader(*servers) as reader:
            assert reader.read().silent == ()
            monkeypatch.setattr(ask_servers, "HOLDS_UP_S", 1.0)
            between.judge = lambda to_server, octets: STALL
            (silent,) = reader.read().silent
            assert f":{between.port}/" in silent
            assert "no answer within 1 s" in silent
            assert [each.node for each in Ledgers.in_postgresql(servers, {}).nodes] == ["pbx-1"]
            monkeypatch.setattr(ask_servers, "HOLDS_UP_S", 600.0)
            for _ in range(3):
                seen = reader.read()
                assert ([each.node for each in seen.reports], seen.silent) == (["pbx-1"], (silent,))
            between.judge = lambda to_server, octets: None
            between.cut()
            until(lambda: reader.read().silent == ())


@pytest.mark.nightly
def test_who_reads_sees_each_node_that_may_be_read(nodes, postgresql):
    url = nodes["tokyo"].settings.url
    role = f"watcher_{database_of(url)}"
    postgresql.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'y'")
    reader = NodeReportsReader(Server(change_url(url, user=role), "y"))
    mallory = nodes["sendai"]
    try:
        for name in ("sendai", "tokyo"):
            nodes[name].in_copy(postgresql, f"GRANT USAGE ON SCHEMA {{}} TO {role}")
            nodes[name].in_copy(postgresql, f"GRANT SELECT ON {{}}.meta TO {role}")
        nodes["tokyo"].in_copy(postgresql, "INSERT INTO {}.meta VALUES ('state', '{\"heard\": \"no')")
        mallory.in_copy(postgresql, "UPDATE {}.meta SET value = 'osaka/idtone' WHERE key = 'origin'")
        found = reader.read()
        assert [(each.node, each.state) for each in found.reports] == [("tokyo", None)]
        hidden, damaged = found.unreadable
        assert f"schema {schema_of(nodes['osaka'].key.name)}: let its user have USAGE and SELECT" in hidden
        assert "it says that it is the ledger osaka/idtone, whose schema is another" in damaged
    finally:
        reader.close()
        postgresql.execute(f"DROP OWNED BY {role}", database_of(url))
        postgresql.execute(f"DROP ROLE {role}")
    assert NAMES == ["osaka", "sendai", "tokyo"]
