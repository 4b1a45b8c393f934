"""Steps that somebody wrote who can write the database and has no key: they are never signed, and always told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from idtone.ledger.evidence import steps
from idtone.ledger.evidence.leaves import StoredStep, search_keys
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys.sealing import DayKey
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.meta import CHECKPOINT
from idtone.ledger.store.rows import row_of
from idtone.ledger.store.stored_tree import count_leaves, leaf_of, read_frontier
from idtone.ledger.tree.checkpoints import Checkpoint
from idtone.ledger.tree.merkle import leaf_hash, stored
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.signed_notes import Note

from ..replication.nodes import Node
from ..sample_evidence import LOG, at, days_of, decided, heard_call, key_ring_of, put
from ..sample_ledger import faults, query, records_of, write, writer_of

FORGED = "pbx-1-1793491200.666"
Forgery = Callable[[sqlite3.Connection], None]


def inserted(connection: sqlite3.Connection, *told: Step, first: int = 0) -> None:
    """Rows after the last, or from `first` on; with leaf, hashes and search entries where the last step closes one."""
    foreign_key = DayKey("2026-11-01", bytes(32))
    ((last,),) = connection.execute("SELECT max(id) FROM steps").fetchall()
    rows = [row_of("pbx-1", step, lambda day: foreign_key) for step in told]
    size = count_leaves(connection)
    frontier = read_frontier(connection, size)
    stored_steps = [
        StoredStep(number, "pbx-1", row["call_id"], row["kind"], row["at"], row["details"])
        for number, row in enumerate(rows, first or last + 1)
    ]
    closes = told[-1].kind in ("ended", "interrupted")
    for step in stored_steps:
        leaf = size if closes and step is stored_steps[-1] else None
        connection.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", (*step, leaf))
    if not closes:
        connection.execute("INSERT OR IGNORE INTO in_progress VALUES (?)", (told[0].call_id,))
        return
    hashes = frontier.append(leaf_hash(leaf_of(stored_steps, 0)))
    connection.executemany("INSERT INTO hashes VALUES (?, ?)", enumerate(hashes, stored(size)))
    found_by = {key for step in stored_steps for key in search_keys(step.kind, step.details)}
    connection.executemany("INSERT INTO sought VALUES (?, ?)", ((key, stored_steps[-1].id) for key in found_by))


def with_macs(connection: sqlite3.Connection) -> None:
    """A finished call, and MACs that another key has made, or none."""
    inserted(connection, *heard_call(FORGED))
    ((last,),) = connection.execute("SELECT max(id) FROM steps").fetchall()
    connection.execute("INSERT INTO macs SELECT ?, randomblob(96)", (last,))


def changed(connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE steps SET details = replace(details, 'sample', 'simple') WHERE call_id = 'open' AND kind = 'decided'"
    )


FORGERIES: dict[str, tuple[Forgery, str]] = {
    "a finished call": (lambda connection: inserted(connection, *heard_call(FORGED)), FORGED),
    "a finished call with MACs": (with_macs, FORGED),
    "an unfinished call": (lambda connection: inserted(connection, *heard_call(FORGED)[:-1]), FORGED),
    "the end of a call in progress": (
        lambda connection: inserted(connection, steps.ended("open", at(70), CallStatus.CANCEL)),
        "open",
    ),
    "a step of a call in progress": (
        lambda connection: inserted(connection, steps.answered("open", at(70))),
        "open",
    ),
    "a step far away": (lambda connection: inserted(connection, decided(call_id=FORGED), first=2**62), FORGED),
    "an open step that was changed": (changed, "open"),
}


def forge(file: Path, forgery: Forgery) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        forgery(connection)


def restart(url: str, *calls: list[Step]) -> None:
    """As the service does: what is in progress and not there any more is interrupted; then come calls."""
    with writer_of(url) as writer:
        with LedgerReader.open(url) as reader:
            in_progress = list(reader.open_calls().records)
        put(writer, *(steps.interrupted(call_id, at(90_000)) for call_id in in_progress))
        put(writer, *(step for call in calls for step in call))


def signed(file: Path) -> Checkpoint:
    ((note,),) = query(file, "SELECT value FROM meta WHERE key = ?", CHECKPOINT)
    return Checkpoint.parse(Note.parse(str(note).encode()).text)


def leaf_texts(url: str) -> str:
    """All leaves."""
    with LedgerReader.open(url) as reader, reader.database.reading() as connection:
        ids = {call_id for (call_id,) in connection.execute("SELECT call_id FROM steps WHERE leaf IS NOT NULL")}
        return "".join(each.content.decode() for call_id in ids for each in reader.proofs(call_id))


@pytest.mark.parametrize("name", FORGERIES)
def test_foreign_steps_are_told_and_never_signed(url, file, name, caplog):
    forgery, call_id = FORGERIES[name]
    write(url, heard_call("c-1"), heard_call("open")[:2])
    assert faults(url) == []
    forge(file, forgery)
    assert [fault for fault in faults(url) if f"call {call_id}: " in fault]  # before the next start
    assert signed(file).size == 1
    restart(url, heard_call("c-2", 100_000))
    assert call_id in "".join(record.getMessage() for record in caplog.records if record.levelname == "ERROR")
    told = faults(url)  # and after it
    assert told
    assert all(f"call {call_id}: " in fault for fault in told if "the steps" not in fault), told
    # What is honest is signed: two calls, the one that was interrupted, and the act that tells of this.
    assert signed(file).size == 4
    assert [record.status for record in map(records_of(url).get, ("c-1", "c-2"))] == ["CONNECTED", "CONNECTED"]
    text = leaf_texts(url)
    assert FORGED not in text
    assert "simple" not in text
    assert FORGED not in records_of(url)
    (act,) = query(file, "SELECT details FROM steps WHERE kind = 'quarantined'")
    aside = query(file, "SELECT count(*) FROM quarantine")
    assert json.loads(str(act[0]))["steps"] == aside[0][0] > 0
    if name != "an open step that was changed":  # which leaves a gap
        query(file, "DELETE FROM quarantine")  # as an operator does in the end
        assert faults(url) == []


def test_foreign_steps_that_come_while_the_service_runs_are_set_aside_at_its_next_step(url, file, caplog):
    with writer_of(url) as writer:
        put(writer, *heard_call("c-1"))
        forge(file, FORGERIES["a finished call"][0])
        assert len(faults(url)) > 1
        put(writer, *heard_call("c-2", 100))
        assert "1 more" not in writer.words
        assert "6 steps that idtone did not write are in quarantine" in writer.words
    assert FORGED in caplog.text
    assert signed(file).size == 3
    assert FORGED not in leaf_texts(url)
    assert {fault.partition(": ")[0] for fault in faults(url)} == {f"call {FORGED}"}


def test_steps_that_were_cut_off_at_the_end_are_told_if_their_macs_are_left(url, file):
    write(url, heard_call("c-1"), heard_call("open")[:4])
    query(file, "DELETE FROM steps WHERE id > 8")
    assert faults(url) == ["the steps 9 to 10 are missing"]
    write(url, heard_call("c-2"))
    ((act,),) = query(file, "SELECT details FROM steps WHERE kind = 'quarantined'")
    assert json.loads(str(act)) == {"missing": 2, "steps": 0}


def test_leaves_that_were_written_and_not_signed_are_signed_if_they_are_the_service_s_own(url, file):
    """After another process of this log had to stop signing."""
    with writer_of(url) as writer:
        put(writer, *heard_call("c-1"))
        writer.distrust("a witness has seen another tree")
        put(writer, *heard_call("c-2"), decided(call_id="open"))
    assert faults(url) == ["call c-2: its leaf 1 is not signed"]
    write(url, heard_call("c-3"))
    assert signed(file).size == 3
    assert faults(url) == []


def test_leaves_that_were_not_signed_and_then_changed_are_not_signed(url, file, caplog):
    with writer_of(url) as writer:
        put(writer, *heard_call("c-1"))
        writer.distrust("a witness has seen another tree")
        put(writer, *heard_call("c-2"), *heard_call("c-3"))
    query(file, "UPDATE steps SET details = replace(details, '400', '401') WHERE call_id = 'c-2'")
    write(url, heard_call("c-4"))
    assert "its leaves after the first 1, which are signed, are not what was written" in caplog.text
    assert signed(file).size == 1


def test_with_another_ledger_key_nothing_is_signed_nor_set_aside(url, file, caplog, monkeypatch):
    write(url, heard_call("c-1"), heard_call("open")[:3])
    monkeypatch.setattr("tests.ledger.sample_evidence.RING", type(days_of(url).ledger_key)(b"x" * 32))
    assert any("was not written by this ledger's service" in fault for fault in faults(url))
    write(url, [steps.answered("c-9", at(1))])
    assert "none of its latest steps was written with this ledger's key" in caplog.text
    assert query(file, "SELECT count(*) FROM steps") == [(10,)]
    assert signed(file).size == 1


# -- in a replica -------------------------------------------------------------------------------------------------

IN_REPLICA = {
    "a finished call": (
        "INSERT INTO {}.steps SELECT max(id) OVER () + row_number() OVER (), node, 'forged', kind, at, details, "
        "CASE WHEN leaf IS NOT NULL THEN leaf + 1 END FROM {}.steps WHERE call_id = 'c-1'; "
        "INSERT INTO {}.hashes SELECT 1, sha256('leaf'); INSERT INTO {}.hashes SELECT 2, sha256('node')",
        "call forged: its leaf 1 is not signed",
    ),
    "an unfinished call": (
        "INSERT INTO {}.steps SELECT 9, node, 'forged', kind, at, details, NULL FROM {}.steps WHERE id = 1; "
        "INSERT INTO {}.in_progress VALUES ('forged')",
        "call forged: its step 9 was not written by this ledger's service with its key, or was changed",
    ),
    "an open step that was changed": (
        "UPDATE {}.steps SET details = replace(details, 'sample', 'simple') WHERE id = 7",
        "call open: its step 7 was not written by this ledger's service with its key, or was changed",
    ),
}


@pytest.mark.parametrize("name", IN_REPLICA)
def test_what_an_administrator_writes_into_a_replica_is_told(node: Node, postgresql, name):
    statement, told = IN_REPLICA[name]
    node.write(heard_call("c-1"), heard_call("open")[:2])
    node.replicate()
    days = node.key_ring().days
    with LedgerReader(node.replica, days) as replica:
        assert verify_ledger(replica, node.key).faults == []
        node.in_copy(postgresql, statement)
        assert told in verify_ledger(replica, node.key).faults


def test_what_was_forged_in_the_file_does_not_reach_the_replica(node: Node, postgresql):
    node.write(heard_call("c-1"))
    node.replicate()
    forge(node.settings.spool, FORGERIES["a finished call"][0])
    with pytest.raises(Exception, match=r"step 7 \(call .*\) was not written by this node's service"):
        node.replicate()
    node.write(heard_call("c-2"))
    assert node.replicate() == 7
    assert node.in_copy(postgresql, "SELECT DISTINCT call_id FROM {}.steps WHERE call_id LIKE 'pbx%'") == []
    with LedgerReader(node.replica, node.key_ring().days) as replica:
        assert verify_ledger(replica, node.key).faults == []
