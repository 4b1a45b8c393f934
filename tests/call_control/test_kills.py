"""Each line of the journal is entered once, even if services are killed at any moment."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest

from idtone.call_control import call_control, journal, journal_intake
from idtone.call_control.call_control import CallControl
from idtone.call_control.journal import READ, JournalFolder, JournalReader
from idtone.call_control.journal_intake import JournalIntake
from idtone.decision import Policy
from idtone.ledger.evidence.records import Record
from idtone.ledger.store.ledger_reader import LedgerReader
from idtone.ledger.store.sqlite import Trouble
from idtone.ledger.verification.verify_ledger import verify_ledger
from idtone.ledger.writing.group_writer import GroupWriter, NotWrittenError
from idtone.settings import Interface
from idtone.tones.making.sounds import Sound

from .. import ROOT
from ..ledger.sample_evidence import days_of, key_ring_of, url_of
from . import hook
from .evidence import REQUEST, MemoryEvidence, id_of, registry
from .reading import is_cleared, journal_in, until, write
from .serving import serving

LATE = "the service decided PLAY, licence-valid, and the hook acted without it"


def now() -> datetime:
    return datetime.now(UTC)


# -- at each line of the program --------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process was killed. Code in `finally` only releases what the kernel would release."""


def close_all(folder: Path) -> None:
    """Close the files in the folder, as the kernel does for a killed process."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith(str(folder)):
                os.close(int(name))


Place = tuple[str, int]
"""A file of the program, and a line in it."""


@dataclass
class Kill:
    """Kills at the line `place`, at its `time`th execution. Without a place it only records the lines."""

    place: Place | None = None
    time: int = 1
    seen: dict[Place, int] = field(default_factory=dict)
    done: bool = False

    FILES = frozenset(str(module.__file__) for module in (journal, journal_intake, call_control))
    CALLBACKS = frozenset({"<lambda>", "_log_failure", "notify"})
    """The event loop or a future calls these, and would catch the exception."""

    def trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        if code.co_filename not in self.FILES or code.co_name in self.CALLBACKS:
            return None
        if event == "line" and not self.done:
            place = code.co_filename, frame.f_lineno
            self.seen[place] = self.seen.get(place, 0) + 1
            if place == self.place and self.seen[place] >= self.time:
                self.done = True
                raise Killed
        return self.trace

    @contextmanager
    def armed(self) -> Iterator[None]:
        before = sys.gettrace()
        threading.settrace(self.trace)
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(before)  # type: ignore[arg-type]


@dataclass
class Calls:
    """Asterisk's lines. It writes them one after another, even while the service is down."""

    folder: JournalFolder
    lines: list[str] = field(default_factory=list)
    over: bool = False

    async def write(self) -> None:
        for line in self.lines:
            write(self.folder, f"{line}\n")
            await asyncio.sleep(0.0005)
        self.over = True


async def live(calls: Calls, evidence: MemoryEvidence, sounds: dict[str, Sound], dice: random.Random) -> None:
    """A service that follows the journal until all lines are entered, or until it is killed."""
    control = CallControl(registry, Policy(), sounds, evidence, sounds, recorded=evidence.knows)
    control.recall(evidence.open_calls())
    entry = JournalIntake(control, evidence.times, calls.folder.refuse)
    reader = JournalReader(calls.folder, entry.enter, lambda: True, entry.set_gap_s)

    async def commit() -> None:
        while True:
            await asyncio.sleep(0.001)
            evidence.commit(dice.randint(0, evidence.late))

    reading, committing = asyncio.create_task(reader.follow()), asyncio.create_task(commit())
    try:
        await until(lambda: reading.done() or (calls.over and is_cleared(calls.folder)))
        if reading.done():
            reading.result()
    finally:
        for task in (reading, committing):
            task.cancel()
            with suppress(asyncio.CancelledError, Killed):
                await task
        reader.close()


def calls_of(folder: JournalFolder, evidence: MemoryEvidence, sounds: dict[str, Sound]) -> tuple[Calls, dict[str, Any]]:
    """Calls of each kind, and the steps that their records must have."""
    played = ["answered", "sound-started", "sound-ended", "connected", "ended"]
    at = now() - timedelta(seconds=3)
    late, licensed, fallback, early = (id_of(number, at) for number in range(1, 5))
    control = CallControl(registry, Policy(), sounds, evidence, sounds, now=lambda: at)
    for call_id in (licensed, late):
        control.decide(replace(REQUEST, call_id=call_id), Interface.ARI)
    calls = Calls(folder)
    for offset, (call_id, profile, sent) in enumerate(
        ((licensed, "sample", 22), (fallback, "notice", 28), (late, "notice", 28))
    ):
        begin = at + timedelta(microseconds=offset)
        reason = "licence-valid" if profile == "sample" else "service-unavailable"
        calls.lines += [
            *([hook.decided(call_id, at=begin)] if profile == "notice" else []),
            hook.sounded(call_id, at=begin + timedelta(seconds=1), called=profile, sent=sent),
            hook.ended(call_id, at=begin + timedelta(seconds=2), reason=reason, talked_ms=1000),
        ]
    calls.lines[1:1] = [
        hook.undecided(early, at=at),
        hook.ended(early, at=at, status="CANCEL", reason="", talked_ms=""),
    ]
    return calls, {
        licensed: ["decided", *played],
        fallback: ["fallback", *played],
        late: ["decided", "fallback", *played],
        early: ["fallback", "ended"],
    }


def run(place: Path, sounds: dict[str, Sound], kill: Kill) -> None:
    """When a service is killed, the next one continues."""
    folder = journal_in(place)
    evidence = MemoryEvidence(slow=True)
    calls, expected = calls_of(folder, evidence, sounds)
    dice = random.Random(str(kill.place))

    async def one_after_the_other() -> MemoryEvidence:
        writing = asyncio.create_task(calls.write())
        with kill.armed(), suppress(Killed):
            await live(calls, evidence, sounds, dice)
        close_all(folder.directory)
        left = MemoryEvidence(slow=True, steps=list(evidence.steps))
        await live(calls, left, sounds, dice)
        await writing
        assert left.late == 0
        return left

    left = asyncio.run(one_after_the_other())
    for call_id, kinds in expected.items():
        assert left.kinds(call_id) == kinds
        record = left.record(call_id)
        assert record.anomalies == ((LATE,) if kinds[:2] == ["decided", "fallback"] else ())
    assert names(folder) == {"calls"}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_service_that_is_killed_at_any_line_of_its_program(tmp_path, sounds, faster):
    """At every other line that uses files, and at every sixth other line; `make bench-kills` kills more often."""
    whole = Kill()
    run(tmp_path / "whole", sounds, whole)
    in_files = sorted(place for place in whole.seen if place[0] == journal.__file__)
    places = in_files[::2] + sorted(whole.seen.keys() - in_files)[::6]
    assert len(in_files) > 100
    dice = random.Random(12)
    kills = [Kill(place, dice.randint(1, min(whole.seen[place], 4))) for place in places]
    for number, kill in enumerate(kills):
        try:
            run(tmp_path / str(number), sounds, kill)
        except AssertionError as error:
            file, line = kill.place or ("", 0)
            raise AssertionError(f"killed at {Path(file).name}:{line}, the {kill.time}. time: {error}") from error
    assert sum(kill.done for kill in kills) >= 0.9 * len(kills)
    gc.collect()  # files that the killed services left open


# -- with the real ledger ---------------------------------------------------------------------------------------------


def fallback(call_id: str, at: datetime) -> list[str]:
    """The lines of a call that the hook decided."""
    return [
        hook.decided(call_id, at=at - timedelta(seconds=2)),
        hook.sounded(call_id, at=at - timedelta(seconds=1), called="notice", sent=28),
        hook.ended(call_id, at=at, reason="service-unavailable", talked_ms=1000),
    ]


FALLBACK = ["fallback", "answered", "sound-started", "sound-ended", "connected", "ended"]


@pytest.fixture
def url(tmp_path) -> str:
    return url_of(tmp_path / "ledger.sqlite3")


def records(url: str) -> dict[str, Record]:
    with LedgerReader.open(url, days_of(url)) as reader:
        return {record.call_id: record for record in reader.records()}


def names(folder: JournalFolder) -> set[str]:
    """The files of the journal; a service may not have lived long enough to note how far it has read."""
    return {path.name for path in folder.directory.iterdir()} - {READ}


@pytest.fixture
def faster(quickly, monkeypatch) -> None:
    monkeypatch.setattr(journal, "POLL_S", 0.004)
    monkeypatch.setattr(journal, "REPLACE_EVERY_S", 0.0)


async def test_one_service_after_another_while_calls_continue(url, folder, sounds, faster):
    calls: list[str] = []
    over = False

    async def write_on() -> None:
        while not over:
            calls.append(id_of(len(calls), now()))
            for line in fallback(calls[-1], now()):
                write(folder, f"{line}\n")
                await asyncio.sleep(0.003)

    writing = asyncio.create_task(write_on())
    for service in range(4):
        async with serving(url, folder, sounds):
            await asyncio.sleep(0.1)
            if service == 3:
                over = True
                await writing
                await until(lambda: is_cleared(folder))
    found = records(url)
    assert list(found) == calls
    for record in found.values():
        assert [step.kind for step in record.steps] == FALLBACK
        assert (record.heard, record.anomalies) == (True, ())
    assert names(folder) == {"calls"}


async def test_the_next_service_reads_lines_again_that_were_read_while_the_ledger_had_no_room(
    url, folder, sounds, faster, monkeypatch
):
    """The first service had the evidence only in memory, for a long time."""
    monkeypatch.setattr(journal_intake, "LATE", timedelta(seconds=3))
    call_id = id_of(1, now())

    def full(*_: object) -> NoReturn:
        raise NotWrittenError("no room", Trouble.FULL)

    async with serving(url, folder, sounds) as (_, writer):
        await until(lambda: folder.read_until() > time.time() - 0.5)
        with monkeypatch.context() as no_room:
            no_room.setattr(GroupWriter, "write", full)
            for line in fallback(call_id, now()):
                write(folder, f"{line}\n")
            await until(lambda: writer.unwritten and writer.unwritten.steps == len(FALLBACK))
            await asyncio.sleep(1.5)  # so that the request is older than the saved time
            assert not is_cleared(folder)
            writer.close()
    assert call_id not in records(url)
    async with serving(url, folder, sounds):
        await until(lambda: is_cleared(folder))
    assert [step.kind for step in records(url)[call_id].steps] == FALLBACK
    assert not (folder.directory / "refused").exists()


KILLS = 3
AT_ONCE = 40
SOUND_S = 0.57
"""As long as the longer one of the two."""
PAUSE_S = 0.3


@dataclass
class Asterisk:
    """The hook on several calls at once: it asks the service if one is running, and writes what it did."""

    folder: JournalFolder
    url: str
    dice: random.Random
    service: asyncio.subprocess.Process | None = None
    verdicts: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    licensed: set[str] = field(default_factory=set)
    fallback: set[str] = field(default_factory=set)
    over: bool = False

    async def start(self) -> None:
        service = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.call_control.serving", self.url, str(self.folder.directory.parent),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert service.stdout
        assert await service.stdout.readline() == b"ready\n"
        self.service = service

    async def hear(self, service: asyncio.subprocess.Process) -> None:
        """Answers requests while this service is alive."""
        assert service.stdout
        async for line in service.stdout:
            call_id, _, verdict = line.decode().rstrip("\n").partition(" ")
            asked = self.verdicts.get(call_id)
            if asked and not asked.done() and line.endswith(b"\n"):
                asked.set_result(verdict)

    async def verdict(self, call_id: str, nonce: str) -> str:
        """The verdict; empty if none came in time."""
        asked = self.verdicts[call_id] = asyncio.get_running_loop().create_future()
        service = self.service
        if service and service.stdin:
            service.stdin.write(f"{call_id} {nonce}\n".encode())
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    return await asked
        return ""

    async def call(self, call_id: str) -> None:
        nonce = str(self.dice.randrange(10**11, 10**12))
        began = now()
        outcome, name, packets = "PLAY", "sample", "22"
        verdict = await self.verdict(call_id, nonce)
        if verdict:
            words = verdict.split(":")
            assert words[0] == nonce
            outcome, name, packets = words[1], words[5], words[7]
        else:
            outcome, name, packets = "NOTICE", "notice", "28"
            write(self.folder, hook.decided(call_id, nonce, began) + "\n")
        (self.licensed if outcome == "PLAY" else self.fallback).add(call_id)
        await asyncio.sleep(SOUND_S)
        write(self.folder, hook.sounded(call_id, nonce, now(), called=name, sent=packets) + "\n")
        await asyncio.sleep(self.dice.random() * PAUSE_S)
        reason = "licence-valid" if outcome == "PLAY" else "service-unavailable"
        write(self.folder, hook.ended(call_id, nonce, now(), reason=reason, talked_ms=10) + "\n")

    async def calls(self, first: int) -> None:
        while not self.over:
            await self.call(id_of(first, now()))
            await asyncio.sleep(self.dice.random() * PAUSE_S)
            first += AT_ONCE


async def test_a_service_that_is_killed_repeatedly_leaves_complete_records_without_anomalies(url, folder):
    asterisk = Asterisk(folder, url, random.Random(7))
    calling = [asyncio.create_task(asterisk.calls(number)) for number in range(AT_ONCE)]
    for kill in range(KILLS + 1):
        await asterisk.start()
        service = asterisk.service
        assert service
        assert service.stdin
        hearing = asyncio.create_task(asterisk.hear(service))
        await asyncio.sleep(0.1 + asterisk.dice.random() * 0.4)
        if kill < KILLS:
            service.kill()
            asterisk.service = None
        else:
            await until(lambda: len(asterisk.licensed) > 10)
            asterisk.over = True
            await asyncio.gather(*calling)
            await until(lambda: is_cleared(folder), 30)
            service.stdin.close()
        await service.wait()
        await hearing
        with suppress(BrokenPipeError, ConnectionResetError):
            service.stdin.close()
            await service.stdin.wait_closed()
    found = records(url)
    assert found.keys() == asterisk.licensed | asterisk.fallback
    assert min(len(asterisk.licensed), len(asterisk.fallback)) > 10
    for call_id, record in found.items():
        kinds = [step.kind.value for step in record.steps]
        assert len(kinds) == len(set(kinds)), (call_id, kinds)
        assert (record.complete, record.heard, record.status) == (True, True, "CONNECTED"), (call_id, kinds)
        assert record.outcome == ("PLAY" if call_id in asterisk.licensed else "NOTICE")
        assert set(record.anomalies) <= ({LATE} if call_id in asterisk.fallback else set())
    assert names(folder) == {"calls"}
    key_ring = key_ring_of(url)
    with LedgerReader.open(url) as reader:
        verified = verify_ledger(reader, key_ring.signer.key)
    assert (verified.faults, verified.leaves, verified.open_calls) == ([], len(found), 0)
