"""`idtone console` as a separate process."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.asterisk import IDTONE


@dataclass(frozen=True, slots=True)
class ConsoleProcess:
    """A running console."""

    address: str
    """Address, with a slash at the end."""
    pid: int


@contextmanager
def console_process(config: Path) -> Iterator[ConsoleProcess]:
    """Context with a console that has these settings. Its log file is beside them. Raises RuntimeError."""
    log = config.with_suffix(".log")
    with (
        log.open("wb") as said,
        subprocess.Popen(
            [IDTONE, "console", "-c", config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        try:
            assert process.stdout
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError(log.read_text())
            yield ConsoleProcess(address, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
