"""Helpers for tests of the journal and its reader."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from idtone.call_control.journal_reader import TAKEN, JournalFolder, JournalReader


def append_text(folder: JournalFolder, text: str) -> None:
    """Write as Asterisk does: open the file, append the text in one write, and close the file."""
    descriptor = os.open(folder.path, os.O_WRONLY | os.O_APPEND)
    try:
        assert os.write(descriptor, text.encode()) == len(text)
    finally:
        os.close(descriptor)


def taken_files(folder: JournalFolder) -> list[str]:
    return sorted(path.name for path in folder.directory.glob(f"{TAKEN}*"))


def is_cleared(folder: JournalFolder) -> bool:
    """True if all lines have been read, entered and removed."""
    return not folder.path.stat().st_size and not taken_files(folder)


async def wait_until(true: Callable[[], object], within_s: float = 60) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, "the condition did not become true"
        await asyncio.sleep(0.001)


@asynccontextmanager
async def run_reader(reader: JournalReader) -> AsyncIterator[None]:
    """Context in which the reader follows the journal. Asserts that the reader does not end by itself."""
    task = asyncio.create_task(reader.follow())
    try:
        yield
        assert not task.done(), "the reader ended by itself"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        reader.close()


@dataclass
class EnteredLines:
    """Collects the lines that a reader enters.

    `on_disk` is true if their evidence is on the disk at once.
    """

    lines: list[str] = field(default_factory=list)
    on_disk: bool = True
    all_written: bool = True
    late: list[Future[None]] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)

    async def enter(self, lines: Sequence[bytes]) -> list[Future[None]]:
        self.lines += [line.decode() for line in lines]
        written: list[Future[None]] = [Future() for _ in lines]
        if self.on_disk:
            for each in written:
                each.set_result(None)
        else:
            self.late += written
        return written

    def reader(self, folder: JournalFolder) -> JournalReader:
        return JournalReader(folder, self.enter, lambda: self.all_written, self.gaps_s.append)

    @asynccontextmanager
    async def following(self, folder: JournalFolder) -> AsyncIterator[JournalReader]:
        """Context with a reader that follows the journal and has already read the present lines."""
        reader = self.reader(folder)
        async with run_reader(reader):
            await reader.read.wait()
            yield reader

    async def has(self, many: int) -> None:
        """Wait until `many` lines have been entered."""
        await wait_until(lambda: len(self.lines) == many)

    async def looks(self, many: int = 10) -> None:
        """Wait until the reader has read `many` more times."""
        before = len(self.gaps_s)
        await wait_until(lambda: len(self.gaps_s) >= before + many)


def new_journal(place: Path) -> JournalFolder:
    """Create a journal in a new sounds folder in `place`."""
    (place / "sounds").mkdir(parents=True)
    folder = JournalFolder(place / "sounds" / "journal", place / "sounds")
    folder.make()
    return folder
