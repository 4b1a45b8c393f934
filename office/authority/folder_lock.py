"""Lock on the authority's folder, so that only one thread of one process can make changes at a time."""

import fcntl
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from .group_shared_files import file_mode

LOOK_EVERY_S: Final = 0.01
GIVE_WAY_EVERY_S: Final = 0.5
"""Seconds that one process's threads may pass the lock to one another before another process gets a turn."""


class _Lock:
    def __init__(self) -> None:
        self.of_process = threading.Lock()
        """Lock between the threads of this process, so that only one thread at a time tries to lock the file."""
        self.holder: tuple[int, object] | None = None
        self.is_wanted = False
        """True if a thread of this process is waiting for the lock."""
        self.gave_way_s = -math.inf
        """Monotonic time at which the process last had no waiting thread or last gave other processes a chance."""


_locks: dict[Path, _Lock] = {}


@contextmanager
def lock_folder(file: Path, within_s: float, owner: object = None) -> Iterator[None]:
    """Hold the lock on `file` in a `with` block. The thread that holds it may take it again with the same `owner`.

    Raises TimeoutError if another thread or process holds the lock for longer than `within_s` seconds. Raises OSError
    if the file cannot be opened.
    """
    lock, until_s = _locks.setdefault(file.absolute(), _Lock()), time.monotonic() + within_s
    me = threading.get_ident(), owner
    if lock.holder == me:
        yield
        return
    if not lock.of_process.acquire(blocking=False):
        lock.is_wanted = True
        if not lock.of_process.acquire(timeout=within_s):
            raise TimeoutError
    with ExitStack() as held:
        held.callback(lock.of_process.release)
        held.callback(_give_way, lock)
        descriptor = _open(file)
        held.callback(os.close, descriptor)
        _take(descriptor, until_s)
        lock.holder = me
        try:
            yield
        finally:
            lock.holder = None


def _open(file: Path) -> int:
    """Open the lock file read-only, because another account may have created it."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(file, flags)
    os.fchmod(descriptor, file_mode(file.parent))
    return descriptor


def _give_way(lock: _Lock) -> None:
    """Pause between releasing the file lock and releasing the process's lock.

    Other processes poll the file. Without the pause, this process's next thread would always get it first.
    """
    if lock.is_wanted and time.monotonic() - lock.gave_way_s < GIVE_WAY_EVERY_S:
        return
    if lock.is_wanted:
        time.sleep(2 * LOOK_EVERY_S)
    lock.is_wanted, lock.gave_way_s = False, time.monotonic()


def _take(descriptor: int, until_s: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                raise TimeoutError from None
            time.sleep(LOOK_EVERY_S)
