"""Daemon threads for work that may never end, such as reading from a hung network share."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Final, TypeVar

T = TypeVar("T")


def in_daemon(work: Callable[[], T], name: str) -> Future[T]:
    """Run `work` in a daemon thread. Returns its future. The process does not wait for the thread at exit.

    Idle threads are reused, because starting a thread on a busy machine delays the event loop. The future's callbacks
    must not wait for other work passed to this function, because the same thread may have to do it.
    """
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # a cancelled Future would refuse its result

    def run() -> Callable[[], None]:
        try:
            return partial(done.set_result, work())
        except BaseException as error:
            return partial(done.set_exception, error)

    try:
        waiting = _WAITING.pop()
    except IndexError:
        waiting = SimpleQueue()
        threading.Thread(target=_run_all, args=(waiting,), daemon=True).start()
    waiting.put((run, name))
    return done


_Works = SimpleQueue[tuple[Callable[[], Callable[[], None]], str]]
_WAITING: Final[list[_Works]] = []
"""One entry per idle thread."""
os.register_at_fork(after_in_child=_WAITING.clear)


def _run_all(works: _Works) -> None:
    while True:
        run, threading.current_thread().name = works.get()
        tell = run()
        _WAITING.append(works)  # so that this thread is free when others learn of the end
        tell()
        del run, tell  # they may keep large objects alive
