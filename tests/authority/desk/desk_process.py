"""The desk as a process of its own."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ...lab.asterisk import IDTONE


@contextmanager
def running(folder: Path, *options: object, log: IO[bytes] | None = None) -> Iterator[str]:
    """Its address. It logs into `log`, or where this process does."""
    command = [IDTONE, "authority", "desk", folder, "--listen", "127.0.0.1:0", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
