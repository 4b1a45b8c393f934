"""A running desk, in a separate process or in a thread of this one."""

import asyncio
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from idtone.office.desk.desk_server import attend
from idtone.office.desk.document_desk import DocumentDesk
from lab.asterisk import OFFICE


@contextmanager
def running_desk(folder: Path, *options: object, log: IO[bytes] | None = None) -> Iterator[str]:
    """Context with the address of a desk in a separate process. By default its log is this process's stderr."""
    command = [OFFICE, "desk", "--folder", folder, "--listen", "127.0.0.1:0", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


@contextmanager
def desk_in_thread(desk: DocumentDesk) -> Iterator[str]:
    """Context with the address of a desk that runs in a thread."""
    ports, over, loop = list[int](), asyncio.Event(), asyncio.new_event_loop()
    ready = threading.Event()

    def bound(port: int) -> None:
        ports.append(port)
        ready.set()

    thread = threading.Thread(
        target=lambda: loop.run_until_complete(attend(desk, "127.0.0.1", 0, bound, over)), daemon=True
    )
    thread.start()
    try:
        assert ready.wait(60)
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(60)
        loop.close()
