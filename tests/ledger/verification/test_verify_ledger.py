"""Whether every change to a ledger is found, and nothing but changes."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from idtone.errors import LedgerError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.tree.notes import Note, Signer
from idtone.ledger.verification import verify_ledger as verifying
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing.ledger_writer import LedgerWriter

from ..sample_evidence import LOG, NOTICE, PLAY, REFUSE, at, days_of, decided, heard_call, key_ring_of, put, url_of
from .tampering import WAYS, Tamperer

CALLS = 20
TAMPERINGS = 500
SEED = 20261101


def cancelled(call_id: str, ms: float) -> list[Step]:
    """A call whose caller gave up during the sound, which is told after its end."""
    return [
        decided(PLAY, call_id, ms),
        steps.answered(call_id, at(ms + 10)),
        steps.sound_started(call_id, at(ms + 11), "sample", "5e" * 32),
        steps.ended(call_id, at(ms + 100), steps.CallStatus.CANCEL, 16),
        steps.sound_failed(call_id, at(ms + 101), "hung up"),
    ]


def evidence(calls: int = CALLS) -> list[Step]:
    """Calls that overlap; most are over."""
    told: list[Step] = []
    for number in range(calls):
        name, ms = f"pbx-1-1793491200.{number}", number * 20_000
        told += [
            heard_call(name, ms),
            cancelled(name, ms),
            [decided(REFUSE, name, ms), steps.ended(name, at(ms + 1), steps.CallStatus.REFUSED, 21)],
            [decided(NOTICE, name, ms), steps.interrupted(name, at(ms + 900))],
        ][number % 4]
    told += heard_call("in progress", calls * 20_000)[:4]
    return sorted(told, key=lambda step: step.at)


def write(url: str, told: list[Step]) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        futures = [writer.append(step) for step in told]
    for future in futures:
        future.result(0)


def faults(url: str, *notes: tuple[str, Note], log: Signer | None = None) -> list[str]:
    """What `idtone ledger verify` tells, or that the database cannot be read."""
    try:
        seen = key_ring_of(url).seen.latest(LOG)
        with LedgerReader.open(url, days_of(url)) as reader:
            return verify_ledger(
                reader, log.key if log else LOG, [*([("seen", seen[0])] if seen else []), *notes]
            ).faults
    except LedgerError as error:
        return [str(error)]


@pytest.mark.usefixtures("journal")
def test_a_ledger_that_nobody_touched_is_good(url: str, reading: Callable[..., LedgerReader]) -> None:
    told = evidence()
    write(url, told[:50])
    write(url, told[50:])
    with reading(url, days_of(url)) as reader:
        verdict = verify_ledger(reader, LOG)
    assert verdict.faults == []
    assert (verdict.leaves, verdict.steps, verdict.open_calls) == (CALLS + CALLS // 4, len(told), 1)
    assert [each.checkpoint.root for each in verdict.signed] == [verdict.root]


@pytest.mark.parametrize("page_rows", [1, 7, 500])
def test_it_is_good_by_any_page(url: str, page_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write(url, evidence())
    monkeypatch.setattr(verifying, "PAGE_ROWS", page_rows)
    assert faults(url) == []


def test_a_node_that_was_renamed_is_verified(url: str) -> None:
    told = evidence(8)
    with LedgerWriter.open(url, 'pbx "1" – 東京\t', key_ring_of(url)) as writer:
        put(writer, *told[:20])
    write(url, told[20:])
    assert faults(url) == []


def test_a_ledger_of_no_call_is_good(url: str) -> None:
    write(url, [])
    assert faults(url) == []


def test_it_is_verified_while_it_is_written(url: str) -> None:
    told = evidence(200)
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        put(writer, *told[:300])
        for step in told[300:]:
            writer.append(step)
            if step.kind == "ended":
                assert faults(url) == []


def test_what_has_changed_is_told_with_its_call(url: str, file: Path) -> None:
    write(url, evidence())
    tamperer = Tamperer(random.Random(1), file, [])
    done = tamperer.tamper("change")
    assert faults(url), done
    found = " ".join(faults(url))
    assert "pbx-1-1793491200." in found
    assert "the ledger's own checkpoint: the first 25 leaves are not those that were signed" in found


def test_another_key_believes_nothing(url: str) -> None:
    write(url, evidence())
    assert any("is not signed" in fault for fault in faults(url, log=Signer("pbx-1/idtone", bytes(32))))


def test_a_checkpoint_from_elsewhere_is_held_against_it(url: str) -> None:
    write(url, evidence()[:60])
    seen = key_ring_of(url).seen.latest(LOG)
    assert seen
    write(url, evidence()[60:])
    assert faults(url, ("mine", seen[0])) == []
    other = url_of(Path(f"{url.removeprefix('sqlite:///')}.other"))
    write(other, evidence(3))
    assert any(fault.startswith("mine: ") for fault in faults(other, ("mine", seen[0])))


def test_a_day_whose_key_is_missing_is_told_and_one_that_is_destroyed_is_not(url: str, file: Path) -> None:
    write(url, evidence())
    days_of(url).destroy("2026-12-01")
    assert faults(url) == []
    file.with_name("key.days").unlink()
    assert faults(url) == ["the key of 2026-11-01 is missing: the numbers of that day cannot be opened"]


def refused(url: str, call_id: str) -> list[str]:
    """What is wrong with a ledger after it was made to tell of one call."""
    return [fault for fault in faults(url) if fault.startswith(f"call {call_id}: ")]


BARE = "begun before anybody looked"


def forged(file: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    for statement, values in statements:
        assert connection.execute(statement, values).rowcount == 1, statement
    connection.close()


@pytest.mark.parametrize("number", [0, -10, -(2**63)])
def test_a_step_before_the_first_is_told(url: str, file: Path, number: int) -> None:
    write(url, evidence(4))
    forged(
        file, ("INSERT INTO steps SELECT ?, node, 'forged', kind, at, details, NULL FROM steps WHERE id = 1", (number,))
    )
    assert faults(url) == [f"call forged: its step {number} is none that idtone has written"]


LATER = "INSERT INTO steps SELECT max(id) + 1, node, ?, ?, at, details, NULL FROM steps"


@pytest.mark.parametrize("kinds", [["sound-ended"], ["connected", "sound-ended"], ["decided", "sound-ended"]])
@pytest.mark.parametrize("more", [False, True])
def test_a_step_that_was_put_after_the_leaf_of_its_call_is_told(
    url: str, file: Path, kinds: list[str], more: bool
) -> None:
    write(url, [decided(PLAY, "a"), steps.answered("a", at(10)), steps.ended("a", at(20), steps.CallStatus.CANCEL)])
    forged(file, *((LATER, ("a", kind)) for kind in kinds))
    if more:
        write(url, evidence(4))
    assert faults(url) == ["call a: it is over, and steps follow that no leaf holds"]


def test_a_decision_that_came_after_the_end_of_its_call_is_no_fault(url: str) -> None:
    """Of one that the dialplan handled by itself."""
    alone = Step("a", StepKind.FALLBACK, at(0), {"outcome": "play"})
    write(url, [alone, steps.ended("a", at(20), steps.CallStatus.CONNECTED)])
    write(url, [decided(PLAY, "a", 30)])
    assert faults(url) == []


def misled(file: Path, index: str, expression: str) -> None:
    """Build an index again as if steps had other values, and have it look as it was."""
    connection = sqlite3.connect(file, isolation_level=None)
    ((sql, version),) = connection.execute(
        "SELECT sql, schema_version FROM sqlite_schema, pragma_schema_version WHERE name = ?", (index,)
    ).fetchall()
    column = index.removeprefix("ix_steps_")
    connection.execute("PRAGMA writable_schema=1")
    for number, text in enumerate((sql.replace(f"({column})", f"({expression})"), sql), 1):
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (text, index))
        connection.execute(f"PRAGMA schema_version={version + number}")
        connection.close()
        connection = sqlite3.connect(file, isolation_level=None)
        if number == 1:
            connection.execute(f"REINDEX {index}")
        connection.execute("PRAGMA writable_schema=1")
    connection.close()


HIDDEN = "pbx-1-1793491200.2"


@pytest.mark.parametrize("call_id", [HIDDEN, "in progress"])
@pytest.mark.parametrize(
    ("index", "expression"),
    [
        ("ix_steps_call_id", "call_id) WHERE (call_id <> '{}'"),
        ("ix_steps_call_id", "CASE call_id WHEN '{}' THEN 'x' ELSE call_id END"),
        ("ix_steps_call_id", "CASE WHEN call_id = '{}' AND kind = 'decided' THEN 'x' ELSE call_id END"),
        ("ix_steps_at", "at) WHERE (call_id <> '{}'"),
        ("ix_steps_at", "CASE call_id WHEN '{}' THEN 0 ELSE at END"),
    ],
)
def test_a_call_that_an_index_hides_is_told(url: str, file: Path, index: str, expression: str, call_id: str) -> None:
    write(url, evidence())
    misled(file, index, index.removeprefix("ix_steps_"))
    assert faults(url) == []
    misled(file, index, expression.format(call_id))
    told = refused(url, call_id)
    assert told
    assert all("index" in fault for fault in told)
    assert told == faults(url)
    with sqlite3.connect(file) as connection:
        connection.execute("REINDEX")
    connection.close()
    assert faults(url) == []


@pytest.mark.parametrize("other", ["x", "pbx-1-1793491200.3"])
def test_where_an_index_leads_astray_is_no_record(url: str, file: Path, other: str) -> None:
    write(url, evidence())
    misled(file, "ix_steps_call_id", f"CASE call_id WHEN '{HIDDEN}' THEN '{other}' ELSE call_id END")
    with LedgerReader.open(url) as reader, pytest.raises(LedgerError, match="an index does not lead to the steps"):
        reader.record(other)


def test_what_an_index_hides_is_not_left_out_of_a_list(url: str, file: Path) -> None:
    write(url, evidence())
    misled(file, "ix_steps_call_id", f"CASE call_id WHEN '{HIDDEN}' THEN 'x' ELSE call_id END")
    with LedgerReader.open(url) as reader, pytest.raises(LedgerError, match=f"an index does not lead .*{HIDDEN}"):
        list(reader.each())


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
def test_a_form_that_is_not_ours_is_told_by_verifying_and_at_each_opening(
    url: str, file: Path, statement: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(url, evidence(4))
    assert "the ledger" not in caplog.text
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA writable_schema=1")
        connection.execute(statement)
    connection.close()
    found = faults(url)
    assert any(told in fault or "no such index: ix_steps_at" in fault for fault in found)
    assert told in caplog.text
    caplog.clear()
    if "TRIGGER" not in statement:
        write(url, evidence(1))
        assert told in caplog.text


def test_what_analyze_leaves_is_no_fault(url: str, file: Path) -> None:
    write(url, evidence(4))
    with sqlite3.connect(file) as connection:
        connection.execute("ANALYZE")
    connection.close()
    assert faults(url) == []


@pytest.mark.parametrize("value", ["CAST(value AS BLOB)", "x'ff'", "x''", "'-'", "-1", "1.5"])
def test_what_the_ledger_says_of_itself_by_another_type_is_told(url: str, file: Path, value: str) -> None:
    write(url, evidence(4))
    forged(file, (f"UPDATE meta SET value = {value} WHERE key = 'checkpoint'", ()))  # noqa: S608
    assert faults(url) != []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "'0x' || at"),
        ("at", "CAST(CAST(at AS TEXT) AS BLOB)"),
        ("details", "CAST(details AS BLOB)"),
        ("kind", "CAST(kind AS BLOB)"),
        ("node", "CAST(node AS BLOB)"),
        ("call_id", "CAST(call_id AS BLOB)"),
        ("leaf", "-1"),
        ("leaf", "''"),
        ("leaf", "x''"),
    ],
)
@pytest.mark.parametrize("kind", ["decided", "answered", "ended"])
def test_a_value_of_another_type_is_no_way_around(url: str, file: Path, kind: str, column: str, value: str) -> None:
    write(url, [*evidence(4), steps.answered(BARE, at(0)), steps.ended(BARE, at(1), steps.CallStatus.CONNECTED)])
    assert faults(url) == []
    where = "id = (SELECT max(id) FROM steps WHERE kind = ? AND call_id <> 'in progress')"
    forged(file, (f"UPDATE steps SET {column} = {value} WHERE {where}", (kind,)))  # noqa: S608
    assert faults(url) != []


def test_a_step_that_was_put_into_another_is_told(url: str, file: Path) -> None:
    """The leaf is the same to the byte, and a step of a call in progress stands where the other was."""
    write(url, heard_call("a"))
    with sqlite3.connect(file) as connection:
        (at_us, inner), (after_us, outer) = connection.execute(
            "SELECT at, details FROM steps WHERE id IN (2, 3) ORDER BY id"
        ).fetchall()
    connection.close()
    merged = f'{inner},"id":2,"kind":"answered","node":"pbx-1"}},{{"at":{after_us},"details":{outer}'
    forged(
        file,
        ("UPDATE steps SET at = ?, details = ? WHERE id = 3", (at_us, merged)),
        ("UPDATE steps SET call_id = 'b' WHERE id = 2", ()),
    )
    assert refused(url, "a")


def test_who_is_not_found_by_his_number_is_told_and_who_is_found_by_another(url: str, file: Path) -> None:
    write(url, evidence())
    with sqlite3.connect(file) as connection:
        (token, step), *_ = connection.execute("SELECT token, step FROM sought ORDER BY step, token").fetchall()
        ((call_id,),) = connection.execute("SELECT call_id FROM steps WHERE id = ?", (step,)).fetchall()
        ((other,),) = connection.execute("SELECT call_id FROM steps WHERE leaf = 9").fetchall()
    connection.close()
    forged(file, ("DELETE FROM sought WHERE token = ? AND step = ?", (token, step)))
    assert [fault.partition(": ")[0] for fault in faults(url)] == [f"call {call_id}"]
    forged(file, ("INSERT INTO sought SELECT 1, id FROM steps WHERE leaf = 9", ()))
    assert [fault.partition(": ")[0] for fault in faults(url)] == [f"call {call_id}", f"call {other}"]


def test_what_nobody_touched_is_told_from_what_was_even_after_a_fault(url: str, file: Path) -> None:
    """Pages are matched again once one was not, wherever calls lie across them."""
    write(url, evidence(200))
    forged(file, ("UPDATE steps SET at = at + 1 WHERE id = 100", ()))
    with sqlite3.connect(file) as connection:
        ((call_id,),) = connection.execute("SELECT call_id FROM steps WHERE id = 100").fetchall()
    connection.close()
    told = [fault for fault in faults(url) if fault.startswith("call ")]
    assert len(told) == 1
    assert told[0].startswith(f"call {call_id}: leaf ")


def test_how_far_it_is_is_told(url: str) -> None:
    write(url, evidence())
    told: list[tuple[int, int]] = []
    with LedgerReader.open(url, days_of(url)) as reader:
        verdict = verify_ledger(reader, LOG, progress=lambda *reached: told.append(reached))
    assert told[-1] == (verdict.steps, verdict.steps)
    assert told == sorted(told)


def tampered(folder: Path, count: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Tampers with a real file so often, by all ways in turn, each alone: what was done, and whether it was found."""
    file = folder / "ledger" / "ledger.sqlite3"
    url, told, older = url_of(file), evidence(), []
    for number, part in enumerate((told[:30], told[30:60])):
        write(url, part)
        older.append(folder / f"copy-{number}")
        shutil.copyfile(file, older[-1])
    write(url, told[60:])
    whole = file.read_bytes()
    assert faults(url) == []
    tamperer = Tamperer(random.Random(seed), file, older)
    ways = [*WAYS, "roll back"]
    for number in range(count):
        file.write_bytes(whole)
        done = tamperer.tamper(ways[number % len(ways)])
        yield done, bool(faults(url))


def test_every_tampering_is_found(tmp_path: Path) -> None:
    """Some of all ways; `make bench-tampering` tries ten thousand."""
    assert [done for done, found in tampered(tmp_path, TAMPERINGS, SEED) if not found] == []
