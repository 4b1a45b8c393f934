"""Long reads in separate processes, which a test ends."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from idtone.console import long_reads
from idtone.console.access.passwords import is_password
from idtone.console.call_rows import ShownCalls
from idtone.console.long_reads import CsvPart
from idtone.console.operator.call_query import CallQuery
from idtone.console.read_process import others_wait
from idtone.core.errors import UsageError
from idtone.core.settings.settings import Settings
from idtone.ledger.store import call_search
from idtone.ledger.store.call_search import NEWEST
from idtone.ledger.store.sqlite import path_of


class Held:
    """The held reads that are controlled through a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._end = folder / "reads-may-end"

    @classmethod
    def of(cls, settings: Settings) -> Held:
        return cls(path_of(settings.ledger.own_url()).parent)

    def begun(self) -> list[int]:
        """Process ids of the held reads."""
        return [int(each.suffix[1:]) for each in self._folder.glob("read.*")]

    def running(self) -> list[int]:
        return [pid for pid in self.begun() if Path(f"/proc/{pid}").exists()]

    def end(self) -> None:
        self._end.touch()

    def wait(self) -> None:
        (self._folder / f"read.{os.getpid()}").touch()
        while not self._end.exists():
            time.sleep(0.01)


def held(folder: Path) -> str:
    Held(folder).wait()
    return "read"


def held_search(settings: Settings, *_: object) -> ShownCalls:
    Held.of(settings).wait()
    return ShownCalls()


def held_part(settings: Settings, *_: object) -> CsvPart:
    """A part of an export that does not end until the test ends it."""
    Held.of(settings).wait()
    return CsvPart("", 0, NEWEST)


def held_pack(file: Path, key: str, limit: int) -> None:
    """A held verification of a pack. The form sends the folder as the key."""
    Held(Path(key)).wait()
    raise UsageError("late")


def impatient_search(settings: Settings, query: CallQuery, limit: int, opens: bool, language: str) -> ShownCalls:
    """A search that examines only a few steps.

    It restores the limits afterwards, because its process also serves later tests.
    """
    with (
        patch.multiple(call_search, FIRST_STEPS=4, MOST_STEPS=4),
        patch.object(long_reads, "SEARCH_S", 0.0),
    ):
        return long_reads.calls_by_query(settings, query, limit, opens, language)


def held_password(entered: str, expected: str) -> bool:
    """A held comparison. The password `hold FOLDER` names the folder."""
    if entered.startswith("hold "):
        Held(Path(entered.removeprefix("hold "))).wait()
    return is_password(entered, expected)


def until_others_wait() -> str:
    while not others_wait():
        time.sleep(0.01)
    return "others"


def failing(path: str) -> None:
    raise UsageError("{path} is missing", path=path)


def greedy() -> int:
    return len(bytearray(2**30))


def busy() -> None:
    """Compute forever, and catch every exception."""
    while True:
        with suppress(BaseException):
            sum(range(10_000))


def broken() -> None:
    os._exit(1)


def sockets() -> frozenset[str]:
    """Sockets of this process."""
    return sockets_of(os.getpid())


def sockets_of(pid: int) -> frozenset[str]:
    names = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()]
    return frozenset(name for name in names if name.startswith("socket:"))


def priority() -> tuple[int, str]:
    """Niceness and out-of-memory score adjustment of this process."""
    return os.nice(0), Path("/proc/self/oom_score_adj").read_text().strip()
