"""Standard output and error that tolerate closed pipes, full disks and any character encoding."""

import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from ..errors import UsageError
from ..translation import Message


def reader_is_open(wait_s: float) -> bool:
    """Wait up to `wait_s` seconds for the reader of standard output to close it.

    Returns False if the output is closed.
    """
    if isinstance(sys.stdout, _Output) and not sys.stdout.is_read:
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # POLLERR and POLLHUP are always reported
    return not poll.poll(wait_s * 1000)


class _Output(io.TextIOWrapper):
    """Standard output or error. Once the reader has closed it, text is dropped silently."""

    is_read = True

    def write(self, text: str) -> int:
        with self._watched():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._watched():
            super().flush()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.is_read = False
            self._drop()

    def _drop(self) -> None:
        """Redirect all later output to /dev/null. Python flushes once more at exit, and that flush would fail."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)


class _StandardOutput(_Output):
    """Standard output. Raises UsageError if text cannot be written, for example because the disk is full."""

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            with super()._watched():
                yield
        except OSError as error:
            self._drop()
            problem = Message(
                "the output cannot be written: {reason}; write it to another place", reason=error.strerror
            )
            raise UsageError(problem) from error


def make_ready() -> None:
    """Prepare the standard streams and SIGTERM.

    Afterwards, every character can be printed, and SIGTERM ends a command through its `finally` blocks.
    """
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  open as long as the process runs
    if type(sys.stdout) is io.TextIOWrapper:
        # In UTF-8 a file name keeps its bytes. Other encodings lack most of our characters.
        errors = "surrogateescape" if is_utf8(sys.stdout) else "backslashreplace"
        sys.stdout = _rewrapped(sys.stdout, _StandardOutput, errors)
    if type(sys.stderr) is io.TextIOWrapper:
        sys.stderr = _rewrapped(sys.stderr, _Output, sys.stderr.errors)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _rewrapped(stream: io.TextIOWrapper, kind: type[_Output], errors: str | None) -> _Output:
    encoding, line_buffering, write_through = stream.encoding, stream.line_buffering, stream.write_through
    return kind(stream.detach(), encoding, errors, line_buffering=line_buffering, write_through=write_through)


def is_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "") == "utf8"
