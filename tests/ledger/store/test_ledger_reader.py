import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from idtone.core.calls import Outcome, Party, Reason
from idtone.core.errors import LedgerError
from idtone.core.numbers import parse
from idtone.ledger.evidence import steps
from idtone.ledger.evidence.call_record import Record
from idtone.ledger.evidence.steps import CallStatus, StepKind
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.postgresql import Server
from idtone.ledger.store.sqlite import BUSY_TIMEOUT_S
from lab.ledger.sample_evidence import (
    FORWARDING,
    NOW,
    PLAY,
    days_of,
    decided,
    fallback,
    forwarded,
    heard_call,
    time_after,
    url_of,
    without_tokens,
    write_each,
)
from lab.ledger.sample_ledger import lock_ledger, open_reader, query, records_of, verification_faults, write, writer_of
from lab.postgresql import PostgreSQL

Reading = Callable[..., LedgerReader]


def ids(records: list[Record]) -> list[str]:
    return [record.call_id for record in records]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def reader(
    request: pytest.FixtureRequest, postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LedgerReader]:
    """Reader of ten overlapping calls c-0 … c-9, one a minute.

    Each call ends after the decision of the next call.
    """
    url = url_of(tmp_path_factory.mktemp("ten") / "ledger.sqlite3")
    calls = [heard_call(f"c-{number}", number * 60_000 - number) for number in range(10)]
    write(url, sorted((step for call in calls for step in call), key=lambda step: step.at))
    with postgresql.database() as database:
        server = Server.named(database, postgresql.password) if request.param == "postgresql" else None
        with open_reader(url, days_of(url), server) as reader:
            yield reader


def test_a_record_is_the_whole_call(reader):
    record = reader.record("c-0")
    assert record is not None
    assert [without_tokens(step) for step in record.steps] == heard_call("c-0")
    assert record.anomalies == ()
    assert reader.record("c-77") is None


@pytest.mark.parametrize("page_rows", [5, 500])
def test_records_come_newest_last_and_a_limit_keeps_the_newest(reader, page_rows, monkeypatch):
    monkeypatch.setattr("idtone.ledger.store.ledger_reader.PAGE_ROWS", page_rows)
    for limit, first in ((None, 0), (1, 9), (3, 7), (10, 0), (11, 0)):
        records = reader.records(limit=limit)
        assert ids(records) == [f"c-{number}" for number in range(first, 10)], limit
        assert all(record.complete and record.sent and len(record.steps) == 6 for record in records)


def test_since_keeps_whole_calls_that_went_on_then(reader):
    end_of_8 = 8 * 60_000 - 8 + 60_000
    assert ids(reader.records(since=time_after(end_of_8))) == ["c-8", "c-9"]
    assert len(reader.records(since=time_after(end_of_8))[0].steps) == 6
    assert ids(reader.records(since=time_after(end_of_8 + 0.001))) == ["c-9"]
    assert reader.records(since=NOW + timedelta(days=1)) == []
    assert ids(reader.records("c-3")) == ids(reader.records("c-3", NOW, 5)) == ["c-3"]
    assert reader.records("c-3", NOW + timedelta(days=1)) == reader.records("c-33") == []


@pytest.mark.parametrize("page_rows", [2, 500])
def test_steps_are_read_in_the_order_of_writing(reader, page_rows, monkeypatch):
    monkeypatch.setattr("idtone.ledger.store.ledger_reader.PAGE_ROWS", page_rows)
    last, kinds = reader.newest_place(), frozenset({StepKind.DECIDED, StepKind.ENDED})
    told = list(reader.steps_in_order(0, last, kinds))
    assert {step.kind for step in told} == kinds
    assert [step.id for step in told] == sorted(step.id for step in told)
    assert len(told) == 20
    after = reader.place_before(time_after(5 * 60_000 - 6))
    assert next(reader.steps_in_order(after, last, kinds)).call_id == "c-5"
    assert list(reader.steps_in_order(after, after, kinds)) == []
    assert reader.place_before(NOW + timedelta(days=1)) == last


def test_tokens_of_numbers_are_those_of_the_day(reader):
    (token,) = reader.tokens([parse(FORWARDING)], "2026-11-01")
    assert f'"forwarding_token":"{token}"' in next(reader.steps_in_order(0, 1, frozenset({StepKind.DECIDED}))).details
    assert reader.tokens([parse(FORWARDING)], "2026-11-02") == frozenset()


def test_steps_of_one_instant_are_all_found(url, reading, monkeypatch):
    monkeypatch.setattr("idtone.ledger.store.ledger_reader.PAGE_ROWS", 5)
    write(url, [steps.answered(f"c-{number}", NOW) for number in range(23)])
    with reading(url) as reader:
        assert sorted(ids(reader.records())) == sorted(f"c-{number}" for number in range(23))


def test_open_calls_have_no_end_however_old_they_are(url, reading):
    year_ms = 365 * 86_400_000.0
    write(
        url,
        [decided(PLAY, "a year ago", -year_ms), *heard_call("ended", -5000)],
        [decided(PLAY, "interrupted"), steps.interrupted("interrupted", time_after(1)), decided(PLAY, "ringing")],
        heard_call("talking", 1)[:-1],
        [steps.ended("undecided", NOW, CallStatus.CANCEL), steps.answered("never decided", NOW)],
        [fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED, call_id="late")],
        [steps.ended("late", time_after(2), CallStatus.CANCEL)],
        [decided(PLAY, "late", 3)],
    )
    with reading(url, days_of(url)) as reader:
        found = reader.open_calls()
        assert list(found.records) == ["a year ago", "ringing", "talking"]
        assert [without_tokens(step) for step in found.records["talking"].steps] == heard_call("talking", 1)[:-1]
        assert "a year ago" in ids(reader.find(parse(FORWARDING)))
    write(url, [steps.ended("a year ago", NOW, CallStatus.CONNECTED)], heard_call("talking", 1)[-1:])
    with reading(url, days_of(url)) as reader:
        assert list(reader.open_calls().records) == ["ringing"]


def test_open_calls_are_read_again_only_where_a_step_came_since(url, reading, monkeypatch):
    write(url, [decided(PLAY, "ringing"), decided(PLAY, "answered"), decided(PLAY, "over", 1)])
    with reading(url, days_of(url)) as reader:
        earlier = reader.open_calls()
    write(url, [steps.answered("answered", time_after(2)), steps.ended("over", time_after(3), CallStatus.CANCEL)])
    write(url, [decided(PLAY, "new", 4)])
    with reading(url, days_of(url)) as reader:
        read: list[str] = []

        def records_of(
            names: Iterable[str], of: Callable[[list[str]], list[Record]] = reader.records_of
        ) -> list[Record]:
            read.extend(names)
            return of(read)

        with monkeypatch.context() as patched:
            patched.setattr(reader, "records_of", records_of)
            found = reader.open_calls(earlier)
        assert sorted(read) == ["answered", "new"]
        assert found == reader.open_calls()
        of_another_ledger = replace(earlier, place=1000)
        assert reader.open_calls(of_another_ledger) == found, "this one was set aside"


def test_a_call_that_was_decided_twice_is_one_record(url, reading):
    """The hook decided the call, and the service decided it later.

    One of the two calls is still in progress.
    """
    noticed = {name: fallback(Outcome.NOTICE, Reason.SERVICE_UNAVAILABLE, Party.CALLED, call_id=name) for name in "ab"}
    ended = steps.ended("a", time_after(9000), CallStatus.CANCEL)
    write(url, [decided(PLAY, "a", 3000), noticed["a"], decided(PLAY, "b", 3000), ended, noticed["b"]])
    with reading(url, days_of(url)) as reader:
        found = reader.find(parse(FORWARDING))
        assert sorted(ids(found)) == ["a", "b"]
        assert {(record.outcome, record.fallback) for record in found} == {(Outcome.NOTICE, True)}
        assert list(reader.open_calls().records) == ["b"]


@pytest.mark.usefixtures("journal")
def test_reading_goes_on_while_writing_does(url):
    with writer_of(url) as writer, LedgerReader.open(url) as reader, ThreadPoolExecutor(1) as pool:
        for number in range(20):
            written = pool.submit(
                write_each, writer, *(steps.answered(f"c-{number}-{each}", time_after(number)) for each in range(5))
            )
            while not written.done():
                assert 5 * number <= len(reader.records()) <= 5 * number + 5
            assert len(reader.records()) == 5 * number + 5


def test_a_command_waits_until_a_slow_disk_has_written_a_commit(url, file):
    """Meanwhile, the writer holds its lock."""
    write(url, [decided()])
    with lock_ledger(file, "PRAGMA journal_mode=persist", "BEGIN EXCLUSIVE") as writer, ThreadPoolExecutor(1) as pool:
        with pytest.raises(LedgerError, match="another program has held its lock"):
            LedgerReader.open(url, patience_s=0.01)
        read = pool.submit(records_of, url)
        with pytest.raises(TimeoutError):
            read.result(BUSY_TIMEOUT_S + 1)
        writer.execute("COMMIT")
        assert [*read.result(30)] == ["c-1"]


def test_a_reader_can_change_nothing(url, file, journal, tmp_path):
    """The reader does not even make an SQLite checkpoint when it closes last, because only the writer may."""
    copy = tmp_path / "copy"

    def octets() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in copy.iterdir() if not path.name.endswith("-shm")}

    with writer_of(url) as writer:
        write_each(writer, decided())
        shutil.copytree(file.parent, copy)  # as if the writer had been killed here
    before = octets()
    assert [*records_of(url_of(copy / file.name))] == ["c-1"]
    assert octets() == before
    assert (f"{file.name}-wal" in before) is (journal == "wal")


def test_a_half_commit_of_a_dead_writer_is_named_and_the_next_writer_undoes_it(url, file, tmp_path):
    write(url, [decided()])
    with lock_ledger(file, "PRAGMA journal_mode=persist", "PRAGMA cache_size=1", "BEGIN IMMEDIATE") as half:
        half.executemany("INSERT INTO meta VALUES (?, ?)", [(f"key {n}", "x" * 2000) for n in range(100)])
        shutil.copytree(file.parent, tmp_path / "copy")  # a file half written, with its hot journal beside it
    copy = url_of(tmp_path / "copy" / file.name)
    with pytest.raises(LedgerError, match="died in the middle of a commit; start `idtone serve`"):
        LedgerReader.open(copy)
    writer_of(copy).close()
    assert [*records_of(copy)] == ["c-1"]


def test_without_a_ledger_the_error_says_how_to_get_one(url, file):
    with pytest.raises(LedgerError, match=r"there is no ledger yet; start `idtone serve` first"):
        LedgerReader.open(url)
    assert not file.parent.exists()
    file.parent.mkdir()
    file.touch()
    with pytest.raises(LedgerError, match=r"still empty; start `idtone serve` first"):
        LedgerReader.open(url)


def test_damage_that_appears_while_reading_is_an_error(url, file):
    write(url, [decided()])
    with LedgerReader.open(url) as reader:
        query(file, "DROP TABLE steps")
        with pytest.raises(LedgerError, match="no such table"):
            reader.records()


def test_the_extent_is_told_without_counting(reader):
    a_call = len(heard_call("c-0"))
    for since_call, calls in ((0, 10), (8, 2), (9, 1)):
        since = time_after(since_call * 60_000)
        extent = reader.extent(since)
        assert extent.steps == 10 * a_call
        assert abs(extent.recent - calls * a_call) <= 2, "calls overlap by a step or two"
        assert timedelta(0) <= extent.first_at - since < timedelta(minutes=1)
    assert reader.extent(time_after(3_600_000)) is None


def test_a_limit_keeps_the_newest_calls_of_a_number(reader):
    whole = reader.find(parse(FORWARDING))
    for limit in (1, 3, 10, 99):
        assert ids(reader.find(parse(FORWARDING), limit=limit)) == ids(whole)[-limit:]
    start, end = whole[2].steps[0].at, whole[7].steps[0].at
    assert ids(reader.find(parse(FORWARDING), start, end, 2)) == ids(whole)[5:7]


def test_a_call_is_found_by_its_sip_call_id_and_only_by_that(url):
    """Some calls have ended, some are in progress, and one has no readable number."""
    nobody = replace(forwarded("c-3", "x"), forwarding_number=parse(""), caller=parse(""), sip_call_id="3@phone")
    write(
        url,
        [replace(heard_call("c-1")[0], sip_call_id="1@phone"), *heard_call("c-1")[1:]],
        [replace(decided(PLAY, "c-2", 10), sip_call_id="2@phone")],
        [steps.decided(nobody, PLAY, time_after(20)), steps.ended("c-3", time_after(30), CallStatus.CANCEL)],
        heard_call("c-4", 40),
    )
    with LedgerReader.open(url, days_of(url)) as reader:
        for call in ("1", "2", "3"):
            (found,) = reader.find_sip_call_id(f"{call}@phone")
            assert (found.call_id, found.anomalies) == (f"c-{call}", ())
            assert "@phone" not in str(found.to_json())
        assert reader.find_sip_call_id("4@phone") == []
        assert reader.find_sip_call_id("1@phone", start=time_after(1)) == []
    assert verification_faults(url) == []
