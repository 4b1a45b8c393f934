"""The growing tree in the database: which steps become leaves, and when the tree is no longer signed."""

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError, ProofError
from idtone.core.signed_notes import Note, Signer
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus
from idtone.ledger.keys.successor_trees import SuccessorTrees
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.proven_leaf import ProvenLeaf
from idtone.ledger.tree.checkpoints import Checkpoint, verified_checkpoint
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing import log_store
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.sample_evidence import (
    LOG,
    PLAY,
    SEED,
    days_of,
    decided,
    evidence,
    heard_call,
    key_ring_of,
    time_after,
    write_each,
)
from lab.ledger.sample_ledger import query, records_of, verification_faults, write, write_together, writer_of


def proofs(url: str, call_id: str) -> list[ProvenLeaf]:
    with LedgerReader.open(url) as reader:
        return reader.proofs(call_id)


def kinds(proven: ProvenLeaf) -> list[str]:
    return [step["kind"] for step in json.loads(proven.content)["steps"]]


def after(proven: ProvenLeaf) -> int | None:
    return json.loads(proven.content).get("after")


@pytest.mark.usefixtures("journal")
def test_a_call_that_is_over_is_a_leaf_and_its_proof_stands_alone(url):
    write(url, heard_call()[:-1])
    assert proofs(url, "c-1") == proofs(url, "c-unknown") == []
    with writer_of(url) as writer:
        assert writer.stored_checkpoint is None
        write_each(writer, heard_call()[-1])
    (proven,) = proofs(url, "c-1")
    assert proven.proof.check(proven.content, LOG).size == 1
    assert kinds(proven) == [step.kind for step in heard_call()]
    assert proven.proof.extra == proven.content
    with pytest.raises(ProofError):
        proven.proof.check(proven.content.replace(b"CONNECTED", b"CANCELLED"), LOG)


ROOTS: set[Checkpoint] = set()
"""Roots of all runs of the next test."""


def write_in(url: str, told: list[steps.Step], group: int, reopened: bool) -> None:
    """Write steps in groups, by one writer or with a new writer for each group."""
    groups = [told[start : start + group] for start in range(0, len(told), group)]
    if reopened:
        for each in groups:
            write(url, each)
    else:
        with writer_of(url) as writer:
            for each in groups:
                write_together(writer, each)


@pytest.mark.parametrize(("group", "reopened"), [(1, True), (1, False), (5, False), (1000, False)])
@pytest.mark.parametrize("limit", [0, 2, 50_000])
def test_leaves_do_not_depend_on_groups_nor_on_memory_nor_on_restarts(url, group, reopened, limit, monkeypatch):
    monkeypatch.setattr(log_store, "OPEN_LIMIT", limit)
    monkeypatch.setattr("idtone.ledger.keys.sealing.os.urandom", bytes)  # so that the roots can be compared
    write_in(url, evidence(8), group, reopened)
    assert verification_faults(url) == []
    ROOTS.add(key_ring_of(url).seen.latest(LOG)[1])
    assert [checkpoint.size for checkpoint in ROOTS] == [10]


def test_odd_calls_are_leaves_too(url):
    def ended(call_id: str, ms: float) -> steps.Step:
        return steps.ended(call_id, time_after(ms), CallStatus.CANCEL)

    twice = "decided twice"
    write(
        url,
        [ended("never decided", 0), decided(PLAY, twice), decided(PLAY, twice, 1), ended(twice, 2)],
        [decided(PLAY, twice, 3), ended(twice, 4), ended("“ended-twice”", 0), ended("“ended-twice”", 0)],
    )
    assert verification_faults(url) == []
    write(url, [steps.answered(twice, time_after(9)), decided(PLAY, twice, 10)])
    write(url, [ended(twice, 11)])
    assert verification_faults(url) == []


@pytest.mark.parametrize("limit", [0, 50_000])
@pytest.mark.parametrize(("group", "reopened"), [(1, False), (1, True), (7, False)])
def test_a_call_that_is_decided_again_and_again_leaves_a_good_ledger(url, group, reopened, limit, monkeypatch):
    """The decisions arrive while the call is in progress, after its end, and from the next process.

    An earlier version left such a ledger permanently faulty.
    """
    monkeypatch.setattr(log_store, "OPEN_LIMIT", limit)

    def again(start_ms: int) -> list[steps.Step]:
        return [decided(PLAY, "c-1", start_ms + number) for number in range(7)]

    ended = steps.ended("c-1", time_after(100), CallStatus.CANCEL)
    told = [*again(0), ended, *again(101), *heard_call("c-2", 200), *again(70_000)]
    write_in(url, told, group, reopened)
    first, *later = proofs(url, "c-1")
    assert (kinds(first), after(first)) == (["decided"] * 7 + ["ended"], None)
    assert [(kinds(each), after(each)) for each in later] == [(["decided"], before) for before in range(8, 22)]
    write(url, heard_call("c-3", 90_000))
    assert verification_faults(url) == []
    with LedgerReader.open(url, days_of(url)) as reader:
        verdict = verify_ledger(reader, LOG)
    assert (verdict.leaves, verdict.open_calls) == (1 + 14 + 2, 0)
    assert set(records_of(url)["c-1"].anomalies) == {"decided twice", "decided after ended"}


def test_a_failed_commit_leaves_no_leaf(url, file, monkeypatch):
    *begun, end = heard_call("c-2")
    with writer_of(url) as writer:
        write_each(writer, *heard_call("c-1"))
        with monkeypatch.context() as patch:
            patch.setattr(log_store, "SET_META", "INSERT INTO nowhere VALUES (?, ?)")
            write_each(writer, *begun)
            assert writer.append(end).exception(60)
        write_each(writer, end)
    # The end that failed stands in a gap, which is a leaf of its own.
    leaves = query(file, "SELECT kind, leaf FROM steps WHERE leaf IS NOT NULL")
    assert leaves == [("ended", 0), ("gap", 1), ("ended", 2)]
    assert verification_faults(url) == []


# -- when it is no longer signed ----------------------------------------------------------------------------------


def signed_size(file: Path) -> int:
    ((note,),) = query(file, "SELECT value FROM meta WHERE key = 'checkpoint'")
    return verified_checkpoint(Note.parse(str(note).encode()), LOG).size


def test_an_older_database_is_written_and_not_signed(url, file, tmp_path, caplog):
    write(url, heard_call("c-1"))
    shutil.copyfile(file, tmp_path / "old")
    write(url, heard_call("c-2"))
    shutil.copyfile(tmp_path / "old", file)
    with caplog.at_level(logging.ERROR):
        write(url, heard_call("c-3"), heard_call("c-4"))
    why = "it has 1 leaves, and 2 were signed: this is an older copy, or cut off. Evidence is written and no longer"
    assert why in caplog.text
    assert signed_size(file) == 1
    assert query(file, "SELECT max(leaf) FROM steps") == [(2,)]
    caplog.clear()
    write(url, heard_call("c-5"))  # it is longer now than what was signed, and no continuation of it
    assert "its first 2 leaves are not those that were signed" in caplog.text
    assert signed_size(file) == 1
    assert key_ring_of(url).seen.latest(LOG)[1].size == 2
    assert verification_faults(url)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE hashes SET hash = zeroblob(32) WHERE place = 0", "its first 1 leaves are not those that were signed"),
        ("DELETE FROM hashes", "its tree has 0 hashes, and 1 belong to its 1 leaves"),
        ("UPDATE hashes SET place = 7", "its tree has 8 hashes"),
        ("UPDATE steps SET leaf = NULL", "its tree has 1 hashes, and 0 belong to its 0 leaves"),
        ("DELETE FROM meta WHERE key = 'checkpoint'", "the note has no signatures"),
    ],
)
def test_a_changed_tree_is_not_signed_and_evidence_is_written_on(url, file, statement, complaint, caplog):
    write(url, heard_call("c-1"))
    query(file, statement)
    write(url, heard_call("c-2"))
    assert complaint in caplog.text
    assert query(file, "SELECT count(*) FROM steps") == [(12,)]
    assert verification_faults(url)


def test_a_new_log_of_another_name_begins_where_the_old_one_was_moved_away(url, file, caplog):
    write(url, heard_call("c-1"))
    second = SuccessorTrees(file.with_name("key.continued"), "pbx-1/second")
    other = replace(key_ring_of(url), signer=Signer("pbx-1/second", SEED), successor_trees=second)
    with LedgerWriter.open(url, "pbx-1", other) as writer:  # not moved away yet
        assert (writer.stored_checkpoint, writer.signs) == (None, False)
        assert "evidence is NOT signed: it was signed as pbx-1/idtone, and these settings name it" in writer.words
    assert "no longer signed: write `node: pbx-1` into the settings, as before" in caplog.text
    with writer_of(url) as writer:  # by the name before, all is signed again
        write_each(writer, *heard_call("c-1b"))
        assert (writer.signs, writer.words) == (True, "")
    assert signed_size(file) == 2
    seen = key_ring_of(url).seen  # what was signed last is kept beside the ledger
    assert (seen.latest(LOG)[1].size, seen.path.stat().st_mode & 0o777) == (2, 0o600)
    file.rename(file.with_name("away"))
    with LedgerWriter.open(url, "pbx-1", other) as writer:
        write_each(writer, *heard_call("c-2"))
        assert writer.stored_checkpoint
    _, checkpoint = other.seen.latest(other.signer.key)
    assert (checkpoint.origin, checkpoint.size) == ("pbx-1/second", 1)


def test_a_file_of_another_log_is_not_overwritten(url, caplog):
    seen = key_ring_of(url).seen.path
    seen.parent.mkdir()
    seen.write_text("something else\n")
    write(url, heard_call("c-1"))
    assert "restore this file from a backup. Evidence is written and no longer signed" in caplog.text
    assert seen.read_text() == "something else\n"


def test_a_quick_look_tells_whether_all_is_signed(url):
    def look(key=LOG, seen=()) -> int:
        with LedgerReader.open(url) as reader:
            return reader.signed_leaves(key, seen)

    write(url)
    assert look() == 0
    write(url, heard_call("c-1"), heard_call("c-2"))
    _, seen = key_ring_of(url).seen.latest(LOG)
    assert look(seen=[seen]) == 2
    with pytest.raises(LedgerError, match="it has 2 leaves, and 7 were signed"):
        look(seen=[replace(seen, size=7)])
    with pytest.raises(LedgerError, match="not signed by the key"):
        look(Signer(LOG.name, bytes(32)).key)
    with writer_of(url) as writer:
        writer.distrust("somebody has signed another tree by this name")
        write_each(writer, *heard_call("c-3"))
    with pytest.raises(LedgerError, match="1 of its 3 leaves are not signed"):
        look()
