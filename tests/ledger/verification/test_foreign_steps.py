"""Steps by someone who can write the database and has no key. They are never signed, and always reported."""

import json
from pathlib import Path

import pytest

from idtone.core.signed_notes import Note
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step
from idtone.ledger.keys.sealing import LedgerKey
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.meta import CHECKPOINT
from idtone.ledger.tree.checkpoints import Checkpoint
from lab.ledger.sample_evidence import decided, heard_call, time_after, write_each
from lab.ledger.sample_ledger import query, records_of, verification_faults, write, writer_of
from lab.ledger.verification.forged_steps import FORGED, FORGERIES, forge


def restart(url: str, *calls: list[Step]) -> None:
    """Restart the service.

    Calls in progress that no longer exist are marked as interrupted, and `calls` are written.
    """
    with writer_of(url) as writer:
        with LedgerReader.open(url) as reader:
            in_progress = list(reader.open_calls().records)
        write_each(writer, *(steps.interrupted(call_id, time_after(90_000)) for call_id in in_progress))
        write_each(writer, *(step for call in calls for step in call))


def signed(file: Path) -> Checkpoint:
    ((note,),) = query(file, "SELECT value FROM meta WHERE key = ?", CHECKPOINT)
    return Checkpoint.parse(Note.parse(str(note).encode()).text)


def leaf_texts(url: str) -> str:
    with LedgerReader.open(url) as reader, reader.database.reading() as connection:
        ids = {call_id for (call_id,) in connection.execute("SELECT call_id FROM steps WHERE leaf IS NOT NULL")}
        return "".join(each.content.decode() for call_id in ids for each in reader.proofs(call_id))


@pytest.mark.parametrize("name", FORGERIES)
def test_foreign_steps_are_told_and_never_signed(url, file, name, caplog):
    forgery, call_id = FORGERIES[name]
    write(url, heard_call("c-1"), heard_call("open")[:2])
    assert verification_faults(url) == []
    forge(file, forgery)
    assert [fault for fault in verification_faults(url) if f"call {call_id}: " in fault]  # before the next start
    assert signed(file).size == 1
    restart(url, heard_call("c-2", 100_000))
    assert call_id in "".join(record.getMessage() for record in caplog.records if record.levelname == "ERROR")
    told = verification_faults(url)  # and after it
    assert told
    assert all(f"call {call_id}: " in fault for fault in told if "the steps" not in fault), told
    # The honest steps are signed: two calls, the one that was interrupted, and the act that tells of this.
    assert signed(file).size == 4
    assert [record.status for record in map(records_of(url).get, ("c-1", "c-2"))] == ["CONNECTED", "CONNECTED"]
    text = leaf_texts(url)
    assert (FORGED in text, "simple" in text, FORGED in records_of(url)) == (False, False, False)
    (act,) = query(file, "SELECT details FROM steps WHERE kind = 'quarantined'")
    aside = query(file, "SELECT count(*) FROM quarantine")
    assert json.loads(str(act[0]))["steps"] == aside[0][0] > 0
    if name != "an open step that was changed":  # which leaves a gap
        query(file, "DELETE FROM quarantine")  # as an operator does in the end
        assert verification_faults(url) == []


def test_foreign_steps_that_come_while_the_service_runs_are_set_aside_at_its_next_step(url, file, caplog):
    with writer_of(url) as writer:
        write_each(writer, *heard_call("c-1"))
        forge(file, FORGERIES["a finished call"][0])
        assert len(verification_faults(url)) > 1
        write_each(writer, *heard_call("c-2", 100))
        assert "1 more" not in writer.words
        assert "6 steps that idtone did not write are in quarantine" in writer.words
    assert FORGED in caplog.text
    assert signed(file).size == 3
    assert FORGED not in leaf_texts(url)
    assert {fault.partition(": ")[0] for fault in verification_faults(url)} == {f"call {FORGED}"}


def test_steps_that_were_cut_off_at_the_end_are_told_if_their_macs_are_left(url, file):
    write(url, heard_call("c-1"), heard_call("open")[:4])
    query(file, "DELETE FROM steps WHERE id > 8")
    assert verification_faults(url) == ["the steps 9 to 10 are missing"]
    write(url, heard_call("c-2"))
    ((act,),) = query(file, "SELECT details FROM steps WHERE kind = 'quarantined'")
    assert json.loads(str(act)) == {"missing": 2, "steps": 0}


def test_leaves_that_were_written_and_not_signed_are_signed_if_they_are_the_service_s_own(url, file):
    """Another process of the log ended before it signed the leaves."""
    with writer_of(url) as writer:
        write_each(writer, *heard_call("c-1"))
        writer.distrust("a witness has seen another tree")
        write_each(writer, *heard_call("c-2"), decided(call_id="open"))
    assert verification_faults(url) == ["call c-2: its leaf 1 is not signed"]
    write(url, heard_call("c-3"))
    assert signed(file).size == 3
    assert verification_faults(url) == []


def test_leaves_that_were_not_signed_and_then_changed_are_not_signed(url, file, caplog):
    with writer_of(url) as writer:
        write_each(writer, *heard_call("c-1"))
        writer.distrust("a witness has seen another tree")
        write_each(writer, *heard_call("c-2"), *heard_call("c-3"))
    query(file, "UPDATE steps SET details = replace(details, '400', '401') WHERE call_id = 'c-2'")
    write(url, heard_call("c-4"))
    assert "its leaves after the first 1, which are signed, are not what was written" in caplog.text
    assert signed(file).size == 1


def test_with_another_ledger_key_nothing_is_signed_nor_set_aside(url, file, caplog, monkeypatch):
    write(url, heard_call("c-1"), heard_call("open")[:3])
    monkeypatch.setattr("lab.ledger.sample_evidence.RING", LedgerKey(b"x" * 32))
    assert any("was not written by this ledger's service" in fault for fault in verification_faults(url))
    write(url, [steps.answered("c-9", time_after(1))])
    assert "none of its latest steps was written with this ledger's key" in caplog.text
    assert query(file, "SELECT count(*) FROM steps") == [(10,)]
    assert signed(file).size == 1
