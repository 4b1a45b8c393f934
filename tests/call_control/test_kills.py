"""Each line of the journal is entered once, even if services are killed at any moment."""

import asyncio
import gc
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from idtone.call_control import call, call_control, journal_intake, journal_reader
from idtone.call_control.call_control import CallControl
from idtone.call_control.journal_intake import JournalIntake
from idtone.call_control.journal_reader import READ, JournalFolder, JournalReader
from idtone.core.decision import Policy
from idtone.core.settings.settings import Interface
from idtone.tones.making.sound_files import Sound
from lab.call_control import hook_lines
from lab.call_control.journal_helpers import append_text, is_cleared, new_journal, wait_until
from lab.call_control.memory_evidence import MEMBER, REQUEST, MemoryEvidence, id_of, registry

LATE = "the service decided PLAY, licence-valid, and the hook acted without it"


class Killed(BaseException):
    """The process was killed. Code in `finally` may release only what the kernel would release."""


def close_all(folder: Path) -> None:
    """Close the files in the folder, as the kernel does for a killed process."""
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith(str(folder)):
                os.close(int(name))


@dataclass
class Kill:
    """Kills the process at execution number `time` of `place`, a line of a file.

    Without a place, it only records the executed lines.
    """

    place: tuple[str, int] | None = None
    time: int = 1
    seen: dict[tuple[str, int], int] = field(default_factory=dict)
    done: bool = False

    FILES = frozenset(str(module.__file__) for module in (journal_reader, journal_intake, call_control, call))
    CALLBACKS = frozenset({"<lambda>", "_log_failure", "notify"})
    """Functions that the event loop or a future calls. Both would catch their exceptions."""

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


async def live(
    folder: JournalFolder,
    written: asyncio.Task[None],
    evidence: MemoryEvidence,
    sounds: dict[str, Sound],
    dice: random.Random,
) -> None:
    """Run a service that follows the journal until all lines have been entered or it is killed."""
    control = CallControl(registry, Policy(member=MEMBER), sounds, evidence, sounds, recorded=evidence.knows)
    control.restore(evidence.calls_in_progress())
    entry = JournalIntake(control, evidence.times, folder.keep_refused, evidence.restored)
    reader = JournalReader(folder, entry.enter, lambda: True, entry.set_gap_s)

    async def commit() -> None:
        while True:
            await asyncio.sleep(0.001)
            evidence.commit(dice.randint(0, evidence.late))

    reading, committing = asyncio.create_task(reader.follow()), asyncio.create_task(commit())
    try:
        await wait_until(lambda: reading.done() or (written.done() and is_cleared(folder)))
        if reading.done():
            reading.result()
    finally:
        for task in (reading, committing):
            task.cancel()
            with suppress(asyncio.CancelledError, Killed):
                await task
        reader.close()


def calls_of(evidence: MemoryEvidence, sounds: dict[str, Sound]) -> tuple[list[str], dict[str, list[str]]]:
    """Lines of calls of each kind, and the steps that their records must have."""
    played = ["answered", "sound-started", "sound-ended", "connected", "ended"]
    at = datetime.now(UTC) - timedelta(seconds=3)
    late, licensed, fallback, early = (id_of(number, at) for number in range(1, 5))
    control = CallControl(registry, Policy(member=MEMBER), sounds, evidence, sounds, now=lambda: at)
    for call_id in (licensed, late):
        control.decide(replace(REQUEST, call_id=call_id), Interface.ARI)
    lines = [
        hook_lines.undecided_line(early, at=at),
        hook_lines.end_line(early, at=at, status="CANCEL", reason="", talked_ms=""),
    ]
    for offset, (call_id, profile, sent) in enumerate(
        ((licensed, "sample", 22), (fallback, "notice", 28), (late, "notice", 28))
    ):
        begin = at + timedelta(microseconds=offset)
        reason = "licence-valid" if profile == "sample" else "service-unavailable"
        lines += [
            *([hook_lines.decision_line(call_id, at=begin)] if profile == "notice" else []),
            hook_lines.sound_line(call_id, at=begin + timedelta(seconds=1), called=profile, sent=sent),
            hook_lines.end_line(call_id, at=begin + timedelta(seconds=2), reason=reason, talked_ms=1000),
        ]
    return lines, {
        licensed: ["decided", *played],
        fallback: ["fallback", *played],
        late: ["decided", "fallback", *played],
        early: ["fallback", "ended"],
    }


def run(place: Path, sounds: dict[str, Sound], kill: Kill) -> None:
    """Run services one after another. When one is killed, the next one continues.

    Asterisk writes its lines even while the service is down.
    """
    folder, evidence, dice = new_journal(place), MemoryEvidence(slow=True), random.Random(str(kill.place))
    lines, expected = calls_of(evidence, sounds)

    async def write_all() -> None:
        for line in lines:
            append_text(folder, f"{line}\n")
            await asyncio.sleep(0.0005)

    async def one_after_the_other() -> MemoryEvidence:
        written = asyncio.create_task(write_all())
        with kill.armed(), suppress(Killed):
            await live(folder, written, evidence, sounds, dice)
        close_all(folder.directory)
        left = MemoryEvidence(slow=True, steps=list(evidence.steps))
        await live(folder, written, left, sounds, dice)
        assert left.late == 0
        return left

    left = asyncio.run(one_after_the_other())
    for call_id, kinds in expected.items():
        assert left.kinds(call_id) == kinds
        assert left.record(call_id).anomalies == ((LATE,) if kinds[:2] == ["decided", "fallback"] else ())
    assert {path.name for path in folder.directory.iterdir()} <= {"calls", READ}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_service_that_is_killed_at_any_line_of_its_program(tmp_path, sounds, quickly, monkeypatch):
    """The kills are at every third line that uses files, and at every tenth of the other lines.

    `make bench-kills` kills more often.
    """
    monkeypatch.setattr(journal_reader, "POLL_S", 0.004)
    monkeypatch.setattr(journal_reader, "REPLACE_EVERY_S", 0.0)
    whole = Kill()
    run(tmp_path / "whole", sounds, whole)
    in_files = sorted(place for place in whole.seen if place[0] == journal_reader.__file__)
    places = in_files[::3] + sorted(whole.seen.keys() - in_files)[::10]
    assert len(in_files) > 100
    dice = random.Random(12)
    kills = [Kill(place, dice.randint(1, min(whole.seen[place], 4))) for place in places]
    for number, kill in enumerate(kills):
        try:
            run(tmp_path / str(number), sounds, kill)
        except AssertionError as error:
            raise AssertionError(f"killed at {kill.place}, the {kill.time}. time: {error}") from error
        if not kill.done and kill.time > 1:  # the reader polled less often than in the first run
            kills.append(Kill(kill.place))
    assert len({kill.place for kill in kills if kill.done}) >= 0.9 * len(places)
    gc.collect()  # files that the killed services left open
