"""The file that the hook writes to: taken without losing a line, entered once, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from idtone.calls import Party, Reason
from idtone.decision import Policy
from idtone.errors import LedgerError
from idtone.ledger import steps
from idtone.ledger.database import Database, NotWrittenError
from idtone.ledger.reader import LedgerReader
from idtone.ledger.sqlite import Trouble
from idtone.ledger.steps import CallStatus, Step, StepKind
from idtone.ledger.writer import LedgerWriter
from idtone.switchboard import hook_log as module
from idtone.switchboard.board import Switchboard
from idtone.switchboard.hook_log import HookLog, enter_for_ever

from ..ledger.evidence import NOW, at, custody_of, decided, heard_call

BEGAN = f"{NOW.timestamp():.6f}"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_EVERY_S", "SETTLE_S"):
        monkeypatch.setattr(module, name, 0.01)


@pytest.fixture
def log(tmp_path: Path) -> HookLog:
    (tmp_path / "sounds").mkdir()
    made = HookLog(tmp_path / "sounds")
    made.make()
    return made


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def writer(url: str) -> Iterator[LedgerWriter]:
    with LedgerWriter.open(url, "lab", custody_of(url)) as opened:
        yield opened


def acted(call_id: str) -> str:
    return f"{call_id},{BEGAN},0312345678,,05031234567,,09012345679,NOTICE,service-unavailable,called\n"


def over(call_id: str) -> str:
    return f"{acted(call_id).strip()},{BEGAN},CONNECTED,16,called\n"


def undecided(call_id: str) -> str:
    return f"{call_id},{BEGAN},0312345678,,05031234567,,09012345679,,,none,{BEGAN},CANCEL,16,\n"


def write(log: HookLog, text: str) -> None:
    """As Asterisk does."""
    with log.path.open("a") as file:
        file.write(text)


def kinds(url: str, call_id: str) -> list[StepKind]:
    with LedgerReader.open(url) as reader:
        record = reader.record(call_id)
    return [step.kind for step in record.steps] if record else []


async def entering(
    log: HookLog, url: str, writer: LedgerWriter, until: Callable[[], bool], within_s: float = 10,
    informed: Callable[[], bool] = lambda: True,
) -> None:  # fmt: skip
    task = asyncio.create_task(enter_for_ever(log, url, writer, informed))
    deadline_s = time.monotonic() + within_s
    try:
        while not until():
            assert not task.done(), task
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def empty(log: HookLog) -> bool:
    return not log.path.stat().st_size and not list(log.path.parent.glob("taken-*"))


def test_only_asterisk_writes_there_and_nobody_else_looks(log: HookLog) -> None:
    assert log.path.stat().st_mode & 0o777 == 0o620
    assert log.path.parent.stat().st_mode & 0o777 == 0o710
    (path,) = _written_and_taken(log)
    assert path.stat().st_mode & 0o007 == 0
    assert log.path.stat().st_mode & 0o777 == 0o620


def _written_and_taken(log: HookLog) -> list[Path]:
    write(log, over("c-1"))
    return log.take()


async def test_lines_are_entered_and_gone(log: HookLog, url: str, writer: LedgerWriter) -> None:
    write(log, acted("c-1") + over("c-2") + over("c-1"))
    await entering(log, url, writer, lambda: empty(log))
    for call_id in ("c-1", "c-2"):
        assert kinds(url, call_id) == [StepKind.UNATTENDED, StepKind.ENDED]


async def test_what_was_entered_before_we_died_is_not_entered_again(
    log: HookLog, url: str, writer: LedgerWriter
) -> None:
    write(log, acted("c-1") + over("c-2"))
    (path,) = log.take()
    kept = path.read_bytes()
    await entering(log, url, writer, lambda: empty(log))
    path.write_bytes(kept + over("c-3").encode())
    await entering(log, url, writer, lambda: empty(log))
    assert kinds(url, "c-1") == [StepKind.UNATTENDED]
    assert kinds(url, "c-2") == kinds(url, "c-3") == [StepKind.UNATTENDED, StepKind.ENDED]


async def test_one_that_has_two_names_since_we_died_is_entered_once(
    log: HookLog, url: str, writer: LedgerWriter
) -> None:
    write(log, over("c-1"))
    os.link(log.path, log.path.with_name("taken-1"))
    write(log, over("c-2"))
    assert [path.name for path in log.take()] == ["taken-1"]
    await entering(log, url, writer, lambda: empty(log))
    assert kinds(url, "c-1") == kinds(url, "c-2") == [StepKind.UNATTENDED, StepKind.ENDED]


def test_a_file_is_quiet_when_nobody_has_it_open_for_writing(log: HookLog) -> None:
    with log.path.open("a") as late:
        late.write(over("c-1"))
        late.flush()
        (path,) = log.take()
        assert not log.quiet(path)
        with path.open():
            assert not log.quiet(path)
    assert log.quiet(path)


async def test_a_line_on_its_way_when_the_file_was_taken_is_not_lost(
    log: HookLog, url: str, writer: LedgerWriter
) -> None:
    write(log, over("c-1"))
    with log.path.open("a") as late:
        log.take()
        task = asyncio.create_task(entering(log, url, writer, lambda: empty(log)))
        await asyncio.sleep(0.2)
        late.write(over("c-2"))
    await task
    assert kinds(url, "c-2") == [StepKind.UNATTENDED, StepKind.ENDED]


async def test_many_writers_lose_nothing_while_files_are_taken(log: HookLog, url: str, writer: LedgerWriter) -> None:
    names = [[f"{writing}.{number}-1" for number in range(100)] for writing in range(4)]

    def write_all(calls: list[str]) -> None:
        for call_id in calls:
            write(log, over(call_id))
            time.sleep(0.001)

    threads = [threading.Thread(target=write_all, args=(calls,)) for calls in names]
    for thread in threads:
        thread.start()
    await entering(log, url, writer, lambda: empty(log) and not any(map(threading.Thread.is_alive, threads)), 30)
    with LedgerReader.open(url) as reader:
        assert {record.call_id for record in reader.records()} == {name for calls in names for name in calls}
        assert sum(len(record.steps) for record in reader.records()) == 800


async def test_bad_lines_are_set_aside_and_told_without_their_numbers(
    log: HookLog, url: str, writer: LedgerWriter, caplog: pytest.LogCaptureFixture
) -> None:
    broken = "0312345678,broken\n" + over("1795564585.1-1")[:60] + "\n"
    write(log, over("c-1") + broken + over("c-2") + broken.replace("\n", "\x85\n"))
    (path,) = log.take()
    again = path.read_bytes()
    await entering(log, url, writer, lambda: empty(log))
    refused = log.path.with_name("refused")
    kept = refused.read_text()
    assert [line.partition(",")[0] for line in kept.splitlines()] == ["0000000000", "1795564585.1-1"] * 2
    assert "0312345678" not in kept
    assert refused.stat().st_mode & 0o777 == 0o600
    (told,) = (record.getMessage() for record in caplog.records)
    assert told.startswith(f"{refused}:1: ")
    assert told.endswith("(4 lines in all)")
    path.write_bytes(again)  # as if we had died before it was removed
    await entering(log, url, writer, lambda: empty(log))
    assert refused.read_text() == kept
    assert kinds(url, "c-2") == [StepKind.UNATTENDED, StepKind.ENDED]


async def test_what_the_service_decided_it_tells_the_end_of(log: HookLog, url: str, writer: LedgerWriter) -> None:
    for call_id in ("late-1", "gave-up-1", "lost-1"):
        writer.append(decided(call_id=call_id)).result()
    writer.append(steps.interrupted("lost-1", at(1))).result()
    write(log, over("late-1") + undecided("gave-up-1") + over("lost-1"))
    await entering(log, url, writer, lambda: empty(log))
    assert kinds(url, "late-1") == [StepKind.DECIDED, StepKind.UNATTENDED]
    assert kinds(url, "gave-up-1") == [StepKind.DECIDED]
    assert kinds(url, "lost-1") == [StepKind.DECIDED, StepKind.INTERRUPTED, StepKind.UNATTENDED, StepKind.ENDED]
    with LedgerReader.open(url) as reader:
        record = reader.record("late-1")
    assert record
    assert (record.outcome, record.reason) == ("NOTICE", "service-unavailable")
    assert record.anomalies == ("the service decided PLAY, licence-valid, and the dialplan acted without it",)


async def test_a_ledger_that_cannot_be_written_keeps_the_lines(
    log: HookLog, url: str, writer: LedgerWriter, caplog: pytest.LogCaptureFixture
) -> None:
    write(log, over("c-1"))
    writer.close()
    await entering(log, url, writer, lambda: bool(caplog.records))
    assert "is not in the ledger yet" in caplog.text
    (path,) = log.path.parent.glob("taken-*")
    assert path.read_text() == over("c-1")


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "unattended").write_text("in the way")
    with pytest.raises(LedgerError, match="let the user that runs idtone own this folder"):
        HookLog(tmp_path).make()


async def test_a_decision_after_a_restart_of_a_call_that_was_handled_alone_is_in_its_leaf(
    log: HookLog, url: str
) -> None:
    custody = custody_of(url)
    with LedgerWriter.open(url, "lab", custody) as first:
        write(log, acted("c-1"))
        await entering(log, url, first, lambda: empty(log))
    with LedgerWriter.open(url, "lab", custody) as second:
        second.append(decided(call_id="c-1"))
        second.append(steps.ended("c-1", at(1), CallStatus.CONNECTED, 16)).result()
    with LedgerReader.open(url) as reader:
        verdict = reader.verify(custody.signer.key)
    assert not verdict.faults
    assert (verdict.leaves, verdict.open_calls) == (1, 0)


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The ledger's disk is full, until this is called."""
    real = Database.write

    def write(self: Database, steps: Sequence[Step], patience_s: float | None = None) -> None:
        raise NotWrittenError("no room", Trouble.FULL)

    monkeypatch.setattr(Database, "write", write)
    return lambda: monkeypatch.setattr(Database, "write", real)


async def test_a_ledger_that_is_behind_gets_each_line_once(
    log: HookLog, url: str, writer: LedgerWriter, no_room: Callable[[], None]
) -> None:
    write(log, over("c-1"))
    looks: list[None] = []

    def often() -> bool:
        looks.append(None)
        return len(looks) > 100

    await entering(log, url, writer, often)
    assert writer.unwritten
    assert writer.unwritten.steps == 2
    no_room()
    await entering(log, url, writer, lambda: empty(log))
    assert kinds(url, "c-1") == [StepKind.UNATTENDED, StepKind.ENDED]


async def test_bad_lines_of_a_file_that_is_tried_again_are_set_aside_once(
    log: HookLog, url: str, writer: LedgerWriter, no_room: Callable[[], None]
) -> None:
    write(log, "broken\n" + "".join(over(f"c-{number}") for number in range(60)))
    await entering(log, url, writer, lambda: writer.unwritten is not None)
    no_room()
    await entering(log, url, writer, lambda: empty(log))
    assert log.path.with_name("refused").read_text() == "broken\n"
    assert kinds(url, "c-59") == [StepKind.UNATTENDED, StepKind.ENDED]


async def test_while_it_is_not_known_which_calls_are_over_nothing_is_entered_for_a_time(
    log: HookLog, url: str, writer: LedgerWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that ended while nobody listened: that it was interrupted is written first."""
    writer.append(decided(call_id="c-1")).result()
    write(log, over("c-1"))
    waited = asyncio.create_task(entering(log, url, writer, lambda: False, 0.3, informed=lambda: False))
    with pytest.raises(AssertionError):
        await waited
    assert log.path.stat().st_size
    writer.append(steps.interrupted("c-1", at(1))).result()
    await entering(log, url, writer, lambda: empty(log))
    assert kinds(url, "c-1")[-1] == StepKind.ENDED
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    write(log, over("c-2"))
    await entering(log, url, writer, lambda: empty(log), informed=lambda: False)
    assert kinds(url, "c-2") == [StepKind.UNATTENDED, StepKind.ENDED]


async def test_a_call_that_was_decided_too_late_and_goes_on_after_a_restart_has_its_end(
    log: HookLog, url: str, writer: LedgerWriter
) -> None:
    writer.append(decided(call_id="late-1")).result()
    write(log, acted("late-1"))
    await entering(log, url, writer, lambda: empty(log))
    board = Switchboard(registry=lambda: None, policy=Policy(), sounds={}, evidence=writer)
    with LedgerReader.open(url) as reader:
        board.recall(reader.open_calls(NOW))
    reason, heard_by = Reason.SERVICE_UNAVAILABLE, frozenset({Party.CALLED})
    board.hook_ended("late-1", CallStatus.CONNECTED, 16, reason, heard_by)
    write(log, over("late-1"))
    await entering(log, url, writer, lambda: empty(log))
    assert kinds(url, "late-1") == [StepKind.DECIDED, StepKind.UNATTENDED, StepKind.ENDED]
    with LedgerReader.open(url) as reader:
        record = reader.record("late-1")
    assert record
    assert (record.outcome, record.status, record.heard, record.unattended) == ("NOTICE", "CONNECTED", True, True)


async def test_a_line_of_another_time_than_the_call_is_set_aside(log: HookLog, url: str, writer: LedgerWriter) -> None:
    for step in heard_call("c-1"):
        writer.append(step)
    writer.append(decided(call_id="c-2", ms=700_000)).result()
    write(log, acted("c-1") + acted("c-2"))
    await entering(log, url, writer, lambda: empty(log))
    assert kinds(url, "c-2") == [StepKind.DECIDED]
    assert log.path.with_name("refused").read_text().count("\n") == 1
    with LedgerReader.open(url) as reader:
        record = reader.record("c-1")
    assert record
    assert (record.outcome, record.reason, record.unattended) == ("PLAY", "licence-valid", False)
    told = "the dialplan left that it did NOTICE, service-unavailable, and the end of the call says otherwise"
    assert told in record.anomalies


async def test_a_line_behind_one_that_was_cut_off_is_entered(log: HookLog, url: str, writer: LedgerWriter) -> None:
    first, second, third = (f"1795564585.{number}-1" for number in range(3))
    write(log, over(first)[:70] + over(second) + over(third).strip() + over(first))
    await entering(log, url, writer, lambda: empty(log))
    for call_id in (first, second, third):
        assert kinds(url, call_id) == [StepKind.UNATTENDED, StepKind.ENDED]
    assert log.path.with_name("refused").read_text().startswith(f"{first},0")


def test_what_one_that_was_killed_had_begun_to_make_is_finished_or_gone(tmp_path: Path) -> None:
    log = HookLog(tmp_path)
    log.path.parent.mkdir(0o700)
    (log.path.parent / ".calls.abcd").touch()
    log.make()
    assert log.path.parent.stat().st_mode & 0o777 == 0o710
    assert [path.name for path in log.path.parent.iterdir()] == ["calls"]
