"""Long work in a separate process."""

import atexit
import os
import time
from contextlib import suppress
from pathlib import Path

from idtone.console.background_work import Progress, Work
from lab.lab import wait_until


def begun(folder: Path, name: str) -> Path:
    return folder / f"{name}.begun"


def lingering(folder: Path, name: str, *, progress: Progress) -> str:
    """Work of two processes: the first ends only when the second works, and the second works until the first
    has ended.
    """
    begun(folder, name).write_text(str(os.getpid()))
    if name == "first":
        atexit.register(wait_for, begun(folder, "second"))
    else:
        first = int(begun(folder, "first").read_text())
        with suppress(ProcessLookupError):
            while True:
                os.kill(first, 0)
                time.sleep(0.02)
        time.sleep(0.3)  # in which the console hears of it
    return name


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.02)


async def test_the_end_of_a_process_ends_no_later_work(tmp_path):
    taken: list[str] = []
    work: Work[str] = Work(lingering, taken.append)
    for name in ("first", "second"):
        work.start(tmp_path, name)
        await wait_until(lambda: not work.is_running, "the end of the work", 60)
        assert work.task
        assert work.task.trouble is None
    assert taken == ["first", "second"]
