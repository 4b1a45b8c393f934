"""The verification finds every change to a ledger, and nothing but changes."""

import base64
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from idtone.core.errors import LedgerError
from idtone.core.signed_notes import Signer
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import CallStatus, Step, StepKind
from idtone.ledger.keys.sealing import LedgerKey
from idtone.ledger.keys.step_key import MAC_BYTES
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.migrations import TABLES
from idtone.ledger.verification import recomputed_tree, verification_queries
from idtone.ledger.verification import verify_ledger as verifying
from idtone.ledger.verification.verification_queries import Extent, LedgerRows
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing.ledger_writer import LedgerWriter
from lab.ledger.sample_evidence import (
    ALICE,
    LOG,
    PLAY,
    RING,
    days_of,
    decided,
    evidence,
    heard_call,
    key_ring_of,
    time_after,
    write_each,
)
from lab.ledger.sample_ledger import query, records_of, verification_faults, write, writer_of
from lab.ledger.verification.tampering import tampered

HIDDEN = "pbx-1-1793491200.2"


@pytest.mark.usefixtures("journal")
def test_a_ledger_that_nobody_touched_is_good(url, file, reading):
    told, reached = evidence(), []
    write(url, told[:50])
    write(url, told[50:])
    with reading(url, days_of(url)) as reader:
        verdict = verify_ledger(reader, LOG, progress=lambda *far: reached.append(far))
    assert verdict.faults == []
    assert (verdict.leaves, verdict.steps, verdict.open_calls) == (25, len(told), 1)
    assert [each.checkpoint.root for each in verdict.signed] == [verdict.root]
    assert reached[-1] == (verdict.steps, verdict.steps)
    assert reached == sorted(reached)
    query(file, "ANALYZE")
    assert verification_faults(url) == []


@pytest.mark.parametrize("page_rows", [1, 7, 500])
def test_it_is_good_by_any_page(filled, page_rows, monkeypatch):
    monkeypatch.setattr(verifying, "PAGE_ROWS", page_rows)
    assert verification_faults(filled) == []


def test_it_is_good_with_calls_whose_steps_are_counted_no_further(filled, monkeypatch):
    monkeypatch.setattr(recomputed_tree, "LED_TO_LIMIT", 3)
    assert verification_faults(filled) == []


def test_a_call_that_is_over_and_stands_in_no_leaf_is_told(filled, file):
    """The tree and all signatures are gone."""
    file.with_name("key.seen").unlink()
    for statement in ("DELETE FROM meta WHERE key = 'checkpoint'", "DELETE FROM hashes", "DELETE FROM sought"):
        query(file, statement)
    query(file, "UPDATE steps SET leaf = NULL")
    assert (
        len([fault for fault in verification_faults(filled) if fault.endswith(": it is over, and no leaf holds it")])
        == 20
    )


def test_a_node_that_was_renamed_and_a_ledger_of_no_call_are_good(url):
    write(url)
    assert verification_faults(url) == []
    with LedgerWriter.open(url, 'pbx "1" – 東京\t', key_ring_of(url)) as writer:
        write_each(writer, *evidence(8)[:20])
    write(url, evidence(8)[20:])
    assert verification_faults(url) == []


def test_it_is_verified_while_it_is_written(url):
    with writer_of(url) as writer:
        for number, step in enumerate(evidence(60)):
            writer.append(step)
            if number > 100 and step.kind == "ended":
                writer.hurry()
                assert verification_faults(url) == []


def test_another_key_believes_nothing(filled):
    assert any("is not signed" in fault for fault in verification_faults(filled, log=Signer("pbx-1/idtone", bytes(32))))


def test_a_checkpoint_from_elsewhere_is_held_against_it(url, file):
    write(url, evidence()[:60])
    note, _ = key_ring_of(url).seen.latest(LOG)
    write(url, evidence()[60:])
    assert verification_faults(url, ("mine", note)) == []
    other = f"{url}.other"
    write(other, evidence(3))
    assert any(fault.startswith("mine: ") for fault in verification_faults(other, ("mine", note)))


def test_a_day_whose_key_is_missing_is_told(filled, file):
    file.with_name("key.days").unlink()
    assert verification_faults(filled) == ["the key of 2026-11-01 is missing: the numbers of that day cannot be opened"]


def test_a_day_whose_key_is_destroyed_is_told_unless_an_act_says_so(filled):
    days_of(filled).destroy("2026-11-02")
    assert verification_faults(filled) == [
        "the key of 2026-11-01 is destroyed, and no act `forgotten` in the ledger says so"
    ]
    write(filled, [steps.forgotten("act-1", time_after(0), "2026-11-01", 1)])  # which keeps this day
    assert len(verification_faults(filled)) == 1
    write(filled, [steps.forgotten("act-2", time_after(0), "2026-11-02", 1)])
    assert verification_faults(filled) == []


def corrupted(lines: list[bytes]) -> list[bytes]:
    return [lines[0][:20] + (b"A" if lines[0][20:21] != b"A" else b"B") + lines[0][21:], *lines[1:]]


def swapped(lines: list[bytes]) -> list[bytes]:
    return [lines[0][:11] + lines[1][11:], lines[1][:11] + lines[0][11:]]


def made_anew(lines: list[bytes]) -> list[bytes]:
    """The lines with a new key, by the holder of the ledger's key."""
    _, wrapped = RING.make("2026-11-01")
    return [lines[0][:11] + base64.b64encode(wrapped) + b"\n", *lines[1:]]


@pytest.mark.parametrize("change", [corrupted, swapped, made_anew])
@pytest.mark.parametrize("page_rows", [1, 600])
def test_a_day_key_that_does_not_open_what_was_sealed_is_told(filled, file, change, page_rows, monkeypatch):
    monkeypatch.setattr(verifying, "PAGE_ROWS", page_rows)
    write(filled, heard_call("tomorrow", 86_400_000))
    assert verification_faults(filled) == []
    path = file.with_name("key.days")
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    days = {
        fault[11:21] for fault in verification_faults(filled) if "does not open what was sealed on that day" in fault
    }
    assert days == ({"2026-11-01", "2026-11-02"} if change is swapped else {"2026-11-01"})


def test_another_ledger_key_is_told(filled, monkeypatch):
    monkeypatch.setattr("lab.ledger.sample_evidence.RING", LedgerKey(b"x" * 32))
    assert any(
        fault.startswith("the key of 2026-11-01 does not open what was sealed") for fault in verification_faults(filled)
    )


@pytest.mark.parametrize("number", [0, -10, -(2**63)])
def test_a_step_before_the_first_is_told(filled, file, number):
    forged = "INSERT INTO steps SELECT ?, node, 'forged', kind, at, details, NULL FROM steps WHERE id = 1"
    query(file, forged, number)
    assert verification_faults(filled) == [f"call forged: its step {number} is none that idtone has written"]


@pytest.mark.parametrize("which", ["id = 1", "id = 7", "leaf = 3", "id = (SELECT max(id) FROM steps)"])
@pytest.mark.parametrize("place", [2**40, 2**62, 2**63 - 1])
@pytest.mark.parametrize("more", ["", "DELETE FROM sought"])
def test_a_step_that_was_moved_far_away_is_told_and_soon(filled, file, which, place, more):
    """An earlier version of `verify` counted up to the step's number."""
    query(file, f"UPDATE steps SET id = ? WHERE {which}", place)  # noqa: S608
    if more:
        query(file, more)
    assert any("are missing" in fault for fault in verification_faults(filled))
    write(filled, evidence(1))  # and the service writes on
    assert len(records_of(filled)) > 20


def test_the_steps_of_few_calls_are_remembered(filled, monkeypatch):
    monkeypatch.setattr(verification_queries, "COUNTED_LIMIT", 3)
    with LedgerReader.open(filled) as reader, LedgerRows.reading(reader.database) as rows:
        records = list(reader.each_record())
        assert len(records) > 20
        last = reader.newest_place()
        for record in records * 2:
            assert rows.count_steps(record.call_id, last) == len(record.steps)
        assert len(rows._counted) == 3


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.parametrize("end", ["", " LIMIT 3"])
def test_a_view_in_the_place_of_a_table_is_not_read(filled, file, table, end):
    """An earlier version of `verify` read an endless view for ever."""
    (columns,) = zip(*query(file, f"SELECT name FROM pragma_table_info('{table}')"), strict=True)  # noqa: S608
    query(file, f"ALTER TABLE {table} RENAME TO other")
    endless = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n{end}) SELECT"  # noqa: S608
    query(file, f"CREATE VIEW {table} AS {endless} {', '.join(f'x AS {name}' for name in columns)} FROM n")
    [fault] = verification_faults(filled)
    wanted = (
        "this database is not a ledger" if table == "meta" else "it has a view or a trigger that idtone did not make"
    )
    assert wanted in fault


def test_a_row_that_is_larger_than_any_of_ours_is_told_and_not_read(filled, file):
    query(file, "UPDATE steps SET details = '{\"a\":\"' || hex(zeroblob(9000000)) || '\"}' WHERE id = 9")
    (fault,) = verification_faults(filled)
    assert fault == f"{file}: string or blob too big; keep a copy of it, move it away and restore a backup"


def test_a_name_of_a_table_that_is_not_utf_8_is_told(filled, file):
    """The driver raises different errors for such a name and for such a text in a row."""
    whole = file.read_bytes()
    place = whole.index(b"CREATE TABLE sought") - len("soughtsought") - 1
    assert whole[place : place + 6] == b"sought", whole[place : place + 40]
    file.write_bytes(whole[:place] + b"\xe3ought" + whole[place + 6 :])
    assert verification_faults(filled) == [
        f"{file}: a text in it is not UTF-8; keep a copy of it, move it away and restore a backup"
    ]


def test_an_entry_for_a_step_that_is_still_to_come_is_told(filled, file):
    """The entry would lead a search for one number to a call of another number."""
    ((last,),) = query(file, "SELECT max(id) FROM steps")
    for step in (last + 3, 2**62):
        query(file, "INSERT INTO sought VALUES (?, ?)", 7, step)
    assert verification_faults(filled) == [
        f"step {step}: the table `sought` has an entry for it, and it is not written or ends no call"
        for step in (last + 3, 2**62)
    ]


@pytest.mark.parametrize("kinds", [["sound-ended"], ["connected", "sound-ended"], ["decided", "sound-ended"]])
@pytest.mark.parametrize("more", [False, True])
def test_a_step_that_was_put_after_the_leaf_of_its_call_is_told(url, file, kinds, more):
    write(
        url,
        [decided(PLAY, "a"), steps.answered("a", time_after(10)), steps.ended("a", time_after(20), CallStatus.CANCEL)],
    )
    for kind in kinds:
        query(file, "INSERT INTO steps SELECT max(id) + 1, node, 'a', ?, at, details, NULL FROM steps", kind)
    assert verification_faults(url) == ["call a: it is over, and steps follow that no leaf holds"]
    if more:
        write(url, evidence(4))
        told = "call a: its step {} was not written by this ledger's service, or was changed: it is in quarantine"
        assert verification_faults(url) == [told.format(number) for number in range(4, 4 + len(kinds))]


def test_a_decision_that_came_after_the_end_of_its_call_is_no_fault(url):
    """The dialplan handled the call without the service."""
    alone = Step("a", StepKind.FALLBACK, time_after(0), {"outcome": "play"})
    write(url, [alone, steps.ended("a", time_after(20), CallStatus.CONNECTED)])
    write(url, [decided(PLAY, "a", 30)])
    assert verification_faults(url) == []


def misled(file: Path, index: str, expression: str) -> None:
    """Rebuild an index from other values of the steps, and restore the index's definition."""
    [(sql,)] = query(file, "SELECT sql FROM sqlite_schema WHERE name = ?", index)
    column = index.removeprefix("ix_steps_")
    for text in (sql.replace(f"({column})", f"({expression})"), sql):
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            ((version,),) = connection.execute("PRAGMA schema_version")
            connection.execute("PRAGMA writable_schema=1")
            connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (text, index))
            connection.execute(f"PRAGMA schema_version={version + 1}")
        if text != sql:
            query(file, f"REINDEX {index}")


@pytest.mark.parametrize("call_id", [HIDDEN, "in progress"])
@pytest.mark.parametrize(
    ("index", "expression"),
    [
        ("ix_steps_call_id", "call_id) WHERE (call_id <> '{}'"),
        ("ix_steps_call_id", "CASE call_id WHEN '{}' THEN 'x' ELSE call_id END"),
        ("ix_steps_call_id", "CASE WHEN call_id = '{}' AND kind = 'decided' THEN 'x' ELSE call_id END"),
        ("ix_steps_at", "at) WHERE (call_id <> '{}'"),
        ("ix_steps_at", "CASE WHEN call_id = '{}' AND kind = 'decided' THEN 0 ELSE at END"),
        ("ix_steps_at", "CASE call_id WHEN '{}' THEN 0 ELSE at END"),
    ],
)
def test_a_call_that_an_index_hides_is_told(filled, file, index, expression, call_id, monkeypatch):
    monkeypatch.setattr(verifying, "PAGE_ROWS", 7)  # the first page is always looked at closely
    misled(file, index, index.removeprefix("ix_steps_"))
    assert verification_faults(filled) == []
    misled(file, index, expression.format(call_id))
    told = verification_faults(filled)
    assert told
    assert all(fault.startswith(f"call {call_id}: ") and "index" in fault for fault in told), told
    query(file, "REINDEX")
    assert verification_faults(filled) == []


def test_an_entry_that_is_found_by_one_row_number_and_leads_to_another_is_told(filled, file):
    """The index has each step's id twice, which only an attacker who writes its pages can cause."""
    ((at, step, other),) = query(
        file,
        "SELECT at, id, (SELECT max(id) FROM steps WHERE call_id <> ?) FROM steps WHERE call_id = ? AND leaf NOT NULL",
        HIDDEN,
        HIDDEN,
    )
    times = f"CASE id WHEN {other} THEN {at} WHEN {step} THEN 0 ELSE at END"
    misled(file, "ix_steps_at", f"{times}, CASE id WHEN {other} THEN {step} ELSE id END")
    assert f"call {HIDDEN}: an index of the ledger does not lead to its step {step}" in verification_faults(filled)


def test_steps_of_two_calls_that_an_index_exchanges_are_told(url, file, monkeypatch):
    """The index leads to the right number of steps for each call."""
    monkeypatch.setattr(verifying, "PAGE_ROWS", 7)
    write(url, evidence(3), [step for both in zip(heard_call("a"), heard_call("b"), strict=True) for step in both])
    assert verification_faults(url) == []
    exchanged = "CASE call_id || kind WHEN 'asound-ended' THEN 'b' WHEN 'banswered' THEN 'a' ELSE call_id END"
    misled(file, "ix_steps_call_id", exchanged)
    assert [fault.partition(":")[0] for fault in verification_faults(url) if "index" in fault] == ["call b", "call a"]


def test_where_an_index_leads_astray_is_no_record_and_nothing_is_left_out_of_a_list(filled, file):
    for other in ("pbx-1-1793491200.3", "x"):
        misled(file, "ix_steps_call_id", f"CASE call_id WHEN '{HIDDEN}' THEN '{other}' ELSE call_id END")
        with (
            LedgerReader.open(filled) as reader,
            pytest.raises(LedgerError, match="an index does not lead to the steps"),
        ):
            reader.record(other)
    with LedgerReader.open(filled) as reader, pytest.raises(LedgerError, match=f"an index does not lead .*{HIDDEN}"):
        list(reader.each_record())


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (f"CREATE INDEX other ON steps (at) WHERE call_id <> '{HIDDEN}'", "the index `other` is not one that"),
        ("CREATE INDEX other ON steps (at, call_id, id)", "the index `other` is not one that"),
        ("CREATE TRIGGER other AFTER INSERT ON steps BEGIN DELETE FROM sought; END", "the trigger `other` is not one"),
        ("CREATE VIEW other AS SELECT * FROM steps", "the view `other` is not one that"),
        ("CREATE TABLE other (x)", "the table `other` is not one that"),
        ("DROP INDEX ix_steps_at", "the index `ix_steps_at` is missing"),
        ("UPDATE sqlite_schema SET sql = replace(sql, 'at BIGINT', 'at TEXT')", "the table `steps` is not one that"),
        ("UPDATE sqlite_schema SET sql = replace(sql, 'call_id TEXT', 'call_id TEXT COLLATE NOCASE')", "the table `st"),
    ],
)  # fmt: skip
def test_a_form_that_is_not_ours_is_told_by_verifying_and_at_each_opening(filled, file, statement, told, caplog):
    verification_faults(filled)
    assert "the ledger" not in caplog.text
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA writable_schema=1")
        connection.execute(statement)
    assert any(told in fault or "no such index: ix_steps_at" in fault for fault in verification_faults(filled))
    assert told in caplog.text
    caplog.clear()
    if "TRIGGER" not in statement:
        write(filled, evidence(1))
        assert told in caplog.text


@pytest.mark.parametrize("value", ["CAST(value AS BLOB)", "x'ff'", "x''", "'-'", "-1", "1.5"])
def test_what_the_ledger_says_of_itself_by_another_type_is_told(filled, file, value):
    query(file, f"UPDATE meta SET value = {value} WHERE key = 'checkpoint'")  # noqa: S608
    assert verification_faults(filled) != []


@pytest.mark.parametrize(
    "change",
    [
        "at = '0x' || at", "at = CAST(CAST(at AS TEXT) AS BLOB)", "details = CAST(details AS BLOB)",
        "kind = CAST(kind AS BLOB)", "node = CAST(node AS BLOB)", "call_id = CAST(call_id AS BLOB)",
        "leaf = -1", "leaf = ''", "leaf = x''",
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_no_way_around(url, file, change):
    bare = "begun before anybody looked"
    write(
        url, evidence(4), [steps.answered(bare, time_after(0)), steps.ended(bare, time_after(1), CallStatus.CONNECTED)]
    )
    whole = file.read_bytes()
    assert verification_faults(url) == []
    for kind in ("decided", "answered", "ended"):
        file.write_bytes(whole)
        where = "id = (SELECT max(id) FROM steps WHERE kind = ? AND call_id <> 'in progress')"
        query(file, f"UPDATE steps SET {change} WHERE {where}", kind)  # noqa: S608
        assert verification_faults(url) != [], kind


def test_a_step_that_was_put_into_another_is_told(url, file):
    """The leaf is the same octet for octet, and a step of a call in progress replaces the moved step."""
    write(url, heard_call("a"))
    (at_us, inner), (after_us, outer) = query(file, "SELECT at, details FROM steps WHERE id IN (2, 3) ORDER BY id")
    merged = f'{inner},"id":2,"kind":"answered","node":"pbx-1"}},{{"at":{after_us},"details":{outer}'
    query(file, "UPDATE steps SET at = ?, details = ? WHERE id = 3", at_us, merged)
    query(file, "UPDATE steps SET call_id = 'b' WHERE id = 2")
    assert any(fault.startswith("call a: ") for fault in verification_faults(url))


def test_who_is_not_found_by_his_number_is_told_and_who_is_found_by_another(filled, file):
    def calls() -> list[str]:
        return [fault.partition(": ")[0].removeprefix("call ") for fault in verification_faults(filled)]

    (token, step), *_ = query(file, "SELECT token, step FROM sought ORDER BY step, token")
    [(call,)] = query(file, "SELECT call_id FROM steps WHERE id = ?", step)
    [(other,)] = query(file, "SELECT call_id FROM steps WHERE leaf = 9")
    query(file, "DELETE FROM sought WHERE token = ? AND step = ?", token, step)
    assert calls() == [call]
    query(file, "INSERT INTO sought SELECT 1, id FROM steps WHERE leaf = 9")
    assert calls() == [call, other]


def test_a_call_in_progress_that_the_next_start_would_not_take_up_is_told(url, file):
    write(url, heard_call("over"), [decided(PLAY, "in progress")])
    query(file, "DELETE FROM in_progress")
    assert verification_faults(url) == [
        "call in progress: it is in progress, and the table `in_progress` does not hold it"
    ]
    write(url, [steps.ended("in progress", time_after(1), CallStatus.CANCEL)])
    assert verification_faults(url) == []


@pytest.mark.parametrize("row", ["SELECT call_id FROM steps WHERE leaf = 0", "VALUES ('nobody')", "VALUES (x'00ff')"])
def test_a_call_that_is_told_to_be_in_progress_and_is_not_is_told(filled, file, row):
    query(file, f"INSERT INTO in_progress {row}")
    [fault] = verification_faults(filled)
    assert "the table `in_progress` holds it, and it is not in progress" in fault


def test_what_nobody_touched_is_told_from_what_was_even_after_a_fault(url, file):
    """After a page with a fault, the following pages match again, even if a call lies across pages."""
    write(url, evidence(200))
    query(file, "UPDATE steps SET at = at + 1 WHERE id = 100")
    [(call,)] = query(file, "SELECT call_id FROM steps WHERE id = 100")
    [told] = [fault for fault in verification_faults(url) if fault.startswith("call ")]
    assert told.startswith(f"call {call}: leaf ")


def test_every_tampering_is_found(tmp_path):
    """The test tries some of the ways; `make bench-tampering` tries 5,000."""
    assert [done for done, found in tampered(tmp_path, 200) if not found] == []


def requested(call_id: str) -> Step:
    return steps.export_requested(call_id, time_after(9000), ALICE, "case", ["x-1"], False, "ab", time_after(99_000))


@pytest.mark.parametrize("leaf", ["'x'", "x'00'", "1.5"])
def test_an_act_whose_leaf_is_no_number_is_told(url, file, leaf):
    write(url, heard_call("x-1", 1000), [requested("act-1")], heard_call("x-2", 10_000))
    query(file, f"UPDATE steps SET leaf = {leaf} WHERE call_id = 'act-1'")  # noqa: S608
    assert any(fault.startswith("call act-1: ") for fault in verification_faults(url))


def test_an_act_is_held_to_the_rules_by_any_id(url):
    """The act `act-ü` names x-3, which ends only after the act. That is a fault. The act `act-é` breaks no rule."""
    write(url, heard_call("x-1", 1000), [requested("act-é")], heard_call("x-2", 10_000))
    assert verification_faults(url) == []
    late = steps.export_requested("act-ü", time_after(9000), ALICE, "case", ["x-3"], False, "ab", time_after(99_000))
    write(url, [late], heard_call("x-3", 20_000))
    assert any(fault.startswith("call x-3: ") for fault in verification_faults(url))


def test_each_unsigned_leaf_of_a_replica_under_way_has_to_be_the_services(url, file, monkeypatch):
    """`verify` checks all of them, not only the last. In PostgreSQL such a replica gets its checkpoint later; here only
    its row is written.
    """
    monkeypatch.setattr(verifying, "FAULTS_LIMIT", 3)
    monkeypatch.setattr(LedgerRows, "extent", lambda self: Extent(*self._all(verification_queries._EXTENT)[0]))
    write(url, heard_call("first"))
    [(signed,)] = query(file, "SELECT value FROM meta WHERE key = 'checkpoint'")
    write(url, *(heard_call(f"c-{number}", 1000 * number) for number in range(1, 9)))
    query(file, "UPDATE meta SET value = ? WHERE key = 'checkpoint'", signed)
    query(file, "INSERT INTO meta VALUES ('node_steps', '999')")
    file.with_name("key.seen").unlink()
    assert verification_faults(url) == []
    [(last, macs), *_] = query(
        file,
        "SELECT last, macs FROM macs WHERE last > (SELECT max(id) FROM steps WHERE call_id = 'first') ORDER BY last",
    )
    query(file, "UPDATE macs SET macs = ? WHERE last = ?", bytes(MAC_BYTES) + macs[MAC_BYTES:], last)
    assert {fault.partition(":")[0] for fault in verification_faults(url)} == {"call c-1"}
