from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from idtone.errors import LedgerBehindError, LedgerError
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.store import sqlite
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing import group_writer
from idtone.ledger.writing.ledger_writer import LINGER_S, LedgerWriter
from idtone.numbers import parse

from ..sample_evidence import (
    CALLED,
    CALLER,
    FORWARDING,
    LOG,
    NOW,
    days_of,
    decided,
    heard_call,
    key_ring_of,
    plain,
    put,
    url_of,
    wait_until,
)

FUTURE_S = 20
"""How long a test waits for a commit."""


def written(url: str) -> list[Step]:
    """What stands in the ledger, without the tokens that only its key can make."""
    with LedgerReader.open(url, days_of(url)) as reader:
        return [plain(step) for record in reader.records() for step in record.steps]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


Watch = Callable[[sqlite3.Connection, str], None]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Watch], None]:
    """Has a function see every statement before it is executed, on connections that are made from then on."""

    def begin(seeing: Watch) -> None:
        class Watched(sqlite3.Connection):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                seeing(self, statement)
                return super().execute(statement, *values)

        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Watched))

    return begin


@pytest.fixture
def commits(watch: Callable[[Watch], None]) -> list[str]:
    """Every transaction that is committed while the test runs."""
    seen: list[str] = []
    watch(lambda connection, statement: seen.append(statement) if statement == "COMMIT" else None)
    return seen


@pytest.fixture
def page_limit(watch: Callable[[Watch], None]) -> dict[str, int]:
    """Set `pages` to make the disk that small; 0 for as large as it is."""
    limit = {"pages": 0}

    def apply(connection: sqlite3.Connection, statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            connection.execute(f"PRAGMA max_page_count={limit['pages'] or 2**30}")

    watch(apply)
    return limit


@pytest.mark.usefixtures("journal")
def test_what_is_acknowledged_can_be_read(url: str) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        for step in heard_call():
            assert writer.append(step).result(FUTURE_S) is None
        assert written(url) == heard_call()
        with LedgerReader.open(url) as reader:
            assert [record.node for record in reader.records()] == ["pbx-1"]


def test_the_chosen_journal_and_full_durability_are_set(
    url: str, file: Path, journal: str, watch: Callable[[Watch], None]
) -> None:
    seen: dict[str, str | int] = {}

    def look(connection: sqlite3.Connection, statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            for pragma in ("journal_mode", "synchronous"):
                (seen[pragma],) = connection.execute(f"PRAGMA {pragma}").fetchone()

    watch(look)
    LedgerWriter.open(url, "pbx-1", key_ring_of(url)).close()
    assert seen == {"journal_mode": journal, "synchronous": 2}


def test_a_ledger_changes_its_journal_when_sqlite_does(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for journal in ("wal", "persist", "wal"):
        monkeypatch.setattr(sqlite, "journal_mode", lambda journal=journal: journal)
        with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
            writer.append(steps.answered(f"c-{journal}", NOW)).result(FUTURE_S)
    assert len(written(url)) == 3


@pytest.mark.usefixtures("journal")
def test_steps_that_wait_are_committed_together(url: str, file: Path, commits: list[str]) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        commits.clear()
        with sqlite3.connect(file, isolation_level=None) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            first = writer.append(steps.answered("first", NOW))
            time.sleep(0.05)  # the first one's commit waits for the lock now
            futures = [writer.append(steps.answered(f"c-{number}", NOW)) for number in range(500)]
            assert not first.done()
            blocker.execute("ROLLBACK")
        blocker.close()
        wait([first, *futures], FUTURE_S)
        assert all(future.exception(0) is None for future in futures)
        assert len(commits) <= 2
    assert [step.call_id for step in written(url)] == ["first", *(f"c-{number}" for number in range(500))]


def test_a_group_has_a_limit(url: str, commits: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idtone.ledger.writing.ledger_writer.GROUP_LIMIT", 3)
    writer = LedgerWriter.open(url, "pbx-1", key_ring_of(url))
    commits.clear()
    for number in range(30):
        writer.append(steps.answered(f"c-{number}", NOW))
    writer.close()
    assert len(commits) >= 10
    assert len(written(url)) == 30


def test_steps_of_many_threads_are_all_written(url: str) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:

        def work(thread: int) -> None:
            for number in range(100):
                writer.append(steps.answered(f"c-{thread}-{number}", NOW))

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(written(url)) == 400


def test_close_drains_and_what_comes_later_fails(url: str) -> None:
    writer = LedgerWriter.open(url, "pbx-1", key_ring_of(url))
    futures = [writer.append(steps.answered(f"c-{number}", NOW)) for number in range(100)]
    writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(LedgerError, match="the ledger is closed"):
        writer.append(steps.answered("late", NOW)).result(0)
    writer.close()
    assert len(written(url)) == 100


async def test_a_cancelled_waiter_does_not_take_his_evidence_back(url: str, file: Path) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        with sqlite3.connect(file, isolation_level=None) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            future = writer.append(steps.answered("c-1", NOW))
            waiter = asyncio.wrap_future(future)
            waiter.cancel()
            await asyncio.sleep(0)
            blocker.execute("ROLLBACK")
        blocker.close()
        await asyncio.wait_for(asyncio.wrap_future(writer.append(steps.connected("c-1", NOW))), FUTURE_S)
        assert waiter.cancelled()
        assert future.result(FUTURE_S) is None
    assert len(written(url)) == 2


@pytest.mark.usefixtures("journal")
def test_on_a_full_disk_steps_are_late_and_not_lost(
    url: str, page_limit: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    long = [steps.sound_failed(f"c-{number}", NOW, "x" * 200) for number in range(100)]
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.append(steps.answered("before", NOW)).result(FUTURE_S)
        page_limit["pages"] = 1
        with caplog.at_level(logging.ERROR, "idtone.ledger.writing.ledger_writer"):
            failed = [writer.append(step) for step in long]
            wait(failed, FUTURE_S)
        errors = [future.exception(0) for future in failed]
        assert any(errors)
        assert all(isinstance(error, LedgerBehindError) and "make room" in str(error) for error in errors if error)
        assert caplog.text.count("evidence is not written") == 1
        assert writer.full
        page_limit["pages"] = 0
        wait_until(lambda: writer.unwritten is None)
        assert not writer.full
        writer.append(steps.answered("after", NOW)).result(FUTURE_S)
    assert [step.call_id for step in written(url)] == ["before", *(step.call_id for step in long), "after"]


@pytest.mark.usefixtures("journal")
def test_steps_that_a_lock_holds_up_are_late_and_not_lost(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        blocker = sqlite3.connect(file, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBehindError, match=r"database is locked; another program has held its lock"):
            writer.append(steps.answered("c-1", NOW)).result(FUTURE_S)
        assert not writer.full
        blocker.close()
        wait_until(lambda: writer.unwritten is None)
        writer.append(steps.answered("c-2", NOW)).result(FUTURE_S)
    assert [step.call_id for step in written(url)] == ["c-1", "c-2"]


def test_an_unforeseen_error_fails_its_group_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> dict[str, object]:
        raise RuntimeError("secret")

    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        with monkeypatch.context() as patch:
            patch.setattr("idtone.ledger.writing.group_writer.row_of", broken)
            with pytest.raises(LedgerError, match="RuntimeError while writing; report this"):
                writer.append(steps.answered("c-1", NOW)).result(FUTURE_S)
        writer.append(steps.answered("c-2", NOW)).result(FUTURE_S)
    after, gap = written(url)
    assert gap.kind is StepKind.GAP
    assert gap.details == {"from": NOW.isoformat(), "to": NOW.isoformat(), "steps": 1, "calls": 0}
    assert after.call_id == "c-2"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_every_file_is_its_owners_alone(file: Path, url: str, journal: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
            writer.append(steps.answered("c-1", NOW)).result(FUTURE_S)
            written(url)
            names = {path.name.removeprefix("ledger.sqlite3") for path in file.parent.iterdir()}
            modes = {mode(path) for path in file.parent.iterdir()}
    finally:
        os.umask(before)
    assert names == {"", ".lock", ".owed"} | {"wal": {"-wal", "-shm"}, "persist": {"-journal"}}[journal]
    assert modes == {0o600}
    assert mode(file.parent) == 0o700


def test_no_telephone_number_is_in_any_file(url: str, file: Path, journal: str) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        for number in range(200):
            writer.append(decided(call_id=f"c-{number}"))
            writer.append(steps.sound_failed(f"c-{number}", NOW, f"PJSIP/{CALLED}@trunk is gone"))
        writer.append(steps.answered("last", NOW)).result(FUTURE_S)
        held = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    held |= {f"closed {path.name}": path.read_bytes() for path in file.parent.iterdir()}
    assert any(b"licence-valid" in content for content in held.values())
    for raw in (FORWARDING, CALLER, CALLED):
        for canary in (raw, raw[1:], parse(raw).e164):
            assert [name for name, content in held.items() if canary.encode() in content] == []


def test_where_numbers_cannot_be_sealed_the_rest_is_kept(url: str, caplog: pytest.LogCaptureFixture) -> None:
    days_of(url).writing("2026-11-01")
    days_of(url).destroy("2026-12-01")  # and the clock was set back
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        put(writer, *heard_call())
    assert "the numbers of call c-1 are not kept" in caplog.text
    with LedgerReader.open(url, days_of(url)) as reader:
        record = reader.record("c-1")
        assert record
        assert record.heard
        assert record.anomalies == ("the numbers could not be sealed, and are not kept",)
        assert reader.record_key("c-1") is None
        assert verify_ledger(reader, LOG).faults == []


def test_a_second_writer_is_refused(url: str, file: Path) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        with pytest.raises(LedgerError, match="another process writes to this ledger"):
            LedgerWriter.open(url, "pbx-2", key_ring_of(url))
        writer.append(steps.answered("c-1", NOW)).result(FUTURE_S)
    LedgerWriter.open(url, "pbx-2", key_ring_of(url)).close()


def execute(file: Path, *statements: str) -> None:
    connection = sqlite3.connect(file)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_ledger_of_a_newer_version_is_refused(url: str, file: Path) -> None:
    LedgerWriter.open(url, "pbx-1", key_ring_of(url)).close()
    execute(file, "UPDATE meta SET value = '3' WHERE key = 'schema_version'")
    for open_ledger in (lambda: LedgerWriter.open(url, "pbx-1", key_ring_of(url)), lambda: LedgerReader.open(url)):
        with pytest.raises(LedgerError, match=r"schema 3, known here: 1\); upgrade idtone"):
            open_ledger()


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE other (x)", "CREATE TABLE meta (key TEXT, value TEXT)"], ids=["other", "meta"]
)
def test_a_foreign_database_is_refused_and_left_alone(url: str, file: Path, statement: str) -> None:
    file.parent.mkdir()
    execute(file, statement)
    for open_ledger in (lambda: LedgerWriter.open(url, "pbx-1", key_ring_of(url)), lambda: LedgerReader.open(url)):
        with pytest.raises(LedgerError, match="this database is not a ledger"):
            open_ledger()
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (1,)
    connection.close()


def test_a_file_that_is_no_database_is_refused(url: str, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"evidence " * 1000)
    for open_ledger in (lambda: LedgerWriter.open(url, "pbx-1", key_ring_of(url)), lambda: LedgerReader.open(url)):
        with pytest.raises(LedgerError, match="it is no SQLite database"):
            open_ledger()
    assert file.read_bytes() == b"evidence " * 1000


def test_a_path_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be opened: Not a directory"):
        LedgerWriter.open(f"sqlite:///{tmp_path}/file/ledger.sqlite3", "pbx-1", key_ring_of(url_of(tmp_path / "key")))


def test_a_path_with_characters_of_an_address_is_that_path(tmp_path: Path) -> None:
    path = tmp_path / "a b#c" / "l.sqlite3"
    url = f"sqlite:///{path}"
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.append(steps.answered("c-1", NOW)).result(FUTURE_S)
    assert path.is_file()
    assert len(written(url)) == 1


def test_steps_that_nobody_waits_for_go_to_the_disk_together(url: str, commits: list[str]) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        wait([writer.append(decided(call_id="first"))], FUTURE_S)
        before = len(commits)
        pending = []
        for number in range(3):
            pending.append(writer.append(decided(call_id=f"call-{number}")))
            time.sleep(LINGER_S / 10)
        assert not any(future.done() for future in pending)
        wait(pending, FUTURE_S)
        assert len(commits) == before + 1


def test_nobody_who_waits_lingers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idtone.ledger.writing.ledger_writer.LINGER_S", 3600.0)
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        for number in range(3):
            written = writer.append(decided(call_id=f"call-{number}"))
            writer.hurry()
            assert written.result(FUTURE_S) is None
            writer.hurry()  # for what is written already: it keeps nothing from lingering, and loses nothing
        late = writer.append(decided(call_id="late"))
    assert late.done(), "closing waits for nobody"


@pytest.mark.parametrize("call", [heard_call()])
def test_a_call_takes_no_more_statements_than_before(url: str, call: list[Step]) -> None:
    """What is counted here is done for every call; each step goes to the disk alone."""
    told: list[str] = []
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        wait([writer.append(decided(call_id="first"))], FUTURE_S)
        connection = writer._database._connection
        assert connection is not None
        connection.set_trace_callback(told.append)
        for step in call:
            wait([writer.append(step)], FUTURE_S)
    counted = Counter(statement.split()[0] for statement in told)
    # One SELECT tells whether the call is known: a decision that comes again must not begin another leaf.
    assert counted == {"BEGIN": 6, "COMMIT": 6, "INSERT": 11, "SELECT": 1}


# -- errors of the disk -----------------------------------------------------------------------------------------------


def failure(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.fixture
def commit_errors(watch: Callable[[Watch], None]) -> list[tuple[bool, int]]:
    """Of the next commits: whether it is done all the same, and SQLite's code of the error."""
    errors: list[tuple[bool, int]] = []

    def commit(connection: sqlite3.Connection, statement: str) -> None:
        if statement == "COMMIT" and errors:
            done, code = errors.pop()
            if done:
                sqlite3.Connection.execute(connection, statement)
            raise failure(code)

    watch(commit)
    return errors


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CONSTRAINT])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_a_commit_that_reports_an_error_is_written_once(
    url: str, commit_errors: list[tuple[bool, int]], monkeypatch: pytest.MonkeyPatch, done: bool, code: int, late: bool
) -> None:
    real, away = group_writer.connect_for_writing, [late]

    def connect(path: Path, patience_s: float) -> sqlite3.Connection:
        if away.pop() if away else False:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, patience_s)

    monkeypatch.setattr("idtone.ledger.writing.ledger_writer.RETRY_S", 0.05)
    call, others = heard_call(), heard_call("c-2", 1000)
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        monkeypatch.setattr(group_writer, "connect_for_writing", connect)
        for number, step in enumerate(call):
            if number == 3:
                commit_errors.append((done, code))
            future = writer.append(step)
            wait([future], FUTURE_S)
            wait_until(lambda: writer.unwritten is None)
            if number == 3:
                kept = late or code == sqlite3.SQLITE_FULL
                assert isinstance(future.exception(0), LedgerBehindError if kept else type(None))
        assert not commit_errors
        put(writer, *others)
    assert written(url) == [*call, *others]
    with LedgerReader.open(url) as reader:
        verdict = verify_ledger(reader, LOG)
    assert (verdict.faults, verdict.leaves) == ([], 2)


@pytest.mark.usefixtures("journal")
def test_a_commit_that_a_reader_holds_up_is_late_and_not_lost(
    url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr("idtone.ledger.writing.ledger_writer.RETRY_S", 0.05)
    call = heard_call()
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        writer.append(call[0]).result(FUTURE_S)
        reader = sqlite3.connect(file, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM steps").fetchall()
        futures = [writer.append(step) for step in call[1:]]
        wait(futures, FUTURE_S)
        time.sleep(0.5)  # it is tried again meanwhile
        reader.close()
        wait_until(lambda: writer.unwritten is None)
        put(writer, *heard_call("c-2", 1000))
    assert written(url) == [*call, *heard_call("c-2", 1000)]
    with LedgerReader.open(url) as opened:
        assert verify_ledger(opened, LOG).faults == []


def test_whom_a_witness_distrusts_does_not_sign_after_an_error(url: str, commit_errors: list[tuple[bool, int]]) -> None:
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        put(writer, *heard_call())
        assert writer.checkpoint
        writer.distrust("another tree")
        commit_errors.append((False, sqlite3.SQLITE_IOERR))
        put(writer, *heard_call("c-2", 1000))
        assert writer.checkpoint is None


def test_what_is_kept_behind_a_fault_is_tried(url: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr("idtone.ledger.writing.ledger_writer.GROUP_LIMIT", 1)
    monkeypatch.setattr("idtone.ledger.writing.ledger_writer.LINGER_S", 0.01)  # a hundred groups and more
    real, tried = group_writer.row_of, []

    def broken(node: str, step: Step, *others: Any) -> Any:
        tried.append(step.call_id)
        if step.call_id == "broken" and len(tried) > 1:
            raise RuntimeError
        return real(node, step, *others)

    monkeypatch.setattr(group_writer, "row_of", broken)
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        blocker = sqlite3.connect(file, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        wait([writer.append(steps.answered("broken", NOW))], FUTURE_S)
        blocker.close()
        good = []
        while writer.unwritten:
            good.append(writer.append(steps.answered(f"c-{len(good)}", NOW)))
            time.sleep(0.01)
            assert len(good) < 100 * FUTURE_S, "it did not recover while calls kept coming"
        for future in good:
            assert isinstance(future.exception(FUTURE_S), LedgerBehindError | None)
    told = written(url)
    assert [step.call_id for step in told if step.kind is StepKind.ANSWERED] == [f"c-{n}" for n in range(len(good))]
    (gap,) = (step for step in told if step.kind is StepKind.GAP)
    assert gap.details["steps"] == 1


def test_while_steps_are_kept_nobody_waits_for_a_lock(url: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy_s = 2.0
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", busy_s)
    with LedgerWriter.open(url, "pbx-1", key_ring_of(url)) as writer:
        blocker = sqlite3.connect(file, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        wait([writer.append(steps.answered("first", NOW))], FUTURE_S)
        waited_s: list[float] = []
        for number in range(25):
            begun_s = time.monotonic()
            writer.append(steps.answered(f"c-{number}", NOW)).add_done_callback(
                lambda _, begun_s=begun_s: waited_s.append(time.monotonic() - begun_s)
            )
            time.sleep(busy_s / 20)
        blocker.close()
        wait_until(lambda: writer.unwritten is None)
    assert len(waited_s) == 25
    assert max(waited_s) < busy_s / 2
    assert len(written(url)) == 26


def test_a_ledger_that_cannot_be_opened_leaves_nothing_open(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    LedgerWriter.open(url, "pbx-1", key_ring_of(url)).close()
    before = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr("idtone.ledger.writing.ledger_writer.MissingFile", broken)
        with pytest.raises(LedgerError, match="cannot be opened: Too many open files"):
            LedgerWriter.open(url, "pbx-1", key_ring_of(url))
    assert set(os.listdir("/proc/self/fd")) == before
    LedgerWriter.open(url, "pbx-1", key_ring_of(url)).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files that the service could not use")
@pytest.mark.usefixtures("journal")
def test_what_root_writes_while_the_service_is_down_is_the_services_own(url: str, file: Path) -> None:
    file.parent.mkdir()
    service = 4711
    os.chown(file.parent, service, service)
    for _ in range(2):
        with LedgerWriter.open(url, "pbx-1", key_ring_of(url), 2**20) as writer:
            put(writer, *heard_call())
            assert {
                path.name: path.stat().st_uid for path in file.parent.iterdir() if path.stat().st_uid != service
            } == {}
        file.write_bytes(b"\xff" * 100 + file.read_bytes()[100:])
    names = {path.name for path in file.parent.iterdir()}
    assert {"key.seen", "key.continued", "key.days", "ledger.sqlite3.reserve"} < names
    assert {path.stat().st_uid for path in file.parent.iterdir()} == {service}
