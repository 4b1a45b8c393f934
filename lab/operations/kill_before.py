"""Kills a process before one of its acts on files: opening for writing, flushing, renaming or removing."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_ACTS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"})


def kill_before(act: int, folder: Path, work: Callable[[], object]) -> bool:
    """Run `work` in a separate process, and kill it (SIGKILL) before act number `act` in the folder, counted from 1.

    Returns False if the work ended with fewer acts.
    """
    child = os.fork()
    if child == 0:
        _be_killed(act, folder)
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work itself has failed"
    return os.WIFSIGNALED(status)


def _be_killed(act: int, folder: Path) -> None:
    left = act

    def count(path: object) -> None:
        nonlocal left
        if isinstance(path, str | Path) and str(path).startswith(str(folder)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in _ACTS or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            count(arguments[0])

    flush = os.fsync

    def fsync(descriptor: int) -> None:
        count(os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    sys.addaudithook(hook)
    os.fsync = fsync
