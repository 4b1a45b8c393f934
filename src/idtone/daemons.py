"""Work that may never end, as a look at a hung share may not: no end of ours waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future


def in_daemon(work: Callable[[], object], name: str) -> Future[None]:
    """Have it done in a thread of its own, which the end of the process does not wait for."""
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()  # from now on it cannot be cancelled, so its end can always be told

    def run() -> None:
        try:
            work()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done
