"""One change at a time in an authority's folder, between threads and between processes: who comes later waits."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 0.01


class _Lock:
    def __init__(self) -> None:
        self.of_process = threading.Lock()
        """Threads of this process wait here, so that one of them at a time asks for the file."""
        self.holder: tuple[int, object] | None = None


_locks: dict[Path, _Lock] = {}


@contextmanager
def turn(file: Path, within_s: float, owner: object = None) -> Iterator[None]:
    """Holds the file's lock. Its `owner` may take it again in the same thread.

    Raises TimeoutError if others have it for longer, OSError if it cannot be opened.
    """
    lock, until_s = _locks.setdefault(file.absolute(), _Lock()), time.monotonic() + within_s
    me = threading.get_ident(), owner
    if lock.holder == me:
        yield
        return
    if not lock.of_process.acquire(timeout=within_s):
        raise TimeoutError
    with ExitStack() as held:
        held.callback(lock.of_process.release)
        # To be locked, a file need not be written: another account may have made it.
        descriptor = os.open(file, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        held.callback(os.close, descriptor)
        _take(descriptor, until_s)
        lock.holder = me
        try:
            yield
        finally:
            lock.holder = None


def _take(descriptor: int, until_s: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                raise TimeoutError from None
            time.sleep(LOOK_EVERY_S)
