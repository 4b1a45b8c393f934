"""The tree as it grows in the database: what becomes a leaf, and when it is no longer signed."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from idtone.errors import LedgerError, ProofError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step
from idtone.ledger.keys.continuity import Continuity
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.proven_leaf import ProvenLeaf
from idtone.ledger.tree.checkpoints import believed
from idtone.ledger.tree.notes import Note, Signer
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing import log_store
from idtone.ledger.writing.ledger_writer import LedgerWriter

from ..sample_evidence import LOG, NOW, PLAY, SEED, at, days_of, decided, heard_call, key_ring_of, put
from ..verification.test_verify_ledger import evidence, faults, write


def proofs(url: str, call_id: str) -> list[ProvenLeaf]:
    with LedgerReader.open(url) as reader:
        return reader.proofs(call_id)


def kinds(proven: ProvenLeaf) -> list[str]:
    return [step["kind"] for step in json.loads(proven.content)["steps"]]


def query(file: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(file)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.usefixtures("journal")
def test_a_call_that_is_over_is_a_leaf_and_its_proof_stands_alone(url: str) -> None:
    write(url, heard_call())
    (proven,) = proofs(url, "c-1")
    assert proven.proof.check(proven.content, LOG).size == 1
    assert kinds(proven) == [step.kind for step in heard_call()]
    assert proven.proof.extra == proven.content
    with pytest.raises(ProofError):
        proven.proof.check(proven.content.replace(b"CONNECTED", b"CANCELLED"), LOG)


def test_a_call_in_progress_is_in_no_leaf(url: str) -> None:
    write(url, heard_call()[:-1])
    assert proofs(url, "c-1") == []
    assert proofs(url, "c-unknown") == []
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        assert writer.checkpoint is None


def test_what_is_told_later_is_a_leaf_of_its_own_that_changes_none(url: str) -> None:
    told = [*heard_call(), steps.sound_failed("c-1", at(60_001), "late"), steps.interrupted("c-1", at(60_002))]
    write(url, told[:6])
    before = proofs(url, "c-1")[0].content
    write(url, told[6:])
    first, *later = proofs(url, "c-1")
    assert first.content == before
    assert [(kinds(each), json.loads(each.content)["after"]) for each in later] == [
        (["sound-failed"], 6), (["interrupted"], 7)
    ]  # fmt: skip
    for each in (first, *later):
        assert each.proof.check(each.content, LOG).size == 3
    assert faults(url) == []


def together(writer: LedgerWriter, group: list[Step]) -> None:
    """In one transaction, mostly."""
    futures = [writer.append(step) for step in group]
    writer.hurry()
    for future in futures:
        future.result(20)


@pytest.mark.parametrize("group", [1, 2, 5, 1000])
@pytest.mark.parametrize("limit", [0, 2, 50_000])
def test_leaves_do_not_depend_on_how_steps_are_grouped_nor_on_memory(
    url: str, group: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_store, "OPEN_LIMIT", limit)
    monkeypatch.setattr("idtone.ledger.keys.sealing.os.urandom", bytes)  # so that the roots can be compared
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        told = evidence(12)
        for start in range(0, len(told), group):
            together(writer, told[start : start + group])
        note = writer.checkpoint
    assert note
    assert faults(url) == []
    roots.add((len(told), believed(note, LOG).root))
    assert len(roots) == 1


roots: set[tuple[int, bytes]] = set()
"""Of all runs of the test above."""


def test_a_restart_in_the_middle_of_calls_changes_nothing(url: str) -> None:
    told = evidence(8)
    for step in told:
        write(url, [step])
    assert faults(url) == []
    with LedgerReader.open(url, days_of(url)) as reader:
        assert verify_ledger(reader, LOG).leaves == 10


def test_odd_calls_are_leaves_too(url: str) -> None:
    odd: list[Step] = [
        steps.ended("never decided", NOW, CallStatus.CANCEL),
        decided(PLAY, "decided twice"),
        decided(PLAY, "decided twice", 1),
        steps.ended("decided twice", at(2), CallStatus.CANCEL),
        decided(PLAY, "decided twice", 3),
        steps.ended("decided twice", at(4), CallStatus.CANCEL),
        steps.ended("“ended\u3000twice”".replace("\u3000", "-"), NOW, CallStatus.CANCEL),
        steps.ended("“ended-twice”", NOW, CallStatus.CANCEL),
    ]
    write(url, odd)
    assert faults(url) == []
    write(url, [steps.answered("decided twice", at(9)), decided(PLAY, "decided twice", 10)])
    write(url, [steps.ended("decided twice", at(11), CallStatus.CANCEL)])
    assert faults(url) == []


@pytest.mark.parametrize("limit", [0, 50_000])
@pytest.mark.parametrize("group", [1, 7])
@pytest.mark.parametrize("reopened", [False, True])
def test_a_call_that_is_decided_again_and_again_leaves_a_good_ledger(
    url: str, group: int, reopened: bool, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is in progress, after its end, and by the next process: once such a ledger was not good for ever."""
    monkeypatch.setattr(log_store, "OPEN_LIMIT", limit)

    def again(start_ms: int) -> list[Step]:
        return [decided(PLAY, "c-1", start_ms + number) for number in range(7)]

    ended = steps.ended("c-1", at(100), CallStatus.CANCEL)
    told = [*again(0), ended, *again(101), *heard_call("c-2", 200), *again(70_000)]
    groups = [told[start : start + group] for start in range(0, len(told), group)]
    if reopened:
        for each in groups:
            write(url, each)
    else:
        with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
            for each in groups:
                together(writer, each)
    assert faults(url) == []
    first, *later = proofs(url, "c-1")
    assert kinds(first) == ["decided"] * 7 + ["ended"]
    assert "after" not in json.loads(first.content)
    assert [(kinds(each), json.loads(each.content)["after"]) for each in later] == [
        (["decided"], before) for before in range(8, 22)
    ]
    write(url, heard_call("c-3", 90_000))
    assert faults(url) == []
    with LedgerReader.open(url, days_of(url)) as reader:
        verdict, record = verify_ledger(reader, LOG), reader.record("c-1")
    assert (verdict.leaves, verdict.open_calls) == (1 + 14 + 2, 0)
    assert record
    assert set(record.anomalies) == {"decided twice", "decided after ended"}


def test_a_failed_commit_leaves_no_leaf(url: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        put(writer, *heard_call("c-1"))
        with monkeypatch.context() as patch:
            patch.setattr(log_store, "SET_META", "INSERT INTO nowhere VALUES (?, ?)")
            put(writer, *heard_call("c-2")[:-1])
            assert writer.append(heard_call("c-2")[-1]).exception(20)
        writer.append(heard_call("c-2")[-1]).result(20)
    # The end that failed stands in a gap, which is a leaf of its own.
    assert query(file, "SELECT kind, leaf FROM steps WHERE leaf IS NOT NULL") == [
        ("ended", 0), ("gap", 1), ("ended", 2),
    ]  # fmt: skip
    assert faults(url) == []


# -- when it is no longer signed ----------------------------------------------------------------------------------


def signed_size(file: Path) -> int:
    ((note,),) = query(file, "SELECT value FROM meta WHERE key = 'checkpoint'")
    return believed(Note.parse(str(note).encode()), LOG).size


def test_an_older_database_is_written_and_not_signed(
    url: str, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(url, heard_call("c-1"))
    shutil.copyfile(file, tmp_path / "old")
    write(url, heard_call("c-2"))
    shutil.copyfile(tmp_path / "old", file)
    with caplog.at_level(logging.ERROR):
        write(url, heard_call("c-3") + heard_call("c-4"))
    assert (
        "it has 1 leaves, and 2 were signed: this is an older copy, or cut off. Evidence is written and no longer"
        in (caplog.text)
    )
    assert signed_size(file) == 1
    assert query(file, "SELECT max(leaf) FROM steps") == [(2,)]
    caplog.clear()
    write(url, heard_call("c-5"))  # it is longer now than what was signed, and no continuation of it
    assert "its first 2 leaves are not those that were signed" in caplog.text
    assert signed_size(file) == 1
    seen = key_ring_of(url).seen.latest(LOG)
    assert seen
    assert seen[1].size == 2
    assert faults(url)


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
def test_a_changed_tree_is_not_signed_and_evidence_is_written_on(
    url: str, file: Path, statement: str, complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(url, heard_call("c-1"))
    query(file, statement)
    write(url, heard_call("c-2"))
    assert complaint in caplog.text
    assert query(file, "SELECT count(*) FROM steps") == [(12,)]
    assert faults(url)


def test_what_was_signed_last_is_kept_beside_the_ledger(url: str, file: Path) -> None:
    write(url, heard_call("c-1"))
    seen = key_ring_of(url).seen
    held = seen.latest(LOG)
    assert held
    assert (held[1].size, seen.path.stat().st_mode & 0o777) == (1, 0o600)


def test_a_new_log_of_another_name_begins_where_the_old_one_was_moved_away(
    url: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(url, heard_call("c-1"))
    second = Continuity(file.with_name("key.continued"), "pbx-1/second")
    other = replace(key_ring_of(url), signer=Signer("pbx-1/second", SEED), continuity=second)
    with LedgerWriter.open(url, "pbx-1", other) as writer:  # not moved away yet
        assert writer.checkpoint is None
    assert "not signed by the key of pbx-1/second" in caplog.text
    assert key_ring_of(url).seen.latest(LOG)
    file.rename(file.with_name("away"))
    with LedgerWriter.open(url, "pbx-1", other) as writer:
        put(writer, *heard_call("c-2"))
        assert writer.checkpoint
    seen = other.seen.latest(other.signer.key)
    assert seen
    assert (seen[1].origin, seen[1].size) == ("pbx-1/second", 1)


def test_a_file_of_another_log_is_not_overwritten(url: str, caplog: pytest.LogCaptureFixture) -> None:
    seen = key_ring_of(url).seen
    seen.path.parent.mkdir()
    seen.path.write_text("something else\n")
    write(url, heard_call("c-1"))
    assert "restore this file from a backup. Evidence is written and no longer signed" in caplog.text
    assert seen.path.read_text() == "something else\n"


def test_a_quick_look_tells_whether_all_is_signed(url: str, file: Path) -> None:
    write(url, heard_call("c-1") + heard_call("c-2"))
    seen = key_ring_of(url).seen.latest(LOG)
    assert seen
    with LedgerReader.open(url) as reader:
        assert reader.signed_leaves(LOG, [seen[1]]) == 2
        with pytest.raises(LedgerError, match="it has 2 leaves, and 7 were signed"):
            reader.signed_leaves(LOG, [replace(seen[1], size=7)])
        with pytest.raises(LedgerError, match="not signed by the key"):
            reader.signed_leaves(Signer(LOG.name, bytes(32)).key, [])
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.distrust("somebody has signed another tree by this name")
        put(writer, *heard_call("c-3"))
    with LedgerReader.open(url) as reader, pytest.raises(LedgerError, match="1 of its 3 leaves are not signed"):
        reader.signed_leaves(LOG, [])


def test_a_ledger_of_no_call_has_nothing_to_sign(url: str) -> None:
    write(url, [])
    with LedgerReader.open(url) as reader:
        assert reader.signed_leaves(LOG, []) == 0
