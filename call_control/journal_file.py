"""A journal file, with its unread lines and a check whether the hook can still write to it."""

import errno
import fcntl
import os
import signal
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PART: Final = 64 * 1024
"""Octets per read."""
QUIET_S: Final = 5.0
"""Seconds without a write after which a file counts as closed if the kernel cannot tell whether it is open for writing.
"""


def drop_done(evidence: deque[Future[None]]) -> bool:
    """Remove completed futures from the front. Returns True if none are left.

    The ledger writes in order, so later futures complete later.
    """
    while evidence and evidence[0].done():
        evidence.popleft()
    return not evidence


@dataclass
class JournalFile:
    """A journal file that is being read, with the current read position."""

    path: Path
    descriptor: int
    inode: int
    position: int = 0
    rest: bytes = b""
    """The start of a line whose end has not been written yet."""
    lines: deque[bytes] = field(default_factory=deque)
    """Lines that were read but not yet entered, without line ends. Lines that are too long are split."""
    unwritten: deque[Future[None]] = field(default_factory=deque)
    replaced_s: float | None = None
    """When the reader saw that the hook no longer writes to it."""
    given_up: bool = False
    """True if a process has kept it open for too long. It is no longer read."""

    def size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def has_lines(self, until: int) -> bool:
        """True if lines before position `until` are still to be processed. Reads the file if necessary."""
        while not self.lines and self.position < until and not self.given_up:
            part = os.read(self.descriptor, PART)
            if not part:
                break
            self.position += len(part)
            *lines, self.rest = (self.rest + part).split(b"\n")
            self.lines += lines
            if len(self.rest) > PART:
                self.lines.append(self.rest)
                self.rest = b""
        return bool(self.lines)

    def settled(self) -> bool:
        """True if all lines read so far have been processed and their evidence is on disk."""
        return drop_done(self.unwritten) and not self.lines

    def is_quiet(self) -> bool:
        """True if no process has the file open for writing. Thread-safe."""
        descriptor = self.descriptor
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # this signal does not end the process
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)  # fails while it is open for writing
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return False
            # The file belongs to another user, or the file system has no leases.
            return time.time() - os.fstat(descriptor).st_mtime > QUIET_S
        return True
