import asyncio
import errno
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from idtone.core.errors import LedgerBehindError, LedgerError
from idtone.core.numbers import parse
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.steps import Step, StepKind
from idtone.ledger.store import sqlite
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.writing import group_writer, ledger_writer
from lab.ledger.sample_evidence import (
    CALLED,
    CALLER,
    FORWARDING,
    NOW,
    days_of,
    decided,
    heard_call,
    key_ring_of,
    wait_until,
    without_tokens,
    write_each,
)
from lab.ledger.sample_ledger import (
    lock_ledger,
    overwrite,
    query,
    records_of,
    verification_faults,
    wait_until_written,
    writer_of,
)

FUTURE_S = 20
"""Seconds that a test waits for a commit."""
LATER = heard_call("c-2", 1000)


def written(url: str) -> list[Step]:
    """Steps in the ledger, without search tokens, which only the ledger's key can compute."""
    return [without_tokens(step) for record in records_of(url).values() for step in record.steps]


def answered(*calls: object) -> list[Step]:
    return [steps.answered(f"c-{call}", NOW) for call in calls]


Watch = Callable[[sqlite3.Connection, str], None]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Watch], None]:
    """Function that registers a watcher for the SQL statements of later connections.

    The watcher sees every statement before its execution.
    """

    def begin(seeing: Watch) -> None:
        class Watched(sqlite3.Connection):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                seeing(self, statement)
                return super().execute(statement, *values)

        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Watched))

    return begin


@pytest.fixture
def commits(watch: Callable[[Watch], None]) -> list[str]:
    seen: list[str] = []
    watch(lambda connection, statement: seen.append(statement) if statement == "COMMIT" else None)
    return seen


def test_what_is_acknowledged_can_be_read_and_is_durable(url, journal, watch):
    seen = {}

    def look(connection: sqlite3.Connection, statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            for pragma in ("journal_mode", "synchronous"):
                (seen[pragma],) = connection.execute(f"PRAGMA {pragma}").fetchone()

    watch(look)
    with writer_of(url) as writer:
        for step in heard_call():
            assert writer.append(step).result(FUTURE_S) is None
        assert written(url) == heard_call()
    assert seen == {"journal_mode": journal, "synchronous": 2}
    assert records_of(url)["c-1"].node == "pbx-1"


def test_a_ledger_changes_its_journal_when_sqlite_does(url, monkeypatch):
    for journal in ("wal", "persist", "wal"):
        monkeypatch.setattr(sqlite, "journal_mode", lambda journal=journal: journal)
        with writer_of(url) as writer:
            write_each(writer, *answered(journal))
    assert len(written(url)) == 3


def test_steps_that_wait_are_committed_together(url, file, commits):
    told = answered(*range(100))
    with writer_of(url) as writer:
        commits.clear()
        with lock_ledger(file):
            futures = [writer.append(told[0])]
            time.sleep(0.05)  # the first one's commit waits for the lock now
            futures += [writer.append(step) for step in told[1:]]
            assert not futures[0].done()
        wait(futures, FUTURE_S)
        assert all(future.exception(0) is None for future in futures)
        assert len(commits) <= 2
    assert written(url) == told


def test_close_writes_what_waits_in_groups_of_a_limit_and_what_comes_later_fails(url, commits, monkeypatch):
    monkeypatch.setattr(ledger_writer, "GROUP_LIMIT", 3)
    writer = writer_of(url)
    commits.clear()
    futures = [writer.append(step) for step in answered(*range(30))]
    writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert len(commits) >= 10
    with pytest.raises(LedgerError, match="the ledger is closed"):
        writer.append(*answered("late")).result(0)
    writer.close()
    assert len(written(url)) == 30


def test_steps_of_many_threads_are_all_written(url):
    with writer_of(url) as writer, ThreadPoolExecutor(4) as pool:
        assert len([*pool.map(writer.append, answered(*range(400)))]) == 400
    assert len(written(url)) == 400


async def test_a_cancelled_waiter_does_not_take_his_evidence_back(url, file):
    with writer_of(url) as writer:
        with lock_ledger(file):
            future = writer.append(*answered(1))
            waiter = asyncio.wrap_future(future)
            waiter.cancel()
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.wrap_future(writer.append(*answered(2))), FUTURE_S)
        assert waiter.cancelled()
        assert future.result(FUTURE_S) is None
    assert written(url) == answered(1, 2)


@pytest.mark.parametrize("by", ["BEGIN IMMEDIATE", "BEGIN; SELECT * FROM steps"], ids=["a writer", "a reader"])
def test_what_a_lock_holds_up_is_late_and_not_lost(url, file, journal, by, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    first, *others = heard_call()
    with writer_of(url) as writer:
        write_each(writer, first)
        with lock_ledger(file, *by.split("; ")):
            futures = [writer.append(step) for step in others]
            wait(futures, FUTURE_S)
            time.sleep(0.2)  # it is tried again meanwhile
            assert not writer.full
        wait_until_written(writer)
        write_each(writer, *LATER)
    for error in (future.exception(0) for future in futures):
        if journal == "wal" and "SELECT" in by:  # nobody who reads holds up a write-ahead log
            assert error is None
        else:
            assert isinstance(error, LedgerBehindError)
            assert "database is locked; another program has held its lock" in str(error)
    assert written(url) == [*heard_call(), *LATER]
    assert verification_faults(url) == []


def test_an_unforeseen_error_fails_its_group_alone(url, monkeypatch):
    with writer_of(url) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(group_writer, "row_of", lambda *arguments: 1 / 0)
            with pytest.raises(LedgerError, match="ZeroDivisionError while writing; report this"):
                writer.append(*answered(1)).result(FUTURE_S)
        write_each(writer, *answered(2))
    after, gap = written(url)
    assert gap.kind is StepKind.GAP
    assert gap.details == {"from": NOW.isoformat(), "to": NOW.isoformat(), "steps": 1, "calls": 0}
    assert after.call_id == "c-2"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_every_file_is_its_owners_alone(file, url, journal, umask):
    before = os.umask(umask)
    try:
        with writer_of(url) as writer:
            write_each(writer, *answered(1))
            written(url)
            modes = {path.name.removeprefix(file.name): path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes.keys() == {"", ".lock", ".owed"} | {"wal": {"-wal", "-shm"}, "persist": {"-journal"}}[journal]
    assert {*modes.values()} == {0o600}
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("journal")
def test_no_telephone_number_is_in_any_file(url, file):
    with writer_of(url) as writer:
        for number in range(100):
            writer.append(decided(call_id=f"c-{number}"))
            writer.append(steps.sound_failed(f"c-{number}", NOW, f"PJSIP/{CALLED}@trunk is gone"))
        write_each(writer, *answered("last"))
        octets = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    octets |= {f"closed {path.name}": path.read_bytes() for path in file.parent.iterdir()}
    assert any(b"licence-valid" in content for content in octets.values())
    for raw in (FORWARDING, CALLER, CALLED):
        for canary in (raw, raw[1:], parse(raw).e164):
            assert [name for name, content in octets.items() if canary.encode() in content] == []


def test_where_numbers_cannot_be_sealed_the_rest_is_kept(url, caplog):
    days_of(url).writing("2026-11-01")
    days_of(url).destroy("2026-12-01")  # and the clock was set back
    with writer_of(url) as writer:
        write_each(writer, *heard_call())
    assert "the numbers of call c-1 are not kept" in caplog.text
    record = records_of(url)["c-1"]
    assert record.sent
    assert record.anomalies == ("the numbers could not be sealed, and are not kept",)
    with LedgerReader.open(url, days_of(url)) as reader:
        assert reader.record_key("c-1") is None
    assert verification_faults(url) == []


@pytest.mark.parametrize(
    ("ours", "statement", "why"),
    [
        (
            True,
            "UPDATE meta SET value = '3' WHERE key = 'schema_version'",
            r"schema 3, known here: 2\); upgrade idtone",
        ),
        (True, "UPDATE meta SET value = x'01' WHERE key = 'schema_version'", "is not a ledger"),
        (False, "CREATE TABLE other (x)", "this database is not a ledger"),
        (False, "CREATE TABLE meta (key TEXT, value TEXT)", "this database is not a ledger"),
        (False, "", "it is no SQLite database"),
    ],
)
def test_what_is_no_ledger_of_this_version_is_refused_and_left_alone(url, file, ours, statement, why):
    file.parent.mkdir()
    if ours:
        writer_of(url).close()
    if statement:
        query(file, statement)
    else:
        file.write_bytes(b"evidence " * 1000)
    before = file.read_bytes()
    for opening in (writer_of, LedgerReader.open):
        with pytest.raises(LedgerError, match=why):
            opening(url)
    assert file.read_bytes() == before


def test_a_path_may_have_characters_of_an_address_and_no_file_on_its_way(tmp_path):
    url = f"sqlite:///{tmp_path}/a b#c/l.sqlite3"
    with writer_of(url) as writer:
        write_each(writer, *answered(1))
    assert (tmp_path / "a b#c" / "l.sqlite3").is_file()
    assert written(url) == answered(1)
    with pytest.raises(LedgerError, match="cannot be opened: Not a directory"):
        ledger_writer.LedgerWriter.open(f"{url}/l.sqlite3", "pbx-1", key_ring_of(url))


def test_steps_go_to_the_disk_together_unless_something_waits(url, commits, monkeypatch):
    monkeypatch.setattr(ledger_writer, "LINGER_S", 3600.0)
    with writer_of(url) as writer:
        for _ in range(2):
            before = len(commits)
            waiting = [writer.append(step) for step in answered(*range(3))]
            time.sleep(0.1)
            assert not any(future.done() for future in waiting)
            writer.hurry()
            wait(waiting, FUTURE_S)
            assert len(commits) == before + 1
        writer.hurry()  # for what is written already: nothing is lost by it
        write_each(writer, *answered("hurried"))
        late = writer.append(*answered("late"))
    assert late.done(), "closing waits for nobody"


def test_a_call_takes_no_more_statements_than_before(url):
    """The counted statements run for every call, and each step is written to the disk separately."""
    told: list[str] = []
    with writer_of(url) as writer:
        write_each(writer, decided(call_id="first"))
        writer._database._connection.set_trace_callback(told.append)
        write_each(writer, *heard_call())
    counted = Counter(statement.split()[0] for statement in told)
    # One SELECT tells whether the call is known: a decision that comes again must not begin another leaf. One INSERT a
    # transaction is that of its MACs.
    assert counted == {"BEGIN": 6, "COMMIT": 6, "INSERT": 18, "SELECT": 1, "DELETE": 1}


# -- errors of the disk -----------------------------------------------------------------------------------------------


@pytest.fixture
def commit_errors(watch: Callable[[Watch], None]) -> list[tuple[bool, int]]:
    """Errors of the next commits: SQLite's error code, and a flag that the commit is done nevertheless."""
    errors: list[tuple[bool, int]] = []

    def commit(connection: sqlite3.Connection, statement: str) -> None:
        if statement == "COMMIT" and errors:
            done, code = errors.pop()
            if done:
                sqlite3.Connection.execute(connection, statement)
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = code
            raise error

    watch(commit)
    return errors


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CONSTRAINT])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_a_commit_that_reports_an_error_is_written_once(url, commit_errors, monkeypatch, done, code, late):
    real, away = group_writer.connect_for_writing, [late]

    def connect(path: Path, patience_s: float) -> sqlite3.Connection:
        if away.pop() if away else False:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, patience_s)

    with writer_of(url) as writer:
        monkeypatch.setattr(group_writer, "connect_for_writing", connect)
        for number, step in enumerate(heard_call()):
            if number == 3:
                commit_errors.append((done, code))
            future = writer.append(step)
            wait([future], FUTURE_S)
            wait_until_written(writer)
            if number == 3:
                kept = late or code == sqlite3.SQLITE_FULL
                assert isinstance(future.exception(0), LedgerBehindError if kept else type(None))
        assert not commit_errors
        write_each(writer, *LATER)
    assert written(url) == [*heard_call(), *LATER]
    assert verification_faults(url) == []


def test_whom_a_witness_distrusts_does_not_sign_after_an_error(url, commit_errors):
    with writer_of(url) as writer:
        write_each(writer, *heard_call())
        assert writer.stored_checkpoint
        writer.distrust("another tree")
        commit_errors.append((False, sqlite3.SQLITE_IOERR))
        write_each(writer, *LATER)
        assert writer.stored_checkpoint is None


def test_what_is_kept_behind_a_fault_is_tried(url, file, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(ledger_writer, "GROUP_LIMIT", 1)
    real, tried, good = group_writer.row_of, [], []

    def broken(node: str, step: Step, *others: Any) -> Any:
        tried.append(step.call_id)
        if step.call_id == "c-broken" and len(tried) > 1:
            raise RuntimeError
        return real(node, step, *others)

    monkeypatch.setattr(group_writer, "row_of", broken)
    with writer_of(url) as writer:
        with lock_ledger(file):
            wait([writer.append(*answered("broken"))], FUTURE_S)
        while writer.unwritten:
            good.append(writer.append(*answered(len(good))))
            time.sleep(0.01)
            assert len(good) < 100 * FUTURE_S, "it did not recover while calls kept coming"
        for future in good:
            assert isinstance(future.exception(FUTURE_S), LedgerBehindError | None)
    (gap,) = (step for step in written(url) if step.kind is StepKind.GAP)
    assert gap.details["steps"] == 1
    assert [step for step in written(url) if step.kind is StepKind.ANSWERED] == answered(*range(len(good)))


def test_while_steps_are_kept_nobody_waits_for_a_lock(url, file, watch, monkeypatch):
    busy_s = 0.5
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", busy_s)
    monkeypatch.setattr(ledger_writer, "RETRY_S", 0.05)
    waits_ms: list[int] = []

    def look(connection: sqlite3.Connection, statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            waits_ms.extend(connection.execute("PRAGMA busy_timeout").fetchone())

    watch(look)
    with writer_of(url) as writer:
        with lock_ledger(file):
            waits_ms.clear()
            futures = [writer.append(*answered("first"))]
            wait(futures, FUTURE_S)
            for number in range(10):
                futures.append(writer.append(*answered(number)))
                wait(futures, FUTURE_S)
            assert {type(future.exception(0)) for future in futures} == {LedgerBehindError}
            waited_ms = [*waits_ms]
        wait_until_written(writer)
    assert waited_ms[0] == 1000 * busy_s
    assert {*waited_ms[1:]} == {1000 * ledger_writer.PATIENCE_S}
    assert len(written(url)) == 11


def test_a_ledger_that_cannot_be_opened_leaves_nothing_open(url, monkeypatch):
    def broken(path: Path) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    writer_of(url).close()
    before = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(ledger_writer, "MissingFile", broken)
        with pytest.raises(LedgerError, match="cannot be opened: Too many open files"):
            writer_of(url)
    assert set(os.listdir("/proc/self/fd")) == before
    writer_of(url).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files that the service could not use")
@pytest.mark.usefixtures("journal")
def test_what_root_writes_while_the_service_is_down_is_the_services_own(url, file):
    file.parent.mkdir()
    service = 4711
    os.chown(file.parent, service, service)
    for _ in range(2):
        with writer_of(url, 2**20) as writer:
            write_each(writer, *heard_call())
            wait_until(lambda: writer.reserve.left == 2**20)  # another thread makes it
            assert {path.name for path in file.parent.iterdir() if path.stat().st_uid != service} == set()
        overwrite(file)
    assert {"key.seen", "key.continued", "key.days", "ledger.sqlite3.reserve"} < {*os.listdir(file.parent)}
    assert {path.stat().st_uid for path in file.parent.iterdir()} == {service}
