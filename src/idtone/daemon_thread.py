"""Work that may never end, such as reading from a hung network share. The process can exit without waiting for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_daemon(work: Callable[[], T], name: str) -> Future[T]:
    """Run `work` in a thread of its own. The process does not wait for this thread when it exits."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # a cancelled Future would refuse its result

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done
